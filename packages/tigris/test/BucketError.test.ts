/** What a refused request about buckets says. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BucketError from "../src/BucketError.ts"
import type * as TigrisBuckets from "../src/TigrisBuckets.ts"
import { open } from "./support/TestTigris.ts"
import type * as TigrisSimulator from "./support/TigrisSimulator.ts"

describe("errors say what to check", () => {
  const refused = (options: TigrisSimulator.Options, more: TigrisBuckets.Options = {}) =>
    Effect.gen(function* () {
      const { buckets } = yield* open(options, more)
      return yield* Effect.forEach(
        [
          Effect.asVoid(buckets.list),
          Effect.asVoid(buckets.create("new-bucket")),
          Effect.asVoid(buckets.info("bucket")),
          buckets.delete("bucket"),
          Effect.asVoid(buckets.fork("bucket", "fork")),
          Effect.asVoid(buckets.createSnapshot("bucket"))
        ],
        (request) => Effect.flip(request)
      )
    })
  const credentials = [{ accessKeyId: "test", secretAccessKey: "secret", sessionToken: "token", expired: true }]

  it.live.each<readonly [string, TigrisSimulator.Options, BucketError.Reason["_tag"], boolean, string]>([
    [
      "wrong credentials",
      { credentials: [{ accessKeyId: "test", secretAccessKey: "other" }] },
      "CredentialsRefused",
      false,
      "secret"
    ],
    ["an unknown access key", { credentials: [] }, "CredentialsRefused", false, "access key id"],
    ["an expired session", { credentials }, "CredentialsRefused", true, "refreshed"],
    [
      "a key without permission",
      { credentials: [{ accessKeyId: "test", secretAccessKey: "secret", deny: ["bucket", "list"] }] },
      "AccessDenied",
      false,
      "`Editor`"
    ]
  ])("%s", ([, options, reason, isExpired, advice]) =>
    Effect.gen(function* () {
      for (const error of yield* refused(options)) {
        expect(error).toMatchObject({ _tag: "BucketError", reason: { _tag: reason } })
        expect(error.message).toContain("check")
        expect(error.message).toContain(advice)
        if (error._tag === "BucketError" && error.reason._tag === "CredentialsRefused") {
          expect(error.reason.isExpired).toBe(isExpired)
        }
      }
    })
  )

  it.live("a connection that is refused, at once", () =>
    Effect.gen(function* () {
      for (const error of yield* refused({}, { endpoint: "http://127.0.0.1:9", retry: { baseDelay: "1 hour" } })) {
        expect(error).toMatchObject({ reason: { _tag: "ConnectionRefused", endpoint: "http://127.0.0.1:9" } })
        expect(error.message).toContain("check `endpoint`")
      }
    })
  )

  it.live("a name that is taken, by oneself or by others", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open({ foreign: ["foreign"] })
      for (const name of ["bucket", "foreign"]) {
        const error = yield* Effect.flip(buckets.create(name))
        expect(error).toMatchObject({ reason: { _tag: "BucketAlreadyExists" } })
        expect(error.message).toContain("another name")
      }
      expect(yield* Effect.flip(buckets.info("foreign"))).toMatchObject({ reason: { _tag: "AccessDenied" } })
    })
  )

  it.live("a bucket that is missing", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open()
      for (const request of [
        Effect.asVoid(buckets.info("missing")),
        buckets.delete("missing"),
        Effect.asVoid(buckets.forks("missing"))
      ]) {
        expect(yield* Effect.flip(request)).toMatchObject({ reason: { _tag: "BucketNotFound", bucket: "missing" } })
      }
    })
  )

  it.live("a service that fails, after some attempts", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open()
      let asked = 0
      simulator.servers.get("iad")!.faults = () => {
        asked += 1
        return { _tag: "Answer", status: 503, code: "SlowDown" }
      }
      const error = yield* Effect.flip(buckets.list)
      expect(error).toMatchObject({ isRetryable: true, reason: { _tag: "Unavailable" } })
      expect(asked).toBe(4)
    })
  )

  it("each reason by code and status", () => {
    const about = { bucket: "b", endpoint: "https://t3.storage.dev" }
    const reasonOf = (code: string | undefined, status: number | undefined, tag: string) =>
      BucketError.classify({ code, status, reason: { _tag: tag } }, about)._tag
    expect([
      reasonOf("ECONNREFUSED", undefined, "Unavailable"),
      reasonOf("ENOTFOUND", undefined, "Unavailable"),
      reasonOf("BucketAlreadyOwnedByYou", 409, "Unavailable"),
      reasonOf("NoSuchBucket", 404, "NotFound"),
      reasonOf(undefined, 404, "NotFound"),
      reasonOf("BucketNotEmpty", 409, "Unavailable"),
      reasonOf("ExpiredToken", 400, "Unauthenticated"),
      reasonOf(undefined, 403, "PermissionDenied"),
      reasonOf(undefined, 429, "RateLimited"),
      reasonOf(undefined, 500, "Unavailable"),
      reasonOf("SomethingElse", 409, "Unavailable"),
      reasonOf("SomethingElse", 400, "InvalidResponse")
    ]).toEqual([
      "ConnectionRefused",
      "ConnectionRefused",
      "BucketAlreadyExists",
      "BucketNotFound",
      "BucketNotFound",
      "BucketNotEmpty",
      "CredentialsRefused",
      "AccessDenied",
      "Unavailable",
      "Unavailable",
      "UnexpectedAnswer",
      "UnexpectedAnswer"
    ])
  })
})
