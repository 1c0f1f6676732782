/**
 * Metadata of Zarr 3 as an array of a data set. Pure. Source: Zarr 3 core specification, "Array metadata".
 *
 * @since 0.1.0
 */
import { isObject } from "@effect-icechunk/core/values/Json"
import * as Result from "effect/Result"
import type { Json, JsonObject } from "../../Dataset.ts"
import type { Problem, Translated } from "./Zarr2.ts"

const fail = (problem: string): Result.Result<never, Problem> => Result.fail({ reason: "format", problem })

const lengths = (value: Json | undefined, least: number): ReadonlyArray<number> | undefined =>
  Array.isArray(value) && value.length <= 64 && value.every((one) => Number.isSafeInteger(one) && Number(one) >= least)
    ? (value as ReadonlyArray<number>)
    : undefined

const named = (value: Json | undefined): { readonly name: string; readonly configuration: JsonObject } | undefined => {
  if (typeof value === "string") return { name: value, configuration: {} }
  if (!isObject(value) || typeof value["name"] !== "string") return undefined
  const { configuration } = value
  return { name: value["name"], configuration: isObject(configuration) ? configuration : {} }
}

/** How the keys of an array's chunks are made. */
export interface Keys {
  /** `c` before the numbers, or nothing. */
  readonly isDefault: boolean
  readonly separator: "." | "/"
}

const keysOf = (value: Json | undefined): Keys | undefined => {
  const encoding = named(value)
  if (encoding?.name !== "default" && encoding?.name !== "v2") return undefined
  const isDefault = encoding.name === "default"
  const { separator = isDefault ? "/" : "." } = encoding.configuration
  return separator === "." || separator === "/" ? { isDefault, separator } : undefined
}

/** An array of Zarr 3, and where its chunks are. */
export const read = (json: JsonObject): Result.Result<{ readonly array: Translated; readonly keys: Keys }, Problem> => {
  if (json["zarr_format"] !== 3) return fail("its `zarr_format` is not 3")
  const shape = lengths(json["shape"], 0)
  if (shape === undefined) return fail("its `shape` is not a list of lengths")
  const grid = named(json["chunk_grid"])
  if (grid?.name !== "regular") return fail("its chunk grid is not `regular`")
  const chunkShape = lengths(grid.configuration["chunk_shape"], 1)
  if (chunkShape?.length !== shape.length)
    return fail(`its chunk shape is not a list of ${shape.length} length(s) from 1`)
  const keys = keysOf(json["chunk_key_encoding"])
  if (keys === undefined) return fail("its chunk keys are neither `default` nor `v2`")
  const { attributes = {}, codecs, data_type: dataType, dimension_names: names, fill_value: fillValue = null } = json
  if (typeof dataType !== "string" && !isObject(dataType)) return fail("its `data_type` is no data type")
  if (!Array.isArray(codecs) || codecs.length > 64) return fail("its `codecs` are not a list")
  const chain = (codecs as ReadonlyArray<Json>).map((codec) => (typeof codec === "string" ? { name: codec } : codec))
  if (!chain.every(isObject)) return fail("one of its codecs is no object")
  if (Array.isArray(json["storage_transformers"]) && json["storage_transformers"].length > 0) {
    return fail("it has storage transformers, so that its keys are not those of its chunks")
  }
  const dimensionNames =
    Array.isArray(names) &&
    names.length === shape.length &&
    names.every((name: Json) => name === null || typeof name === "string")
      ? (names as ReadonlyArray<string | null>)
      : undefined
  return Result.succeed({
    keys,
    array: {
      shape,
      chunkShape,
      dataType,
      fillValue,
      codecs: chain,
      dimensionNames,
      attributes: isObject(attributes) ? attributes : {}
    }
  })
}
