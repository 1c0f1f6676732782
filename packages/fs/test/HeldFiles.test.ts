import { assert, describe, it } from "@effect/vitest"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as FsPlatform from "@effect-icechunk/fs/FsPlatform"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import * as NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as FilePool from "../src/internal/FilePool.ts"
import { node, NodeCalls } from "../src/internal/NodeCalls.ts"
import * as OpenFiles from "../src/internal/OpenFiles.ts"
import { failure } from "./support/Disk.ts"
import * as Programs from "./support/Programs.ts"

const textOf = ({ bytes }: ObjectStore.GetResult): string => new TextDecoder().decode(bytes)

/** A directory `top`, two stores of what is in `top/data`, and what is open of it. */
const world = (misbehave?: (file: FileSystem.File) => Partial<FileSystem.File>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const top = yield* Effect.flatMap(fs.makeTempDirectoryScoped({ prefix: "fs-held-" }), fs.realPath)
    for (const name of ["data", "data/sub", "outside"]) NodeFs.mkdirSync(`${top}/${name}`)
    const files = { opened: 0, open: 0 }
    const counted: FileSystem.FileSystem = {
      ...fs,
      open: (path, options) =>
        Effect.gen(function* () {
          const file = yield* fs.open(path, options)
          files.opened++
          files.open++
          yield* Effect.addFinalizer(() => Effect.sync(() => files.open--))
          return misbehave === undefined ? file : Object.assign(Object.create(file), misbehave(file))
        })
    }
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const provided = <A>(make: Effect.Effect<A, never, FileSystem.FileSystem | Path.Path>) =>
      make.pipe(Effect.provideService(FileSystem.FileSystem, counted), Scope.provide(scope))
    const store = yield* provided(FsObjectStore.make({ directory: `${top}/data`, flush: false }))
    const confined = yield* provided(FsObjectStore.makeConfined({ root: `${top}/data`, allowed: `${top}/data` }))
    return { fs, counted, top, data: `${top}/data`, files, store, confined, close: Scope.close(scope, Exit.void) }
  })

const withPool = (options?: Parameters<typeof FilePool.make>[0]) =>
  Effect.provideService(FilePool.FilePool, FilePool.make(options))

/** Lets what has happened meanwhile be heard of. */
const turn = Effect.promise(() => new Promise(setImmediate))

const until = Effect.fnUntraced(function* (isSo: () => boolean) {
  while (!isSo()) yield* turn
})

/** Where the system does not tell where an open file is, as on macOS. */
const silent = { ...node, pathOf: () => undefined }

/** As if all files were on a disk of this machine. */
const onThisMachine = {
  ...node,
  fileSystemType: () => Effect.succeed(process.platform === "linux" ? 0xef53 : 0x1a)
}

/**
 * Has the system's own calls replaced, as long as the Scope: reads whose bytes came are handed over, all at once, when
 * `release` is called, and looks at paths are counted.
 */
const heldBack = Effect.gen(function* () {
  const module = process.getBuiltinModule("node:fs")
  const { lstat, lstatSync, read, readSync } = module
  const native = module.realpathSync.native
  const state = {
    isHolding: false,
    come: [] as Array<() => void>,
    looks: 0,
    places: 0,
    waits: 0,
    /** Bytes of each read by a thread, and of each on the program's own. */
    threads: [] as Array<number>,
    here: [] as Array<number>,
    afterReadHere: undefined as (() => void) | undefined,
    release: (): void => {
      for (const tell of state.come.splice(0)) tell()
    }
  }
  const swap = (calls: object): void => {
    Object.assign(module, calls)
    syncBuiltinESMExports()
  }
  const counted = <F extends (...parameters: Array<never>) => unknown>(call: F, count: () => void): F =>
    ((...parameters: Parameters<F>) => {
      count()
      return call(...parameters)
    }) as F
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      module.realpathSync.native = native
      swap({ lstat, lstatSync, read, readSync })
    })
  )
  module.realpathSync.native = counted(native, () => state.places++)
  swap({
    lstat: counted(lstat as (...parameters: Array<never>) => void, () => state.waits++),
    lstatSync: counted(lstatSync as (...parameters: Array<never>) => unknown, () => state.looks++),
    readSync: (fd: number, bytes: Uint8Array, at: number, length: number, position?: number) => {
      // `readFileSync` says no position.
      if (position === undefined) return readSync(fd, bytes, at, length, null)
      state.here.push(length)
      const count = readSync(fd, bytes, at, length, position)
      state.afterReadHere?.()
      return count
    },
    read: (...parameters: Array<unknown>) => {
      state.threads.push(parameters[3] as number)
      const done = parameters.pop() as (...outcome: Array<unknown>) => void
      const tell = (...outcome: Array<unknown>): void => {
        if (state.isHolding) state.come.push(() => done(...outcome))
        else done(...outcome)
      }
      ;(read as (...parameters: Array<unknown>) => void)(...parameters, tell)
    }
  })
  return state
})

const reasonOf = (store: ObjectStore.ObjectStoreShape, key: string) =>
  Effect.map(Effect.flip(store.get(key)), ({ reason }) => reason._tag)

describe.runIf(process.platform === "linux" || process.platform === "darwin")("files that stay open", () => {
  it.live("are opened once for many reads, whole or in part, and each read has bytes of its own", () =>
    Effect.gen(function* () {
      const { confined, data, files, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "0123456789")
      for (const [i, from] of [store, confined].entries()) {
        const first = yield* from.get("a")
        const results = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, i) => i % 9),
          (offset) => from.get("a", { range: ByteRange.bounded(offset, 2) }),
          { concurrency: "unbounded" }
        )
        for (const [i, result] of results.entries()) {
          assert.strictEqual(textOf(result), `${i % 9}${(i % 9) + 1}`)
          assert.deepStrictEqual(result.span, { start: i % 9, end: (i % 9) + 2 })
          assert.deepStrictEqual(result.meta, first.meta)
        }
        assert.strictEqual(new Set(results.map(({ bytes }) => bytes.buffer)).size, 500)
        assert.strictEqual(textOf(yield* from.get("a", { range: ByteRange.suffix(3) })), "789")
        assert.strictEqual((yield* from.get("a", { range: ByteRange.bounded(4, 0) })).bytes.length, 0)
        assert.strictEqual(files.opened, i + 1)
      }
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  for (const [system, calls] of [
    ["", node],
    [", also where the system does not tell where an open file is", silent]
  ] as const) {
    const changes: Readonly<
      Record<string, readonly [change: (data: string) => void, seen: string, before?: (data: string) => void]>
    > = {
      "is replaced": [
        (data) => {
          NodeFs.writeFileSync(`${data}/sub/new`, "other text")
          NodeFs.renameSync(`${data}/sub/new`, `${data}/sub/a`)
        },
        "other text"
      ],
      "is changed in its place": [(data) => NodeFs.writeFileSync(`${data}/sub/a`, "other text"), "other text"],
      grows: [(data) => NodeFs.appendFileSync(`${data}/sub/a`, "more"), "first textmore"],
      "is cut": [(data) => NodeFs.truncateSync(`${data}/sub/a`, 5), "first"],
      "is removed": [(data) => NodeFs.unlinkSync(`${data}/sub/a`), "NotFound"],
      "becomes a directory": [
        (data) => {
          NodeFs.unlinkSync(`${data}/sub/a`)
          NodeFs.mkdirSync(`${data}/sub/a`)
        },
        "NotFound"
      ],
      "goes with its directory": [(data) => NodeFs.renameSync(`${data}/sub`, `${data}/gone`), "NotFound"],
      "is replaced by a link to a file outside": [
        (data) => {
          NodeFs.writeFileSync(`${data}/../outside/secret`, "a secret..")
          NodeFs.unlinkSync(`${data}/sub/a`)
          NodeFs.symlinkSync("../../outside/secret", `${data}/sub/a`)
        },
        "PermissionDenied"
      ],
      "is below a directory that becomes a link to another outside": [
        (data) => {
          NodeFs.writeFileSync(`${data}/../outside/a`, "a secret..")
          NodeFs.renameSync(`${data}/sub`, `${data}/old`)
          NodeFs.symlinkSync("../outside", `${data}/sub`)
        },
        "PermissionDenied"
      ],
      "is below a directory that is moved outside and leaves a link behind": [
        (data) => {
          NodeFs.renameSync(`${data}/sub`, `${data}/../outside/sub`)
          NodeFs.symlinkSync("../outside/sub", `${data}/sub`)
        },
        "PermissionDenied"
      ],
      "has another name outside, where a link to leads now": [
        (data) => {
          NodeFs.renameSync(`${data}/sub`, `${data}/old`)
          NodeFs.symlinkSync("../outside", `${data}/sub`)
        },
        "PermissionDenied",
        (data) => NodeFs.linkSync(`${data}/sub/a`, `${data}/../outside/a`)
      ]
    }
    for (const [name, [change, seen, prepare]] of Object.entries(changes)) {
      it.live(`the next read notices when a file ${name}${system}`, () =>
        Effect.gen(function* () {
          for (const kind of ["store", "confined"] as const) {
            const { [kind]: store, data, files } = yield* world()
            NodeFs.writeFileSync(`${data}/sub/a`, "first text")
            prepare?.(data)
            const before = yield* store.get("sub/a")
            yield* store.get("sub/a", { range: ByteRange.bounded(0, 2) })
            assert.strictEqual(files.opened, 1)
            change(data)
            const tells = seen === "NotFound" || seen === "PermissionDenied"
            if (tells) {
              const reason = yield* reasonOf(store, "sub/a")
              // A directory is no file of a container.
              assert.isTrue(reason === seen || (kind === "confined" && reason === "Unsupported"), reason)
              assert.strictEqual(files.open, 0, "it was closed")
              continue
            }
            const after = yield* store.get("sub/a")
            assert.strictEqual(textOf(after), seen)
            assert.notStrictEqual(after.meta.version.etag, before.meta.version.etag)
            assert.strictEqual(after.meta.version.etag, (yield* store.head("sub/a")).version.etag)
            const { etag } = before.meta.version
            assert.strictEqual(
              (yield* Effect.flip(store.get("sub/a", { ifMatch: etag }))).reason._tag,
              "PreconditionFailed"
            )
            assert.strictEqual(files.open, 1)
          }
        }).pipe(Effect.provideService(NodeCalls, calls), withPool(), Effect.provide(NodeServices.layer))
      )
    }
  }

  it.live("a file whose permissions were taken away is opened anew", () =>
    Effect.gen(function* () {
      const { data, files, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "text")
      yield* store.get("a")
      NodeFs.chmodSync(`${data}/a`, 0o000)
      yield* Effect.ignore(store.get("a"))
      // Whether that is refused depends on who runs the test.
      assert.strictEqual(files.opened, process.geteuid?.() === 0 ? 2 : 1)
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("a link on the way to a file counts by where it leads now", () =>
    Effect.gen(function* () {
      const { confined, data, fs, store, top } = yield* world()
      for (const name of ["v1", "v2"]) {
        NodeFs.mkdirSync(`${data}/${name}`)
        NodeFs.writeFileSync(`${data}/${name}/a`, name)
      }
      NodeFs.symlinkSync("v1", `${data}/current`)
      for (const from of [store, confined]) assert.strictEqual(textOf(yield* from.get("current/a")), "v1")
      NodeFs.symlinkSync("v2", `${data}/next`)
      NodeFs.renameSync(`${data}/next`, `${data}/current`)
      for (const from of [store, confined]) assert.strictEqual(textOf(yield* from.get("current/a")), "v2")
      // The directory that may be read may be named by a link, too.
      yield* fs.symlink(`${data}/v1`, `${top}/allowed`)
      const other = yield* FsObjectStore.makeConfined({ allowed: `${top}/allowed` })
      assert.strictEqual(textOf(yield* other.get(`${data}/v1/a`)), "v1")
      assert.strictEqual(textOf(yield* other.get(`${data}/v1/a`)), "v1")
      NodeFs.symlinkSync(`${data}/v2`, `${top}/next`)
      NodeFs.renameSync(`${top}/next`, `${top}/allowed`)
      assert.strictEqual(yield* reasonOf(other, `${data}/v1/a`), "PermissionDenied")
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("a read that a change overtakes begins anew", () => {
    let change: (() => void) | undefined
    return Effect.gen(function* () {
      const { data, store } = yield* world((file) => ({
        read: (buffer, options) =>
          Effect.tap(file.read(buffer, options), () =>
            Effect.sync(() => {
              change?.()
              change = undefined
            })
          )
      }))
      NodeFs.writeFileSync(`${data}/a`, "first text")
      yield* store.get("a")
      change = () => NodeFs.writeFileSync(`${data}/a`, "other text")
      const { bytes, meta } = yield* store.get("a")
      assert.strictEqual(new TextDecoder().decode(bytes), "other text")
      assert.strictEqual(meta.version.etag, (yield* store.head("a")).version.etag)
      // The condition holds for what was there before.
      const { etag } = meta.version
      change = () => NodeFs.writeFileSync(`${data}/a`, "third text")
      assert.strictEqual((yield* Effect.flip(store.get("a", { ifMatch: etag }))).reason._tag, "PreconditionFailed")
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  })

  it.live("what happens after the bytes came and before the look at the file is noticed", () =>
    Effect.gen(function* () {
      const calls = yield* heldBack
      const { confined, data, store } = yield* world()
      const changes: ReadonlyArray<readonly [change: () => void, seen: string]> = [
        [() => NodeFs.writeFileSync(`${data}/sub/a`, "other text"), "other text"],
        [
          () => {
            NodeFs.writeFileSync(`${data}/sub/new`, "third text")
            NodeFs.renameSync(`${data}/sub/new`, `${data}/sub/a`)
          },
          "third text"
        ],
        [() => NodeFs.unlinkSync(`${data}/sub/a`), "NotFound"]
      ]
      for (const from of [store, confined]) {
        NodeFs.writeFileSync(`${data}/sub/a`, "first text")
        for (const [change, seen] of changes) {
          yield* from.get("sub/a")
          calls.isHolding = true
          const reader = yield* Effect.forkChild(from.get("sub/a"))
          yield* until(() => calls.come.length === 1)
          const looks = calls.looks
          change()
          calls.isHolding = false
          calls.release()
          const outcome = yield* Effect.result(Fiber.join(reader))
          assert.strictEqual(outcome._tag === "Success" ? textOf(outcome.success) : outcome.failure.reason._tag, seen)
          assert.isAbove(calls.looks, looks, "on the program's own thread")
        }
      }
    }).pipe(Effect.provideService(NodeCalls, onThisMachine), withPool(), Effect.provide(NodeServices.layer))
  )

  it.live(
    "those whose bytes come in one turn share the look at the file, and at its directory, and no thread looks",
    () =>
      Effect.gen(function* () {
        const calls = yield* heldBack
        const { data, store } = yield* world()
        const names = ["sub/a", "sub/b"]
        for (const name of names) NodeFs.writeFileSync(`${data}/${name}`, name)
        yield* Effect.forEach(names, (name) => store.get(name))
        const { looks, places, waits } = calls
        calls.isHolding = true
        const readers = yield* Effect.forEach(Array.from({ length: 40 }), (_, i) =>
          Effect.forkChild(store.get(names[i % 2]!))
        )
        yield* until(() => calls.come.length === 40)
        assert.strictEqual(calls.looks, looks, "before the bytes are there")
        calls.release()
        for (const [i, reader] of readers.entries()) assert.strictEqual(textOf(yield* Fiber.join(reader)), names[i % 2])
        assert.deepStrictEqual([calls.looks, calls.places, calls.waits], [looks + 2, places + 1, waits])
        // Those that come later are not told what was found out for others.
        yield* store.get("sub/a")
        assert.deepStrictEqual([calls.looks, calls.places, calls.waits], [looks + 3, places + 2, waits])
      }).pipe(Effect.provideService(NodeCalls, onThisMachine), withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("what the system has in memory is read without a thread, once a block was read twice", () =>
    Effect.gen(function* () {
      const calls = yield* heldBack
      const { confined, data, store } = yield* world()
      NodeFs.writeFileSync(
        `${data}/a`,
        Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)
      )
      for (const from of [store, confined]) {
        calls.threads = []
        calls.here = []
        const read = Effect.fnUntraced(function* (offset: number, length: number) {
          const { bytes, span } = yield* from.get("a", { range: ByteRange.bounded(offset, length) })
          assert.deepStrictEqual(span, { start: offset, end: offset + length })
          assert.deepStrictEqual(
            Array.from(bytes),
            Array.from({ length }, (_, i) => (offset + i) % 251)
          )
          assert.strictEqual(bytes.buffer.byteLength, length, "bytes of its own")
          bytes.fill(0)
        })
        yield* read(0, 5)
        yield* read(10, 5)
        yield* read(20, 5)
        for (const offset of [0, 7, 65_530]) yield* read(offset, 6)
        assert.deepStrictEqual(calls.threads.slice(-2), [5, 65_536])
        assert.deepStrictEqual(calls.here, [6, 6, 6])
        // The end of the file is a block, too.
        for (const offset of [70_000, 99_990, 80_000]) yield* read(offset, 10)
        assert.deepStrictEqual(calls.threads.slice(-2), [10, 100_000 - 65_536])
        assert.deepStrictEqual(calls.here, [6, 6, 6, 10])
      }
    }).pipe(Effect.provideService(NodeCalls, onThisMachine), withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("what was read without a thread is served only when the file is looked at afterwards and is the same", () =>
    Effect.gen(function* () {
      const calls = yield* heldBack
      const { confined, data, store } = yield* world()
      const changes: Readonly<Record<string, readonly [change: () => void, seen: string]>> = {
        write: [() => NodeFs.writeFileSync(`${data}/sub/a`, "other text"), "other text"],
        replace: [
          () => {
            NodeFs.writeFileSync(`${data}/sub/new`, "third text")
            NodeFs.renameSync(`${data}/sub/new`, `${data}/sub/a`)
          },
          "third text"
        ],
        append: [() => NodeFs.appendFileSync(`${data}/sub/a`, " and more"), "first text and more"],
        truncate: [() => NodeFs.truncateSync(`${data}/sub/a`, 3), "fir"],
        remove: [() => NodeFs.unlinkSync(`${data}/sub/a`), "NotFound"]
      }
      for (const from of [store, confined]) {
        for (const [name, [change, seen]] of Object.entries(changes)) {
          NodeFs.writeFileSync(`${data}/sub/a`, "first text")
          for (let i = 0; i < 4; i++) yield* from.get("sub/a")
          const before = calls.here.length
          calls.afterReadHere = () => {
            calls.afterReadHere = undefined
            change()
          }
          const outcome = yield* Effect.result(from.get("sub/a"))
          assert.strictEqual(calls.here.length, before + 1, name)
          assert.strictEqual(outcome._tag === "Success" ? textOf(outcome.success) : outcome.failure.reason._tag, seen)
        }
      }
    }).pipe(Effect.provideService(NodeCalls, onThisMachine), withPool(), Effect.provide(NodeServices.layer))
  )

  for (const [name, misbehave, calls] of [
    // Overlays and clusters.
    ...[0x794c7630, 0x01161970].map(
      (type) =>
        [`a file system of the kind ${type}`, undefined, { fileSystemType: () => Effect.succeed(type) }] as const
    ),
    ["another `FileSystem`", (file) => ({ read: (...parameters) => file.read(...parameters) }), {}],
    ["other calls", undefined, { lstat: (path) => node.lstat(path) }]
  ] satisfies ReadonlyArray<readonly [string, Parameters<typeof world>[0], Partial<typeof node>]>) {
    it.live.runIf(process.platform === "linux")(`the program does not wait for a look at a file of ${name}`, () =>
      Effect.gen(function* () {
        const calls = yield* heldBack
        const { data, files, store } = yield* world(misbehave)
        NodeFs.writeFileSync(`${data}/a`, "text")
        yield* store.get("a")
        const { looks, places, waits } = calls
        for (let i = 0; i < 4; i++) assert.strictEqual(textOf(yield* store.get("a")), "text")
        assert.deepStrictEqual([calls.looks, calls.places, calls.waits], [looks, places, waits + 4])
        assert.deepStrictEqual(calls.here, [], "nor for its bytes")
        assert.strictEqual(files.opened, 1)
      }).pipe(
        Effect.provideService(NodeCalls, { ...onThisMachine, ...calls }),
        withPool(),
        Effect.provide(NodeServices.layer)
      )
    )
  }

  it.live("nor for one whose path has a symbolic link on it, which an open file does not keep in memory", () =>
    Effect.gen(function* () {
      const calls = yield* heldBack
      const { data, store } = yield* world()
      NodeFs.writeFileSync(`${data}/sub/a`, "text")
      NodeFs.symlinkSync("sub", `${data}/way`)
      yield* store.get("way/a")
      const { looks, places, waits } = calls
      for (let i = 0; i < 4; i++) assert.strictEqual(textOf(yield* store.get("way/a")), "text")
      assert.deepStrictEqual([calls.looks, calls.places, calls.waits], [looks, places, waits + 4])
      assert.deepStrictEqual(calls.here, [])
    }).pipe(Effect.provideService(NodeCalls, onThisMachine), withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("a read that begins while another is checked is checked by itself", () => {
    let isLate = false
    let checks = 0
    const gate = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const { data, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "first text")
      yield* store.get("a")
      isLate = true
      const first = yield* Effect.forkChild(store.get("a"))
      yield* until(() => checks > 0)
      // The answer of the system to the first check is from before this.
      NodeFs.writeFileSync(`${data}/a`, "other text")
      const second = yield* Effect.forkChild(store.get("a"))
      // The bytes of the second are there.
      for (let i = 0; i < 50; i++) yield* turn
      isLate = false
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(textOf(yield* Fiber.join(first)), "first text")
      const { bytes, meta } = yield* Fiber.join(second)
      assert.strictEqual(new TextDecoder().decode(bytes), "other text")
      assert.strictEqual(meta.version.etag, (yield* store.head("a")).version.etag)
    }).pipe(
      Effect.provideService(NodeCalls, {
        ...node,
        lstat: (path) =>
          Effect.tap(node.lstat(path), () => {
            if (!isLate) return Effect.void
            checks++
            return Deferred.await(gate)
          })
      }),
      withPool(),
      Effect.provide(NodeServices.layer)
    )
  })

  it.live("are closed when nobody has read them for a while, and do not keep the process", () =>
    Effect.gen(function* () {
      const { data, files, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "text")
      yield* store.get("a")
      assert.strictEqual(files.open, 1)
      yield* until(() => files.open === 0)
      assert.strictEqual(textOf(yield* store.get("a")), "text")
      assert.strictEqual(files.opened, 2)
    }).pipe(withPool({ idleLimit: 20 }), Effect.provide(NodeServices.layer))
  )

  it.live("are closed with the Scope of their store, which goes on without them", () =>
    Effect.gen(function* () {
      const { close, data, files, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "text")
      yield* store.get("a")
      assert.strictEqual(files.open, 1)
      yield* close
      assert.strictEqual(files.open, 0)
      assert.strictEqual(textOf(yield* store.get("a")), "text")
      assert.strictEqual(files.open, 0)
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("are bounded: the one that was read longest ago is closed for a new one", () =>
    Effect.gen(function* () {
      const { data, files, store } = yield* world()
      for (const name of "abc") NodeFs.writeFileSync(`${data}/${name}`, name)
      yield* store.get("a")
      yield* store.get("b")
      yield* store.get("a")
      yield* store.get("c")
      assert.strictEqual(files.open, 2)
      assert.strictEqual(files.opened, 3)
      yield* store.get("a")
      assert.strictEqual(files.opened, 3)
      yield* store.get("b")
      assert.strictEqual(files.opened, 4)
      assert.strictEqual(files.open, 2)
    }).pipe(withPool({ limit: 2 }), Effect.provide(NodeServices.layer))
  )

  it.live("are not closed while they are read, whatever happens to file or reader", () => {
    let gate: Deferred.Deferred<void> | undefined
    let reading = 0
    return Effect.gen(function* () {
      const { data, files, store } = yield* world((file) => ({
        read: (buffer, options) =>
          Effect.gen(function* () {
            if (gate !== undefined) {
              reading++
              yield* Deferred.await(gate)
              reading--
            }
            return yield* file.read(buffer, options)
          })
      }))
      for (const name of "ab") NodeFs.writeFileSync(`${data}/${name}`, `the text of ${name}`)
      yield* store.get("a")
      gate = yield* Deferred.make<void>()
      const left = yield* Effect.forkChild(store.get("a"))
      const stays = yield* Effect.forkChild(store.get("a"))
      yield* until(() => reading === 2)
      // It would be the one to close, but is read.
      const held = gate
      gate = undefined
      yield* store.get("b")
      assert.strictEqual(files.open, 1)
      NodeFs.unlinkSync(`${data}/a`)
      assert.strictEqual(yield* reasonOf(store, "a"), "NotFound")
      yield* Fiber.interrupt(left)
      assert.strictEqual(files.open, 1, "an abandoned read goes on with the file that it was begun with")
      yield* Deferred.succeed(held, undefined)
      assert.strictEqual((yield* Effect.flip(Fiber.join(stays))).reason._tag, "NotFound")
      yield* until(() => files.open === 0)
    }).pipe(withPool({ limit: 1 }), Effect.provide(NodeServices.layer))
  })

  it.live("readers of them wait for a place like all others, can leave, and take nothing with them", () => {
    let gate: Deferred.Deferred<void> | undefined
    let reading = 0
    let most = 0
    return Effect.gen(function* () {
      const { data, files, store } = yield* world((file) => ({
        read: (buffer, options) =>
          gate === undefined
            ? file.read(buffer, options)
            : Effect.acquireUseRelease(
                Effect.sync(() => (most = Math.max(most, ++reading))),
                () => Effect.andThen(Deferred.await(gate!), file.read(buffer, options)),
                () => Effect.sync(() => reading--)
              )
      }))
      NodeFs.writeFileSync(`${data}/a`, "text")
      yield* store.get("a")
      gate = yield* Deferred.make<void>()
      const fibers = yield* Effect.forEach(Array.from({ length: 500 }), () => Effect.forkChild(store.get("a")))
      yield* until(() => reading === OpenFiles.limit)
      yield* Fiber.interruptAll(fibers.filter((_, i) => i % 2 === 0))
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of fibers.filter((_, i) => i % 2 === 1)) {
        assert.strictEqual(textOf(yield* Fiber.join(fiber)), "text")
      }
      assert.strictEqual(most, OpenFiles.limit)
      assert.strictEqual(files.opened, 1)
      // All places are free again, and the file has no reader.
      const hold = OpenFiles.open(yield* FileSystem.FileSystem, "/")
      yield* Effect.scoped(Effect.forEach(Array.from({ length: OpenFiles.limit }), () => hold, { discard: true }))
      NodeFs.unlinkSync(`${data}/a`)
      yield* reasonOf(store, "a")
      assert.strictEqual(files.open, 0)
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  })

  it.live("a part that cannot be read of an open file is read anew, and so is one that comes in pieces", () => {
    let read: ((file: FileSystem.File) => FileSystem.File["read"]) | undefined
    return Effect.gen(function* () {
      const { data, files, store } = yield* world((file) => ({
        read: (buffer, options) => (read?.(file) ?? file.read.bind(file))(buffer, options)
      }))
      NodeFs.writeFileSync(`${data}/a`, "the text")
      yield* store.get("a")
      read = (file) => (buffer, options) => file.read(buffer.subarray(0, 3), options)
      assert.strictEqual(textOf(yield* store.get("a")), "the text")
      assert.strictEqual(files.opened, 1)
      read = () => {
        read = undefined
        return () => Effect.fail(failure("ESTALE"))
      }
      assert.strictEqual(textOf(yield* store.get("a")), "the text")
      assert.strictEqual(files.opened, 2)
      read = () => () => Effect.fail(failure("EIO"))
      assert.strictEqual(yield* reasonOf(store, "a"), "Unavailable")
      assert.strictEqual(files.open, 0)
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  })

  it.live("thousands wait for a file system that answers at once", () =>
    Effect.gen(function* () {
      const { data, store } = yield* world(() => ({ read: (buffer) => Effect.succeed(buffer.fill(7).length) }))
      NodeFs.writeFileSync(`${data}/a`, "text")
      yield* store.get("a")
      yield* Effect.forEach(Array.from({ length: 20_000 }), () => store.get("a"), {
        concurrency: "unbounded",
        discard: true
      })
      assert.deepStrictEqual((yield* store.get("a")).bytes, new Uint8Array(4).fill(7))
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("those of a container are closed with its store, not with the platform", () =>
    Effect.gen(function* () {
      const { counted, data, files } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "text")
      const platform = yield* Effect.provideService(FsPlatform.make, FileSystem.FileSystem, counted)
      yield* platform
        .open({
          container: { name: "data", protocol: "file", platform: "fs" },
          bucket: "",
          region: undefined,
          credentials: Credentials.directory(data)
        })
        .pipe(
          Effect.flatMap((store) => store.get(`${data}/a`)),
          Effect.tap(() => Effect.sync(() => assert.strictEqual(files.open, 1))),
          Effect.scoped
        )
      assert.strictEqual(files.open, 0)
    }).pipe(withPool(), Effect.provide(NodeServices.layer))
  )

  it.live("are closed when the program can open no more files", () => {
    let isFull = false
    let refused = 0
    return Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { data } = yield* world()
      for (let i = 0; i < 40; i++) NodeFs.writeFileSync(`${data}/${i}`, `${i}`)
      let open = 0
      const store = yield* FsObjectStore.make({ directory: data }).pipe(
        Effect.provideService(FileSystem.FileSystem, {
          ...fs,
          open: (path, options) =>
            Effect.suspend(() => {
              if (isFull && open > 25) {
                refused++
                return Effect.fail(failure("EMFILE"))
              }
              return Effect.acquireRelease(
                Effect.tap(fs.open(path, options), () => Effect.sync(() => open++)),
                () => Effect.sync(() => open--)
              )
            })
        })
      )
      yield* Effect.forEach(Array.from({ length: 30 }), (_, i) => store.get(`${i}`))
      assert.strictEqual(open, 30)
      isFull = true
      assert.strictEqual(textOf(yield* store.get("35")), "35")
      assert.isAtMost(open, 26)
      yield* Effect.forEach(Array.from({ length: 40 }), (_, i) => store.get(`${i}`))
      assert.strictEqual(refused, 1, "and fewer are kept from then on")
    }).pipe(withPool(), Effect.scoped, Effect.provide(NodeServices.layer))
  })

  it.live("are none on a file system where another machine may replace them unseen", () =>
    Effect.gen(function* () {
      const { data, files, store } = yield* world()
      NodeFs.writeFileSync(`${data}/a`, "text")
      for (let i = 0; i < 3; i++) yield* store.get("a")
      assert.strictEqual(files.opened, 3)
      assert.strictEqual(files.open, 0)
    }).pipe(
      // That of NFS.
      Effect.provideService(NodeCalls, { ...node, fileSystemType: () => Effect.succeed(0x6969) }),
      withPool(),
      Effect.provide(NodeServices.layer)
    )
  )

  it.live(
    "20,000 reads at once, in a process that may open 256 files",
    () =>
      Effect.gen(function* () {
        const { data } = yield* world()
        for (let i = 0; i < 50; i++) NodeFs.writeFileSync(`${data}/${i}`, `${i}`)
        const child = Programs.startLimited(256, "readAll", data, "20000", "50")
        assert.strictEqual(yield* Effect.promise(() => Programs.ended(child)), 0)
      }).pipe(withPool(), Effect.provide(NodeServices.layer)),
    120_000
  )
})

/** What other programs do between two reads. */
type Step =
  | { readonly _tag: "Write" | "Replace" | "Append"; readonly name: string; readonly text: string }
  | { readonly _tag: "Rename" | "Link"; readonly name: string; readonly to: string }
  | { readonly _tag: "Unlink" | "Truncate" | "Touch"; readonly name: string }
  | {
      readonly _tag: "Read"
      readonly name: string
      readonly offset: number
      readonly length: number
      readonly times: number
      readonly rounds: number
    }

const name = fc.constantFrom("a", "b", "sub/c")
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ _tag: fc.constantFrom("Write", "Replace", "Append"), name, text: fc.string({ maxLength: 6 }) }),
  fc.record({ _tag: fc.constantFrom("Rename", "Link"), name, to: name }),
  fc.record({ _tag: fc.constantFrom("Unlink", "Truncate", "Touch"), name }),
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Read"),
      name,
      offset: fc.nat(5),
      length: fc.nat(5),
      times: fc.integer({ min: 1, max: 4 }),
      rounds: fc.integer({ min: 1, max: 4 })
    })
  }
) as fc.Arbitrary<Step>

describe("reads among writes, replacements, renamings, links and removals", () => {
  it.live(
    "are as those of a program that opens the file each time",
    () =>
      Effect.gen(function* () {
        const calls = yield* heldBack
        const { confined, data, store } = yield* world()
        const at = (name: string): string => `${data}/${name}`
        const attempt = (run: () => void): void => {
          try {
            run()
          } catch (error) {
            assert.strictEqual((error as NodeJS.ErrnoException).code, "ENOENT")
          }
        }
        const expected = (name: string): Buffer | undefined => {
          try {
            return NodeFs.readFileSync(at(name))
          } catch {
            return undefined
          }
        }
        const read = Effect.fnUntraced(function* ({ length, name, offset, times }: Extract<Step, { _tag: "Read" }>) {
          const bytes = expected(name)
          const outcomes = yield* Effect.forEach(
            Array.from({ length: 2 * times }, (_, i) => (i % 2 === 0 ? store : confined)),
            (from) => Effect.result(from.get(name, { range: ByteRange.bounded(offset, length) })),
            { concurrency: "unbounded" }
          )
          for (const outcome of outcomes) {
            if (bytes === undefined) {
              assert.strictEqual(outcome._tag === "Failure" && outcome.failure.reason._tag, "NotFound")
            } else if (offset + length > bytes.length) {
              assert.strictEqual(outcome._tag === "Failure" && outcome.failure.reason._tag, "InvalidRange")
            } else {
              if (outcome._tag === "Failure") return assert.fail(outcome.failure.message)
              assert.deepStrictEqual(
                Buffer.from(outcome.success.bytes),
                Buffer.from(bytes.subarray(offset, offset + length))
              )
              const { ino, mtimeNs, size } = NodeFs.statSync(at(name), { bigint: true })
              const etag = `${ino.toString(16)}-${(mtimeNs / 1000n).toString(16)}-${size.toString(16)}`
              assert.strictEqual(outcome.success.meta.version.etag, etag)
            }
          }
        })
        const run = Effect.fnUntraced(function* (steps: ReadonlyArray<Step>) {
          for (const step of steps) {
            switch (step._tag) {
              case "Read":
                for (let round = 0; round < step.rounds; round++) yield* read(step)
                break
              case "Write":
                NodeFs.writeFileSync(at(step.name), step.text)
                break
              case "Replace":
                NodeFs.writeFileSync(at("new"), step.text)
                NodeFs.renameSync(at("new"), at(step.name))
                break
              case "Rename":
                attempt(() => NodeFs.renameSync(at(step.name), at(step.to)))
                break
              case "Link":
                if (step.name === step.to) break
                attempt(() => {
                  NodeFs.linkSync(at(step.name), at("new"))
                  NodeFs.renameSync(at("new"), at(step.to))
                  NodeFs.rmSync(at("new"), { force: true })
                })
                break
              case "Unlink":
                attempt(() => NodeFs.unlinkSync(at(step.name)))
                break
              case "Append":
                NodeFs.appendFileSync(at(step.name), step.text)
                break
              case "Touch":
                attempt(() => NodeFs.utimesSync(at(step.name), new Date(), new Date()))
                break
              case "Truncate":
                attempt(() => NodeFs.truncateSync(at(step.name), 1))
            }
          }
        })
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => Effect.runPromise(run(steps))),
            { numRuns: 60 }
          )
        )
        assert.isAbove(calls.here.length, 0, "some were read without a thread")
        assert.isAbove(calls.threads.length, 0)
      }).pipe(
        Effect.provideService(NodeCalls, onThisMachine),
        withPool({ limit: 3 }),
        Effect.provide(NodeServices.layer)
      ),
    120_000
  )
})
