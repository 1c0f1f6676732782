/**
 * A node's `zarr.json`: what the engine has to know of it, its kind and an array's shape and chunk grid, and whether
 * it may be written. The bytes themselves are stored as the user wrote them; those that others wrote are not looked
 * at, so nothing in them makes a node unreadable. Source: Zarr 3 core specification.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import { type Json, type JsonObject, problem as problemOf } from "./Json.ts"
import * as JsonDocument from "./JsonDocument.ts"
import * as JsonMember from "./JsonMember.ts"
import * as Shape from "./Shape.ts"
import * as ZarrCodec from "./ZarrCodec.ts"
import * as ZarrDataType from "./ZarrDataType.ts"
import * as ZarrExtension from "./ZarrExtension.ts"

/**
 * One dimension of an array: its length in elements and its number of chunks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dimension {
  readonly length: number
  readonly numChunks: number
}

/**
 * A group or an array.
 *
 * @category models
 * @since 0.1.0
 */
export type ZarrMetadata =
  | { readonly _tag: "Group" }
  | {
      readonly _tag: "Array"
      readonly shape: ReadonlyArray<Dimension>
      readonly dimensionNames: ReadonlyArray<string | undefined> | undefined
    }

/**
 * Metadata that cannot be stored: a `zarr.json` that does not describe a node, or metadata of a commit or of the repository
 * that is not JSON. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMetadata
  extends /*#__PURE__*/ Data.TaggedError("InvalidMetadata")<{
    /** The node's path, `commit` or `repository`. */
    readonly path: string
    readonly field: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `The metadata of \`${this.path}\` is invalid at \`${this.field}\`: ${this.problem}`
  }
}

const length = Shape.whole(0)
const chunkLength = Shape.whole(1)

const nodeFields = Shape.fields({
  zarr_format: Shape.oneOf(3),
  node_type: Shape.oneOf("group", "array"),
  attributes: Shape.optional(Shape.record)
})

const arrayFields = Shape.fields({
  shape: Shape.list(length),
  chunk_grid: Shape.fields({ name: Shape.oneOf("regular", "rectilinear"), configuration: Shape.any }),
  fill_value: Shape.any,
  dimension_names: Shape.optional(Shape.nullable(Shape.list(Shape.nullable(Shape.text))))
})

const regular = Shape.fields({ chunk_shape: Shape.list(chunkLength) })

const rectilinear = Shape.fields({
  kind: Shape.optional(Shape.oneOf("inline")),
  chunk_shapes: Shape.list(Shape.list(Shape.union(length, Shape.tuple(length, chunkLength))))
})

/** Largest number of chunks along a dimension: grid indices are unsigned 32-bit integers. */
const maxChunks = 0xffff_ffff

/** Thrown and caught in this module. */
class Refusal {
  readonly field: string
  readonly problem: string
  constructor(field: string, problem: string) {
    this.field = field
    this.problem = problem
  }
}

const refuse = (problem: string, ...path: ReadonlyArray<PropertyKey>): never => {
  throw new Refusal(path.map(String).join(".") || "(whole file)", problem)
}

const attempt = <A>(path: string, f: () => A): Result.Result<A, InvalidMetadata> => {
  try {
    return Result.succeed(f())
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return Result.fail(new InvalidMetadata({ path, field: error.field, problem: error.problem }))
  }
}

/** What an extension point or a document says, or the refusal of it at a place. */
const orRefuse = <A>(result: Result.Result<A, ZarrExtension.Problem>, ...path: ReadonlyArray<PropertyKey>): A =>
  Result.isSuccess(result) ? result.success : refuse(result.failure.problem, ...path, ...result.failure.path)

const decode = <A>(shape: Shape.Shape<A>, value: unknown, ...path: ReadonlyArray<PropertyKey>): A =>
  orRefuse(Shape.read(shape, value), ...path)

/** A chunk grid: how many chunks there are along each dimension, and their shape where all have the same. */
interface Grid {
  readonly numChunks: ReadonlyArray<number>
  readonly chunkShape: ReadonlyArray<number> | undefined
}

const gridPath = ["chunk_grid", "configuration"] as const

const regularGrid = (shape: ReadonlyArray<number>, configuration: unknown): Grid => {
  const { chunk_shape: chunkShape } = decode(regular, configuration, ...gridPath)
  if (chunkShape.length !== shape.length) {
    refuse(`it has ${chunkShape.length} dimension(s), \`shape\` has ${shape.length}`, ...gridPath, "chunk_shape")
  }
  return { numChunks: shape.map((length, i) => Math.ceil(length / chunkShape[i]!)), chunkShape }
}

/** The lengths of the chunks along each dimension one by one, a run of them as `[length, count]`. */
const rectilinearGrid = (shape: ReadonlyArray<number>, configuration: unknown): Grid => {
  const { chunk_shapes: shapes } = decode(rectilinear, configuration, ...gridPath)
  if (shapes.length !== shape.length) {
    refuse(`it has ${shapes.length} dimension(s), \`shape\` has ${shape.length}`, ...gridPath, "chunk_shapes")
  }
  const numChunks = shapes.map((runs, axis) => {
    let covered = 0
    let chunks = 0
    for (const [i, run] of runs.entries()) {
      const [length, count] = typeof run === "number" ? [run, 1] : run
      // An array without elements may have a chunk without any.
      if (length === 0 && shape[axis] !== 0)
        refuse("chunks of length 0 hold no elements", ...gridPath, "chunk_shapes", axis, i)
      covered += length * count
      chunks += count
    }
    if (covered < shape[axis]!) {
      refuse(
        `its chunks hold ${covered} element(s), the array has ${shape[axis]} there`,
        ...gridPath,
        "chunk_shapes",
        axis
      )
    }
    return chunks
  })
  return { numChunks, chunkShape: undefined }
}

/** Icechunk keeps chunks by their index, whatever the keys that their array names. */
const checkKeyEncoding = (value: Json | undefined, extensions: ReadonlySet<string>): void => {
  const encoding = orRefuse(ZarrExtension.named(value), "chunk_key_encoding")
  const known = ["default", "v2"]
  if (known.includes(encoding.name)) {
    const { separator = "/" } = encoding.configuration
    if (separator !== "/" && separator !== ".") {
      refuse("it is neither `/` nor `.`", "chunk_key_encoding", "configuration", "separator")
    }
    return
  }
  const problem = ZarrExtension.unknownProblem("chunk key encoding", encoding, known, extensions)
  if (problem !== undefined) refuse(problem, "chunk_key_encoding", ...(ZarrExtension.isObject(value) ? ["name"] : []))
}

const checkArray = (json: JsonObject, extensions: ReadonlySet<string>): ZarrMetadata => {
  const { chunk_grid: grid, dimension_names: names, shape } = decode(arrayFields, json)
  const { chunkShape, numChunks } =
    grid.name === "regular" ? regularGrid(shape, grid.configuration) : rectilinearGrid(shape, grid.configuration)
  const tooMany = numChunks.findIndex((count) => count > maxChunks)
  if (tooMany >= 0) refuse(`dimension ${tooMany} has more than ${maxChunks} chunks`, "shape")
  if (names !== undefined && names !== null && names.length !== shape.length) {
    refuse(`it has ${names.length} name(s), \`shape\` has ${shape.length} dimension(s)`, "dimension_names")
  }
  checkKeyEncoding(json["chunk_key_encoding"], extensions)
  const { data_type: type, fill_value: fillValue = null } = json
  const { fillProblem, hasEndianness } = orRefuse(ZarrDataType.parse(type, extensions), "data_type")
  // zarrita writes null for none.
  const badFill = fillValue === null ? undefined : fillProblem(fillValue)
  if (badFill !== undefined) refuse(badFill, "fill_value")
  const { codecs } = json
  // zarrita writes no codecs where it means `bytes`.
  if (!Array.isArray(codecs) || codecs.length > 0) {
    const problem = ZarrCodec.problem(codecs, { rank: shape.length, shape: chunkShape, hasEndianness }, extensions)
    if (problem !== undefined) refuse(problem.problem, "codecs", ...problem.path)
  }
  return {
    _tag: "Array",
    shape: shape.map((length, i) => ({ length, numChunks: numChunks[i]! })),
    dimensionNames: names?.map((name) => name ?? undefined)
  }
}

/**
 * What may be written that is not known here.
 *
 * @category models
 * @since 0.1.0
 */
export interface WriteOptions {
  /**
   * Names of data types, codecs and chunk key encodings that are meant, though they are not known here. Names with a
   * namespace (`acme.lossy`), URIs, and those with `"must_understand": false` need not be listed.
   */
  readonly extensions?: ReadonlyArray<string> | undefined
}

/**
 * Reads the bytes of a `zarr.json` that is to be written. Data types, codecs, chunk grids, chunk key encodings and fill
 * values are checked, as far as they are known and not meant as extensions; fields that are not known are let through.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (
  path: string,
  bytes: Uint8Array,
  options?: WriteOptions
): Result.Result<ZarrMetadata, InvalidMetadata> =>
  attempt(path, (): ZarrMetadata => {
    const json = orRefuse(JsonDocument.fromBytes(bytes))
    const node = decode(nodeFields, json)
    return node.node_type === "group"
      ? { _tag: "Group" }
      : checkArray(json as JsonObject, new Set(options?.extensions ?? []))
  })

const encode = (path: string, value: unknown): Result.Result<Uint8Array, InvalidMetadata> =>
  attempt(path, () => new TextEncoder().encode(JSON.stringify(orRefuse(JsonDocument.fromValue(value)))))

/**
 * The `zarr.json` of a group at a path. Fails when the attributes are not JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const group = (
  path: string,
  attributes: Readonly<Record<string, Json>> = {}
): Result.Result<Uint8Array, InvalidMetadata> => encode(path, { zarr_format: 3, node_type: "group", attributes })

const ofOwner = (
  owner: "commit" | "repository",
  metadata: Readonly<Record<string, Json>>
): Result.Result<JsonObject, InvalidMetadata> =>
  attempt(owner, () => {
    const copy = orRefuse(JsonDocument.fromValue(metadata), "metadata")
    // What is left is what the format itself cannot hold.
    const problem = problemOf(copy)
    if (problem !== undefined) refuse(problem, "metadata")
    return ZarrExtension.isObject(copy) ? copy : refuse("it is not an object", "metadata")
  })

/**
 * A commit's metadata: a copy of the JSON that a program gave.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofCommit = (metadata: Readonly<Record<string, Json>>): Result.Result<JsonObject, InvalidMetadata> =>
  ofOwner("commit", metadata)

/**
 * A repository's metadata: a copy of the JSON that a program gave.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofRepository = (metadata: Readonly<Record<string, Json>>): Result.Result<JsonObject, InvalidMetadata> =>
  ofOwner("repository", metadata)

/**
 * Lengths of chunks along a dimension: one for all, or those of each chunk, a run of them as `[length, count]`.
 *
 * @category models
 * @since 0.1.0
 */
export type ChunkLengths = number | ReadonlyArray<number | readonly [length: number, count: number]>

/**
 * What an array is made of. Shapes are in elements; `codecs` is `[{ name: "bytes", configuration: {
 * endian: "little" } }]` unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArrayOptions extends WriteOptions {
  readonly shape: ReadonlyArray<number>
  /** Where a dimension has chunks of different lengths the array gets a `rectilinear` grid, which only few readers know. */
  readonly chunkShape: ReadonlyArray<ChunkLengths>
  /** A Zarr data type, as in `float32` or `{ name: "numpy.datetime64", configuration: { unit: "s", scale_factor: 1 } }`. */
  readonly dataType: string | JsonObject
  /** NaN and infinities may be given as numbers, and integers as `bigint`: those beyond 2^53 are exact only so. */
  readonly fillValue: Json | bigint
  readonly codecs?: ReadonlyArray<Json> | undefined
  /** `{ name: "default", configuration: { separator: "/" } }` unless given. Icechunk's own keys do not depend on it. */
  readonly chunkKeyEncoding?: Json | undefined
  readonly dimensionNames?: ReadonlyArray<string | null> | undefined
  readonly attributes?: Readonly<Record<string, Json>> | undefined
}

/** `NaN`, `Infinity` and `-Infinity` are texts in Zarr: JSON has no such numbers. So are those of a complex number. */
const fillValueJson = (value: unknown): unknown => {
  const one = (part: unknown): unknown => (typeof part === "number" && !Number.isFinite(part) ? String(part) : part)
  return Array.isArray(value) ? value.map(one) : one(value)
}

/** An integer that a data type of 64 bits has, or one that is exact as a number. */
const holds = (dataType: unknown, value: bigint): boolean =>
  dataType === "int64"
    ? BigInt.asIntN(64, value) === value
    : dataType === "uint64"
      ? BigInt.asUintN(64, value) === value
      : Number.isSafeInteger(Number(value))

const chunkGrid = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<ChunkLengths>): unknown => {
  if (!Array.isArray(chunkShape) || !chunkShape.some(Array.isArray)) {
    return { name: "regular", configuration: { chunk_shape: chunkShape } }
  }
  const runs = (chunkShape as ReadonlyArray<ChunkLengths>).map((lengths, axis) =>
    typeof lengths !== "number" ? lengths : [[lengths, Math.max(1, Math.ceil((shape[axis] ?? 0) / lengths))]]
  )
  return { name: "rectilinear", configuration: { kind: "inline", chunk_shapes: runs } }
}

const withText = (bytes: Uint8Array, name: string, json: string): Uint8Array =>
  new TextEncoder().encode(JsonMember.setText(new TextDecoder().decode(bytes), name, json))

const withMember = (bytes: Uint8Array, name: string, value: Json): Uint8Array =>
  withText(bytes, name, JSON.stringify(value))

/**
 * The `zarr.json` of an array at a path. Fails when a value of it is not JSON, and without a fill value or a codec;
 * `parse` looks at the rest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const array = (path: string, options: ArrayOptions): Result.Result<Uint8Array, InvalidMetadata> => {
  const invalid = (field: string, problem: string) => Result.fail(new InvalidMetadata({ path, field, problem }))
  if (options.fillValue === null) return invalid("fill_value", "it is null, which is not a value of an element")
  if (options.codecs?.length === 0) return invalid("codecs", "none of the codecs turns an array into bytes")
  const { fillValue } = options
  if (typeof fillValue === "bigint" && !holds(options.dataType, fillValue)) {
    return invalid("fill_value", `${fillValue} is not a value of the data type`)
  }
  const json = encode(path, {
    zarr_format: 3,
    node_type: "array",
    shape: options.shape,
    data_type: options.dataType,
    chunk_grid: chunkGrid(options.shape, options.chunkShape),
    chunk_key_encoding: options.chunkKeyEncoding ?? { name: "default", configuration: { separator: "/" } },
    // `JSON.stringify` has no digits for a bigint: they follow below.
    fill_value: typeof fillValue === "bigint" ? 0 : fillValueJson(fillValue),
    codecs: options.codecs ?? [{ name: "bytes", configuration: { endian: "little" } }],
    dimension_names: options.dimensionNames,
    attributes: options.attributes ?? {}
  })
  return typeof fillValue === "bigint"
    ? Result.map(json, (bytes) => withText(bytes, "fill_value", String(fillValue)))
    : json
}

const decoded = (bytes: Uint8Array): JsonObject => {
  const json = orRefuse(JsonDocument.fromBytes(bytes))
  return ZarrExtension.isObject(json) ? json : refuse("it is not an object")
}

/**
 * A `zarr.json` with other attributes, and all else as it is. Fails when they are not JSON.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withAttributes = (
  path: string,
  zarrJson: Uint8Array,
  attributes: Readonly<Record<string, Json>>
): Result.Result<Uint8Array, InvalidMetadata> =>
  attempt(path, () => {
    decoded(zarrJson)
    const copy = orRefuse(JsonDocument.fromValue(attributes), "attributes")
    return withMember(
      zarrJson,
      "attributes",
      ZarrExtension.isObject(copy) ? copy : refuse("it is not an object", "attributes")
    )
  })

/**
 * The name of the chunk grid in the bytes of an array's `zarr.json`; `undefined` where it cannot be told.
 *
 * @category decoding
 * @since 0.1.0
 */
export const chunkGridName = (zarrJson: Uint8Array): string | undefined =>
  Result.getOrUndefined(
    attempt("", () => {
      const { chunk_grid: grid } = decoded(zarrJson)
      return ZarrExtension.isObject(grid) && typeof grid["name"] === "string" ? grid["name"] : undefined
    })
  )

/**
 * The `zarr.json` of an array with another shape, and as many dimensions; all else is as it is, and not looked at. The
 * chunks of a `rectilinear` grid have to hold the new shape.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withShape = (
  path: string,
  zarrJson: Uint8Array,
  shape: ReadonlyArray<number>
): Result.Result<
  { readonly zarrJson: Uint8Array; readonly metadata: Extract<ZarrMetadata, { readonly _tag: "Array" }> },
  InvalidMetadata
> =>
  attempt(path, () => {
    const json = decoded(zarrJson)
    const { chunk_grid: grid, dimension_names: names, shape: before } = decode(arrayFields, json)
    const { shape: wanted } = decode(Shape.fields({ shape: Shape.list(length) }), { shape: Array.from(shape) })
    if (wanted.length !== before.length) {
      refuse(`it has ${wanted.length} dimension(s), the array has ${before.length}`, "shape")
    }
    const { numChunks } = (grid.name === "regular" ? regularGrid : rectilinearGrid)(wanted, grid.configuration)
    const tooMany = numChunks.findIndex((count) => count > maxChunks)
    if (tooMany >= 0) refuse(`dimension ${tooMany} has more than ${maxChunks} chunks`, "shape")
    return {
      zarrJson: withMember(zarrJson, "shape", wanted),
      metadata: {
        _tag: "Array",
        shape: wanted.map((length, i) => ({ length, numChunks: numChunks[i]! })),
        dimensionNames: names?.map((name) => name ?? undefined)
      }
    }
  })
