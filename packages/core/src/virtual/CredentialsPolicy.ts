/**
 * Who may be asked with which credentials. Pure.
 *
 * A persisted container is data that anybody may have written. It must not be able to send credentials to a place of its
 * choice, so what a program gives for a name is a grant for a place.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Origin } from "../store/ObjectStore.ts"
import * as Credentials from "../values/Credentials.ts"
import * as Endpoint from "../values/Endpoint.ts"
import * as Location from "../values/Location.ts"
import { InvalidConfig } from "../values/RepositoryConfig.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"
import { prefix as prefixOf } from "../values/VirtualChunkContainer.ts"
import type { SourcedContainer } from "./ContainerMatch.ts"
import { MissingCredentials, type Platform } from "./Platform.ts"

/**
 * Whose credentials a container gets.
 *
 * @category models
 * @since 0.1.0
 */
export interface CredentialsPolicy {
  /** By container name. */
  readonly byContainer: Readonly<Record<string, Credentials.Entry>>
  /** `strict` turns the fallback to the repository's own credentials off (default `same-endpoint`). */
  readonly fallback: "same-endpoint" | "strict"
  readonly repository: Origin
}

/**
 * The credentials with which a container is read, whose they are, and the places that they are for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Access {
  readonly credentials: Credentials.Source
  readonly from: "entry" | "repository" | "nobody"
  /** `undefined` for every place. */
  readonly prefixes: ReadonlyArray<string> | undefined
}

type PlatformRules = Pick<
  Platform,
  "name" | "sharesCredentials" | "ownEndpoints" | "accepts" | "needsCredentials" | "urlOf"
>

/** An endpoint that is the same as no other. What it says may hold a secret. */
const notUrl = "an endpoint that is not a URL"

/** An endpoint in the form in which two are compared; `undefined` is the platform's own. */
const placeOf = ({ ownEndpoints }: PlatformRules, endpoint: string | undefined): string | undefined => {
  if (endpoint === undefined || endpoint === "") return undefined
  const place = Endpoint.normalise(endpoint) ?? notUrl
  return ownEndpoints?.test(place) === true ? undefined : place
}

/** Where a bucket of a container is. */
const placeOfBucket = (
  platform: PlatformRules,
  container: Container.VirtualChunkContainer,
  bucket: string | undefined
): string | undefined =>
  placeOf(
    platform,
    container.cloud_client_config?.endpoint_url ??
      platform.urlOf?.(container, bucket ?? Location.bucketAndKey(prefixOf(container)).bucket)
  )

/** Where the repository itself is. */
const homeOf = (platform: PlatformRules, { endpoint }: Origin): string | undefined =>
  placeOf(platform, platform.urlOf === undefined ? endpoint : URL.parse(endpoint ?? "")?.origin)

const shown = (place: string | undefined, platform: string): string =>
  place === undefined ? `\`${platform}\`'s own endpoint` : place === notUrl ? place : `\`${place}\``

const list = (items: ReadonlyArray<string>): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`

const kinds = (names: ReadonlyArray<string>): string => list(names.map((name) => `\`${name}\``))

const isUseful = ({ accepts }: PlatformRules, { _tag }: Credentials.Credentials): boolean =>
  accepts === undefined || accepts.includes(_tag)

/** Fetched credentials are checked as given ones are, and no secret of a failure's cause goes on. */
const checked = (
  source: Credentials.Source,
  platform: PlatformRules,
  container: Container.VirtualChunkContainer
): Credentials.Source => {
  if (!Effect.isEffect(source)) return source
  const unavailable = (problem: string): Credentials.CredentialsUnavailable =>
    new Credentials.CredentialsUnavailable({ problem, container: container.name })
  return source.pipe(
    Effect.mapError(({ problem }) => unavailable(problem)),
    Effect.filterOrFail(
      (credentials) => isUseful(platform, credentials),
      ({ _tag }) => unavailable(`they are \`${_tag}\`, but \`${platform.name}\` takes ${kinds(platform.accepts ?? [])}`)
    )
  )
}

/**
 * The credentials of a container, decided by where it is:
 *
 * - with an entry under its name: those, when they are of a kind that its platform has, and it is at the platform's own
 *   endpoint, or the repository's, or one that the entry names, or where the run-time override says;
 * - without one: none for an anonymous container at its platform's own endpoint; the repository's at the repository's
 *   platform **and** endpoint, unless the policy is strict.
 *
 * @category combinators
 * @since 0.1.0
 */
export const credentialsFor = (
  policy: CredentialsPolicy,
  platform: PlatformRules,
  sourced: SourcedContainer,
  bucket?: string
): Result.Result<Access, MissingCredentials> =>
  Object.hasOwn(policy.byContainer, sourced.container.name)
    ? fromEntry(Credentials.toGrant(policy.byContainer[sourced.container.name]!), policy, platform, sourced, bucket)
    : withoutEntry(policy, platform, sourced.container, bucket)

const fromEntry = (
  entry: Credentials.Grant,
  { repository }: CredentialsPolicy,
  platform: PlatformRules,
  { container, source }: SourcedContainer,
  bucket: string | undefined
): Result.Result<Access, MissingCredentials> => {
  const refuse = (because: string, remedy: string): Result.Result<never, MissingCredentials> =>
    Result.fail(new MissingCredentials({ container: container.name, platform: container.platform, because, remedy }))
  const { credentials, endpoints, prefixes } = entry
  if (!Effect.isEffect(credentials) && !isUseful(platform, credentials)) {
    const takes = kinds(platform.accepts ?? [])
    return refuse(
      `they are \`${credentials._tag}\`, but \`${platform.name}\` takes ${takes}`,
      `Pass credentials of one of these kinds, or correct the container's \`platform\`.`
    )
  }
  const place = placeOfBucket(platform, container, bucket)
  const home = repository.platform === platform.name ? [homeOf(platform, repository)] : []
  const named = [...home, ...endpoints.map((endpoint) => placeOf(platform, endpoint))]
  if (place === notUrl) return refuse(`it is at ${notUrl}`, "Correct its `endpoint_url`.")
  if (place !== undefined && source !== "override" && !named.includes(place)) {
    const own = platform.urlOf === undefined ? [undefined] : []
    const granted = list([...new Set([...own, ...named])].map((one) => shown(one, platform.name)))
    return refuse(
      `it is at \`${place}\`, and they are for ${granted === "" ? "no place" : granted}`,
      `If you trust that endpoint, name it: \`${JSON.stringify(container.name)}: Credentials.grant({ credentials, endpoints: [${JSON.stringify(place)}] })\`.`
    )
  }
  const hasSecrets =
    container.cloud_client_config?.anonymous !== true &&
    (Effect.isEffect(credentials) || credentials._tag !== "Anonymous")
  if (place !== undefined && hasSecrets && !entry.allowHttp && Endpoint.isExposed(place)) {
    return refuse(
      `it is at \`${place}\`, and they would travel over plain http, where anybody on the way can read them`,
      "Use `https`, or say `allowHttp: true` in `Credentials.grant`."
    )
  }
  return Result.succeed({ credentials: checked(credentials, platform, container), from: "entry", prefixes })
}

const withoutEntry = (
  { fallback, repository }: CredentialsPolicy,
  platform: PlatformRules,
  container: Container.VirtualChunkContainer,
  bucket: string | undefined
): Result.Result<Access, MissingCredentials> => {
  const missing = (because: string): Result.Result<never, MissingCredentials> =>
    Result.fail(new MissingCredentials({ container: container.name, platform: container.platform, because }))
  const nobody: Access = { credentials: Credentials.anonymous, from: "nobody", prefixes: undefined }
  if (platform.needsCredentials === false) return Result.succeed(nobody)
  if (!platform.sharesCredentials) return missing("access to this platform is always granted explicitly")
  const place = placeOfBucket(platform, container, bucket)
  if (platform.needsCredentials === "elsewhere" && place === undefined) return Result.succeed(nobody)
  if (place === undefined && container.cloud_client_config?.anonymous === true) return Result.succeed(nobody)
  if (repository.platform !== platform.name) return missing("the repository itself is on another platform")
  const home = homeOf(platform, repository)
  if (home !== place || place === notUrl) {
    const [there, here] = [shown(place, platform.name), shown(home, platform.name)]
    return missing(
      `its endpoint, ${there}, is not the repository's, ${here}, which alone receives the repository's credentials`
    )
  }
  if (fallback === "strict") return missing("the fallback to the repository's credentials is turned off")
  return repository.credentials === undefined
    ? missing("the repository's store has no credentials to share")
    : Result.succeed({
        credentials: checked(repository.credentials, platform, container),
        from: "repository",
        prefixes: undefined
      })
}

/** Bucket and key with the protocol of the platform; of a file the path. */
const parsePrefix = (text: string): Result.Result<string, string> => {
  const split = text.indexOf("://")
  if (split < 1) return Result.fail("it has no `protocol://`, as in `s3://bucket/data/`")
  const protocol = Location.canonicalProtocol(text.slice(0, split))
  const path = text.slice(split + 3)
  if (protocol !== "file")
    return path === "" ? Result.fail("it names no bucket") : Result.succeed(`${protocol}://${path}`)
  if (/^\/+$/.test(path)) return Result.succeed("file:///")
  return Result.map(Location.normaliseFilePath(path), (normal) => `file://${normal}`)
}

/**
 * Whether a place, as `s3://bucket/key`, is in one of the prefixes of a grant. Those that end with a slash are compared as
 * text, others on whole segments.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isWithin = (place: string, prefixes: ReadonlyArray<string> | undefined): boolean =>
  prefixes === undefined ||
  prefixes.some((text) =>
    Result.match(parsePrefix(text), {
      onFailure: () => false,
      onSuccess: (prefix) => place === prefix || place.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`)
    })
  )

/**
 * The failure of a read outside of the prefixes of a grant.
 *
 * @category errors
 * @since 0.1.0
 */
export const outside = (
  { name, platform }: Container.VirtualChunkContainer,
  place: string,
  prefixes: ReadonlyArray<string>
): MissingCredentials =>
  new MissingCredentials({
    container: name,
    platform,
    because: `the object is \`${place}\`, and they are for ${prefixes.length === 0 ? "no place at all" : kinds(prefixes)}`,
    remedy: "If you trust that place, add it to the `prefixes` of `Credentials.grant`."
  })

/**
 * What is wrong with an entry itself, before it is used.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (byContainer: CredentialsPolicy["byContainer"]): InvalidConfig | undefined => {
  for (const [name, entry] of Object.entries(byContainer)) {
    const { endpoints, prefixes } = Credentials.toGrant(entry)
    const invalid = (field: string, problem: string): InvalidConfig =>
      new InvalidConfig({ source: "credentials", field: `${name}.${field}`, problem })
    const endpoint = endpoints.findIndex((one) => Endpoint.normalise(one) === undefined)
    if (endpoint >= 0) {
      const wanted = "it is not an http or https URL without user information, query and fragment"
      return invalid(`endpoints[${endpoint}]`, wanted)
    }
    for (const [i, prefix] of (prefixes ?? []).entries()) {
      const parsed = parsePrefix(prefix)
      if (Result.isFailure(parsed)) return invalid(`prefixes[${i}]`, `of \`${prefix}\`, ${parsed.failure}`)
    }
  }
  return undefined
}
