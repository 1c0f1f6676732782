/**
 * Clients of the AWS SDK as the stores want them: no repetitions of their own, bytes untouched, headers on
 * each request.
 *
 * @since 0.1.0
 */
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"
import * as Redacted from "effect/Redacted"
import type * as Credentials from "@effect-icechunk/core/Credentials"
import * as Route from "./internal/Route.ts"

/**
 * What the requests of one client have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly region: string
  readonly endpoint: string | undefined
  readonly forcePathStyle: boolean
  readonly credentials: Credentials.Credentials
  /** Milliseconds until a connection stands. */
  readonly connectTimeout: number
  /** Connections at the same time. */
  readonly connections: number
  /** Headers that are signed although the SDK leaves them out of the signature; lower case. */
  readonly signedHeaders?: ReadonlyArray<string> | undefined
}

const unsigned = { sign: <Request>(request: Request): Promise<Request> => Promise.resolve(request) }

const identity = (credentials: Credentials.Credentials): Pick<S3ClientConfig, "credentials" | "profile" | "signer"> => {
  switch (credentials._tag) {
    case "AccessKey":
      return {
        credentials: {
          accessKeyId: credentials.accessKeyId,
          secretAccessKey: Redacted.value(credentials.secretAccessKey),
          ...(credentials.sessionToken === undefined ? {} : { sessionToken: Redacted.value(credentials.sessionToken) })
        }
      }
    case "Environment":
      return credentials.profile === undefined ? {} : { profile: credentials.profile }
    default:
      return { credentials: { accessKeyId: "", secretAccessKey: "" }, signer: unsigned }
  }
}

/**
 * A client of the SDK. Differences from the SDK's defaults: one attempt (repetitions are ours), the
 * environment's endpoint is ignored, no checksum headers (many services refuse them), no `Expect: 100-continue`
 * (it costs a connection for each request), access is unsigned for credentials that are not an access key.
 *
 * Clients made with the same `connectionsOf` share its connections.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (settings: Settings, connectionsOf?: S3Client): S3Client => {
  const client = new S3Client({
    region: settings.region,
    forcePathStyle: settings.forcePathStyle,
    ignoreConfiguredEndpointUrls: true,
    maxAttempts: 1,
    retryMode: "standard",
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    expectContinueHeader: false,
    followRegionRedirects: false,
    useArnRegion: true,
    requestHandler: connectionsOf?.config.requestHandler ?? {
      connectionTimeout: settings.connectTimeout,
      httpAgent: { maxSockets: settings.connections },
      httpsAgent: { maxSockets: settings.connections }
    },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...identity(settings.credentials)
  })
  if (settings.signedHeaders !== undefined) signAlso(client, new Set(settings.signedHeaders))
  return client
}

const signAlso = ({ config }: S3Client, signableHeaders: Set<string>): void => {
  const signerOf = config.signer
  config.signer = async (scheme) => {
    const signer = await signerOf(scheme)
    return { sign: (request, options) => signer.sign(request, { ...options, signableHeaders }) }
  }
}

/**
 * The region that environment or profile name, else `us-east-1`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const environmentRegion = (profile: string | undefined): Promise<string> => {
  const client = new S3Client(profile === undefined ? {} : { profile })
  return client.config
    .region()
    .catch(() => "us-east-1")
    .finally(() => client.destroy())
}

/**
 * A client that works like the given one, on the same connections, but makes one attempt for each request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withoutRetries = (client: S3Client): S3Client => {
  const middlewareStack = client.middlewareStack.clone()
  // Others are placed relative to it, so it is replaced and not removed.
  middlewareStack.add((next) => (args) => next(args), {
    name: "retryMiddleware",
    step: "finalizeRequest",
    priority: "high",
    override: true
  })
  return Object.create(client, { middlewareStack: { value: middlewareStack } }) as S3Client
}

interface HttpRequest {
  readonly headers: Record<string, string>
}

/**
 * Where a client sends its requests about a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination {
  /** Base URL, without the bucket. */
  readonly endpoint: string
  /** The bucket is in the path, not in the name of the host. */
  readonly isPathStyle: boolean
}

/**
 * Where a client sends its requests, whatever told it to: its own options, the environment, a profile. A request is
 * built for that and not sent; no credentials are asked for. Rejects where the client cannot say, as without a region.
 *
 * @category accessors
 * @since 0.1.0
 */
export const destination = async (client: S3Client, bucket: string): Promise<Destination> => {
  const { hostname, path, port, protocol } = await Route.probe(client, bucket)
  const isPathStyle = path.endsWith(`/${bucket}/${Route.probeKey}`)
  const base = path.slice(0, path.length - (isPathStyle ? `/${bucket}/${Route.probeKey}` : `/${Route.probeKey}`).length)
  const host = !isPathStyle && hostname.startsWith(`${bucket}.`) ? hostname.slice(bucket.length + 1) : hostname
  return { endpoint: `${protocol}//${host}${port === undefined ? "" : `:${port}`}${base}`, isPathStyle }
}

interface BuildStack {
  readonly add: (
    middleware: (
      next: (args: { readonly request: unknown; readonly input: never }) => Promise<never>
    ) => (args: { readonly request: unknown; readonly input: never }) => Promise<never>,
    options: { readonly step: "build"; readonly name: string; readonly priority: "low" }
  ) => void
}

interface DeserializeStack {
  readonly add: (
    middleware: (
      next: (args: never) => Promise<{ readonly response: unknown }>
    ) => (args: never) => Promise<{ readonly response: unknown }>,
    options: { readonly step: "deserialize"; readonly name: string; readonly priority: "low" }
  ) => void
}

/**
 * Shows the answer to a command before the SDK reads it: status, headers, body, all of which may be replaced. A
 * rejection ends the request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onAnswer = (
  command: { readonly middlewareStack: unknown },
  name: string,
  look: (answer: {
    statusCode: number
    readonly headers: Readonly<Record<string, string>>
    body?: unknown
  }) => void | Promise<void>
): void => {
  const stack = command.middlewareStack as DeserializeStack
  stack.add(
    (next) => async (args) => {
      const result = await next(args)
      await look(result.response as Parameters<typeof look>[0])
      return result
    },
    { step: "deserialize", name, priority: "low" }
  )
}

/**
 * Sets headers on the request of a command, before it is signed; later ones win, whatever their case.
 *
 * @category combinators
 * @since 0.1.0
 */
export const setHeaders = (
  command: { readonly middlewareStack: unknown },
  ...layers: ReadonlyArray<Readonly<Record<string, string>> | undefined>
): void => {
  const headers = new Map<string, string>()
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer ?? {})) headers.set(name.toLowerCase(), value)
  }
  if (headers.size === 0) return
  const stack = command.middlewareStack as BuildStack
  stack.add(
    (next) => (args) => {
      const request = args.request as HttpRequest
      for (const name of Object.keys(request.headers)) {
        if (headers.has(name.toLowerCase())) delete request.headers[name]
      }
      for (const [name, value] of headers) request.headers[name] = value
      return next(args)
    },
    { step: "build", name: "effectIcechunkHeaders", priority: "low" }
  )
}
