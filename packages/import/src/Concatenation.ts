/**
 * Many virtual data sets as one, along a dimension that they have or along a new one; and later files at the end of what a session
 * has already.
 *
 * Files that do not agree are not put together: in their data types, codecs, chunks, fill values, lengths, packing, units, and in the
 * values of what they share. What differs is told for all of them at once.
 *
 * @since 0.1.0
 */
import { Location, type WritableSession } from "@effect-icechunk/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Chunks, Dataset, Json, VirtualArray } from "./Dataset.ts"
import * as Import from "./Import.ts"
import type { ImportError } from "./ImportError.ts"
import * as Compare from "./internal/concat/Compare.ts"
import * as Existing from "./internal/concat/Existing.ts"
import * as Plan from "./internal/concat/Plan.ts"
import * as Shift from "./internal/concat/Shift.ts"
import * as Values from "./internal/concat/Values.ts"
import * as Numbers from "./internal/Numbers.ts"
import * as Paths from "./internal/Paths.ts"
import * as Pieces from "./internal/Pieces.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * Where two files do not agree.
 *
 * @category models
 * @since 0.1.0
 */
export type Difference = Compare.Difference

/**
 * A data set, and the file or the directory that it was read from: small coordinates are read there to be compared.
 *
 * @category models
 * @since 0.1.0
 */
export interface Part {
  readonly file: SourceFile
  readonly dataset: Dataset
}

/**
 * How small coordinates are read and compared.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  /**
   * Decode numbers along the dimension that are of one dimension and in other units, such as `days since` another day, or in chunks
   * that do not fit, and write them in the units of the first file (default `false`).
   */
  readonly recode?: boolean | undefined
  /** Bytes of an array that is compared or decoded, at most (default 64 MiB). */
  readonly maxBytes?: number | undefined
  /** Files that are read at the same time (default 8). */
  readonly concurrency?: number | undefined
  /** Where objects are that are not the part's file or below it, as those of kerchunk. */
  readonly resolve?: ((location: string) => Pick<SourceFile, "store" | "key"> | undefined) | undefined
}

/**
 * How data sets become one.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = ReadOptions & {
  /**
   * Attributes that differ between files, other than units and packing: `drop`, the default, leaves them out, `first` takes those of
   * the first file, and `identical` refuses.
   */
  readonly attributes?: "drop" | "first" | "identical" | undefined
} & (
    | { readonly dimension: string; readonly newDimension?: undefined }
    | {
        /** A dimension before the others of all arrays but coordinates, with a place for each file. */
        readonly newDimension: string
        readonly dimension?: undefined
      }
  )

const show = (value: Json | undefined): string =>
  value === undefined ? "nothing" : JSON.stringify(value).slice(0, 200)

const maxShown = 5

/**
 * Files do not agree. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class CannotConcatenate
  extends /*#__PURE__*/ Data.TaggedError("CannotConcatenate")<{
    readonly dimension: string
    /** All that was found. */
    readonly differences: ReadonlyArray<Difference>
  }>
{
  override get message(): string {
    const lines = this.differences
      .slice(0, maxShown)
      .map(
        ({ array, expected, field, found, location }) =>
          `\`${location}\`, \`${array}\`: \`${field}\` is ${show(found)}, not ${show(expected)}`
      )
    const more = this.differences.length - maxShown
    const hint = this.differences.some(
      ({ expected, field }) =>
        (field === "attributes.units" && typeof expected === "string" && /\ssince\s/i.test(expected)) ||
        field.startsWith("shape[")
    )
      ? " A coordinate of one dimension is decoded and written again with `recode: true`."
      : ""
    return `Files cannot be put together along \`${this.dimension}\`: ${lines.join("; ")}${more > 0 ? `; and ${more} more` : ""}.${hint}`
  }
}

const resolverOf =
  ({ file }: Part, resolve: ReadOptions["resolve"]): Values.Resolve =>
  (location) => {
    if (location === file.location) return file
    const base = file.location.endsWith("/") ? file.location : `${file.location}/`
    const key = file.key === "" || file.key.endsWith("/") ? file.key : `${file.key}/`
    return location.startsWith(base)
      ? { store: file.store, key: `${key}${location.slice(base.length)}` }
      : resolve?.(location)
  }

const sourceOf = (part: Part, { resolve }: ReadOptions): Plan.Source<ImportError> => {
  const arrays = new Map(part.dataset.arrays.map((one) => [one.path, one]))
  return {
    location: Location.shown(part.file.location),
    arrays: part.dataset.arrays,
    bytes: (path, maxBytes) => Values.bytesOf(arrays.get(path)!, resolverOf(part, resolve), maxBytes)
  }
}

const planOptions = (dimension: string, isNew: boolean, options: ReadOptions): Plan.Options => ({
  dimension,
  isNew,
  recode: options.recode ?? false,
  maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
  concurrency: options.concurrency ?? 8
})

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)

/** The chunks of files, one file after another; some are read ahead. */
const inOrder = (
  sources: ReadonlyArray<Stream.Stream<Chunks, ImportError>>,
  concurrency: number
): Stream.Stream<Chunks, ImportError> =>
  Stream.fromIterable(sources).pipe(
    Stream.mapEffect((source) => Stream.runCollect(source), { concurrency }),
    Stream.flatMap((chunks) => Stream.fromIterable(chunks))
  )

/** Numbers as chunks of their own. */
const written = (
  dataType: string,
  values: ReadonlyArray<number | bigint>,
  length: number,
  from: number
): Stream.Stream<Chunks> =>
  Stream.map(Pieces.batches(values.length, length), (part): Chunks => ({
    _tag: "Bytes",
    index: [from + part.from / length],
    bytes: Numbers.encode(dataType, values.slice(part.from, part.to), length)
  }))

const littleEndian = (dataType: string) =>
  dataType.endsWith("int8") ? [{ name: "bytes" }] : [{ name: "bytes", configuration: { endian: "little" } }]

const built = (
  part: Plan.Part,
  parts: ReadonlyArray<Part>,
  options: Plan.Options,
  attributes: VirtualArray["attributes"]
): VirtualArray => {
  const all = parts.map(({ dataset }) => dataset.arrays.find(({ path }) => path === part.path)!)
  const first = all[0]!
  switch (part._tag) {
    case "Constant":
      return { ...first, attributes }
    case "Raised":
      return {
        ...first,
        attributes,
        shape: [all.length, ...first.shape],
        chunkShape: [1, ...first.chunkShape],
        codecs: Compare.raised(first.codecs, first.shape.length),
        dimensionNames: [options.dimension, ...(first.dimensionNames ?? first.shape.map(() => null))],
        chunks: inOrder(
          all.map(({ chunks, shape }, i) => Stream.map(chunks, Shift.onto(shape.length, i))),
          options.concurrency
        )
      }
    case "Recoded": {
      const length = Plan.chunkLength(part.lengths)
      const dataType = first.dataType as string
      return {
        ...first,
        attributes,
        shape: [sum(part.lengths)],
        chunkShape: [length],
        codecs: littleEndian(dataType),
        chunks: written(dataType, part.values.flat(), length, 0)
      }
    }
    case "Joined": {
      const { axis, lengths } = part
      const chunk = first.chunkShape[axis]!
      let at = 0
      const shifted = all.map(({ chunks, shape }, i) => {
        const from = at
        at += Math.ceil(lengths[i]! / chunk)
        return Stream.map(chunks, Shift.along(shape.length, axis, from))
      })
      return {
        ...first,
        attributes,
        shape: first.shape.map((length, i) => (i === axis ? sum(lengths) : length)),
        chunks: inOrder(shifted, options.concurrency)
      }
    }
  }
}

/**
 * One data set of many, in their order. Along a dimension that they have, each but the last has to end with a whole chunk. Arrays
 * without the dimension have to be equal, and are those of the first file.
 *
 * Reads what has to be compared; the refs of the files are read when the chunks are taken.
 *
 * @category combinators
 * @since 0.1.0
 */
export const concatenate: (
  parts: ReadonlyArray<Part>,
  options: Options
) => Effect.Effect<Dataset, CannotConcatenate | ImportError> = Effect.fn("Concatenation.concatenate")(function* (
  parts: ReadonlyArray<Part>,
  options: Options
) {
  const dimension = options.newDimension ?? options.dimension
  const isNew = options.newDimension !== undefined
  const first = parts[0]
  if (first === undefined) {
    const nothing = { location: "", array: "/", field: "files", expected: "at least one", found: 0 }
    return yield* new CannotConcatenate({ dimension, differences: [nothing] })
  }
  const how = planOptions(dimension, isNew, options)
  const plan = yield* Plan.make(
    parts.map((part) => sourceOf(part, options)),
    how
  )
  const policy = options.attributes ?? "drop"
  const combined = (path: string, attributesOf: (dataset: Dataset) => VirtualArray["attributes"] | undefined) =>
    Compare.attributes(
      parts.map(({ dataset, file }) => ({
        location: Location.shown(file.location),
        attributes: attributesOf(dataset) ?? {}
      })),
      path,
      policy
    )
  const differences = [...plan.differences]
  const groups = first.dataset.groups.map(({ path }) => {
    const all = combined(path, (dataset) => dataset.groups.find((one) => one.path === path)?.attributes)
    differences.push(...all.differences)
    return { path, attributes: all.attributes }
  })
  const arrays = plan.parts.map((part) => {
    const all = combined(part.path, (dataset) => dataset.arrays.find(({ path }) => path === part.path)?.attributes)
    const units = first.dataset.arrays.find(({ path }) => path === part.path)?.attributes["units"]
    const isRecoded = part._tag === "Recoded" && units !== undefined
    differences.push(...all.differences.filter(({ field }) => !isRecoded || field !== "attributes.units"))
    return built(part, parts, how, isRecoded ? { ...all.attributes, units } : all.attributes)
  })
  if (differences.length > 0) return yield* new CannotConcatenate({ dimension, differences })
  return { groups, arrays, skipped: parts.flatMap(({ dataset }) => dataset.skipped) }
})

/**
 * What was appended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Appended {
  /** The length of the dimension before and after. */
  readonly from: number
  readonly to: number
  /** Virtual refs. */
  readonly refs: number
  /** Chunks whose bytes were written. */
  readonly written: number
}

/**
 * How a file is appended.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendOptions
  extends Omit<ReadOptions, "concurrency">, Pick<Import.Options, "capture" | "validateContainers"> {
  readonly dimension: string
}

/**
 * Why a file was not appended. The session is as before.
 *
 * @category errors
 * @since 0.1.0
 */
export type AppendError =
  | CannotConcatenate
  | Import.IntoError
  | Existing.ReadError
  | Effect.Error<ReturnType<WritableSession.WritableSession["resize"]>>

/** What is set of an array that grows. */
interface Growth {
  readonly path: string
  readonly before: ReadonlyArray<number>
  readonly shape: ReadonlyArray<number>
  readonly chunks: ReadonlyArray<Chunks>
}

const encodedAs = (described: Compare.Described, dataType: string): boolean =>
  Compare.same(described.codecs, littleEndian(dataType))

/**
 * Puts a file at the end of the arrays below a path that have the dimension. The last chunk of each has to be full. All is checked, and
 * all refs of the file are read, before anything is changed; nothing is committed. On any failure the session is as before.
 *
 * @category combinators
 * @since 0.1.0
 */
export const append: (
  session: WritableSession.WritableSession,
  path: string,
  part: Part,
  options: AppendOptions
) => Effect.Effect<Appended, AppendError> = Effect.fn("Concatenation.append")(function* (
  session: WritableSession.WritableSession,
  path: string,
  part: Part,
  options: AppendOptions
): Effect.fn.Return<Appended, AppendError> {
  const { dimension } = options
  const existing = yield* Existing.source(session, path)
  const plan = yield* Plan.make<Existing.ReadError | ImportError>(
    [existing, sourceOf(part, options)],
    planOptions(dimension, false, options)
  )
  const differences = [...plan.differences]
  for (const one of plan.parts) {
    const described = existing.arrays.find((array) => array.path === one.path)!
    const dataType = described.dataType as string
    const length = one._tag === "Recoded" ? one.lengths[0]! % described.chunkShape[0]! : 0
    if (one._tag === "Recoded" && (!encodedAs(described, dataType) || length !== 0)) {
      const found = { codecs: described.codecs, chunkShape: described.chunkShape, length: one.lengths[0]! }
      const expected = "whole chunks that are not compressed, as `recode` writes them"
      differences.push({ location: existing.location, array: one.path, field: "codecs", expected, found })
    }
  }
  if (differences.length > 0) return yield* new CannotConcatenate({ dimension, differences })
  let [from, to] = [0, 0]
  const growths = yield* Effect.forEach(
    plan.parts,
    Effect.fnUntraced(function* (one) {
      if (one._tag !== "Joined" && one._tag !== "Recoded") return undefined
      const described = existing.arrays.find((array) => array.path === one.path)!
      const array = part.dataset.arrays.find((array) => array.path === one.path)!
      const axis = one._tag === "Joined" ? one.axis : 0
      const chunk = described.chunkShape[axis]!
      from = one.lengths[0]!
      to = from + one.lengths[1]!
      const by = from / chunk
      const source =
        one._tag === "Joined"
          ? Stream.map(array.chunks, Shift.along(array.shape.length, axis, by))
          : written(described.dataType as string, one.values[1]!, chunk, by)
      const chunks = yield* Stream.runCollect(source)
      const shape = described.shape.map((length, i) => (i === axis ? to : length))
      return { path: Paths.join(path, one.path), before: described.shape, shape, chunks } satisfies Growth
    })
  )
  const all = growths.filter((growth) => growth !== undefined)
  // What is set is beyond the old shape: it goes when the arrays have that again. That reads manifests; where it cannot, the session
  // is not as before, and nobody should go on with it.
  const undo = Effect.forEach(all, ({ before, path: at }) => Effect.orDie(session.resize(at, before)), {
    discard: true
  })
  return yield* Effect.gen(function* () {
    for (const { path: at, shape } of all) yield* session.resize(at, shape)
    let refs = 0
    let bytes = 0
    for (const { chunks, path: at } of all) {
      const set = yield* Import.chunks(session, at, Stream.fromIterable(chunks), options)
      refs += set.refs
      bytes += set.written
    }
    return { from, to, refs, written: bytes }
  }).pipe(Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : undo)))
})
