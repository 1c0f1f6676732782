import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as FsPlatform from "@effect-icechunk/fs/FsPlatform"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as Windows from "./support/Windows.ts"

const text = (text: string): Uint8Array => new TextEncoder().encode(text)

const machine = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const top = yield* fs.makeTempDirectoryScoped({ prefix: "fs-windows-" })
  return { top, services: Windows.layer(fs, top) }
})

describe("on Windows, where there are drives and no links", () => {
  it.live("a store is written, updated, listed, copied and deleted, and leaves nothing else", () =>
    Effect.gen(function* () {
      const { services, top } = yield* machine
      yield* Effect.gen(function* () {
        const store = yield* FsObjectStore.make({ directory: "C:\\data\\my repository" })
        assert.strictEqual(store.description, "file:///C:/data/my repository")
        const version = yield* store.put("chunks/a", text("1"), { mode: ObjectStore.create })
        const lost = yield* Effect.flip(store.put("chunks/a", text("2"), { mode: ObjectStore.create }))
        assert.strictEqual(lost._tag === "ObjectStoreError" && lost.reason._tag, "AlreadyExists")
        yield* store.put("chunks/a", text("2"), { mode: ObjectStore.update(version) })
        yield* store.copy("chunks/a", "chunks/b")
        assert.deepStrictEqual((yield* store.get("chunks/b")).bytes, text("2"))
        yield* store.delete(["chunks/b"])
        for (const key of ["C:\\x", "a\\b", "a:b"]) {
          const error = yield* Effect.flip(store.get(key))
          assert.strictEqual(error.reason._tag, "Unsupported")
        }
      }).pipe(Effect.provide(services))
      assert.deepStrictEqual(NodeFs.readdirSync(`${top}/data/my repository`), ["chunks"])
      assert.deepStrictEqual(NodeFs.readdirSync(`${top}/data/my repository/chunks`), ["a"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("writers of one key wait for each other", () =>
    Effect.gen(function* () {
      const { services } = yield* machine
      yield* Effect.gen(function* () {
        const stores = yield* Effect.replicateEffect(FsObjectStore.make({ directory: "C:\\data" }), 3)
        yield* stores[0]!.put("count", Uint8Array.of(0))
        yield* Effect.forEach(
          stores,
          (store) =>
            Effect.gen(function* () {
              const { bytes, meta } = yield* store.get("count")
              yield* store.put("count", Uint8Array.of(bytes[0]! + 1), { mode: ObjectStore.update(meta.version) })
            }).pipe(
              Effect.retry({
                while: (error) => error._tag === "ObjectStoreError" && error.reason._tag === "PreconditionFailed"
              }),
              Effect.repeat({ times: 9 })
            ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual((yield* stores[0]!.get("count")).bytes, Uint8Array.of(30))
      }).pipe(Effect.provide(services))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("virtual chunks are read by location, however the path is spelled, and from nowhere else", () =>
    Effect.gen(function* () {
      const { services, top } = yield* machine
      for (const name of ["data", "secret"]) NodeFs.mkdirSync(`${top}/${name}`)
      NodeFs.writeFileSync(`${top}/data/a b.nc`, "0123456789")
      NodeFs.writeFileSync(`${top}/secret/a.nc`, "0123456789")
      const repository = Layer.mergeAll(
        FsObjectStore.layer({ directory: "C:\\repository" }),
        Platform.layer([FsPlatform.make]),
        NodeZstd.layer
      )
      yield* Effect.gen(function* () {
        const container = { name: "data", protocol: "file", platform: "fs", bucket_prefix: "c:\\data" }
        const opened = yield* Repository.create({
          persist: { virtual_chunk_containers: [container] },
          credentials: { data: Credentials.directory("C:\\data") }
        })
        const session = yield* opened.writableSession("main")
        yield* session.createArray("/a", { shape: [8], chunkShape: [2], dataType: "uint8", fillValue: 0 })
        const locations = ["file:///C:/data/a%20b.nc", "file://c:\\data\\a%20b.nc", "file://C:/data/a%20b.nc"]
        for (const [i, location] of locations.entries()) {
          yield* session.setVirtualRef("/a", [i], { location, offset: i, length: 2 })
          assert.deepStrictEqual(yield* session.chunk("/a", [i]), text(`${i}${i + 1}`), location)
        }
        const outside = { location: "file:///C:/secret/a.nc", offset: 0, length: 2 }
        yield* session.setVirtualRef("/a", [3], outside, { validateContainers: false })
        yield* Effect.flip(session.chunk("/a", [3]))
        yield* session.commit("refs")
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(repository, services)))
      const store = yield* FsObjectStore.makeConfined({ allowed: "C:\\data" }).pipe(Effect.provide(services))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* store.get("/C:/data/a b.nc")).bytes.length, 10)
        for (const key of ["C:/secret/a.nc", "D:/data/a.nc", "C:/data/../secret/a.nc", "C:/data/a b.nc:stream"]) {
          yield* Effect.flip(store.get(key))
        }
      }).pipe(Effect.provide(services))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
