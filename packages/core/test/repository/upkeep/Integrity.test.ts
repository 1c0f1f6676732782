import { assert, describe, it } from "@effect/vitest"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { inWorld, pattern, worldInMemory } from "../Fixture.ts"
import { array } from "../RepositorySuite.ts"
import { assertWhole, littered, opened } from "./World.ts"

const findings = (repository: Repository.RepositoryShape, options?: Maintenance.CheckOptions) =>
  Effect.map(Stream.runCollect(Maintenance.check(repository, options)), (all) =>
    all.filter(({ _tag }) => _tag !== "Ended")
  )

const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i > 60 && i % 7 === 0 ? byte ^ 0x55 : byte))

describe("a check of a whole repository", () => {
  it.effect("finds nothing in one that is whole, and counts what it looked at", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          yield* assertWhole(repository)
          const all = yield* Stream.runCollect(Maintenance.check(repository))
          assert.deepInclude(all.at(-1), { _tag: "Ended", snapshots: 5, manifests: 4, refs: 15, chunks: 7 })
        })
      )
    })
  )

  const files = Effect.fnUntraced(function* (store: ObjectStore.ObjectStoreShape, prefix: string) {
    return (yield* Stream.runCollect(store.list(prefix)))
      .map(({ key }) => key)
      .filter((key) => !key.endsWith(".txt"))
      .toSorted()
  })

  for (const [kind, prefix] of [
    ["snapshot", "snapshots/"],
    ["manifest", "manifests/"],
    ["transaction log", "transactions/"]
  ] as const) {
    it.effect(`names every missing and every damaged ${kind}`, () =>
      Effect.gen(function* () {
        const world = yield* littered
        for (const key of yield* files(world.store, prefix)) {
          const { bytes } = yield* world.store.get(key)
          yield* world.store.put(key, flip(bytes))
          yield* opened(world)((repository) =>
            Effect.gen(function* () {
              const found = yield* findings(repository)
              assert.isTrue(
                found.some((one) => one._tag === "Damaged" && one.file === key),
                `${key}: ${found.map(Maintenance.describe).join("; ")}`
              )
              yield* world.store.delete([key])
              const then = yield* findings(repository)
              assert.isTrue(
                then.some((one) => one._tag === "Missing" && one.file === key),
                key
              )
              yield* world.store.put(key, bytes)
              yield* assertWhole(repository)
            })
          )
        }
      })
    )
  }

  it.effect("names chunks that are missing, each once, and those that are too short", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.readonlySession({ snapshotId: world.first })
          const idOf = (at: number) =>
            Effect.map(session.chunkRef("/a", [at]), (ref) => `chunks/${ref?._tag === "Native" ? ref.id : ""}`)
          const gone = yield* idOf(1)
          const short = yield* idOf(2)
          yield* world.store.delete([gone])
          yield* world.store.put(short, pattern(999))
          const found = yield* findings(repository)
          assert.sameDeepMembers(
            found.map((one) => [one._tag, "file" in one ? one.file : ""]),
            [
              ["Mismatch", short],
              ["Missing", gone]
            ]
          )
          assert.match(Maintenance.describe(found[0]!), /`arrays\[0\]\.refs\[\d\]` of `manifests\//)
        })
      )
    })
  )

  it.effect("names a configuration that cannot be read", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          yield* world.store.put("config.json", new TextEncoder().encode('{"inline_chunk_threshold_bytes": "many"}'))
          const found = yield* findings(repository)
          assert.strictEqual(found.length, 1)
          assert.deepInclude(found[0], { file: "config.json", field: "inline_chunk_threshold_bytes" })
        })
      )
    })
  )

  it.effect("names copies of the repository object that its log lists and that are gone", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const copy = (yield* files(world.store, "overwritten/"))[0]!
      yield* world.store.delete([copy])
      const found = yield* opened(world)((repository) => findings(repository))
      assert.deepInclude(found[0], { _tag: "Missing", file: copy, referredBy: "repo" })
    })
  )

  it.effect("ends when its time is over and goes on from there", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          for (let i = 0; i < 70; i++) {
            yield* session.setChunk("/a", [9], pattern(9, i + 1))
            yield* session.commit(`${i}`)
          }
          let from: Maintenance.Checked | undefined
          let rounds = 0
          for (;;) {
            rounds++
            const all = yield* Stream.runCollect(Maintenance.check(repository, { from, timeLimit: 0 }))
            const ended = all.at(-1)!
            assert.deepStrictEqual(all.slice(0, -1), [])
            if (ended._tag !== "Ended" || ended.isComplete) break
            from = structuredClone(ended.left)
          }
          assert.isAbove(rounds, 2)
        })
      )
    })
  )

  it.effect("asks for virtual objects when it is told to", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* world.objects.put("bucket/there", pattern(100))
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({
            persist: { virtual_chunk_containers: [{ name: "data", protocol: "s3", platform: "s3" }] },
            credentials: { data: Credentials.anonymous }
          })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/v", array([2], [1]))
          for (const [i, name] of ["there", "gone"].entries()) {
            yield* session.setVirtualRef("/v", [i], { location: `s3://bucket/${name}`, offset: 0, length: 10 })
          }
          yield* session.commit("refs")
          assert.deepStrictEqual(yield* findings(repository), [])
          const found = yield* findings(repository, { virtual: true })
          assert.deepStrictEqual(found.map(Maintenance.describe), ["`s3://bucket/gone` is missing"])
        })
      )
    })
  )
})

describe("statistics", () => {
  it.effect("count refs by kind, each chunk once, and files", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({
            persist: { virtual_chunk_containers: [{ name: "data", protocol: "s3", platform: "s3" }] }
          })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/n", array([4000], [1000]))
          yield* session.createArray("/v", array([10], [1]))
          for (let i = 0; i < 3; i++) yield* session.setChunk("/n", [i], pattern(1000, i))
          yield* session.setChunk("/n", [3], pattern(10))
          yield* session.setVirtualRefs("/v", {
            indices: Uint32Array.from({ length: 10 }, (_, i) => i),
            offsets: Array.from({ length: 10 }, (_, i) => (i % 5) * 7 + 2 ** 33),
            lengths: Array.from({ length: 10 }, () => 7),
            locations: "s3://bucket/a"
          })
          yield* session.commit("one")
          yield* session.setChunk("/n", [0], pattern(1000, 9))
          yield* session.commit("two")
          const found = yield* Maintenance.statistics(repository)
          assert.strictEqual(found.snapshots, 3)
          assert.strictEqual(found.manifests, 3)
          assert.deepStrictEqual(found.native, { refs: 6, chunks: 4, bytes: 4000 })
          assert.deepStrictEqual(found.virtual, { refs: 10, chunks: 5, bytes: 35 })
          assert.deepStrictEqual(found.inline, { refs: 2, chunks: 2, bytes: 20 })
          assert.deepStrictEqual(found.files.chunks, { files: 4, bytes: 4000 })
          assert.strictEqual(found.files.snapshots.files, 3)
          assert.strictEqual(found.files.transactionLogs.files, 3)
          assert.strictEqual(found.files.manifests.files, 3)
          assert.isAbove(found.files.overwritten.files, 1)
        })
      )
    })
  )
})
