import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Fiber from "effect/Fiber"
import { spawnSync } from "node:child_process"
import * as NodeFs from "node:fs"
import * as LockOwner from "../src/internal/LockOwner.ts"
import * as FilePool from "../src/internal/FilePool.ts"
import * as OpenFiles from "../src/internal/OpenFiles.ts"

const text = (text: string): Uint8Array => new TextEncoder().encode(text)

const opened = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-left-" })
  const here = yield* LockOwner.self(fs)
  const dead = LockOwner.encode({ ...here, pid: spawnSync(process.execPath, ["--version"]).pid })
  const distant = LockOwner.encode({ ...here, host: "elsewhere" })
  const write = (path: string, daysAgo = 0): void => {
    NodeFs.mkdirSync(`${directory}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true })
    NodeFs.writeFileSync(`${directory}/${path}`, "left")
    const time = Date.now() / 1000 - daysAgo * 86_400
    NodeFs.utimesSync(`${directory}/${path}`, time, time)
  }
  const left = (below = ""): ReadonlyArray<string> => NodeFs.readdirSync(`${directory}/${below}`).toSorted()
  return { fs, directory, here, dead, distant, write, left, store: yield* FsObjectStore.make({ directory }) }
})

describe("what killed writers leave", () => {
  it.live("is removed by a later writer, and not by a reader", () =>
    Effect.gen(function* () {
      const { dead, directory, left, store, write } = yield* opened
      write("key")
      write(`.a+${dead}#1`)
      write("old#12", 2)
      NodeFs.mkdirSync(`${directory}/.key.icechunk-lock`)
      NodeFs.mkdirSync(`${directory}/chunks/.c.icechunk-lock/0-1+${dead}`, { recursive: true })
      write(`chunks/.c.icechunk-lock/0-1+${dead}/new`)
      NodeFs.mkdirSync(`${directory}/chunks/.empty.icechunk-lock`)
      const before = left()
      yield* store.get("key")
      assert.deepStrictEqual(left(), before)
      yield* store.put("other", text("new"))
      assert.deepStrictEqual(left(), ["chunks", "key", "other"])
      assert.deepStrictEqual(left("chunks"), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is removed everywhere when it is asked for, with a count, and not where its writer may live", () =>
    Effect.gen(function* () {
      const { dead, directory, distant, left, store, write } = yield* opened
      write("key")
      write(`.a+${dead}#1`)
      write(`.b+${distant}#1`)
      write(`chunks/.c+${dead}#1`)
      write("chunks/old#12", 2)
      write("chunks/recent#12")
      NodeFs.mkdirSync(`${directory}/chunks/.key.icechunk-lock/0-1+${dead}`, { recursive: true })
      assert.deepStrictEqual(yield* store.removeLeftovers!, { files: 3, bytes: 12 })
      assert.deepStrictEqual(left(), [`.b+${distant}#1`, "chunks", "key"])
      assert.deepStrictEqual(left("chunks"), ["recent#12"])
      assert.deepStrictEqual(yield* store.removeLeftovers!, { files: 0, bytes: 0 })
      const readOnly = yield* FsObjectStore.make({ directory, readOnlyBecause: "it is a copy" })
      assert.strictEqual((yield* Effect.flip(readOnly.removeLeftovers!))._tag, "WriteForbidden")
      assert.isUndefined(ObjectStore.prefixed(store, "chunks").removeLeftovers)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is left alone where its writer may live", () =>
    Effect.gen(function* () {
      const { distant, here, left, store, write } = yield* opened
      const another = LockOwner.encode({ ...here, instance: "a worker" })
      write(`.a+${distant}#1`)
      write(`.b+${another}#1`)
      write("recent#12")
      write(`.old+${distant}#1`, 2)
      const before = left()
      yield* store.put("key", text("new"))
      assert.deepStrictEqual(left(), [...before, "key"].filter((name) => !name.startsWith(".old")).toSorted())
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a writer whose file is taken from it writes nothing, and says so", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* opened
      const store = yield* FsObjectStore.make({ directory }).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fs,
          link: (from, to) => Effect.andThen(fs.remove(from), fs.link(from, to))
        })
      )
      yield* Effect.flip(store.put("key", text("new"), { mode: ObjectStore.create }))
      assert.deepStrictEqual(NodeFs.readdirSync(directory), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is found after a deletion below the directory is killed, by the word that it left", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* opened
      const seen: Array<string> = []
      const store = yield* FsObjectStore.make({ directory }).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fs,
          rename: (from, to) => {
            seen.push(...NodeFs.readdirSync(directory))
            return fs.rename(from, to)
          }
        })
      )
      yield* store.put("chunks/c", text("c"))
      yield* store.delete(["chunks/c"])
      assert.isTrue(seen.some((name) => name.endsWith("#1")))
      assert.deepStrictEqual(NodeFs.readdirSync(directory), ["chunks"])
      assert.deepStrictEqual(NodeFs.readdirSync(`${directory}/chunks`), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("open files", () => {
  it.live("are bounded, of all stores together, and readers wait for their turn", () => {
    let open = 0
    let most = 0
    const kept = 8
    return Effect.gen(function* () {
      const { directory, fs } = yield* opened
      const counted: FileSystem.FileSystem = {
        ...fs,
        open: (path, options) =>
          Effect.acquireRelease(
            Effect.tap(fs.open(path, options), () => Effect.sync(() => (most = Math.max(most, ++open)))),
            () => Effect.sync(() => open--)
          )
      }
      const make = Effect.provideService(FsObjectStore.make({ directory }), FileSystem.FileSystem, counted)
      const stores = [yield* make, yield* make]
      for (let i = 0; i < 100; i++) NodeFs.writeFileSync(`${directory}/${i}`, "bytes")
      yield* Effect.forEach(
        Array.from({ length: 5000 }, (_, i) => i),
        (i) => stores[i % 2]!.get(`${(i * 7) % 100}`),
        { concurrency: "unbounded", discard: true }
      )
      assert.isAtMost(most, OpenFiles.limit + kept)
      assert.isAtMost(open, kept)
    }).pipe(
      Effect.provideService(FilePool.FilePool, FilePool.make({ limit: kept })),
      Effect.provide(NodeServices.layer)
    )
  })

  it.live("readers that wait can be interrupted, and take nothing with them", () =>
    Effect.gen(function* () {
      const { fs, store } = yield* opened
      yield* store.put("key", text("bytes"))
      for (let round = 0; round < 3; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 500 }), () => Effect.forkChild(store.get("key")))
        yield* Effect.yieldNow
        yield* Fiber.interruptAll(fibers)
      }
      // All places are free again.
      const hold = OpenFiles.open(fs, "/")
      yield* Effect.scoped(Effect.forEach(Array.from({ length: OpenFiles.limit }), () => hold, { discard: true }))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
