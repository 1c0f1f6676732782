/**
 * Repositories on S3, written by one engine and read by the other: through the stores of this library, and where the
 * official engine's native build loads, through its own S3 client.
 */
import { ObjectStore } from "@effect-icechunk/core"
import { describe } from "@effect/vitest"
import type * as S3Options from "@effect-icechunk/s3/S3Options"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as Interop from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

/** The official engine with its own client, beside a store of ours; it sends bare ETags. */
const withTheirClient = Effect.fnUntraced(function* (
  options: S3Options.S3Options,
  key: { readonly accessKeyId: string; readonly secretAccessKey: string }
): Effect.fn.Return<Interop.Place, never, Scope.Scope> {
  const prefix = "repository"
  const store = yield* Effect.orDie(S3ObjectStore.make({ ...options, prefix }))
  const region = options.region ?? "us-east-1"
  const endpointUrl = options.endpoint ?? ""
  return {
    ...Interop.placeOn(store),
    storage: async () =>
      Engine.Storage.newS3(
        options.bucket,
        prefix,
        { type: "Static", field0: key },
        { region, endpointUrl, allowHttp: true, forcePathStyle: true }
      )
  }
})

const bothSuites = (...place: Parameters<typeof Interop.suite>): void => {
  Interop.suite(...place)
  Interop.suiteAtOnce(...place)
}

bothSuites(
  "on an S3 server",
  Effect.map(TestStores.open(), ({ store }) => Interop.placeOn(ObjectStore.prefixed(store, "repository")))
)

describe.skipIf(Engine.build !== "native")("with the S3 client of the official engine's native build", () => {
  bothSuites(
    "on an S3 server",
    Effect.flatMap(S3Server.start({ dialect: "bare", ignores: ["copy"] }), (server) =>
      withTheirClient(TestStores.optionsFor(server), { accessKeyId: "test", secretAccessKey: "secret" })
    )
  )
})

describe.skipIf(TestStores.real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  bothSuites(
    "in a bucket",
    TestStores.realOptions.pipe(Effect.flatMap(S3ObjectStore.make), Effect.orDie, Effect.map(Interop.placeOn))
  )

  describe.skipIf(Engine.build !== "native")("with the S3 client of the official engine's native build", () => {
    bothSuites(
      "in a bucket",
      Effect.flatMap(TestStores.realOptions, (options) => withTheirClient(options, TestStores.real))
    )
  })
})
