import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import { spawnSync } from "node:child_process"
import * as NodeFs from "node:fs"
import { basename } from "node:path"
import * as FileLock from "../src/internal/FileLock.ts"
import * as LockOwner from "../src/internal/LockOwner.ts"
import { node, NodeCalls } from "../src/internal/NodeCalls.ts"

const opened = (lockTimeout: Duration.Input = "250 millis", heartbeatLimit: Duration.Input = "1 hour") =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-lock-" })
    const here = yield* LockOwner.self(fs)
    const store = yield* FsObjectStore.make({ directory, lockTimeout, heartbeatLimit })
    const { etag } = yield* store.put("key", text("old"))
    const links = `${directory}/.key.icechunk-lock`
    /** As a process would that is there, or was. */
    const holds = (owner: LockOwner.LockOwner, name = "00000000000-other"): string => {
      const entry = `${links}/${name}+${LockOwner.encode(owner)}`
      NodeFs.mkdirSync(entry, { recursive: true })
      return entry
    }
    const lock = (there: Partial<FileLock.Options> = {}) =>
      FileLock.make({ fs, path, here, timeout: "20 seconds", heartbeatLimit: "1 hour", ...there })
    const update = store.put("key", text("new"), { mode: ObjectStore.update({ etag }) })
    return { fs, directory, here, store, etag, links, holds, lock, update }
  })

const text = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The id of a process that has ended. */
const ended = (): number => spawnSync(process.execPath, ["--version"]).pid

describe("the lock on a key", () => {
  it.live("admits one at a time, whoever waits", () =>
    Effect.gen(function* () {
      const { directory, fs, lock } = yield* opened()
      let inside = 0
      let done = 0
      // Each with turns of its own, so that they meet in the file system only, as processes do.
      yield* Effect.forEach(
        Array.from({ length: 6 }, () => lock()),
        ({ withLock }) =>
          Effect.repeat(
            withLock(`${directory}/key`)(() =>
              Effect.gen(function* () {
                assert.strictEqual(++inside, 1)
                yield* Effect.sleep(1)
                assert.strictEqual(--inside, 0)
                done++
              })
            ),
            { times: 14 }
          ),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(done, 90)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is for one key: others go on", () =>
    Effect.gen(function* () {
      const { here, holds, store } = yield* opened()
      holds({ ...here, host: "elsewhere" })
      yield* store.put("other", text("1"))
      yield* store.put("other", text("2"))
      yield* store.get("key")
      yield* store.put("new", text("1"), { mode: ObjectStore.create })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live(
    "that cannot be had in time ends the operation, which is not worth a retry, and the error says who has it",
    () =>
      Effect.gen(function* () {
        const { here, holds, store, update } = yield* opened("50 millis")
        const entry = holds({ ...here, host: "elsewhere", pid: ended() })
        for (const write of [update, store.put("key", text("new")), store.delete(["key"]), store.copy("key", "key")]) {
          const error = yield* Effect.flip(Effect.asVoid(write))
          if (error._tag !== "ObjectStoreError") return assert.fail(error.message)
          assert.strictEqual(error.reason._tag, "Unavailable")
          assert.isFalse(error.isRetryable)
          assert.include(error.message, "on host `elsewhere`")
          assert.include(error.message, `\`${entry}\``)
          assert.notInclude(error.message, "network")
        }
        assert.isTrue(NodeFs.existsSync(entry))
        NodeFs.rmdirSync(entry)
        yield* update
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("of a process that cannot be seen ends when its heartbeat does, over several operations if need be", () =>
    Effect.gen(function* () {
      const { directory, fs, here, holds, update } = yield* opened("60 millis", "200 millis")
      for (const owner of [
        { ...here, host: "elsewhere" },
        { ...here, namespaces: "1-2" },
        { ...here, instance: "a worker" }
      ]) {
        holds({ ...owner, pid: process.pid })
      }
      NodeFs.writeFileSync(`${directory}/.key.icechunk-lock/file`, "by somebody else")
      yield* Effect.retry(update, { times: 20 })
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("of a process that cannot be seen is kept as long as its heart beats", () =>
    Effect.gen(function* () {
      const { directory, here, lock } = yield* opened()
      const release = yield* Deferred.make<void>()
      const beating = { heartbeatLimit: "400 millis" } as const
      const distant = lock({ ...beating, here: { ...here, host: "elsewhere" } })
      const near = lock({ ...beating, timeout: "1200 millis" })
      const holder = yield* Effect.forkChild(distant.withLock(`${directory}/key`)(() => Deferred.await(release)))
      yield* Effect.sleep(20)
      const reason = yield* Effect.flip(near.withLock(`${directory}/key`)(() => Effect.void))
      assert.include(reason.message, "on host `elsewhere`")
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(holder)
      yield* near.withLock(`${directory}/key`)(() => Effect.void)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("that was lost while its holder was paused lets it change nothing any more", () =>
    Effect.gen(function* () {
      const { directory, fs, lock, links } = yield* opened()
      const key = `${directory}/key`
      /** As another process does that took the holder for dead. */
      const broken = Effect.sync(() => NodeFs.rmSync(links, { recursive: true }))
      yield* fs.writeFileString(`${directory}/mine`, "mine")
      const before = yield* Effect.flip(
        lock().withLock(key)((held) => Effect.andThen(broken, held.stage(`${directory}/mine`)))
      )
      assert.include(before.message, "another one took over")
      assert.isTrue(before.isRetryable)
      const after = yield* Effect.flip(
        lock().withLock(key)((held) =>
          Effect.gen(function* () {
            const staged = yield* held.stage(`${directory}/mine`)
            yield* broken
            yield* Effect.mapError(fs.rename(staged, key), () => held.lost())
          })
        )
      )
      assert.include(after.message, "nothing was written")
      yield* lock().withLock(key)((held) => Effect.andThen(broken, Effect.exit(held.remove(key))))
      assert.strictEqual(yield* fs.readFileString(key), "old")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("that its own process failed to release is passed by that process", () => {
    let isFailing = true
    return Effect.gen(function* () {
      const { directory, fs, store, update } = yield* opened("20 seconds")
      yield* Effect.provideService(update, NodeCalls, {
        ...node,
        rmdir: (path) =>
          isFailing
            ? Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "rmdir" }))
            : node.rmdir(path)
      })
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), [".key.icechunk-lock", "key"])
      isFailing = false
      yield* store.put("key", text("newer"))
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
    }).pipe(Effect.provide(NodeServices.layer))
  })

  it.live("of a dead process of this host is broken at once", () =>
    Effect.gen(function* () {
      const { directory, fs, here, holds, update } = yield* opened("20 seconds")
      holds({ ...here, pid: ended() })
      holds({ ...here, pid: ended() }, "zzzzzzzzzzz-another")
      // Its process id was given to this process since.
      if (here.start !== undefined) holds({ ...here, start: "1" }, "00000000001-reused")
      const before = performance.now()
      yield* update
      assert.isBelow(performance.now() - before, 1000)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("of a living process is waited for, also when it pauses", () =>
    Effect.gen(function* () {
      const { directory, lock, store, update } = yield* opened("20 seconds")
      const impatient = yield* FsObjectStore.make({ directory, lockTimeout: "100 millis" })
      const release = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(lock().withLock(`${directory}/key`)(() => Deferred.await(release)))
      yield* Effect.sleep(50)
      const waiting = yield* Effect.forkChild(update)
      const error = yield* Effect.flip(impatient.put("key", text("impatient")))
      assert.include(error.message, `process ${process.pid}`)
      assert.strictEqual((yield* store.get("key")).meta.size, 3)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(holder)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual((yield* store.get("key")).bytes, text("new"))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is not waited for by who is interrupted, who leaves no trace", () =>
    Effect.gen(function* () {
      const { directory, here, holds, links, update } = yield* opened("20 seconds")
      const entry = holds({ ...here, host: "elsewhere" })
      for (const delay of [0, 1, 2, 5, 20, 50]) {
        const fiber = yield* Effect.forkChild(update)
        yield* Effect.sleep(delay)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(NodeFs.readdirSync(links), [basename(entry)])
        assert.deepStrictEqual(NodeFs.readdirSync(directory).toSorted(), [".key.icechunk-lock", "key"])
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("that says something unknown is waited for", () =>
    Effect.gen(function* () {
      const { links, update } = yield* opened("50 millis")
      NodeFs.mkdirSync(links)
      NodeFs.writeFileSync(`${links}/file`, "")
      const { message } = yield* Effect.flip(update)
      assert.include(message, "a program unknown to this one")
      assert.include(message, `${links}/file`)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is not taken in a directory that a link leads to", () =>
    Effect.gen(function* () {
      const { directory, fs, links, update } = yield* opened("50 millis")
      const outside = yield* fs.makeTempDirectoryScoped({ prefix: "fs-lock-" })
      NodeFs.writeFileSync(`${outside}/kept`, "")
      NodeFs.symlinkSync(outside, links)
      assert.include((yield* Effect.flip(update)).message, "is not a directory")
      assert.deepStrictEqual(yield* fs.readDirectory(outside), ["kept"])
      assert.strictEqual(yield* fs.readFileString(`${directory}/key`), "old")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("has a name that a file system accepts, however long the key", () =>
    Effect.gen(function* () {
      const { store } = yield* opened()
      for (const key of ["x".repeat(250), "\u{1f9ca}".repeat(60), "\u00e9".repeat(120)]) {
        const version = yield* store.put(key, text("1"))
        yield* store.put(key, text("2"), { mode: ObjectStore.update(version) })
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("LockOwner.isDead", () => {
  const stat = (fields: { readonly state?: string; readonly threads?: number; readonly start?: string }) =>
    `42 (a) (b c) ${fields.state ?? "S"} ${"0 ".repeat(16)}${fields.threads ?? 11} 0 ${fields.start ?? "777"} 0 0`
  const proc = (text: string | undefined) =>
    FileSystem.makeNoop({
      readFileString: () =>
        text === undefined
          ? Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "test" }))
          : Effect.succeed(text)
    })
  const here: LockOwner.LockOwner = {
    host: "host",
    pid: process.pid,
    start: "777",
    namespaces: "1-1",
    boot: "boot",
    machine: "machine",
    instance: "instance"
  }
  const alive = proc(stat({}))
  const { machine: _, ...unnamed } = here
  const { start: __, ...plain } = here

  const cases: ReadonlyArray<
    readonly [
      what: string,
      fs: FileSystem.FileSystem,
      owner: LockOwner.LockOwner,
      here: LockOwner.LockOwner,
      dead: boolean
    ]
  > = [
    ["this process lives", alive, here, here, false],
    ["a process that has ended is dead", alive, { ...here, pid: ended() }, here, true],
    ["a process that started later has the id of a dead one", proc(stat({ start: "778" })), here, here, true],
    ["a zombie is dead", proc(stat({ state: "Z", threads: 1 })), here, here, true],
    ["a zombie whose threads still end may be writing", proc(stat({ state: "Z", threads: 2 })), here, here, false],
    ["a process that may not be looked at may live", proc(undefined), here, here, false],
    ["a process whose state is not understood may live", proc("nonsense"), here, here, false],
    ["without a start time the id decides", alive, plain, plain, false],
    ["another host may live", alive, { ...here, host: "other", pid: ended() }, here, false],
    ["another PID namespace may live", alive, { ...here, namespaces: "2-1", pid: ended() }, here, false],
    ["another time namespace may live", proc(stat({ start: "778" })), { ...here, namespaces: "1-2" }, here, false],
    ["who has no `/proc` of its own looks at no process in it", proc(stat({ start: "778" })), here, plain, false],
    ["this machine before its restart is dead", alive, { ...here, boot: "earlier" }, here, true],
    [
      "a machine of the same name may live",
      alive,
      { ...here, boot: "earlier", machine: "other", pid: ended() },
      here,
      false
    ],
    ["a restart is not known without a machine id", alive, { ...unnamed, boot: "earlier" }, unnamed, false],
    ["an id that names no process may be anything", alive, { ...here, pid: 0 }, here, false]
  ]
  for (const [what, fs, owner, here, dead] of cases) {
    it.effect(what, () => Effect.map(LockOwner.isDead(fs, here, owner), (isDead) => assert.strictEqual(isDead, dead)))
  }

  it.effect("texts are understood as they were written, and others not at all", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(LockOwner.decode(LockOwner.encode(here)), here)
      for (const text of ["", "{}", "nonsense", "a+1++++", "a+1.5+++++b", "a+1+++++b+c"]) {
        assert.isUndefined(LockOwner.decode(text))
      }
      const fs = yield* FileSystem.FileSystem
      const self = yield* LockOwner.self(fs)
      assert.strictEqual(self.pid, process.pid)
      assert.isFalse(yield* LockOwner.isDead(fs, self, self))
      if (process.platform === "linux") assert.match(self.start!, /^\d+$/)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
