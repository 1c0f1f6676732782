/** Secrets leave the process in a signature only, presigned URLs only as a result. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import * as S3Model from "../../s3/test/support/S3Model.ts"
import type * as S3Server from "../../s3/test/support/S3Server.ts"
import * as TigrisBuckets from "../src/TigrisBuckets.ts"
import { accessKey, bytes, fast } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

const secrets = ["AKIDVERYSECRET", "s3cr3t-k3y/with+chars", "s3ss10n-t0k3n=="] as const
const credential = { accessKeyId: secrets[0], secretAccessKey: secrets[1], sessionToken: secrets[2] }

const shown = (value: unknown): string =>
  [inspect(value, { depth: 20, showHidden: true }), String(value), Inspectable.toStringUnknown(value)].join("\n")

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
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const logs: Array<string> = []
      const logger = Logger.make((entry) => {
        logs.push(shown(entry.message), Cause.pretty(entry.cause))
      })
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
        const exits: Array<Exit.Exit<unknown, unknown>> = []
        for (const request of requests) {
          const exit = yield* Effect.exit(request)
          exits.push(exit)
          if (Exit.isFailure(exit)) yield* Effect.logError("failed", exit.cause)
        }
        return exits
      }).pipe(Effect.withTracer(tracer), Effect.provide(Logger.layer([logger])))

      expect(exits.some(Exit.isFailure)).toBe(true)
      expect(spans.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["TigrisBuckets.fork", "TigrisBuckets.presignedUrl", "ObjectStore.get"])
      )
      const texts = [
        ...exits.map(shown),
        ...exits.flatMap((exit) => (Exit.isFailure(exit) ? [Cause.pretty(exit.cause)] : [])),
        ...logs,
        ...spans.map(
          ({ attributes, name, status }) => `${name} ${shown(Object.fromEntries(attributes))} ${shown(status)}`
        )
      ].join("\n")
      for (const secret of secrets) {
        const at = texts.indexOf(secret)
        expect(at < 0 ? "" : texts.slice(Math.max(0, at - 200), at + 50)).toBe("")
      }
      expect(texts).not.toMatch(/X-Amz-Signature|AWS4-HMAC|Signature=[0-9a-f]/)
    })
  )
})
