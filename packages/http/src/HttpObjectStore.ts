/**
 * An `ObjectStore` over HTTP, read only: the directory of a repository on any website, in a public bucket, or behind a
 * server that wants a token.
 *
 * Reading a repository lists nothing. The files that change, `repo` and `config.json`, are asked for anew each time; a
 * browser keeps the others in its cache.
 *
 * @since 0.1.0
 */
import * as Detection from "@effect-icechunk/core/Detection"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { UnsupportedSpecVersion } from "@effect-icechunk/core/RepositoryError"
import { NotFound, ObjectStoreError } from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Fetch, Page } from "./Fetch.ts"
import * as HttpOptions from "./HttpOptions.ts"
import * as Auth from "./internal/Auth.ts"
import * as Store from "./internal/Store.ts"
import * as Url from "./internal/Url.ts"

const readOnlyBecause =
  "it is read over HTTP, which cannot write. Write through the store of the bucket or directory itself, as with the package `s3`, `gcs` or `fs`"

/** Files of a repository that never change: their names are random. */
const isFixed = (key: string): boolean => /^(?:chunks|manifests|snapshots|transactions|overwritten)\//.test(key)

/** Files that a repository may do without. */
const isOptional = (key: string): boolean => /^config\.(?:json|yaml)$|^refs\/.*\.deleted$/.test(key)

/** What a repository of spec version 1 cannot be without. */
const spec1Main = "refs/branch.main/ref.json"

/**
 * A bucket that may be read and not listed answers 403 for what it does not have. What a repository may do without is
 * missing then; so is `repo`, where a repository of spec version 1 is.
 */
const withoutListing = (store: ObjectStore.ObjectStoreShape): ObjectStore.ObjectStoreShape => {
  const missing = (error: ObjectStoreError): ObjectStoreError =>
    new ObjectStoreError({ ...error, reason: new NotFound({ detail: error.reason.detail }) })
  const explained =
    (key: string) =>
    <A>(request: Effect.Effect<A, ObjectStoreError>): Effect.Effect<A, ObjectStoreError> =>
      isOptional(key) || key === "repo"
        ? Effect.catchIf(
            request,
            ({ reason }) => reason._tag === "PermissionDenied",
            (error) =>
              isOptional(key)
                ? Effect.fail(missing(error))
                : Effect.matchEffect(store.head(spec1Main), {
                    onFailure: () => Effect.fail(error),
                    onSuccess: () => Effect.fail(missing(error))
                  })
          )
        : request
  return {
    ...store,
    get: (key, options) => explained(key)(store.get(key, options)),
    head: (key) => explained(key)(store.head(key))
  }
}

/**
 * A store. No request is made: a wrong URL and wrong credentials show in the first one. Fails with `InvalidHttpOptions`,
 * which names the option.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (
  options: HttpOptions.HttpOptions
) => Effect.Effect<ObjectStore.ObjectStoreShape, HttpOptions.InvalidHttpOptions> = Effect.fnUntraced(function* (
  options: HttpOptions.HttpOptions
) {
  const fetch = yield* Fetch
  const page = yield* Page
  const problem = HttpOptions.problem(options, page)
  if (problem !== undefined) return yield* problem
  const { credentials } = options
  const base = Url.parse(options.url) as Url.Base
  const isAnonymous = credentials === undefined || ("_tag" in credentials && credentials._tag === "Anonymous")
  const description = Url.shown(base)
  return withoutListing(
    Store.make({
      description,
      origin: { platform: "http", endpoint: description, credentials },
      readOnlyBecause,
      fetch,
      page,
      auth: Auth.make(credentials),
      hasSecrets: !isAnonymous || options.sign !== undefined,
      container: undefined,
      options,
      urlOf: (key) => Url.ofKey(base, key),
      keyProblem: Url.keyProblem,
      isFixed,
      refusesHtml: true
    })
  )
})

/**
 * The store of the options:
 *
 * ```ts
 * HttpObjectStore.layer({ url: "https://example-bucket.s3.eu-west-1.amazonaws.com/repository" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: HttpOptions.HttpOptions
): Layer.Layer<ObjectStore.ObjectStore, HttpOptions.InvalidHttpOptions> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * Whether a URL is an Icechunk repository, and of which version of the specification, with one or two small requests.
 *
 * ```ts
 * const { specVersion } = yield* HttpObjectStore.detect("https://example.org/repository")
 * ```
 *
 * Fails as `Detection.detect` does: with `NotARepository`, also for a web page, and with `ObjectStoreError` when the
 * server refuses to say (`PermissionDenied`, `Unauthenticated`) or cannot be reached, as where CORS forbids it.
 *
 * @category reading
 * @since 0.1.0
 */
export const detect = (
  url: string,
  options?: Omit<HttpOptions.HttpOptions, "url">
): Effect.Effect<
  Detection.Detected,
  Detection.NotARepository | UnsupportedSpecVersion | ObjectStoreError | HttpOptions.InvalidHttpOptions
> => Effect.flatMap(make({ ...options, url }), Detection.detect)
