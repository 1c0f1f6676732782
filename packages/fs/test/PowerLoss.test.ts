import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
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

  it.live("a commit flushes each file and then its directory before it replaces the repository object", () =>
    Effect.gen(function* () {
      const { copied, fs } = yield* prepared
      const directory = copied()
      const disk = Disk.make(fs, directory)
      const before = NodeFs.readFileSync(`${directory}/repo`)
      const copies = new Set(NodeFs.readdirSync(`${directory}/overwritten`))
      yield* within(directory, (repository) =>
        Effect.suspend(() => {
          disk.begin()
          return operations["a commit"]!.run(repository)
        })
      ).pipe(Effect.provide(disk.layer))
      const { calls } = disk
      const replaced = calls.indexOf("rename repo")
      assert.isAbove(replaced, 0)
      const isTemporary = (path: string): boolean => /^\.[^/]*#1$/.test(path)
      const links = calls.filter((call) => call.startsWith("link "))
      const placed = links.map((call) => call.slice("link ".length))
      for (const kind of ["chunks", "manifests", "snapshots", "transactions", "overwritten"]) {
        const file = placed.find((path) => path.startsWith(`${kind}/`))
        assert.isDefined(file, kind)
        const at = calls.indexOf(`link ${file}`)
        assert.isTrue(
          calls.slice(at + 1, replaced).includes(`flush ${kind}`),
          `\`${kind}\` is flushed after \`${file}\` is there and before the repository object`
        )
      }
      // Every file, that of the repository object too, was flushed under its temporary name before it got another.
      const flushes = calls.slice(0, replaced).filter((call) => call.startsWith("flush ") && isTemporary(call.slice(6)))
      assert.strictEqual(flushes.length, links.length + 1)
      assert.isTrue(calls.slice(replaced).includes("flush "), "the directory of the repository object is flushed last")
      const copy = NodeFs.readdirSync(`${directory}/overwritten`).find((name) => !copies.has(name))
      assert.deepStrictEqual(NodeFs.readFileSync(`${directory}/overwritten/${copy}`), before)
      assert.notDeepEqual(NodeFs.readFileSync(`${directory}/repo`), before)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
