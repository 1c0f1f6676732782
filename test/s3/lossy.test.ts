/**
 * Repositories on S3 through a proxy that loses answers: nothing lost, nothing twice, and no conflict that is none.
 *
 * Whoever lost the answer of a write to the repository object or the configuration may look only after somebody
 * else has built on it, where there is somebody else: the store sees a conflict then, and the repository has to
 * find its own write in what the others made of it.
 */
import type { Repository } from "@effect-icechunk/core"
import type * as RepoChange from "../../packages/core/src/repository/versions/RepoChange.ts"
import type * as S3Options from "@effect-icechunk/s3/S3Options"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as LossyProxy from "../../packages/s3/test/support/LossyProxy.ts"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as S3Programs from "../support/S3Programs.ts"

/** The share of requests that do not pass. */
const rate = 0.2

interface Lossy {
  readonly proxy: LossyProxy.LossyProxy
  /** Straight to the server. */
  readonly direct: S3Options.S3Options
  readonly lossy: S3Options.S3Options
}

const through = Effect.fnUntraced(function* (direct: S3Options.S3Options, seed: number, overtake = true) {
  const proxy = yield* LossyProxy.start({ target: direct.endpoint ?? "", seed, rate, overtake })
  const retry = { times: 40, baseDelay: 1, maxDelay: 5 }
  return { proxy, direct, lossy: { ...direct, endpoint: proxy.endpoint, retry } } satisfies Lossy
})

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

/** Fails when the branch has the commit that was said to be in conflict, or has not moved at all. */
const assertReal = (
  direct: Repository.RepositoryShape,
  conflict: RepoChange.CommitConflict,
  message: string
): Effect.Effect<void> =>
  Effect.orDie(
    Effect.map(direct.history({ branch: conflict.branch }), (history) => {
      const messages = history.map(({ message }) => message)
      assert.notStrictEqual(conflict.actual, conflict.expected)
      assert.notInclude(messages, message, "a conflict although the commit is there")
    })
  )

const suite = (name: string, newBucket: Effect.Effect<S3Options.S3Options, never, Scope.Scope>): void => {
  describe(`through a lossy proxy to ${name}`, () => {
    it.live(
      "100 commits of one writer never conflict",
      () =>
        Effect.gen(function* () {
          const { direct, lossy, proxy } = yield* through(yield* newBucket, 11, false)
          yield* S3Programs.prepare(direct, 100)
          const conflicts = yield* S3Programs.commitAll(lossy, { writer: 0, each: 100 })
          yield* proxy.heal
          assert.strictEqual(conflicts, 0)
          yield* S3Programs.assertComplete(direct, { writers: [0], each: 100 })
          for (const kind of LossyProxy.kinds) if (kind !== "cut") assert.isAbove(proxy.counts[kind], 0, kind)
        }),
      300_000
    )

    it.live(
      "250 commits of 5 writers on branches of their own never conflict, though they write one object",
      () =>
        Effect.gen(function* () {
          const { direct, lossy, proxy } = yield* through(yield* newBucket, 12)
          const writers = range(5)
          const each = 50
          yield* S3Programs.prepare(
            direct,
            writers.length * each,
            writers.map((writer) => `branch-${writer}`)
          )
          const conflicts = yield* Effect.forEach(
            writers,
            (writer) => S3Programs.commitAll(lossy, { writer, each, branch: `branch-${writer}` }),
            { concurrency: "unbounded" }
          )
          yield* proxy.heal
          assert.isAbove(proxy.overtaken(), 0)
          assert.deepStrictEqual(
            conflicts,
            writers.map(() => 0)
          )
          for (const writer of writers) {
            yield* S3Programs.assertComplete(direct, {
              writers: [writer],
              each,
              branch: `branch-${writer}`,
              others: (writers.length - 1) * each
            })
          }
        }),
      300_000
    )

    it.live(
      "150 commits of 5 writers on one branch are all there once, and whoever is told of a conflict has lost indeed",
      () =>
        Effect.gen(function* () {
          const { direct, lossy, proxy } = yield* through(yield* newBucket, 13)
          const writers = range(5)
          const each = 30
          yield* S3Programs.prepare(direct, writers.length * each)
          const conflicts = yield* S3Programs.program(direct)((repository) =>
            Effect.forEach(
              writers,
              (writer) =>
                S3Programs.commitAll(lossy, {
                  writer,
                  each,
                  onConflict: (conflict, message) => assertReal(repository, conflict, message)
                }),
              { concurrency: "unbounded" }
            )
          )
          yield* proxy.heal
          yield* S3Programs.assertComplete(direct, { writers, each })
          assert.isAbove(Math.max(...conflicts), 0, "they did meet")
        }),
      300_000
    )

    it.live(
      "60 updates of the configuration by 4 programs are all there once",
      () =>
        Effect.gen(function* () {
          const { direct, lossy, proxy } = yield* through(yield* newBucket, 14)
          yield* S3Programs.create(direct)
          yield* Effect.forEach(range(4), (updater) => S3Programs.updateAll(lossy, updater, 15), {
            concurrency: "unbounded"
          })
          yield* proxy.heal
          assert.isAbove(proxy.overtaken(), 0)
          yield* S3Programs.assertUpdated(direct, 4, 15)
        }),
      300_000
    )
  })
}

suite(
  "an S3 server",
  Effect.map(S3Server.start(), (server) => TestStores.optionsFor(server))
)

describe.skipIf(TestStores.real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  suite("a bucket", TestStores.realOptions)
})
