import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import { createServer } from "node:net"
import { dirname } from "node:path"
import { node, NodeCalls } from "../src/internal/NodeCalls.ts"
import * as Fifo from "./support/Fifo.ts"

/**
 * ```
 * data/a.nc            data/sub/b.nc
 * data/inside -> a.nc  data/out -> ../secret/key  data/outside -> ../secret
 * secret/key           secret/in -> ../data/a.nc  data-private/c.nc
 * ```
 */
const world = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const top = yield* Effect.flatMap(fs.makeTempDirectoryScoped({ prefix: "fs-confined-" }), fs.realPath)
  const write = (path: string, text: string): void => {
    NodeFs.mkdirSync(dirname(`${top}/${path}`), { recursive: true })
    NodeFs.writeFileSync(`${top}/${path}`, text)
  }
  write("data/a.nc", "chunks of a")
  write("data/sub/b.nc", "chunks of b")
  write("data/odd #1 %41?.nc", "odd")
  write("secret/key", "secret")
  write("data-private/c.nc", "private")
  NodeFs.symlinkSync("a.nc", `${top}/data/inside`)
  NodeFs.symlinkSync("../secret/key", `${top}/data/out`)
  NodeFs.symlinkSync("../secret", `${top}/data/outside`)
  NodeFs.symlinkSync("nowhere", `${top}/data/dangling`)
  NodeFs.symlinkSync("loop", `${top}/data/loop`)
  NodeFs.symlinkSync("../data/a.nc", `${top}/secret/in`)
  return { fs, top, store: yield* FsObjectStore.makeConfined({ allowed: `${top}/data` }) }
})

const textOf = ({ bytes }: ObjectStore.GetResult): string => new TextDecoder().decode(bytes)

const reasonOf = (store: ObjectStore.ObjectStoreShape, key: string): Effect.Effect<Errors.Reason> =>
  Effect.gen(function* () {
    const { reason } = yield* Effect.flip(store.get(key))
    assert.strictEqual((yield* Effect.flip(store.head(key))).reason._tag, reason._tag)
    return reason
  }).pipe(Effect.orDie)

describe("FsObjectStore.makeConfined", () => {
  it.live("reads files below the allowed directory, by absolute path with or without the first `/`", () =>
    Effect.gen(function* () {
      const { store, top } = yield* world
      for (const key of [`${top}/data/a.nc`, `${top}/data/a.nc`.slice(1)]) {
        const result = yield* store.get(key, { range: ByteRange.bounded(7, 4) })
        assert.strictEqual(textOf(result), "of a")
        assert.strictEqual(result.meta.key, key)
        assert.strictEqual((yield* store.head(key)).size, 11)
      }
      assert.strictEqual(textOf(yield* store.get(`${top}/data/sub/b.nc`)), "chunks of b")
      assert.strictEqual(textOf(yield* store.get(`${top}/data/odd #1 %41?.nc`)), "odd")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("reads below a root", () =>
    Effect.gen(function* () {
      const { top } = yield* world
      const store = yield* FsObjectStore.makeConfined({ root: `${top}/data`, allowed: `${top}/data/sub` })
      assert.strictEqual(textOf(yield* store.get("sub/b.nc")), "chunks of b")
      assert.strictEqual((yield* reasonOf(store, "a.nc"))._tag, "PermissionDenied")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("symbolic links count by where they lead", () =>
    Effect.gen(function* () {
      const { fs, store, top } = yield* world
      assert.strictEqual(textOf(yield* store.get(`${top}/data/inside`)), "chunks of a")
      assert.strictEqual(textOf(yield* store.get(`${top}/secret/in`)), "chunks of a")
      for (const key of ["data/out", "data/outside/key", "data/outside"]) {
        const reason = yield* reasonOf(store, `${top}/${key}`)
        assert.strictEqual(reason._tag, "PermissionDenied")
        assert.include(reason.detail, `${top}/data`)
      }
      assert.strictEqual((yield* reasonOf(store, `${top}/data/dangling`))._tag, "NotFound")
      assert.strictEqual((yield* reasonOf(store, `${top}/data/loop`))._tag, "Unsupported")
      // The allowed directory may itself be a link.
      yield* fs.symlink(`${top}/data`, `${top}/alias`)
      const alias = yield* FsObjectStore.makeConfined({ allowed: `${top}/alias` })
      assert.strictEqual(textOf(yield* alias.get(`${top}/alias/a.nc`)), "chunks of a")
      assert.strictEqual(textOf(yield* alias.get(`${top}/data/a.nc`)), "chunks of a")
      assert.strictEqual((yield* reasonOf(alias, `${top}/alias/missing`))._tag, "NotFound")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("nothing outside is read, and whether it exists is not told", () =>
    Effect.gen(function* () {
      const { store, top } = yield* world
      const reasons = yield* Effect.forEach(
        ["secret/key", "secret/missing", "secret/key/below", "data-private/c.nc", "data", "missing/a"],
        (key) => reasonOf(store, `${top}/${key}`)
      )
      for (const reason of reasons) {
        assert.strictEqual(reason._tag, "PermissionDenied")
        assert.strictEqual(reason.detail, reasons[0]!.detail)
      }
      assert.strictEqual((yield* reasonOf(store, "/etc/passwd"))._tag, "PermissionDenied")
      assert.strictEqual((yield* reasonOf(store, "/etc/missing"))._tag, "PermissionDenied")
      assert.strictEqual((yield* reasonOf(store, `${top}/data/missing`))._tag, "NotFound")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("paths that are no plain names are refused", () =>
    Effect.gen(function* () {
      const { store, top } = yield* world
      for (const path of ["data/../secret/key", "data/./a.nc", "data//a.nc", "data/a.nc/", "data/a.nc\0", "..", ""]) {
        assert.strictEqual((yield* reasonOf(store, `${top}/${path}`))._tag, "Unsupported", path)
      }
      assert.strictEqual((yield* reasonOf(store, ""))._tag, "Unsupported")
      assert.strictEqual((yield* reasonOf(store, `/${top}/data/a.nc`))._tag, "Unsupported")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("directories, FIFOs, sockets and devices are never opened", () =>
    Effect.gen(function* () {
      const { fs, top } = yield* world
      const opened: Array<string> = []
      const store = yield* FsObjectStore.makeConfined({ allowed: `${top}/data` }).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fs,
          open: (path, options) => {
            opened.push(path)
            return fs.open(path, options)
          }
        })
      )
      Fifo.make(`${top}/data/fifo`)
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(`${top}/data/socket`, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      for (const name of ["fifo", "socket", "sub"]) {
        const reason = yield* reasonOf(store, `${top}/data/${name}`)
        assert.strictEqual(reason._tag, "Unsupported")
        assert.match(reason.detail!, /not a regular file but a (FIFO|Socket|Directory)/)
      }
      const devices = yield* FsObjectStore.makeConfined({ allowed: "/dev" })
      assert.strictEqual((yield* reasonOf(devices, "/dev/zero"))._tag, "Unsupported")
      assert.deepStrictEqual(opened, [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live.runIf(process.platform === "linux")("a directory that becomes a link on the way to the file is noticed", () =>
    Effect.gen(function* () {
      const { top } = yield* world
      // As if the path had been resolved just before `outside` became a link to `secret`.
      const store = yield* FsObjectStore.makeConfined({ allowed: `${top}/data` })
      const reason = (yield* Effect.flip(store.get(`${top}/data/outside/key`))).reason
      assert.strictEqual(reason._tag, "PermissionDenied")
      assert.strictEqual(textOf(yield* store.get(`${top}/data/a.nc`)), "chunks of a")
    }).pipe(Effect.provideService(NodeCalls, { ...node, realPath: Effect.succeed }), Effect.provide(NodeServices.layer))
  )

  it.live("is not listed", () =>
    Effect.gen(function* () {
      const { store } = yield* world
      const { reason } = yield* Effect.flip(Stream.runCollect(store.list("")))
      assert.strictEqual(reason._tag, "Unsupported")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

ObjectStoreConformance.readOnlySuite(
  "FsObjectStore.makeConfined is read-only",
  Layer.effect(ObjectStore.ObjectStore, FsObjectStore.makeConfined({ allowed: "/missing" })).pipe(
    Layer.provide(NodeServices.layer)
  )
)
