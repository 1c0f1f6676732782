import { assert, describe, it } from "@effect/vitest"
import * as DeferredWrites from "@effect-icechunk/core/DeferredWrites"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as WritableSession from "@effect-icechunk/core/WritableSession"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import * as Disk from "./support/Disk.ts"

const bytes = new Uint8Array(600).fill(7)
const text = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Runs with the repository of a directory. */
const within = <A, E>(
  directory: string,
  use: (repository: Repository.RepositoryShape) => Effect.Effect<A, E, Scope.Scope>,
  make: ReturnType<typeof Repository.create> = Repository.open()
) =>
  make.pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(Layer.mergeAll(FsObjectStore.layer({ directory }), Platform.layer([]), NodeZstd.layer))
  )

/** A repository with one array. */
const prepared = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const top = yield* fs.makeTempDirectoryScoped({ prefix: "fs-power-" })
  const directory = `${top}/template`
  yield* within(
    directory,
    Effect.fnUntraced(function* (repository) {
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", { shape: [600], chunkShape: [600], dataType: "uint8", fillValue: 0 })
      yield* session.createArray("/b", { shape: [2100], chunkShape: [700], dataType: "uint8", fillValue: 0 })
      yield* session.commit("array")
    }),
    Repository.create()
  )
  let copies = 0
  const copied = (): string => {
    const copy = `${top}/${++copies}`
    NodeFs.cpSync(directory, copy, { recursive: true })
    return copy
  }
  return { fs, copied }
})

interface Operation {
  readonly run: (repository: Repository.RepositoryShape) => Effect.Effect<void, unknown, Scope.Scope>
  /** Whether it is there, whole; fails when it is there by half. */
  readonly isDone: (repository: Repository.RepositoryShape) => Effect.Effect<boolean, unknown, Scope.Scope>
}

const chunk = (index: number): Uint8Array => new Uint8Array(700).fill(index + 1)

const setChunks = (session: WritableSession.WritableSession) =>
  Effect.forEach([0, 1, 2], (index) => session.setChunk("/b", [index], chunk(index)), {
    concurrency: 3,
    discard: true
  })

const areChunks: Operation["isDone"] = Effect.fnUntraced(function* (repository) {
  const [tip] = yield* repository.history({ branch: "main" })
  if (tip?.message !== "chunks") return false
  const session = yield* repository.readonlySession({ branch: "main" })
  for (const index of [0, 1, 2]) assert.deepStrictEqual(yield* session.chunk("/b", [index]), chunk(index))
  return true
})

const operations: Readonly<Record<string, Operation>> = {
  "a commit": {
    run: Effect.fnUntraced(function* (repository) {
      const session = yield* repository.writableSession("main")
      yield* session.setChunk("/a", [0], bytes)
      yield* session.commit("chunk")
    }),
    isDone: Effect.fnUntraced(function* (repository) {
      const [tip] = yield* repository.history({ branch: "main" })
      if (tip?.message !== "chunk") return false
      const session = yield* repository.readonlySession({ branch: "main" })
      assert.deepStrictEqual(yield* session.chunk("/a", [0]), bytes)
      return true
    })
  },
  "a commit that is tried again": {
    run: Effect.fnUntraced(function* (repository) {
      const session = yield* repository.writableSession("main")
      // What was set first is of no account.
      yield* session.setChunk("/b", [2], bytes)
      yield* setChunks(session)
      yield* Effect.retry(session.commit("chunks"), { times: 2 })
    }),
    isDone: areChunks
  },
  "a commit that is tried again with its chunks set anew": {
    run: Effect.fnUntraced(function* (repository) {
      const session = yield* repository.writableSession("main")
      yield* Effect.retry(Effect.andThen(setChunks(session), session.commit("chunks")), {
        times: 2,
        // After a commit whose answer was lost there is nothing left.
        while: ({ _tag }) => _tag !== "NothingToCommit"
      }).pipe(Effect.catchTag("NothingToCommit", () => Effect.void))
    }),
    isDone: areChunks
  },
  "a tag": {
    run: Effect.fnUntraced(function* (repository) {
      const [tip] = yield* repository.history({ branch: "main" })
      yield* repository.createTag("v1", tip!.id)
    }),
    isDone: (repository) => Effect.map(repository.tags, (tags) => [...tags.keys()].includes("v1"))
  },
  "an update of the configuration": {
    run: (repository) =>
      Effect.asVoid(repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 8 }))),
    isDone: (repository) =>
      Effect.map(repository.config.persisted, (config) => config["inline_chunk_threshold_bytes"] === 8)
  }
}

describe("FsObjectStore after a loss of power", () => {
  for (const [name, { isDone, run }] of Object.entries(operations)) {
    for (const when of ["before", "after"] as const) {
      it.live(
        `${name} that was acknowledged is there, and another one whole or not at all, with an error ${when} each call`,
        () =>
          Effect.gen(function* () {
            const { copied, fs } = yield* prepared
            let acknowledged = 0
            let calls = 0
            for (let position = 1; calls === 0; position++) {
              const directory = copied()
              const disk = Disk.make(fs, directory)
              const exit = yield* within(directory, (repository) =>
                Effect.suspend(() => {
                  disk.begin({ when, code: "EIO", fails: (call) => call === position })
                  return Effect.exit(run(repository))
                })
              ).pipe(Effect.provide(disk.layer))
              const isOver = disk.count() < position
              const left = `${directory}-after`
              disk.afterPowerLoss(left)
              const survived = yield* within(left, isDone)
              if (exit._tag === "Success") {
                acknowledged++
                assert.isTrue(survived, `acknowledged, with an error at call ${position}: ${disk.calls.join("; ")}`)
              }
              // What is to be seen without the loss is whole as well.
              yield* within(directory, isDone)
              if (isOver) calls = position
            }
            assert.isAbove(calls, 20)
            assert.isAbove(acknowledged, 0)
          }).pipe(Effect.provide(NodeServices.layer)),
        240_000
      )
    }
  }

  it.live("a write whose directory could not be flushed is not taken for done before it is flushed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-power-" })
      const disk = Disk.make(fs, directory)
      for (const code of ["EIO", "EACCES", "EMFILE"]) {
        yield* Effect.gen(function* () {
          const store = yield* FsObjectStore.make({ directory })
          const version = yield* store.put("key", text("old"))
          let isRenamed = false
          disk.begin({
            when: "before",
            code,
            fails: (_, what, path) => {
              if (what === "rename" && path === "key") isRenamed = true
              return isRenamed && path === "" && (code === "EIO" ? what === "flush" : what === "open")
            }
          })
          const error = yield* Effect.flip(store.put("key", text("new"), { mode: ObjectStore.update(version) }))
          assert.include(error.message, "may or may not be on the disk")
          assert.strictEqual(error._tag === "ObjectStoreError" && error.isRetryable, true, "it may have happened")
          for (const read of [Effect.asVoid(store.get("key")), Effect.asVoid(store.head("key"))]) {
            assert.include((yield* Effect.flip(read)).message, "may or may not be on the disk")
          }
          disk.begin()
          assert.deepStrictEqual((yield* store.get("key")).bytes, text("new"))
          assert.include(disk.calls, "flush ")
          const left = `${directory}/../${code}`
          disk.afterPowerLoss(left)
          assert.strictEqual(NodeFs.readFileSync(`${left}/key`, "utf8"), "new")
          NodeFs.rmSync(left, { recursive: true })
          // So it is with a deletion.
          disk.begin({ when: "before", code: "EIO", fails: (_, what, path) => what === "flush" && path === "" })
          yield* Effect.flip(store.delete(["key"]))
          yield* Effect.flip(store.delete(["key"]))
          disk.begin()
          yield* store.delete(["key"])
          assert.include(disk.calls, "flush ")
        }).pipe(Effect.provide(disk.layer))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("when a commit replaces the repository object, all that it refers to is on the disk", () =>
    Effect.gen(function* () {
      const { copied, fs } = yield* prepared
      const directory = copied()
      const disk = Disk.make(fs, directory)
      const before = NodeFs.readFileSync(`${directory}/repo`)
      const kinds = ["chunks", "manifests", "snapshots", "transactions", "overwritten"]
      const filesOf = (directory: string): ReadonlyArray<string> =>
        kinds
          .filter((kind) => NodeFs.existsSync(`${directory}/${kind}`))
          .flatMap((kind) => NodeFs.readdirSync(`${directory}/${kind}`).map((name) => `${kind}/${name}`))
          .toSorted()
      const old = filesOf(directory)
      const [early, late] = [`${directory}-early`, `${directory}-late`]
      let flushed = 0
      yield* within(
        directory,
        Effect.fnUntraced(function* (repository) {
          const session = yield* repository.writableSession("main")
          disk.begin({
            when: "before",
            code: "EIO",
            fails: (_, what, path) => {
              if (what === "rename" && path === "repo") disk.afterPowerLoss(late)
              if (what === "flush" && path.startsWith(".")) flushed++
              return false
            }
          })
          yield* setChunks(session)
          disk.afterPowerLoss(early)
          yield* session.commit("chunks")
        })
      ).pipe(Effect.provide(disk.layer))
      const added = filesOf(directory).filter((file) => !old.includes(file))
      assert.deepStrictEqual(
        kinds.map((kind) => added.filter((file) => file.startsWith(`${kind}/`)).length),
        [3, 1, 1, 1, 1]
      )
      for (const file of added) {
        const bytes = NodeFs.readFileSync(`${directory}/${file}`)
        assert.deepStrictEqual(NodeFs.readFileSync(`${late}/${file}`), bytes, `${file} is on the disk, whole`)
      }
      const copy = added.find((file) => file.startsWith("overwritten/"))
      assert.deepStrictEqual(NodeFs.readFileSync(`${late}/${copy}`), before)
      assert.deepStrictEqual(NodeFs.readFileSync(`${late}/repo`), before)
      // Files were flushed once each, that of the repository object too, and directories once, but for their making.
      assert.strictEqual(flushed, added.length + 1)
      const { calls } = disk
      for (const kind of kinds) {
        assert.strictEqual(calls.filter((call) => call === `flush ${kind}`).length, 1, `${kind} is flushed once`)
      }
      assert.isTrue(
        calls.slice(calls.indexOf("rename repo")).includes("flush "),
        "the directory of the repository object is flushed last"
      )
      assert.deepStrictEqual(
        filesOf(early).filter((file) => added.includes(file) && file.startsWith("chunks/")),
        [],
        "chunks alone flush no directory"
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a chunk whose flush failed is lost until it is set again, and other chunks are not", () =>
    Effect.gen(function* () {
      const { copied, fs } = yield* prepared
      const directory = copied()
      const disk = Disk.make(fs, directory)
      yield* within(
        directory,
        Effect.fnUntraced(function* (repository) {
          const session = yield* repository.writableSession("main")
          let isFirst = true
          disk.begin({
            when: "before",
            code: "EIO",
            fails: (_, what, path) => what === "flush" && path.startsWith(".") && isFirst && !(isFirst = false)
          })
          for (const index of [2, 1, 0]) yield* session.setChunk("/b", [index], chunk(index))
          for (let attempt = 0; attempt < 2; attempt++) {
            const error = yield* Effect.flip(session.commit("chunks"))
            assert.strictEqual(error._tag, "ObjectStoreError")
            assert.include(error.message, "the chunk `[2]` of `/b` may not be on the disk; set it again")
            const [tip] = yield* repository.history({ branch: "main" })
            assert.strictEqual(tip?.message, "array", "nothing is visible")
          }
          yield* session.setChunk("/b", [2], chunk(2))
          yield* session.commit("chunks")
        })
      ).pipe(Effect.provide(disk.layer))
      const left = `${directory}-after`
      disk.afterPowerLoss(left)
      assert.isTrue(yield* within(left, areChunks))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a put that defers what replaces an object is durable when it returns", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-power-" })
      const disk = Disk.make(fs, directory)
      yield* Effect.gen(function* () {
        const store = yield* FsObjectStore.make({ directory })
        const writes = DeferredWrites.make()
        yield* store.put("a/key", text("old"))
        const version = yield* store.put("a/key", text("newer"), { defer: writes.defer("key") })
        disk.afterPowerLoss(`${directory}-1`)
        assert.strictEqual(NodeFs.readFileSync(`${directory}-1/a/key`, "utf8"), "newer")
        yield* store.put("a/key", text("newest"), { mode: ObjectStore.update(version), defer: writes.defer("key") })
        disk.afterPowerLoss(`${directory}-2`)
        assert.strictEqual(NodeFs.readFileSync(`${directory}-2/a/key`, "utf8"), "newest")
        yield* store.put("a/other", text("other"), { defer: writes.defer("other") })
        yield* store.copy("a/key", "a/copy", { defer: writes.defer("copy") })
        yield* DeferredWrites.settleAll(writes)
        disk.afterPowerLoss(`${directory}-3`)
        assert.strictEqual(NodeFs.readFileSync(`${directory}-3/a/other`, "utf8"), "other")
        assert.strictEqual(NodeFs.readFileSync(`${directory}-3/a/copy`, "utf8"), "newest")
      }).pipe(Effect.provide(disk.layer))
      for (const copy of [1, 2, 3]) NodeFs.rmSync(`${directory}-${copy}`, { recursive: true })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
