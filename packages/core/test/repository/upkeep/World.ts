/**
 * A repository with something of everything that can become garbage, on a clock that the test moves.
 */
import type * as Platform from "@effect-icechunk/core/Platform"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import * as Repository from "@effect-icechunk/core/Repository"
import type { Zstd } from "@effect-icechunk/core/Zstd"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as RandomId from "../../../src/repository/RandomId.ts"
import { inWorld, pattern, type World, worldInMemory } from "../Fixture.ts"
import { array } from "../RepositorySuite.ts"

type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd | Scope.Scope

/** Keys of all files, without what the repository object leaves behind. */
export const keys = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("")), (all) =>
    all
      .map(({ key }) => key)
      .filter((key) => !key.startsWith("overwritten/"))
      .toSorted()
  )

const commit = Effect.fnUntraced(function* (
  repository: Repository.RepositoryShape,
  branch: string,
  chunks: ReadonlyArray<number>,
  seed: number
) {
  const session = yield* repository.writableSession(branch)
  for (const at of chunks) yield* session.setChunk("/a", [at], pattern(1000, seed + at))
  return yield* session.commit(`${branch} ${seed}`)
})

export interface Littered extends World {
  /** Of a branch that was deleted. */
  readonly orphan: string
  readonly first: string
  readonly second: string
}

/**
 * On day 0 three commits on `main`, of which the later ones write over chunks of the first, a branch with a commit that is
 * deleted again, a chunk and a manifest of nobody. It is day 10 now.
 */
export const littered: Effect.Effect<Littered, never, Scope.Scope> = Effect.gen(function* () {
  const world = yield* worldInMemory
  const { first, orphan, second } = yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", array([10_000], [1000]))
      yield* session.setChunk("/a", [9], pattern(9))
      yield* session.commit("the array")
      const first = yield* commit(repository, "main", [0, 1, 2], 10)
      yield* repository.createBranch("side", first)
      const orphan = yield* commit(repository, "side", [3, 4], 20)
      yield* repository.deleteBranch("side")
      const second = yield* commit(repository, "main", [0], 30)
      return { first, orphan, second }
    })
  ).pipe(Effect.orDie)
  yield* Effect.orDie(world.store.put(`chunks/${yield* RandomId.chunkId}`, pattern(77)))
  yield* Effect.orDie(world.store.put("chunks/readme.txt", pattern(5)))
  yield* TestClock.adjust("10 days")
  return { ...world, first, orphan, second }
})

/** A copy of it, ten days later. */
export const copied = Effect.fnUntraced(function* (template: Littered) {
  const store = yield* MemoryObjectStore.make()
  for (const { key } of yield* Stream.runCollect(template.store.list(""))) {
    yield* store.put(key, (yield* template.store.get(key)).bytes)
  }
  yield* TestClock.adjust("10 days")
  return { ...template, store }
})

/** Every chunk of every version that a ref leads to. */
export const contents = (repository: Repository.RepositoryShape) =>
  Effect.gen(function* () {
    const found = new Map<string, string | undefined>()
    const branches = yield* repository.branches
    const tags = yield* repository.tags
    for (const id of new Set([...branches.values(), ...tags.values()])) {
      for (const { id: one } of yield* repository.history({ snapshotId: id })) {
        const session = yield* repository.readonlySession({ snapshotId: one })
        for (const { path, data } of yield* session.nodes()) {
          if (data._tag !== "Array") continue
          for (const index of yield* Stream.runCollect(session.chunkIndices(path))) {
            const bytes = yield* session.chunk(path, index)
            found.set(
              `${one} ${path} ${index.join()}`,
              bytes === undefined ? undefined : Buffer.from(bytes).toString("hex")
            )
          }
        }
      }
    }
    return found
  })

/** Fails when the check of the repository finds anything. */
export const assertWhole = (repository: Repository.RepositoryShape) =>
  Effect.map(Stream.runCollect(Maintenance.check(repository)), (findings) => {
    assert.deepStrictEqual(findings.filter(({ _tag }) => _tag !== "Ended").map(Maintenance.describe), [])
    const ended = findings.at(-1)!
    assert.isTrue(ended._tag === "Ended" && ended.isComplete)
  })

/** Runs an effect on a repository of a world that is opened anew. */
export const opened =
  (world: World) =>
  <A, E>(use: (repository: Repository.RepositoryShape) => Effect.Effect<A, E, Services>) =>
    inWorld(world)(Effect.flatMap(Repository.open(), use))
