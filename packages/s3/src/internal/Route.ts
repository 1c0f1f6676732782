/** Where the SDK sends its requests about a bucket, and for whom it signs them: found out once, not with each request. */
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import type * as Signature from "./Signature.ts"

interface Built {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number | undefined
  readonly path: string
}

interface AuthScheme {
  readonly name?: unknown
  readonly signingName?: unknown
  readonly signingRegion?: unknown
}

interface Context {
  readonly endpointV2?: { readonly properties?: { readonly authSchemes?: ReadonlyArray<AuthScheme> } }
}

export interface Probe extends Built {
  readonly authSchemes: ReadonlyArray<AuthScheme>
}

/** The key that is asked for. */
export const probeKey = "key"

/** What the SDK would send for an object; nothing is sent, and no credentials are asked for. */
export const probe = async (client: S3Client, bucket: string): Promise<Probe> => {
  const middlewareStack = client.middlewareStack.clone()
  middlewareStack.remove("httpAuthSchemeMiddleware")
  let found: Probe
  middlewareStack.add(
    (_, context) => (args) => {
      const { hostname, path, port, protocol } = args.request as Built
      const authSchemes = (context as Context).endpointV2?.properties?.authSchemes ?? []
      found = { hostname, path, port, protocol, authSchemes }
      return Promise.resolve({ output: { $metadata: {} } as never, response: {} })
    },
    // Before anything that would make a request of its own.
    { name: "effectIcechunkDestination", step: "build", priority: "high" }
  )
  const asked = Object.create(client, { middlewareStack: { value: middlewareStack } }) as S3Client
  await asked.send(new GetObjectCommand({ Bucket: bucket, Key: probeKey }))
  return found!
}

export interface Route {
  /** `https://host:port`. */
  readonly origin: string
  /** As the header `host` and the signature have it. */
  readonly host: string
  /** What paths start with, before the key; ends with a slash. */
  readonly base: string
  readonly purpose: Signature.Purpose
}

/**
 * The way to a bucket's objects for requests that are signed here; `undefined` where the SDK does more than we do, as for
 * access points, directory buckets with sessions of their own, and signatures for many regions.
 */
export const find = async (client: S3Client, bucket: string): Promise<Route | undefined> => {
  if (bucket.startsWith("arn:")) return undefined
  const { authSchemes, hostname, path, port, protocol } = await probe(client, bucket)
  const { name, signingName, signingRegion } = authSchemes[0] ?? {}
  if (name !== "sigv4" || typeof signingName !== "string" || typeof signingRegion !== "string") return undefined
  if (!/^https?:$/.test(protocol) || !path.endsWith(`/${probeKey}`)) return undefined
  const host = port === undefined ? hostname : `${hostname}:${port}`
  return {
    origin: `${protocol}//${host}`,
    host,
    base: path.slice(0, -probeKey.length),
    purpose: { region: signingRegion, service: signingName }
  }
}
