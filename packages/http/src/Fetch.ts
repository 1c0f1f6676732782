/**
 * What sends the requests, and where from. Both are references, which tests, workers and applications replace:
 * `Effect.provideService(Fetch.Fetch, myFetch)`. They are read when a store or a platform is made.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * A function as `fetch` is.
 *
 * @category models
 * @since 0.1.0
 */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>

/**
 * What sends the requests (default: the `fetch` of the platform, as it is when a request is sent).
 *
 * @category references
 * @since 0.1.0
 */
export const Fetch: Context.Reference<FetchFunction> = /*#__PURE__*/ Context.Reference<FetchFunction>(
  "@effect-icechunk/http/Fetch",
  { defaultValue: () => (url, init) => globalThis.fetch(url, init) }
)

/**
 * The page, or the worker of one, that the program runs in: its requests to other origins are under the rules of CORS.
 *
 * @category models
 * @since 0.1.0
 */
export interface PageShape {
  /** As `https://example.org`. */
  readonly origin: string
  /** `false` where the browser knows that it is offline. */
  readonly isOnline: () => boolean
}

const here = (): PageShape | undefined => {
  const { location, navigator } = globalThis as {
    readonly location?: { readonly origin?: string } | undefined
    readonly navigator?: { readonly onLine?: boolean } | undefined
  }
  const origin = location?.origin
  return origin === undefined || !/^https?:/.test(origin)
    ? undefined
    : { origin, isOnline: () => navigator?.onLine !== false }
}

/**
 * The page that the program runs in; `undefined` in Node, Deno, Bun and Cloudflare Workers (default: as
 * `globalThis.location` says).
 *
 * @category references
 * @since 0.1.0
 */
export const Page: Context.Reference<PageShape | undefined> = /*#__PURE__*/ Context.Reference<PageShape | undefined>(
  "@effect-icechunk/http/Page",
  { defaultValue: here }
)
