/** Stores on a server of the test's own. */
import type { ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import { ObjectStoreError, type Reason } from "@effect-icechunk/core/ObjectStoreError"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Fetch, Page } from "../../src/Fetch.ts"
import * as HttpObjectStore from "../../src/HttpObjectStore.ts"
import type * as HttpOptions from "../../src/HttpOptions.ts"
import type { Browser } from "./Browser.ts"
import type { File, WebServer } from "./WebServer.ts"

/** Repetitions without delays worth the name. */
export const retry: HttpOptions.RetryOptions = { times: 2, baseDelay: "1 millis", maxDelay: "2 millis" }

export const inBrowser =
  (browser: Browser) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(Effect.provideService(Fetch, browser.fetch), Effect.provideService(Page, browser.page))

export const open = (
  { url }: Pick<WebServer, "url">,
  options?: Partial<HttpOptions.HttpOptions>
): Effect.Effect<ObjectStoreShape, HttpOptions.InvalidHttpOptions> => HttpObjectStore.make({ url, retry, ...options })

export const pattern = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 255)

/** Files by path. */
export const files =
  (byPath: Readonly<Record<string, File>>): WebServer["find"] =>
  (path) =>
    Object.hasOwn(byPath, path) ? byPath[path] : undefined

export const reasonOf = <A, E extends { readonly _tag: string; readonly message: string }>(
  effect: Effect.Effect<A, E>
): Effect.Effect<{ readonly reason: Reason; readonly message: string }> =>
  Effect.map(Effect.result(effect), (result) => {
    if (result._tag === "Success") return assert.fail("expected a failure, got an answer")
    const error: unknown = result.failure
    if (!(error instanceof ObjectStoreError))
      return assert.fail(`expected an ObjectStoreError, got ${result.failure.message}`)
    return { reason: error.reason, message: error.message }
  })
