/** Secrets leave the process in a signature only, presigned URLs only as a result. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Observed from "../../core/test/Observed.ts"
import * as S3Model from "../../s3/test/support/S3Model.ts"
import type * as S3Server from "../../s3/test/support/S3Server.ts"
import * as TigrisBuckets from "../src/TigrisBuckets.ts"
import { accessKey, bytes, fast } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

const secrets = ["AKIDVERYSECRET", "s3cr3t-k3y/with+chars", "s3ss10n-t0k3n=="] as const
const credential = { accessKeyId: secrets[0], secretAccessKey: secrets[1], sessionToken: secrets[2] }

/** An answer that repeats what was sent, as S3 does when a signature is wrong. */
const echo = (request: S3Model.Request): S3Server.Fault => ({
  _tag: "Rewrite",
  rewrite: () =>
    S3Model.refusal(
      new S3Model.Refusal(
        403,
        "SignatureDoesNotMatch",
        `${secrets.join(" ")} at http://u:${secrets[1]}@h/?X-Amz-Signature=abc`,
        { fields: [["CanonicalRequest", JSON.stringify(request.headers)]] }
      )
    )
})

describe.each<readonly [string, (request: S3Model.Request) => S3Server.Fault | undefined]>([
  ["a service that echoes requests", echo],
  ["500", () => ({ _tag: "Answer", status: 500, code: "InternalError" })],
  ["a reset", () => ({ _tag: "Reset" })],
  ["no fault", () => undefined]
])("%s", (_, fault) => {
  it.live("shows no secret in errors, logs and spans", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start({
        credentials: [credential],
        buckets: { bucket: { snapshots: true } }
      })
      for (const server of simulator.servers.values()) server.faults = fault
      const { spans, told, watch } = Observed.witness()
      const exits = yield* Effect.gen(function* () {
        const buckets = yield* TigrisBuckets.make({
          endpoint: simulator.endpoint,
          region: "iad",
          credentials: accessKey(...secrets),
          retry: { ...fast, times: 1 }
        })
        const store = yield* buckets.store("bucket")
        const url = yield* buckets.presignedUrl("bucket", "key")
        expect(Redacted.value(url)).toContain("X-Amz-Signature=")
        yield* Effect.logInfo("a URL", url, { url })
        const requests: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          buckets.list,
          buckets.create("other"),
          buckets.fork("bucket", "fork"),
          buckets.createSnapshot("bucket"),
          buckets.snapshots("bucket"),
          buckets.forks("bucket"),
          buckets.info("missing"),
          buckets.delete("missing"),
          buckets.presignedUrl("bucket", "key"),
          store.put("key", bytes("1")),
          store.get("missing")
        ]
        return yield* Observed.exitsOf(requests)
      }).pipe(watch)

      expect(exits.some(Exit.isFailure)).toBe(true)
      expect(spans.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["TigrisBuckets.fork", "TigrisBuckets.presignedUrl", "ObjectStore.get"])
      )
      const texts = told(exits)
      Observed.assertHidden(texts, secrets)
      expect(texts).not.toMatch(/X-Amz-Signature|AWS4-HMAC|Signature=[0-9a-f]/)
    })
  )
})
