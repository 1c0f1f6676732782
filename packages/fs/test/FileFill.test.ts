import { assert, describe, it } from "@effect/vitest"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

type Answer = (error: NodeJS.ErrnoException | null, count: number) => void
type Write = (fd: number, bytes: Uint8Array, at: number, length: number, position: null, done: Answer) => void

/** For as long as the Scope, another write than Node's own. */
const replaced = (write: (real: Write) => Write) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const real = NodeFs.write
      NodeFs.write = write(real) as typeof NodeFs.write
      syncBuiltinESMExports()
      return real
    }),
    (real) =>
      Effect.sync(() => {
        NodeFs.write = real
        syncBuiltinESMExports()
      })
  )

const opened = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-fill-" })
  const files = { closed: 0 }
  const counting: FileSystem.FileSystem = {
    ...fs,
    open: (path, options) => Effect.acquireRelease(fs.open(path, options), () => Effect.sync(() => files.closed++))
  }
  const made = FsObjectStore.make({ directory, flush: false })
  return { fs, directory, files, store: yield* Effect.provideService(made, FileSystem.FileSystem, counting) }
})

describe("the bytes of a new file", () => {
  it.live("are written whole, however few the system takes at a time", () =>
    Effect.gen(function* () {
      const { store } = yield* opened
      const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
      yield* replaced((write) => (fd, bytes, at, length, position, done) => {
        write(fd, bytes, at, Math.min(length, 300), position, done)
      })
      yield* store.put("key", bytes)
      assert.deepStrictEqual(new Uint8Array((yield* store.get("key")).bytes), bytes)
      yield* store.put("empty", new Uint8Array(0))
      assert.lengthOf((yield* store.get("empty")).bytes, 0)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("that the system does not take fail the write, which leaves no file", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened
      let error: NodeJS.ErrnoException | null = null
      yield* replaced((write) => (fd, bytes, at, length, position, done) => {
        if (at === 0) write(fd, bytes, 0, Math.min(length, 3), position, done)
        else setImmediate(() => done(error, 0))
      })
      const reasonOf = Effect.map(Effect.flip(store.put("key", new Uint8Array(10))), (error) =>
        error._tag === "ObjectStoreError" ? error.reason.message : error._tag
      )
      assert.include(yield* reasonOf, "the disk is full")
      error = Object.assign(new Error("EIO: as the test says"), { code: "EIO" })
      assert.include(yield* reasonOf, "check the disk")
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("that are taken away meanwhile are a defect and not half an object", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened
      const bytes = new Uint8Array(10)
      yield* replaced((write) => (fd, given, at, length, position, done) => {
        write(fd, given, at, Math.min(length, 3), position, (...answer) => {
          if (at === 0) structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
          done(...answer)
        })
      })
      const exit = yield* Effect.exit(store.put("key", bytes))
      assert.isTrue(Exit.hasDies(exit))
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("are not written any more when the file is closed, whenever the write was interrupted", () =>
    Effect.gen(function* () {
      const { directory, files, fs, store } = yield* opened
      let written = 0
      const answers: Array<() => void> = []
      yield* replaced((write) => (fd, bytes, at, length, position, done) => {
        written++
        write(fd, bytes, at, Math.min(length, 3), position, (...answer) => answers.push(() => done(...answer)))
      })
      const asked = Effect.repeat(Effect.sleep(2), {
        until: () => Effect.sync(() => answers.length === 1),
        times: 1000
      })
      const put = yield* Effect.forkChild(store.put("key", new Uint8Array(10)))
      yield* asked
      const interruption = yield* Effect.forkChild(Fiber.interrupt(put))
      yield* Effect.sleep(30)
      assert.isUndefined(interruption.pollUnsafe())
      assert.strictEqual(files.closed, 0)
      answers.pop()!()
      yield* Fiber.join(interruption)
      assert.strictEqual(written, 1)
      assert.strictEqual(files.closed, 1)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
