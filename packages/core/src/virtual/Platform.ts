/**
 * Platforms: how stores are made for containers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { ObjectStore, type ObjectStoreShape, prefixed } from "../store/ObjectStore.ts"
import type * as Credentials from "../values/Credentials.ts"
import type { InvalidLocation } from "../values/Location.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"

/**
 * A container needs credentials that were not given, or those given for it are not for the place where it is. Nothing was
 * sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingCredentials
  extends /*#__PURE__*/ Data.TaggedError("MissingCredentials")<{
    readonly container: string
    readonly platform: string
    readonly because: string
    /** What to change in the credentials that were given; absent when none were. */
    readonly remedy?: string | undefined
  }>
{
  override get message(): string {
    return this.remedy === undefined
      ? `Container \`${this.container}\` on \`${this.platform}\` needs credentials: ${this.because}. Pass them as \`credentials: { ${JSON.stringify(this.container)}: ... }\` when the repository is opened.`
      : `Container \`${this.container}\` on \`${this.platform}\` was not asked with the credentials given for it: ${this.because}. ${this.remedy}`
  }
}

/**
 * A container is on a platform for which no Layer was provided.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingPlatform
  extends /*#__PURE__*/ Data.TaggedError("MissingPlatform")<{
    readonly container: string
    readonly platform: string
    readonly known: ReadonlyArray<string>
  }>
{
  override get message(): string {
    const known = this.known.length === 0 ? "none" : this.known.map((name) => `\`${name}\``).join(", ")
    const meant = this.known.find((name) => name.toLowerCase() === this.platform.toLowerCase())
    const remedy =
      meant === undefined
        ? "Add it to `Platform.layer`"
        : `Did you mean \`${meant}\`? Names of platforms are in lower case; correct the container's \`platform\``
    return `Container \`${this.container}\` is on platform \`${this.platform}\`, which this program does not provide. ${remedy}. Platforms now: ${known}.`
  }
}

/**
 * What a platform is asked for: the store of one bucket of one container.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreRequest {
  readonly container: Container.VirtualChunkContainer
  /** Empty on `fs`. */
  readonly bucket: string
  readonly region: string | undefined
  readonly credentials: Credentials.Source
}

/**
 * One kind of object store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Platform {
  readonly name: Container.PlatformName
  /** The region of a container that names none and is not on the repository's platform. */
  readonly defaultRegion: string | undefined
  /**
   * The platform's own endpoints, which whoever has credentials for the platform trusts; matched against the whole of a
   * normalised base URL, as `https://t3.storage.dev`. An absent endpoint is always the platform's own.
   */
  readonly ownEndpoints?: RegExp | undefined
  /** Kinds of credentials that the platform has a use for (default: all); others are never sent. */
  readonly accepts?: ReadonlyArray<Credentials.Credentials["_tag"]> | undefined
  /**
   * Whether a container without an entry needs credentials at all (default true); objects of this process do not.
   * `elsewhere`: not at the platform's own endpoints, which are only asked without.
   */
  readonly needsCredentials?: boolean | "elsewhere" | undefined
  /** Whether the paths start with a bucket. */
  readonly hasBuckets: boolean
  /**
   * Whether requests for this bucket have it in their path and not in the host name (default no). Keys with `.` and `..`
   * segments are then refused, because what is between may resolve them to another bucket.
   */
  readonly isBucketInPath?: ((container: Container.VirtualChunkContainer, bucket: string) => boolean) | undefined
  /** Whether the repository's own credentials may serve a container at the same endpoint. */
  readonly sharesCredentials: boolean
  /**
   * The URL of an object, where buckets are hosts. The host of a container without `endpoint_url` is then its endpoint:
   * the platform has none of its own.
   */
  readonly urlOf?: ((container: Container.VirtualChunkContainer, path: string) => string) | undefined
  /** Where a container's object is, when that is not where its location says. */
  readonly pathOf?: ((container: Container.VirtualChunkContainer, path: string) => string) | undefined
  /** Makes the store of a bucket; its client is released with the Scope. */
  readonly open: (
    request: StoreRequest
  ) => Effect.Effect<ObjectStoreShape, MissingCredentials | Credentials.CredentialsUnavailable, Scope.Scope>
}

/**
 * The platforms that a program provides, by name.
 *
 * @category services
 * @since 0.1.0
 */
export class Platforms extends Context.Service<Platforms, ReadonlyMap<string, Platform>>()(
  "@effect-icechunk/core/Platforms"
) {}

/**
 * Provides platforms, as in `Platform.layer([FsPlatform.make, S3Platform.make])`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  platforms: ReadonlyArray<Effect.Effect<Platform, E, R>>
): Layer.Layer<Platforms, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Platforms,
    Effect.map(Effect.all(platforms), (all) => new Map(all.map((platform) => [platform.name, platform])))
  )

/**
 * No platforms: only chunks inside the repository can be read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<Platforms> = Layer.succeed(Platforms, new Map())

/**
 * A platform whose objects are all in one store, under `bucket/key`, or for `fs` under their absolute path. Containers
 * need no credentials, and may be at any endpoint: nothing is sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStore = (name: Container.PlatformName, store: ObjectStoreShape): Platform => ({
  name,
  defaultRegion: undefined,
  ownEndpoints: /^/,
  needsCredentials: false,
  hasBuckets: name !== "fs",
  sharesCredentials: true,
  open: ({ bucket }) => Effect.succeed(bucket === "" ? store : prefixed(store, bucket))
})

/**
 * The same over the store of a Layer, as in `Platform.layer([Platform.fromLayer("s3", FsObjectStore.layer({ directory }))])`:
 * a program whose refs are on S3 reads them from a directory with a subdirectory for each bucket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromLayer = <E, R>(
  name: Container.PlatformName,
  store: Layer.Layer<ObjectStore, E, R>
): Effect.Effect<Platform, E, R | Scope.Scope> =>
  Effect.map(Layer.build(store), (context) => fromStore(name, Context.get(context, ObjectStore)))

/**
 * Platforms in memory that hold these objects, by location: programs whose virtual chunks are in clouds are tested
 * without one. As many buckets and platforms as the locations name.
 *
 * ```ts
 * Platform.layerMemory({ "s3://model-output/run-1.nc": bytes, "gs://reference/grid.nc": bytes })
 * ```
 *
 * Locations have the protocol of a platform, or its name. Fails with `InvalidLocation` when one is not a location.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (objects: Readonly<Record<string, Uint8Array>>): Layer.Layer<Platforms, InvalidLocation> =>
  Layer.effect(
    Platforms,
    // Only tests have it: a program that knows it would carry what reads locations.
    Effect.gen(function* () {
      const { make } = yield* Effect.promise(() => import("./MemoryPlatforms.ts"))
      const stores = yield* make(objects)
      return new Map(Array.from(stores, ([name, store]) => [name, fromStore(name, store)]))
    })
  )
