/**
 * Platforms of virtual chunks over HTTP: `https://host/path` as it is, and the public buckets of Amazon S3 and Google
 * Cloud Storage without a client of theirs.
 *
 * ```ts
 * Platform.layer([HttpPlatform.make, HttpPlatform.anonymousS3, HttpPlatform.anonymousGcs])
 * ```
 *
 * @since 0.1.0
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Platform from "@effect-icechunk/core/Platform"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import { isMetadataHost } from "@effect-icechunk/core/values/MetadataAddress"
import * as UnusableStore from "@effect-icechunk/core/store/UnusableStore"
import * as Effect from "effect/Effect"
import { Fetch, type FetchFunction, Page, type PageShape } from "./Fetch.ts"
import * as HttpOptions from "./HttpOptions.ts"
import * as Auth from "./internal/Auth.ts"
import * as Buckets from "./internal/Buckets.ts"
import * as Store from "./internal/Store.ts"
import * as Url from "./internal/Url.ts"

/**
 * How the stores of containers are made. What says where to read, and as whom, comes from the container and its
 * credentials.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends HttpOptions.RequestOptions {}

/**
 * Options of the platforms of public buckets, whose requests nobody signs, and which know where they may be redirected.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnonymousOptions extends Omit<Options, "sign" | "redirects"> {}

const readOnlyBecause =
  "it belongs to a virtual chunk container, and objects that chunks were referenced in are not changed; write through a store of your own"

const neverFixed = (): boolean => false

interface Surroundings {
  readonly fetch: FetchFunction
  readonly page: PageShape | undefined
}

const surroundings: Effect.Effect<Surroundings> = Effect.all({ fetch: Fetch, page: Page })

/** What all stores of containers have in common. */
const common = (
  { container, credentials }: Platform.StoreRequest,
  options: Options,
  { fetch, page }: Surroundings
): Pick<
  Store.Settings,
  "readOnlyBecause" | "fetch" | "page" | "auth" | "container" | "options" | "isFixed" | "refusesHtml" | "hasSecrets"
> => {
  const given = container.cloud_client_config?.anonymous === true ? Credentials.anonymous : credentials
  return {
    readOnlyBecause,
    fetch,
    page,
    auth: Auth.make(given),
    container: container.name,
    options,
    isFixed: neverFixed,
    refusesHtml: false,
    hasSecrets: Effect.isEffect(given) || given._tag !== "Anonymous" || options.sign !== undefined
  }
}

const schemeOf = ({ protocol }: Container.VirtualChunkContainer): string => (protocol === "http" ? "http" : "https")

/** The URL of an object, as it is written. */
const urlOf = (container: Container.VirtualChunkContainer, path: string): string => {
  const endpoint = container.cloud_client_config?.endpoint_url
  return endpoint === undefined ? `${schemeOf(container)}://${path}` : `${endpoint.replace(/\/+$/, "")}/${path}`
}

/** Why nothing is asked at a place, or `undefined`. */
const placeProblem = (base: Url.Base | string, page: PageShape | undefined): string | undefined => {
  if (typeof base === "string") return `its URL ${base}`
  if (isMetadataHost(URL.parse(base.origin)?.hostname ?? "")) return "it is at an address of cloud metadata"
  const isMixed = base.origin.startsWith("http:") && page?.origin.startsWith("https:") === true
  return isMixed && !Url.isLoopback(base) ? `its URL ${Url.mixedContent}` : undefined
}

/**
 * The platform `http` with options of the program.
 *
 * Locations are URLs, `https://host/path`, which are asked for as they are written, query and escapes included. Their
 * containers have `https` (or `http`) as protocol and the host as the start of `bucket_prefix`; one with a protocol of its
 * own is read over https, or below its `endpoint_url`. Each needs an entry in `credentials` that names its host:
 * `Credentials.grant({ credentials: Credentials.anonymous, endpoints: ["https://data.example.org"] })`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = (options: Options): Effect.Effect<Platform.Platform> =>
  Effect.map(surroundings, (around) => ({
    name: "http",
    defaultRegion: undefined,
    accepts: HttpOptions.accepts,
    hasBuckets: true,
    isBucketInPath: () => true,
    sharesCredentials: false,
    urlOf,
    open: (request) =>
      Effect.sync(() => {
        const { bucket, container } = request
        const base = Url.parse(urlOf(container, bucket))
        const shared = common(request, options, around)
        const problem = placeProblem(base, around.page) ?? optionsProblem(options)
        const description = typeof base === "string" ? `${schemeOf(container)}://` : Url.shown(base)
        const origin = { platform: "http", endpoint: description }
        if (problem !== undefined || typeof base === "string") {
          return UnusableStore.make(
            { description, origin, readOnlyBecause },
            `container \`${container.name}\`: ${problem}`
          )
        }
        return Store.make({
          ...shared,
          description,
          origin,
          urlOf: (key) => Url.ofPath(base, key),
          keyProblem: Url.pathProblem
        })
      })
  }))

const optionsProblem = (options: Options): string | undefined =>
  HttpOptions.problem({ ...options, url: "https://localhost" }, undefined)?.message

/**
 * The platform `http`, for `Platform.layer`; see `makeWith`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Platform.Platform> = makeWith({})

/** How a bucket's place is found on a platform. */
interface Cloud {
  readonly name: "s3" | "gcs"
  readonly ownEndpoints: RegExp
  readonly isBucketInPath: (container: Container.VirtualChunkContainer, bucket: string) => boolean
  /** The URL of a bucket, now. */
  readonly urlOf: (request: Platform.StoreRequest, region: string | undefined) => string
  /** Whether an answer from there is one of the platform. */
  readonly isOwn: (url: string) => boolean
}

const only = "this platform asks for public objects alone, without credentials"

const anonymous = (cloud: Cloud, options: AnonymousOptions): Effect.Effect<Platform.Platform> =>
  Effect.map(surroundings, (around) => ({
    name: cloud.name,
    defaultRegion: undefined,
    ownEndpoints: cloud.ownEndpoints,
    accepts: ["Anonymous"],
    needsCredentials: "elsewhere",
    hasBuckets: true,
    isBucketInPath: cloud.isBucketInPath,
    sharesCredentials: true,
    open: Effect.fnUntraced(function* (request: Platform.StoreRequest) {
      const { bucket, container } = request
      const credentials = Effect.isEffect(request.credentials) ? yield* request.credentials : request.credentials
      const shared = common({ ...request, credentials }, options, around)
      if (credentials._tag !== "Anonymous") {
        return yield* new Platform.MissingCredentials({
          container: container.name,
          platform: cloud.name,
          because: `they are \`${credentials._tag}\`, and ${only}`,
          remedy: `Pass \`Credentials.anonymous\` for it, or use the platform of the package \`${cloud.name}\`.`
        })
      }
      const description = `${cloud.name}://${bucket}`
      const endpoint = container.cloud_client_config?.endpoint_url
      const origin = { platform: cloud.name, endpoint, region: request.region }
      let region = request.region
      const base = (): Url.Base | string => Url.parse(cloud.urlOf(request, region))
      const problem = placeProblem(base(), around.page) ?? optionsProblem(options)
      if (problem !== undefined) {
        return UnusableStore.make(
          { description, origin, readOnlyBecause },
          `container \`${container.name}\`: ${problem}`
        )
      }
      return Store.make({
        ...shared,
        description,
        origin,
        urlOf: (key) => Url.ofKey(base() as Url.Base, key),
        keyProblem: Url.keyProblem,
        ...(endpoint === undefined && cloud.name === "s3"
          ? {
              mayEndAt: cloud.isOwn,
              hint: () =>
                `. Amazon S3 answers so, too, when the bucket is in another region${region === undefined ? "" : ` than \`${region}\``}: set \`region\` of container \`${container.name}\``,
              relocated: (headers: Headers, said: string): boolean => {
                const found = Buckets.regionIn(headers, said)
                if (found === undefined || found === region) return false
                region = found
                return true
              }
            }
          : {})
      })
    })
  }))

/**
 * `anonymousS3` with options of the program.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anonymousS3With = (options: AnonymousOptions): Effect.Effect<Platform.Platform> =>
  anonymous(
    {
      name: "s3",
      ownEndpoints:
        /^https:\/\/(s3|s3-accelerate(\.dualstack)?|s3(-fips)?(\.dualstack)?\.[a-z0-9-]+|s3-[a-z0-9-]+)\.amazonaws\.com(\.cn)?$/,
      isBucketInPath: ({ cloud_client_config: client }, bucket) =>
        (client?.force_path_style ?? client?.endpoint_url !== undefined) || !Buckets.isHostName(bucket),
      urlOf: ({ bucket, container: { cloud_client_config: client } }, region) =>
        client?.endpoint_url === undefined
          ? Buckets.s3(bucket, region)
          : Buckets.at(client.endpoint_url, bucket, client.force_path_style !== false),
      isOwn: Buckets.isAmazon
    },
    options
  )

/**
 * Public buckets on Amazon S3, as the platform `s3`: `s3://bucket/key` is asked for over HTTPS, unsigned, at the endpoint
 * of the container's region, or at its `endpoint_url`. Without a region the bucket's name finds it, or S3 names it in its
 * first answer, where CORS shows that; it is asked once.
 *
 * Containers at Amazon's own endpoints need no credentials; others an entry that names their endpoint. Credentials other
 * than `Anonymous` fail with `MissingCredentials`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anonymousS3: Effect.Effect<Platform.Platform> = anonymousS3With({})

/**
 * `anonymousGcs` with options of the program.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anonymousGcsWith = (options: AnonymousOptions): Effect.Effect<Platform.Platform> =>
  anonymous(
    {
      name: "gcs",
      ownEndpoints: /^https:\/\/storage(\.[a-z0-9-]+\.rep)?\.googleapis\.com$/,
      isBucketInPath: () => true,
      urlOf: ({ bucket, container }) => {
        const endpoint = container.cloud_client_config?.endpoint_url
        return endpoint === undefined ? Buckets.gcs(bucket) : Buckets.at(endpoint, bucket, true)
      },
      isOwn: () => true
    },
    options
  )

/**
 * Public buckets on Google Cloud Storage, as the platform `gcs`: `gcs://bucket/key` and `gs://bucket/key` are asked for
 * at `https://storage.googleapis.com/bucket/key`, or at the container's `endpoint_url`. Credentials as for `anonymousS3`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anonymousGcs: Effect.Effect<Platform.Platform> = anonymousGcsWith({})
