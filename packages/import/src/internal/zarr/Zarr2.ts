/**
 * Metadata of Zarr 2 as that of Zarr 3. Pure. Source: Zarr 2 specification, "Arrays"; xarray's conventions for Zarr.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject, VirtualArray } from "../../Dataset.ts"
import * as Codecs2 from "./Codecs2.ts"
import * as DataType2 from "./DataType2.ts"

export type Problem = DataType2.Problem

/** An array, without its path and its chunks. */
export type Translated = Omit<VirtualArray, "path" | "chunks">

const fail = (problem: string): Result.Result<never, Problem> => Result.fail({ reason: "format", problem })

const lengths = (value: Json | undefined, least: number): ReadonlyArray<number> | undefined =>
  Array.isArray(value) && value.length <= 64 && value.every((one) => Number.isSafeInteger(one) && Number(one) >= least)
    ? (value as ReadonlyArray<number>)
    : undefined

const dimensionsOf = (zattrs: JsonObject, rank: number): ReadonlyArray<string> | undefined => {
  const names = zattrs["_ARRAY_DIMENSIONS"]
  return Array.isArray(names) && names.length === rank && names.every((name) => typeof name === "string")
    ? names
    : undefined
}

/** What separates the numbers of a chunk's key. */
export const separator = (zarray: JsonObject): "." | "/" | undefined => {
  const { dimension_separator: given = "." } = zarray
  return given === "." || given === "/" ? given : undefined
}

/**
 * An array of Zarr 2. `_ARRAY_DIMENSIONS` become its dimension names; its fill value, which xarray takes for that of missing values,
 * is also the attribute `_FillValue`, as it has to be in Zarr 3.
 */
export const translate = (zarray: JsonObject, zattrs: JsonObject): Result.Result<Translated, Problem> => {
  if (zarray["zarr_format"] !== 2) return fail("its `zarr_format` is not 2")
  const shape = lengths(zarray["shape"], 0)
  if (shape === undefined) return fail("its `shape` is not a list of lengths")
  const rank = shape.length
  const chunkShape = lengths(zarray["chunks"], 1)
  if (chunkShape?.length !== rank) return fail(`its \`chunks\` are not a list of ${rank} length(s) from 1`)
  const { compressor = null, fill_value: given = null, filters = null, order = "C" } = zarray
  if (order !== "C" && order !== "F") return fail("its `order` is neither C nor F")
  if (separator(zarray) === undefined) return fail("its `dimension_separator` is neither `.` nor `/`")
  return Result.gen(function* () {
    const type = yield* DataType2.parse(zarray["dtype"])
    const { codecs, objects } = yield* Codecs2.translate(type, { rank, order, filters, compressor })
    const fillValue = yield* DataType2.fillValue(type, given)
    const { _ARRAY_DIMENSIONS, ...rest } = zattrs
    const dimensionNames = dimensionsOf(zattrs, rank)
    const mask =
      dimensionNames !== undefined && given !== null && !("_FillValue" in rest)
        ? DataType2.fillAttribute(type, fillValue)
        : undefined
    const own = dimensionNames === undefined && _ARRAY_DIMENSIONS !== undefined ? zattrs : rest
    return {
      shape,
      chunkShape,
      dataType: type.dataType ?? objects!,
      fillValue,
      codecs,
      dimensionNames,
      attributes: mask === undefined ? own : { ...own, _FillValue: mask }
    }
  })
}
