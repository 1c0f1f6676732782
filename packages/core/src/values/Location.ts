/**
 * Where a virtual chunk's object is: `protocol://path`, as text in a manifest.
 *
 * Object keys are opaque. `//`, `.`, `..`, `%`, `?` and `#` are ordinary characters of a key, so
 * nothing here parses a URL. `file` locations are the exception: they name files, so they are
 * percent-decoded and normalised, as Icechunk does, before anything is compared with them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * - `Absolute`: `protocol` and `path`; the first segment of the path is the bucket, except for the
 *   protocol `file`, whose path is absolute and starts with `/`;
 * - `Relative`: `vcc://container/path`, relative to the container's `bucket_prefix`.
 *
 * @category models
 * @since 0.1.0
 */
export type Location = Data.TaggedEnum<{
  readonly Absolute: { readonly protocol: string; readonly path: string }
  readonly Relative: { readonly container: string; readonly path: string }
}>

const Constructors: Data.TaggedEnum.Constructor<Location> = Data.taggedEnum<Location>()

/**
 * A location by protocol and path.
 *
 * @category constructors
 * @since 0.1.0
 */
export const absolute = (protocol: string, path: string): Location => Constructors.Absolute({ protocol, path })

/**
 * A location relative to a named container (Icechunk 2).
 *
 * @category constructors
 * @since 0.1.0
 */
export const relative = (container: string, path: string): Location => Constructors.Relative({ container, path })

/**
 * Pattern matching over the two kinds of location.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Constructors.$match = Constructors.$match

/**
 * A text that is not a location of an object.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidLocation
  extends /*#__PURE__*/ Data.TaggedError("InvalidLocation")<{
    readonly location: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.location}\` is not a location of a virtual chunk: ${this.problem}. Write it as \`protocol://bucket/key\`, \`file:///absolute/path\` or \`vcc://container/path\`.`
  }
}

/**
 * A location as messages show it: of URLs of the web, the query and what is before `@` may be secret and are left out.
 *
 * @category formatting
 * @since 0.1.0
 */
export const shown = (location: string): string =>
  /^https?:/i.test(location)
    ? location.replace(/^(https?:\/\/)[^/?#]*@/i, "$1").replace(/[?#].*$/s, (rest) => `${rest[0]}...`)
    : location

const aliases: ReadonlyMap<string, string> = new Map([
  ["gs", "gcs"],
  ["fs", "file"]
])

/**
 * The protocol's one name: `gs` is `gcs`, `fs` is `file`, in lower case.
 *
 * @category combinators
 * @since 0.1.0
 */
export const canonicalProtocol = (protocol: string): string => {
  const lower = protocol.toLowerCase()
  return aliases.get(lower) ?? lower
}

/**
 * Longest location that is written or read, in UTF-8 bytes; Icechunk reads no longer ones.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxBytes = 1024

const encoder = new TextEncoder()
/** A unit of UTF-16 takes three bytes at most. */
const tooLong = (text: string): boolean =>
  3 * text.length > maxBytes && (text.length > maxBytes || encoder.encode(text).length > maxBytes)

/**
 * Parses a location.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Location, InvalidLocation> => {
  const invalid = (problem: string): Result.Result<never, InvalidLocation> =>
    Result.fail(new InvalidLocation({ location: shown(text), problem }))
  const split = text.indexOf("://")
  if (split < 0) return invalid("it has no `protocol://`")
  if (split === 0) return invalid("its protocol is empty")
  const written = text.slice(0, split)
  const path = text.slice(split + 3)
  if (written.includes("/")) return invalid("its protocol contains `/`")
  if (!text.isWellFormed()) return invalid("it is not well-formed Unicode")
  if (tooLong(text)) return invalid(`it is longer than ${maxBytes} bytes`)
  if (written.toLowerCase() === "vcc") {
    const slash = path.indexOf("/")
    if (slash === 0 || path === "") return invalid("it names no container")
    if (slash < 0 || slash === path.length - 1) return invalid("it names a container but no object in it")
    return Result.succeed(Constructors.Relative({ container: path.slice(0, slash), path: path.slice(slash + 1) }))
  }
  const protocol = canonicalProtocol(written)
  if (protocol === "file") {
    const normalised = normaliseFilePath(path)
    return Result.isFailure(normalised)
      ? invalid(normalised.failure)
      : Result.succeed(Constructors.Absolute({ protocol, path: normalised.success }))
  }
  if (path === "") return invalid("it names no bucket")
  return Result.succeed(Constructors.Absolute({ protocol, path }))
}

/**
 * The text of a location, as it is stored in a manifest. `file` paths are percent-encoded where a
 * URL requires it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format: (location: Location) => string = Constructors.$match({
  Absolute: ({ protocol, path }) => (protocol === "file" ? `file://${encodeFilePath(path)}` : `${protocol}://${path}`),
  Relative: ({ container, path }) => `vcc://${container}/${path}`
})

/**
 * Bucket and key of an object store's path; the key may be empty or start with `/`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const bucketAndKey = (path: string): { readonly bucket: string; readonly key: string } => {
  const slash = path.indexOf("/")
  return slash < 0 ? { bucket: path, key: "" } : { bucket: path.slice(0, slash), key: path.slice(slash + 1) }
}

/**
 * A sentence that says why a location cannot be that of an object, whatever its container, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const objectProblem = (location: Location): string | undefined =>
  location._tag === "Absolute" && bucketAndKey(location.path).key === ""
    ? "it names a bucket but no object in it"
    : undefined

/**
 * Whether a key has a `.` or `..` segment, which servers that normalise paths resolve.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasDotSegment = (key: string): boolean => /(?:^|\/)\.\.?(?:\/|$)/.test(key)

/** Absolute, in characters that no URL encodes, without empty, `.` and `..` segments: decoded and encoded it is the same. */
const plainFilePath = /^(?:\/[\w~:=,@+-][\w.~:=,@+-]*)+$/

/**
 * A file path, percent-encoded where a URL requires it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeFilePath = (path: string): string =>
  plainFilePath.test(path) ? path : encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23")

/**
 * A Windows path with a drive letter as the path of a `file` location: `c:\data` is `/C:/data`. Other paths stay what
 * they are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromDrivePath = (path: string): string => {
  const drive = /^([A-Za-z]):(?=$|[\\/])/.exec(path)
  return drive === null ? path : `/${drive[1]!.toUpperCase()}:${path.slice(drive[0].length).replaceAll("\\", "/")}`
}

/**
 * An absolute, percent-decoded file path without empty, `.` or `..` segments, or a sentence that says
 * why the text is none.
 *
 * @category decoding
 * @since 0.1.0
 */
export const normaliseFilePath = (written: string): Result.Result<string, string> => {
  if (plainFilePath.test(written)) return Result.succeed(written)
  const text = fromDrivePath(written)
  if (!text.startsWith("/")) {
    return Result.fail("a file location has an absolute path and no host, as in `file:///data/a.nc`")
  }
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    return Result.fail("a `%` in it starts no percent-encoded character; write a literal one as `%25`")
  }
  if (decoded.includes("\0")) return Result.fail("a file path has no NUL character")
  const kept: Array<string> = []
  for (const segment of decoded.split("/")) {
    if (segment === "" || segment === ".") continue
    if (segment !== "..") kept.push(segment)
    else if (kept.pop() === undefined) return Result.fail("its `..` segments lead above the root")
  }
  return kept.length === 0 ? Result.fail("it names a directory, not a file") : Result.succeed(`/${kept.join("/")}`)
}
