/**
 * Virtual refs in bulk: columns instead of objects, checked as a whole before any of them is set.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { BulkVirtualRefs } from "../format/manifest/ChunkRefColumns.ts"
import * as Checksum from "../values/Checksum.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import * as Location from "../values/Location.ts"
import * as PlainDirectory from "../virtual/PlainDirectory.ts"
import * as VirtualChunkRef from "../values/VirtualChunkRef.ts"
import type { ChecksumMismatch, ChunkResolver, VirtualReadError } from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import { InvalidIndex, InvalidVirtualRef } from "./SessionError.ts"

/**
 * Virtual refs of one array, in columns of `n` rows.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualRefs {
  /** `n` times the array's rank, row-major. */
  readonly indices: Uint32Array
  /** Bytes from the start of the object. */
  readonly offsets: ArrayLike<number>
  /** Bytes, at least 1. */
  readonly lengths: ArrayLike<number>
  /** One location for all rows; or the distinct locations, and the position of each row's in them. */
  readonly locations: string | { readonly values: ReadonlyArray<string>; readonly ids: Uint32Array }
  /** One checksum for all rows, or one for each of the distinct locations. */
  readonly checksums?: Checksum.Checksum | ReadonlyArray<Checksum.Checksum | undefined> | undefined
}

/**
 * How refs are set.
 *
 * @category models
 * @since 0.1.0
 */
export interface SetOptions {
  /** Fail with `MissingContainer` at once when no container matches (default `true`). */
  readonly validateContainers?: boolean | undefined
  /**
   * Ask the container's store for the checksum of every object whose refs have none: one request per
   * object. `true` is the ETag, or the time of change where there is none, and on `fs`: other Icechunk
   * clients (2.2) find no ETag of a file unchanged. A time has whole seconds, so a file that is changed again
   * within its second passes; `etag` is exact.
   */
  readonly capture?: boolean | "etag" | "last-modified" | undefined
}

/**
 * What asking for an object's checksum can meet.
 *
 * @category errors
 * @since 0.1.0
 */
export type CaptureError = Exclude<VirtualReadError, ChecksumMismatch>

/** What is stored for one distinct location. */
interface Prepared {
  readonly location: string
  readonly checksum: Checksum.Checksum | undefined
}

/** The same, and which checksum has to be captured, if any. */
interface Planned extends Prepared {
  readonly capture: Checksum.Capture | undefined
}

/** The stored form of a location, and whether a checksum has to be captured. Pure. */
const planned = (
  resolver: ChunkResolver,
  path: string,
  location: string,
  checksum: Checksum.Checksum | undefined,
  options: SetOptions | undefined
): Result.Result<Planned, InvalidVirtualRef | Location.InvalidLocation | ContainerMatch.MissingContainer> => {
  const parsed = Location.parse(location)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
  const unusable = checksum === undefined ? undefined : Checksum.problem(checksum)
  if (unusable !== undefined) {
    return Result.fail(
      new InvalidVirtualRef({ path, at: `\`${Location.shown(location)}\``, problem: `of its checksum, ${unusable}` })
    )
  }
  const resolved = resolver.resolve(parsed.success)
  const capture = checksum === undefined ? (options?.capture ?? false) : false
  if (Result.isFailure(resolved)) {
    const mayBeMissing = options?.validateContainers === false && capture === false
    if (resolved.failure._tag !== "MissingContainer" || !mayBeMissing) return Result.fail(resolved.failure)
    const problem = Location.objectProblem(parsed.success)
    if (problem !== undefined)
      return Result.fail(new Location.InvalidLocation({ location: Location.shown(location), problem }))
  }
  const platform = Result.isSuccess(resolved) ? resolved.success.container.platform : undefined
  const how = capture === true ? Checksum.defaultCapture(platform) : capture
  const stored = Result.isSuccess(resolved) ? ContainerMatch.stored(parsed.success, resolved.success) : parsed.success
  return Result.succeed({
    location: Location.format(stored),
    checksum,
    capture: how === false ? undefined : how
  })
}

/** Captures a checksum; `location` is as the caller wrote it. */
const capture = Effect.fnUntraced(function* (
  resolver: ChunkResolver,
  path: string,
  location: string,
  how: Checksum.Capture
): Effect.fn.Return<Checksum.Checksum, CaptureError | InvalidVirtualRef> {
  const { lastModified, version } = yield* resolver.head(location)
  const found = Checksum.capture({ etag: version.etag, lastModified }, how)
  if (found !== undefined) return found
  const problem = `its store gives no ${how === "etag" ? "ETag" : "time of change"} to capture; pass a checksum, or none`
  return yield* new InvalidVirtualRef({ path, at: `\`${Location.shown(location)}\``, problem })
})

/**
 * The stored form of a location and its checksum, captured when asked for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const prepare = Effect.fnUntraced(function* (
  resolver: ChunkResolver,
  path: string,
  location: string,
  checksum: Checksum.Checksum | undefined,
  options: SetOptions | undefined
): Effect.fn.Return<Prepared, CaptureError | InvalidVirtualRef> {
  const plan = yield* Effect.fromResult(planned(resolver, path, location, checksum, options))
  if (plan.capture === undefined) return plan
  return { location: plan.location, checksum: yield* capture(resolver, path, location, plan.capture) }
})

/**
 * The first row whose index is outside of a grid, as an error.
 *
 * @category predicates
 * @since 0.1.0
 */
export const indexProblem = (
  path: string,
  indices: Uint32Array,
  gridShape: ReadonlyArray<number>
): InvalidIndex | undefined => {
  const rank = gridShape.length
  for (let at = 0; at < indices.length; at++) {
    if (indices[at]! < gridShape[at % rank]!) continue
    const row = Math.floor(at / rank)
    const index = indices.subarray(row * rank, (row + 1) * rank)
    return new InvalidIndex({
      path,
      index: `${ChunkIndex.format(index)} in row ${row}`,
      problem: ChunkIndex.problem(index, gridShape) ?? "it is outside the grid"
    })
  }
  return undefined
}

/** The first row that is wrong, in words. */
const rowProblem = (
  path: string,
  refs: VirtualRefs,
  gridShape: ReadonlyArray<number>
): InvalidVirtualRef | InvalidIndex | undefined => {
  const { indices, lengths, locations, offsets } = refs
  const rank = gridShape.length
  const rows = offsets.length
  const wrong = (at: string, problem: string): InvalidVirtualRef => new InvalidVirtualRef({ path, at, problem })
  if (lengths.length !== rows) return wrong("`lengths`", `there are ${lengths.length}, but ${rows} offsets`)
  if (indices.length !== rows * rank) {
    return wrong("`indices`", `there are ${indices.length}, but ${rows} rows of rank ${rank} need ${rows * rank}`)
  }
  if (typeof locations !== "string") {
    if (locations.ids.length !== rows)
      return wrong("`locations.ids`", `there are ${locations.ids.length}, but ${rows} offsets`)
    for (let row = 0; row < rows; row++) {
      if (locations.ids[row]! >= locations.values.length) {
        return wrong(`row ${row}`, `its location is number ${locations.ids[row]} of ${locations.values.length}`)
      }
    }
  }
  for (let row = 0; row < rows; row++) {
    const offset = offsets[row]!
    const length = lengths[row]!
    // The same test as `VirtualChunkRef.problem`, without a call for each of millions of good rows.
    if (
      !(
        offset >= 0 &&
        length >= 1 &&
        Number.isSafeInteger(offset) &&
        Number.isSafeInteger(length) &&
        Number.isSafeInteger(offset + length)
      )
    ) {
      return wrong(`row ${row}`, VirtualChunkRef.problem(offset, length) ?? "it addresses no bytes")
    }
  }
  return indexProblem(path, indices, gridShape)
}

/** Locations that are looked at between two steps, so that a bulk of millions can be interrupted. */
const stepSize = 1 << 14

/** The stored form of each location, without captured checksums; `captures` is what is left to do. */
const planAll = Effect.fnUntraced(function* (
  resolver: ChunkResolver,
  path: string,
  locations: ReadonlyArray<string>,
  checksumOf: (location: number) => Checksum.Checksum | undefined,
  options: SetOptions | undefined
): Effect.fn.Return<
  { readonly stored: ReadonlyArray<string>; readonly captures: ReadonlyArray<readonly [number, Checksum.Capture]> },
  InvalidVirtualRef | Location.InvalidLocation | ContainerMatch.MissingContainer
> {
  const stored = Array.from(locations)
  const captures: Array<readonly [number, Checksum.Capture]> = []
  // Most objects are beside the one before, and that one has been looked at.
  let directory: PlainDirectory.PlainDirectory | undefined
  for (let i = 0; i < stored.length; i++) {
    if (i % stepSize === stepSize - 1) yield* Effect.yieldNow
    const location = stored[i]!
    const checksum = checksumOf(i)
    if (
      directory !== undefined &&
      (checksum === undefined ? (options?.capture ?? false) === false : Checksum.problem(checksum) === undefined) &&
      PlainDirectory.has(directory, location)
    ) {
      continue
    }
    const plan = yield* Effect.fromResult(planned(resolver, path, location, checksum, options))
    if (plan.capture !== undefined) captures.push([i, plan.capture])
    if (plan.location !== location) stored[i] = plan.location
    else if (plan.capture === undefined) directory = PlainDirectory.of(location, resolver.containers) ?? directory
  }
  return { stored, captures }
})

/**
 * Checks all rows and prepares each distinct location once. Nothing is set yet.
 *
 * @category combinators
 * @since 0.1.0
 */
export const prepareAll = Effect.fnUntraced(function* (
  resolver: ChunkResolver,
  path: string,
  refs: VirtualRefs,
  gridShape: ReadonlyArray<number>,
  options: SetOptions | undefined
): Effect.fn.Return<BulkVirtualRefs, CaptureError | InvalidVirtualRef | InvalidIndex> {
  const problem = rowProblem(path, refs, gridShape)
  if (problem !== undefined) return yield* problem
  const { checksums, locations } = refs
  // Copied as soon as they are checked: what follows may wait, and they are the caller's to change meanwhile.
  const indices = new Uint32Array(refs.indices)
  const offsets = new Float64Array(refs.offsets)
  const lengths = new Float64Array(refs.lengths)
  const values = typeof locations === "string" ? [locations] : locations.values
  const ids = typeof locations === "string" ? new Uint32Array(offsets.length) : new Uint32Array(locations.ids)
  const perLocation = Array.isArray(checksums)
    ? Array.from(checksums as ReadonlyArray<Checksum.Checksum | undefined>)
    : undefined
  if (perLocation !== undefined && perLocation.length !== values.length) {
    return yield* new InvalidVirtualRef({
      path,
      at: "`checksums`",
      problem: `there are ${perLocation.length}, but ${values.length} distinct locations`
    })
  }
  const forAll = perLocation === undefined ? (checksums as Checksum.Checksum | undefined) : undefined
  const written = Array.from(values)
  const { captures, stored } = yield* planAll(resolver, path, written, (i) => perLocation?.[i] ?? forAll, options)
  const found = yield* Effect.forEach(captures, ([i, how]) => capture(resolver, path, written[i]!, how), {
    concurrency: 16
  })
  const all = perLocation ?? (captures.length === 0 ? undefined : Array.from(written, () => forAll))
  for (const [n, [i]] of captures.entries()) all![i] = found[n]
  return { indices, offsets, lengths, locations: { values: stored, ids }, checksums: all ?? forAll }
})
