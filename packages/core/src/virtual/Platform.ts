/**
 * Platforms: how stores are made for containers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type * as Credentials from "../values/Credentials.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"

/**
 * A container needs credentials that were not given.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingCredentials extends Schema.TaggedError<MissingCredentials>()("MissingCredentials", {
  container: Schema.String,
  platform: Schema.String,
  because: Schema.String
}) {
  override get message(): string {
    return `Container \`${this.container}\` on \`${this.platform}\` needs credentials: ${this.because}. Pass them as \`credentials: { ${JSON.stringify(this.container)}: ... }\` when the repository is opened.`
  }
}

/**
 * A container is on a platform for which no Layer was provided.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingPlatform extends Schema.TaggedError<MissingPlatform>()("MissingPlatform", {
  container: Schema.String,
  platform: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const known = this.known.length === 0 ? "none" : this.known.map((name) => `\`${name}\``).join(", ")
    return `Container \`${this.container}\` is on platform \`${this.platform}\`, which this program does not provide. Add it to \`Platform.layer\`. Platforms now: ${known}.`
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
  /** The endpoint that an absent one means: naming it makes no difference. */
  readonly defaultEndpoint?: string | undefined
  /** Whether the paths start with a bucket. */
  readonly hasBuckets: boolean
  /** Whether the repository's own credentials may serve a container at the same endpoint. */
  readonly sharesCredentials: boolean
  /** Where a container's object is, when that is not where its location says. */
  readonly pathOf?: ((container: Container.VirtualChunkContainer, path: string) => string) | undefined
  /** Makes the store of a bucket; its client is released with the Scope. */
  readonly open: (request: StoreRequest) => Effect.Effect<ObjectStoreShape, MissingCredentials, Scope.Scope>
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
): Layer.Layer<Platforms, E, R> =>
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
