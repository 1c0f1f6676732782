/**
 * Which container a location belongs to. Pure.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Location from "../values/Location.ts"
import * as Container from "../values/VirtualChunkContainer.ts"

/**
 * No container matches a location.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingContainer
  extends /*#__PURE__*/ Data.TaggedError("MissingContainer")<{
    readonly location: string
    /** The name or protocol that a container has to have. */
    readonly wanted: string
    /** Names of the containers that were considered, but for the default ones. */
    readonly known: ReadonlyArray<string>
  }>
{
  override get message(): string {
    return `No container matches \`${this.location}\`. Add one with ${this.wanted} to the repository's configuration, or pass it in \`config\` when the repository is opened. The repository's own containers: ${listed(this.known)}.`
  }
}

const listed = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "none" : names.map((name) => `\`${name}\``).join(", ")

/**
 * An option for a container names one that does not exist. A name that is only mistyped would otherwise be ignored, and
 * with it what it was to allow or to forbid.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownContainer
  extends /*#__PURE__*/ Data.TaggedError("UnknownContainer")<{
    /** `credentials` or `withoutContainers`. */
    readonly option: string
    readonly name: string
    /** Names of all containers, the default ones too. */
    readonly known: ReadonlyArray<string>
  }>
{
  override get message(): string {
    return `\`${this.option}\` is for container \`${this.name}\`, which does not exist. Correct the name, or add the container first, or pass it in \`config\` along with it. Containers: ${listed(this.known)}.`
  }
}

/**
 * Where a container came from; of two that match equally well, the later in this list wins.
 *
 * @category models
 * @since 0.1.0
 */
export type Source = "default" | "persisted" | "override"

/**
 * A container and where it came from.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourcedContainer {
  readonly container: Container.VirtualChunkContainer
  readonly source: Source
}

/**
 * Containers in the order in which they are tried.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContainerSet {
  readonly inOrder: ReadonlyArray<SourcedContainer>
}

const rank: Record<Source, number> = { default: 0, persisted: 1, override: 2 }

/**
 * The containers to match against: defaults, persisted and overriding ones, where a later one replaces
 * an earlier one of the same name. `without` names containers to leave out, for programs that take
 * access away.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly defaults?: ReadonlyArray<Container.VirtualChunkContainer> | undefined
  readonly persisted?: ReadonlyArray<Container.VirtualChunkContainer> | undefined
  readonly overrides?: ReadonlyArray<Container.VirtualChunkContainer> | undefined
  readonly without?: ReadonlyArray<string> | undefined
}): ContainerSet => {
  const byName = new Map<string, SourcedContainer>()
  const add = (source: Source, containers: ReadonlyArray<Container.VirtualChunkContainer> | undefined): void => {
    for (const container of containers ?? []) byName.set(container.name, { container, source })
  }
  add("default", options.defaults ?? Container.defaults)
  add("persisted", options.persisted)
  add("override", options.overrides)
  for (const name of options.without ?? []) byName.delete(name)
  return {
    inOrder: [...byName.values()].toSorted(
      (a, b) =>
        Container.prefix(b.container).length - Container.prefix(a.container).length || rank[b.source] - rank[a.source]
    )
  }
}

/**
 * The first name in an option that is not that of a container, or `undefined`. Takes the set of all containers, before any
 * is left out.
 *
 * @category predicates
 * @since 0.1.0
 */
export const unknown = (
  { inOrder }: ContainerSet,
  options: {
    readonly credentials?: Readonly<Record<string, unknown>> | undefined
    readonly withoutContainers?: ReadonlyArray<string> | undefined
  }
): UnknownContainer | undefined => {
  const known = inOrder.map(({ container }) => container.name)
  const named = [
    ...Object.keys(options.credentials ?? {}).map((name) => ["credentials", name] as const),
    ...(options.withoutContainers ?? []).map((name) => ["withoutContainers", name] as const)
  ]
  const wrong = named.find(([, name]) => !known.includes(name))
  return wrong && new UnknownContainer({ option: wrong[0], name: wrong[1], known: known.toSorted() })
}

/**
 * Whether `path` is `prefix` or starts with it on whole segments.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isUnderPrefix = (path: string, prefix: string): boolean =>
  prefix === "" || path === prefix || path.startsWith(`${prefix}/`)

/**
 * A location with the container that it belongs to and its whole path on the platform.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved {
  readonly container: Container.VirtualChunkContainer
  readonly source: Source
  /** Bucket and key, or an absolute file path. */
  readonly path: string
}

/**
 * Finds the container of a location: by name for `vcc://`, else the first in order with the protocol and
 * a prefix of the path. On `fs` the path names a file, whatever the protocol: it is percent-decoded and
 * normalised before it is compared, and it cannot leave its container.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = (
  containers: ContainerSet,
  location: Location.Location
): Result.Result<Resolved, MissingContainer | Location.InvalidLocation> => {
  const missing = (wanted: string): Result.Result<never, MissingContainer> =>
    Result.fail(
      new MissingContainer({
        location: Location.shown(Location.format(location)),
        wanted,
        known: containers.inOrder.flatMap(({ container, source }) => (source === "default" ? [] : [container.name]))
      })
    )
  const invalid = (problem: string): Result.Result<never, Location.InvalidLocation> =>
    Result.fail(new Location.InvalidLocation({ location: Location.shown(Location.format(location)), problem }))
  return Location.match(location, {
    Relative: ({ container: name, path }) => {
      const found = containers.inOrder.find(({ container }) => container.name === name)
      if (found === undefined) return missing(`the name \`${name}\``)
      const prefix = Container.prefix(found.container)
      if (found.container.platform !== "fs") {
        return Result.succeed({ ...found, path: prefix === "" ? path : `${prefix}/${path}` })
      }
      // The prefix is a directory as it is, not percent-encoded.
      const file = Location.normaliseFilePath(`${prefix.replaceAll("%", "%25")}/${path}`)
      if (Result.isFailure(file)) return invalid(file.failure)
      return isUnderPrefix(file.success, prefix)
        ? Result.succeed({ ...found, path: file.success })
        : invalid(`it leads out of its container \`${name}\``)
    },
    Absolute: ({ path, protocol }) => {
      let problem: string | undefined
      for (const sourced of containers.inOrder) {
        const { container } = sourced
        if (container.protocol !== protocol) continue
        // Parsing has normalised the path of a `file` location already.
        const here =
          container.platform === "fs" && protocol !== "file" ? Location.normaliseFilePath(path) : Result.succeed(path)
        if (Result.isFailure(here)) problem = here.failure
        else if (isUnderPrefix(here.success, Container.prefix(container))) {
          return Result.succeed({ ...sourced, path: here.success })
        }
      }
      return problem === undefined
        ? missing(
            `\`protocol\` \`${protocol}\` and a \`bucket_prefix\` that \`${Location.shown(`${protocol}://${path}`).slice(protocol.length + 3)}\` starts with`
          )
        : invalid(problem)
    }
  })
}

/**
 * How a ref to `location` is stored: relative to its container when that has a protocol of its own, so
 * that other Icechunk clients resolve it too; else as it is. An object whose whole path is the prefix has no
 * place relative to it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stored = (location: Location.Location, resolved: Resolved): Location.Location => {
  if (location._tag === "Relative" || !Container.hasCustomProtocol(resolved.container)) return location
  const prefix = Container.prefix(resolved.container)
  const onFs = resolved.container.platform === "fs"
  const rest = prefix === "" && !onFs ? resolved.path : resolved.path.slice(prefix.length + 1)
  if (rest === "") return location
  return Location.relative(resolved.container.name, onFs ? Location.encodeFilePath(rest) : rest)
}
