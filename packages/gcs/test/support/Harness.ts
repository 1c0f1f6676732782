/** A server with a bucket and a token, and stores on it. */
import type { ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import type { ObjectStoreError, Reason } from "@effect-icechunk/core/ObjectStoreError"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as GcsObjectStore from "../../src/GcsObjectStore.ts"
import type * as GcsOptions from "../../src/GcsOptions.ts"
import * as GcsServer from "./GcsServer.ts"

export const token = "token-of-the-tests"

export const bearer: Credentials.Credentials = Credentials.bearerToken({ token: Redacted.make(token) })

export interface Harness {
  readonly server: GcsServer.GcsServer
  /** A store on the bucket `data` with a token for everything, unless options say otherwise. */
  readonly open: (options?: Partial<GcsOptions.GcsOptions>) => Effect.Effect<ObjectStoreShape, never, Scope.Scope>
}

export const make: Effect.Effect<Harness, never, Scope.Scope> = Effect.gen(function* () {
  const server = yield* GcsServer.make
  server.addBucket("data")
  server.addToken(token)
  return {
    server,
    open: (options) =>
      GcsObjectStore.make({
        bucket: "data",
        endpoint: server.endpoint,
        credentials: bearer,
        retry: { times: 3, baseDelay: "1 millis" },
        ...options
      }).pipe(Effect.orDie)
  }
})

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The reason of a failure that is expected. */
export const reason = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Reason, A> =>
  Effect.map(Effect.flip(effect), (error) => (error as ObjectStoreError).reason)
