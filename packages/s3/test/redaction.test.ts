/** Secrets leave the process in a signature only: not in errors, logs, spans or descriptions. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Observed from "../../core/test/Observed.ts"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Model from "./support/S3Model.ts"
import * as S3Server from "./support/S3Server.ts"
import { accessKey, fast, optionsFor } from "./support/TestStores.ts"

const secrets = ["AKIDVERYSECRET", "s3cr3t-k3y/with+chars", "s3ss10n-t0k3n=="] as const

/** Answers that repeat what they were sent, as S3 does when a signature is wrong. */
const echoes = (request: S3Model.Request): S3Server.Fault => {
  const everything = JSON.stringify(request.headers)
  const error = new S3Model.Refusal(
    403,
    "SignatureDoesNotMatch",
    `${secrets.join(" ")} at http://u:${secrets[1]}@h/?X-Amz-Signature=abc`,
    {
      fields: [
        ["AWSAccessKeyId", secrets[0]],
        ["StringToSign", everything],
        ["CanonicalRequest", `${everything} ${secrets[1]}`],
        ["Token-0", secrets[2]]
      ]
    }
  )
  return { _tag: "Rewrite", rewrite: () => S3Model.refusal(error) }
}

const faults: ReadonlyArray<readonly [string, (request: S3Model.Request) => S3Server.Fault | undefined]> = [
  ["a store that echoes requests", echoes],
  ["500", () => ({ _tag: "Answer", status: 500, code: "InternalError" })],
  ["301", () => ({ _tag: "Answer", status: 301 })],
  ["a reset", () => ({ _tag: "Reset" })],
  ["a body that ends early", () => ({ _tag: "Cut", after: 1 })],
  ["no fault", () => undefined]
]

describe.each([
  ["right", { accessKeyId: secrets[0], secretAccessKey: secrets[1], sessionToken: secrets[2] }],
  ["wrong", { accessKeyId: "other", secretAccessKey: "other" }]
] as const)("with %s credentials", (_, credential) => {
  it.live.each(faults)("%s shows none of them", ([, fault]) =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ credentials: [credential] })
      const { spans, told, watch } = Observed.witness()
      const exits = yield* Effect.gen(function* () {
        const store = yield* S3ObjectStore.make({
          ...optionsFor(server),
          credentials: accessKey(...secrets),
          readHeaders: { "x-secret": secrets[1] },
          retry: { ...fast, times: 1 }
        })
        server.faults = fault
        const requests: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          store.put("key", new Uint8Array(10)),
          store.put("key", new Uint8Array(10), { mode: ObjectStore.create }),
          store.put("key", new Uint8Array(10), { mode: ObjectStore.update({ etag: '"a"' }) }),
          store.get("key"),
          store.head("key"),
          store.copy("key", "other"),
          Stream.runCollect(store.list("")),
          store.delete(["key"]),
          store.delete(["key", "other"])
        ]
        const exits = yield* Observed.exitsOf(requests)
        // An access key's id is no secret of its own, and `origin` holds it.
        for (const secret of secrets.slice(1)) expect(Observed.shown(store).includes(secret)).toBe(false)
        return exits
      }).pipe(Effect.scoped, watch)

      const texts = told(exits)
      expect(spans.length).toBeGreaterThan(8)
      Observed.assertHidden(texts, secrets)
      expect(texts).not.toMatch(/X-Amz-Signature|AWS4-HMAC|Signature=[0-9a-f]/)
    })
  )
})

describe("spans", () => {
  it.live("there is one for each request, with store, operation, key and bytes", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const { spans, tracer } = Observed.recording()
      const store = yield* S3ObjectStore.make({ ...optionsFor(server), prefix: "p" })
      yield* Effect.withTracer(
        Effect.gen(function* () {
          yield* store.put("key", new Uint8Array(10))
          let first = true
          server.faults = () => {
            if (!first) return undefined
            first = false
            return { _tag: "Answer", status: 503 }
          }
          yield* store.get("key")
        }),
        tracer
      )
      expect(server.requests).toHaveLength(3)
      expect(
        spans.map(({ attributes, kind, name }) => Object.assign({ name, kind }, Object.fromEntries(attributes)))
      ).toEqual([
        { name: "ObjectStore.put", kind: "client", store: "s3://bucket/p", operation: "put", key: "key", bytes: 10 },
        { name: "ObjectStore.get", kind: "client", store: "s3://bucket/p", operation: "get", key: "key" },
        { name: "ObjectStore.get", kind: "client", store: "s3://bucket/p", operation: "get", key: "key", bytes: 10 }
      ])
    })
  )
})
