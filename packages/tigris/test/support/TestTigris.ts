/** Stores and services on the simulator. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TigrisBuckets from "../../src/TigrisBuckets.ts"
import * as TigrisObjectStore from "../../src/TigrisObjectStore.ts"
import type * as TigrisOptions from "../../src/TigrisOptions.ts"
import * as TigrisSimulator from "./TigrisSimulator.ts"

/** Delays of repetitions that a test need not wait for. */
export const fast = { baseDelay: 1, maxDelay: 5, times: 3 } as const

export const accessKey = (accessKeyId: string, secret: string, sessionToken?: string): Credentials.Credentials =>
  Credentials.accessKey({
    accessKeyId,
    secretAccessKey: Redacted.make(secret),
    sessionToken: sessionToken === undefined ? undefined : Redacted.make(sessionToken)
  })

export const connectionTo = (endpoint: string): TigrisOptions.ConnectionOptions => ({
  endpoint,
  credentials: accessKey("test", "secret"),
  retry: fast
})

/** A store for a client in one region, whose data is in another (default `iad`). */
export const storeIn = (
  simulator: TigrisSimulator.TigrisSimulator,
  region: string,
  options: Partial<TigrisOptions.TigrisOptions> = {}
): Effect.Effect<
  ObjectStore.ObjectStoreShape,
  TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion,
  Scope.Scope
> =>
  TigrisObjectStore.make({
    ...connectionTo(simulator.endpoints[region]!),
    bucket: "bucket",
    region: "iad",
    ...options
  })

/** A simulator and its buckets. */
export const open = (
  options: TigrisSimulator.Options = {},
  more: TigrisBuckets.Options = {}
): Effect.Effect<
  { readonly simulator: TigrisSimulator.TigrisSimulator; readonly buckets: TigrisBuckets.TigrisBucketsShape },
  TigrisOptions.InvalidTigrisOptions,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const simulator = yield* TigrisSimulator.start(options)
    const buckets = yield* TigrisBuckets.make({ ...connectionTo(simulator.endpoint), region: "iad", ...more })
    return { simulator, buckets }
  })

/** A store in the safe mode, of a client in `fra`. */
export const layer = (options: Partial<TigrisOptions.TigrisOptions> = {}): Layer.Layer<ObjectStore.ObjectStore> =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.orDie(Effect.flatMap(TigrisSimulator.start(), (simulator) => storeIn(simulator, "fra", options)))
  )

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
