/**
 * Queries of virtual locations. Somebody decides by their answers what may be deleted, so they go by the place of an object and
 * not by the spelling of its location, and a query that can only be a mistake is an error, never an empty answer.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Glob from "../values/Glob.ts"
import * as Location from "../values/Location.ts"
import type { ChunkResolver } from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"

/**
 * Which locations to list; all conditions that are given must hold.
 *
 * `prefix` and `glob` are spelled as a location is (`s3://bucket/runs/`, `model://...`, `vcc://model/...`), and hold for every ref
 * whose object is there, whichever of its spellings the ref has. They say nothing of endpoints: `s3://bucket/` is that bucket at
 * every endpoint that a container names. A prefix is text: `s3://bucket/run` is also the beginning of `s3://bucket/runs`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocationQuery {
  /** Name of the container that reads the location. */
  readonly container?: string | undefined
  /** Protocol of the location as it is stored, or of its container. */
  readonly protocol?: string | undefined
  readonly prefix?: string | undefined
  /** `*`, `?` and `[...]` stop at `/`, `**` does not; `{a,b}` is one or the other, `\` takes the next character as it is. */
  readonly glob?: string | undefined
  /** Each location once, instead of once for each chunk (default `false`). */
  readonly distinct?: boolean | undefined
}

/**
 * A query that no location could answer. Nothing was listed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidLocationQuery
  extends /*#__PURE__*/ Data.TaggedError("InvalidLocationQuery")<{
    readonly field: "container" | "protocol" | "prefix" | "glob"
    readonly value: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `Virtual locations cannot be listed by the ${this.field} \`${this.value}\`: ${this.problem}.`
  }
}

/** The protocol in its one spelling; what follows as it is. */
const canonical = (text: string): string => {
  const split = text.indexOf("://")
  return split < 0 ? text : Location.canonicalProtocol(text.slice(0, split)) + text.slice(split)
}

/** Without empty, `.` and `..` segments, as far as they are whole; the last one may be the beginning of a name. */
const plainFilePrefix = (path: string): string => {
  const kept: Array<string> = []
  const segments = path.split("/")
  const last = segments.pop()!
  for (const segment of segments) {
    if (segment === "..") kept.pop()
    else if (segment !== "" && segment !== ".") kept.push(segment)
  }
  return `/${kept.map((segment) => `${segment}/`).join("")}${last}`
}

/** The spellings of a prefix to compare with: paths of files also decoded and normalised. */
const prefixes = (text: string, containers: ContainerMatch.ContainerSet): ReadonlyArray<string> => {
  const prefix = canonical(text)
  const split = prefix.indexOf("://")
  const protocol = prefix.slice(0, split)
  const path = prefix.slice(split + 3)
  const onFs = containers.inOrder.some(
    ({ container }) => container.platform === "fs" && container.protocol === protocol
  )
  if (!onFs || !path.startsWith("/")) return [prefix]
  let decoded = path
  try {
    decoded = decodeURIComponent(path)
  } catch {
    // It is not encoded, or cut in the middle of a character.
  }
  return [prefix, `${protocol}://${plainFilePrefix(decoded)}`]
}

const needsProtocol = "it has no `://`; spell it as a location, as in `s3://bucket/runs/`"

/**
 * Tells whether a location is wanted; each distinct location is looked at once. `undefined` where all are. Fails with `InvalidLocationQuery` for a container
 * that there is not, a malformed glob, and a prefix or glob that no location can match.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matcher = (
  resolver: Pick<ChunkResolver, "containers" | "placeOf" | "spellings">,
  query: LocationQuery
): Result.Result<((location: string) => boolean) | undefined, InvalidLocationQuery> => {
  const { container, glob, prefix } = query
  const { containers } = resolver
  const invalid = (field: InvalidLocationQuery["field"], value: string, problem: string) =>
    Result.fail(new InvalidLocationQuery({ field, value, problem }))
  const names = containers.inOrder.map(({ container: { name } }) => name)
  if (container !== undefined && !names.includes(container)) {
    const known = names.map((name) => `\`${name}\``).join(", ")
    return invalid("container", container, `there is no container of this name, only ${known}`)
  }
  if (query.protocol !== undefined && !/^[a-z][a-z0-9+.-]*$/i.test(query.protocol)) {
    return invalid("protocol", query.protocol, "a protocol is what comes before `://`, as in `s3`")
  }
  const protocol = query.protocol === undefined ? undefined : Location.canonicalProtocol(query.protocol)
  if (prefix !== undefined && !prefix.includes("://")) return invalid("prefix", prefix, needsProtocol)
  const starts = prefix === undefined ? undefined : prefixes(prefix, containers)
  if (glob !== undefined && !glob.includes("://") && !glob.startsWith("**")) {
    return invalid("glob", glob, `${needsProtocol} or begin it with \`**\``)
  }
  const compiled = glob === undefined ? undefined : Glob.compile(canonical(glob))
  if (compiled !== undefined && Result.isFailure(compiled)) return invalid("glob", glob!, compiled.failure)
  const matches = compiled?.success
  if (container === undefined && protocol === undefined && starts === undefined && matches === undefined) {
    return Result.succeed(undefined)
  }
  const holds = (location: string): boolean => {
    const found = Result.getOrUndefined(
      Result.flatMap(Location.parse(location), (parsed) => ContainerMatch.resolve(containers, parsed))
    )
    if (container !== undefined && found?.container.name !== container) return false
    const own = canonical(location)
    if (protocol !== undefined && !own.startsWith(`${protocol}://`) && found?.container.protocol !== protocol)
      return false
    if (starts === undefined && matches === undefined) return true
    const texts =
      found === undefined ? [own] : [own, `${found.container.protocol}://${found.path}`, ...resolver.spellings(found)]
    if (starts !== undefined && !texts.some((text) => starts.some((start) => text.startsWith(start)))) return false
    return matches === undefined || texts.some(matches)
  }
  const known = new Map<string, boolean>()
  return Result.succeed((location) => {
    let wanted = known.get(location)
    if (wanted === undefined) known.set(location, (wanted = holds(location)))
    return wanted
  })
}
