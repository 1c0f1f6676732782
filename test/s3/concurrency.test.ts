/** Many programs that write one repository on S3 at the same time. */
import type * as S3Options from "@effect-icechunk/s3/S3Options"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as S3Programs from "../support/S3Programs.ts"

const updaters = 32
const committers = 16
const each = 4

const suite = (name: string, newBucket: Effect.Effect<S3Options.S3Options, never, Scope.Scope>): void => {
  describe(name, () => {
    it.live(
      `of ${updaters} programs that update the configuration at once, each succeeds, and nothing is lost or twice`,
      () =>
        Effect.gen(function* () {
          const options = yield* newBucket
          yield* S3Programs.create(options)
          yield* Effect.forEach(
            Array.from({ length: updaters }, (_, updater) => updater),
            (updater) => S3Programs.updateAll(options, updater, 1),
            { concurrency: "unbounded" }
          )
          yield* S3Programs.assertUpdated(options, updaters, 1)
        }),
      300_000
    )

    it.live(
      `of ${committers} programs that commit at once, each commits ${each} times, and nothing is lost or twice`,
      () =>
        Effect.gen(function* () {
          const options = yield* newBucket
          yield* S3Programs.prepare(options, committers * each)
          const writers = Array.from({ length: committers }, (_, writer) => writer)
          const conflicts = yield* Effect.forEach(
            writers,
            (writer) => S3Programs.commitAll(options, { writer, each }),
            { concurrency: "unbounded" }
          )
          yield* S3Programs.assertComplete(options, { writers, each })
          assert.isAbove(Math.max(...conflicts), 0, "they did meet")
        }),
      300_000
    )
  })
}

suite(
  "on an S3 server that wants bare ETags",
  Effect.map(S3Server.start({ dialect: "bare" }), (server) => TestStores.optionsFor(server))
)

describe.skipIf(TestStores.real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  suite("in a bucket", TestStores.realOptions)
})
