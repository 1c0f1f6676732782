/**
 * The attributes of a node, as a user reads them.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject } from "../values/Json.ts"
import { InvalidMetadata } from "../values/ZarrMetadata.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const parsed = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The attributes in the bytes of a `zarr.json`, none where it has none. Numbers beyond 2^53 are rounded.
 *
 * @category decoding
 * @since 0.1.0
 */
export const of = (path: string, zarrJson: Uint8Array): Result.Result<JsonObject, InvalidMetadata> => {
  const json = parsed(zarrJson)
  if (!isObject(json)) {
    const problem = "it is not the JSON of an object"
    return Result.fail(new InvalidMetadata({ path, field: "(whole file)", problem }))
  }
  const { attributes = {} }: { readonly [name: string]: Json } = json
  if (isObject(attributes)) return Result.succeed(attributes)
  return Result.fail(new InvalidMetadata({ path, field: "attributes", problem: "it is not an object" }))
}
