import { assert, describe, it } from "@effect/vitest"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import * as ManifestSplit from "../../../src/repository/changes/ManifestSplit.ts"
import * as ObjectId from "../../../src/values/ObjectId.ts"
import { inWorld, pattern, worldInMemory } from "../Fixture.ts"
import { array } from "../RepositorySuite.ts"
import { assertWhole, contents } from "./World.ts"

const splitBy = (chunks: number) => ({
  manifest: {
    splitting: {
      split_sizes: [["any_array", [{ condition: "Any", num_chunks: chunks }]]] as const
    }
  }
})

const manifestsOf = (repository: Repository.RepositoryShape) =>
  Effect.gen(function* () {
    const session = yield* repository.readonlySession({ branch: "main" })
    const { data } = yield* session.node("/a")
    return data._tag === "Array" ? data.manifests : []
  })

describe("rewriteManifests", () => {
  it.effect("divides what is there as the configuration now says, and leaves what is as it should be", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([40], [1]))
          yield* session.createArray("/none", array([40], [1]))
          for (let i = 0; i < 40; i++) yield* session.setChunk("/a", [i], pattern(1, i))
          const tip = yield* session.commit("one manifest")
          assert.deepStrictEqual(yield* Maintenance.rewriteManifests(repository), { snapshotId: tip, arrays: [] })
          yield* repository.config.update((config) => ({ ...config, ...splitBy(10) }))
          const dry = yield* Maintenance.rewriteManifests(repository, { dryRun: true })
          assert.deepStrictEqual(dry, { snapshotId: tip, arrays: [{ path: "/a" as never, rewritten: 1, kept: 0 }] })
          const had = yield* contents(repository)
          const done = yield* Maintenance.rewriteManifests(repository, { message: "split" })
          assert.notStrictEqual(done.snapshotId, tip)
          const manifests = yield* manifestsOf(repository)
          assert.deepStrictEqual(
            manifests.map(({ extents }) => extents).toSorted((a, b) => a[0]!.from - b[0]!.from),
            [0, 10, 20, 30].map((from) => [{ from, to: from + 10 }])
          )
          const [latest] = yield* repository.history({ branch: "main" })
          assert.strictEqual(latest?.message, "split")
          const has = yield* contents(repository)
          for (const [key, value] of had) assert.strictEqual(has.get(key.replace(tip, done.snapshotId)), value)
          // Larger boxes join manifests; those that are one already stay.
          yield* repository.config.update((config) => ({ ...config, ...splitBy(20) }))
          const joined = yield* Maintenance.rewriteManifests(repository)
          assert.deepStrictEqual(joined.arrays, [{ path: "/a" as never, rewritten: 4, kept: 0 }])
          assert.strictEqual((yield* manifestsOf(repository)).length, 2)
          assert.deepStrictEqual((yield* Maintenance.rewriteManifests(repository)).arrays, [])
          const all = yield* Maintenance.rewriteManifests(repository, { all: true })
          assert.deepStrictEqual(all.arrays, [{ path: "/a" as never, rewritten: 2, kept: 0 }])
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("begins anew on top of a commit that others make meanwhile", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: splitBy(10) })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([40], [1]))
          for (let i = 0; i < 40; i++) yield* session.setChunk("/a", [i], pattern(1, i))
          yield* session.commit("chunks")
        })
      )
      let isFirst = true
      const store = {
        ...world.store,
        put: (...[key, bytes, options]: Parameters<typeof world.store.put>) =>
          Effect.suspend(() => {
            if (!key.startsWith("manifests/") || !isFirst) return world.store.put(key, bytes, options)
            isFirst = false
            return Effect.andThen(
              Effect.orDie(
                inWorld(world)(
                  Effect.gen(function* () {
                    const session = yield* (yield* Repository.open()).writableSession("main")
                    yield* session.setChunk("/a", [3], pattern(1, 77))
                    yield* session.commit("faster")
                  })
                )
              ),
              world.store.put(key, bytes, options)
            )
          })
      }
      yield* inWorld({ ...world, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          yield* Maintenance.rewriteManifests(repository, { all: true })
          const history = yield* repository.history({ branch: "main" })
          assert.deepStrictEqual(
            history.slice(0, 2).map(({ message }) => message),
            ["Rewrite manifests", "faster"]
          )
          const now = yield* repository.readonlySession({ branch: "main" })
          assert.deepStrictEqual(yield* now.chunk("/a", [3]), pattern(1, 77))
          yield* assertWhole(repository)
        })
      )
    })
  )

  it("plans so that each box is in one manifest afterwards, and no further manifest is written", () => {
    const manifest = (n: number, from: number, to: number) => ({
      id: ObjectId.manifestId(new Uint8Array(12).fill(n)),
      extents: [{ from, to }]
    })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 30 }), fc.integer({ min: 1, max: 15 })), { maxLength: 8 }),
        fc.integer({ min: 1, max: 12 }),
        (ranges, size) => {
          const manifests = ranges.map(([from, length], n) => manifest(n, from, from + length))
          const options = { manifests, gridShape: [32], sizes: [size] }
          const { kept, replaced } = ManifestSplit.rewritePlan(options, "unfit")
          const boxes = ({ extents: [extent] }: (typeof manifests)[number]): ReadonlyArray<number> => {
            const [first, last] = [Math.floor(extent!.from / size), Math.floor((extent!.to - 1) / size)]
            return Array.from({ length: last - first + 1 }, (_, i) => first + i)
          }
          const seen = new Set<number>()
          for (const one of kept as typeof manifests) {
            assert.strictEqual(boxes(one).length, 1)
            assert.isFalse(seen.has(boxes(one)[0]!))
            seen.add(boxes(one)[0]!)
          }
          for (const one of replaced as typeof manifests) for (const box of boxes(one)) assert.isFalse(seen.has(box))
          // Whatever is alone in its one box stays.
          for (const one of manifests) {
            const shared = manifests.some(
              (other) => other !== one && boxes(other).some((box) => boxes(one).includes(box))
            )
            const fits = boxes(one).length === 1 && one.extents[0]!.to <= 32
            if (fits && !shared) assert.include(kept, one)
          }
          assert.strictEqual(ManifestSplit.rewritePlan(options, "all").replaced.length, manifests.length)
        }
      )
    )
  })
})

describe("cleanOverwritten", () => {
  const copies = (store: { readonly list: (prefix: string) => Stream.Stream<{ readonly key: string }, unknown> }) =>
    Effect.map(Effect.orDie(Stream.runCollect(store.list("overwritten/"))), (all) => all.length)

  it.effect("keeps what the log lists and its pages; `cutLog` deletes the pages too", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { num_updates_per_repo_info_file: 4 } })
          const { id } = (yield* repository.history({ branch: "main" }))[0]!
          for (let i = 0; i < 14; i++) yield* repository.createTag(`t${i}`, id)
          yield* world.store.put("overwritten/repo.1.OF-A-LOST-RACE", pattern(10))
          yield* world.store.put("overwritten/by-hand", pattern(10))
          const all = yield* copies(world.store)
          const refused = yield* Effect.flip(Maintenance.cleanOverwritten(repository, { olderThan: "1 hour" }))
          assert.strictEqual(refused._tag, "InvalidCutoff")
          yield* TestClock.adjust("10 days")
          const dry = yield* Maintenance.cleanOverwritten(repository, { olderThan: "2 days", dryRun: true })
          assert.strictEqual(yield* copies(world.store), all)
          const done = yield* Maintenance.cleanOverwritten(repository, { olderThan: "2 days" })
          assert.deepStrictEqual(done, dry)
          assert.strictEqual(yield* copies(world.store), all - done.deleted.files)
          // Four updates in the object, the first without a copy, and 15 in all: three more pages.
          assert.strictEqual(done.kept.files, 3 + 3 + 1)
          yield* assertWhole(repository)
          const cut = yield* Maintenance.cleanOverwritten(repository, { olderThan: "2 days", cutLog: true })
          assert.strictEqual(cut.deleted.files, 3)
          yield* assertWhole(repository)
          // Further changes go on from there.
          for (let i = 14; i < 24; i++) yield* repository.createTag(`t${i}`, id)
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("deletes nothing when a page of the log cannot be read", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { num_updates_per_repo_info_file: 2 } })
          const { id } = (yield* repository.history({ branch: "main" }))[0]!
          for (let i = 0; i < 9; i++) yield* repository.createTag(`t${i}`, id)
          for (const { key } of yield* Stream.runCollect(world.store.list("overwritten/"))) {
            yield* world.store.put(key, pattern(100))
          }
          yield* TestClock.adjust("10 days")
          const all = yield* copies(world.store)
          const error = yield* Effect.flip(Maintenance.cleanOverwritten(repository, { olderThan: "2 days" }))
          assert.strictEqual(error._tag, "FormatError")
          assert.include(error.message, "overwritten/repo.")
          assert.strictEqual(yield* copies(world.store), all)
        })
      )
    })
  )
})

describe("cleanTemporaryFiles", () => {
  it.effect("finds none in memory", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          assert.deepStrictEqual(yield* Maintenance.cleanTemporaryFiles(repository), { files: 0, bytes: 0 })
        })
      )
    })
  )
})
