/**
 * What the engine has to know of a node's `zarr.json`: its kind, and an array's shape and chunk grid.
 * The bytes themselves are stored as the user wrote them. Source: Zarr 3 core specification.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Json } from "./Json.ts"

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
 * Metadata that cannot be stored: a `zarr.json` that describes no node, or metadata of a commit that is no JSON.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMetadata extends Schema.TaggedError<InvalidMetadata>()("InvalidMetadata", {
  /** The node's path, or `commit`. */
  path: Schema.String,
  field: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `The metadata of \`${this.path}\` is invalid at \`${this.field}\`: ${this.problem}`
  }
}

const Length = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const ChunkLength = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const NodeFields = Schema.Struct({
  zarr_format: Schema.Literal(3),
  node_type: Schema.Literals(["group", "array"])
})

const ArrayFields = Schema.Struct({
  shape: Schema.Array(Length),
  data_type: Schema.Unknown,
  chunk_grid: Schema.Struct({
    name: Schema.Literal("regular"),
    configuration: Schema.Struct({ chunk_shape: Schema.Array(ChunkLength) })
  }),
  chunk_key_encoding: Schema.Struct({
    name: Schema.Literal("default"),
    configuration: Schema.optionalKey(Schema.Struct({ separator: Schema.optionalKey(Schema.Literal("/")) }))
  }),
  fill_value: Schema.Unknown,
  codecs: Schema.Array(Schema.Unknown),
  dimension_names: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.NullOr(Schema.String))))
})

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()
const text = new TextDecoder("utf-8", { fatal: true })

/** Largest number of chunks along a dimension: grid indices are unsigned 32-bit integers. */
const maxChunks = 0xffff_ffff

/**
 * Reads the bytes of a `zarr.json`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (path: string, bytes: Uint8Array): Result.Result<ZarrMetadata, InvalidMetadata> => {
  const invalid = (field: string, problem: string): Result.Result<never, InvalidMetadata> =>
    Result.fail(new InvalidMetadata({ path, field, problem }))
  const issueOf = (error: Schema.SchemaError): Result.Result<never, InvalidMetadata> => {
    const [issue] = formatIssue(error.issue).issues
    return invalid(
      (issue?.path ?? []).map(String).join(".") || "(whole file)",
      issue?.message ?? "it has the wrong type"
    )
  }
  let json: unknown
  try {
    json = JSON.parse(text.decode(bytes))
  } catch (cause) {
    return invalid("(whole file)", `it is no JSON: ${cause instanceof Error ? cause.message : "it cannot be parsed"}`)
  }
  const node = Schema.decodeUnknownResult(NodeFields)(json)
  if (Result.isFailure(node)) return issueOf(node.failure)
  if (node.success.node_type === "group") return Result.succeed({ _tag: "Group" })
  const array = Schema.decodeUnknownResult(ArrayFields)(json)
  if (Result.isFailure(array)) return issueOf(array.failure)
  const { chunk_grid: grid, dimension_names: names, shape } = array.success
  const chunkShape = grid.configuration.chunk_shape
  if (chunkShape.length !== shape.length) {
    return invalid(
      "chunk_grid.configuration.chunk_shape",
      `it has ${chunkShape.length} dimension(s), \`shape\` has ${shape.length}`
    )
  }
  if (names !== undefined && names !== null && names.length !== shape.length) {
    return invalid("dimension_names", `it has ${names.length} name(s), \`shape\` has ${shape.length} dimension(s)`)
  }
  const dimensions = shape.map((length, i) => ({ length, numChunks: Math.ceil(length / chunkShape[i]!) }))
  const tooMany = dimensions.findIndex(({ numChunks }) => numChunks > maxChunks)
  if (tooMany >= 0) return invalid("shape", `dimension ${tooMany} has more than ${maxChunks} chunks`)
  return Result.succeed({
    _tag: "Array",
    shape: dimensions,
    dimensionNames: names?.map((name) => name ?? undefined)
  })
}

/**
 * The `zarr.json` of a group.
 *
 * @category constructors
 * @since 0.1.0
 */
export const group = (attributes: Readonly<Record<string, Json>> = {}): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ zarr_format: 3, node_type: "group", attributes }))

/**
 * What an array is made of. Shapes are in elements; `codecs` is `[{ name: "bytes", configuration: {
 * endian: "little" } }]` unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArrayOptions {
  readonly shape: ReadonlyArray<number>
  readonly chunkShape: ReadonlyArray<number>
  /** A Zarr data type, as in `float32`. */
  readonly dataType: string
  /** NaN and infinities may be given as numbers. */
  readonly fillValue: Json
  readonly codecs?: ReadonlyArray<Json> | undefined
  readonly dimensionNames?: ReadonlyArray<string | null> | undefined
  readonly attributes?: Readonly<Record<string, Json>> | undefined
}

/** `NaN`, `Infinity` and `-Infinity` are texts in Zarr: JSON has no such numbers, and would write `null`. */
const fillValueJson = (value: Json): Json =>
  typeof value === "number" && !Number.isFinite(value)
    ? String(value)
    : Array.isArray(value)
      ? value.map(fillValueJson)
      : value

/**
 * The `zarr.json` of an array.
 *
 * @category constructors
 * @since 0.1.0
 */
export const array = (options: ArrayOptions): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      zarr_format: 3,
      node_type: "array",
      shape: options.shape,
      data_type: options.dataType,
      chunk_grid: { name: "regular", configuration: { chunk_shape: options.chunkShape } },
      chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
      fill_value: fillValueJson(options.fillValue),
      codecs: options.codecs ?? [{ name: "bytes", configuration: { endian: "little" } }],
      ...(options.dimensionNames === undefined ? {} : { dimension_names: options.dimensionNames }),
      attributes: options.attributes ?? {}
    })
  )
