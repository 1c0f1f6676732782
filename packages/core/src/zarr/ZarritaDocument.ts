/**
 * Metadata as zarrita is given it. Pure.
 *
 * @since 0.1.0
 */
import { isObject } from "../values/Json.ts"
import * as JsonMember from "../values/JsonMember.ts"
import * as NodePath from "../values/NodePath.ts"
import * as ZarrKey from "./ZarrKey.ts"

/** Found in few documents: the others are not looked at. */
const large = /"fill_value"\s*:\s*-?\d{16}/

/**
 * The text of a `zarr.json` whose fill value is an integer of 64 bits that `JSON.parse` rounds, such as netCDF's own: a text
 * instead, of which zarrita makes the integer. Every other text is as it was.
 *
 * @category combinators
 * @since 0.1.0
 */
export const exact = (text: string): string => {
  if (!large.test(text)) return text
  try {
    const json: unknown = JSON.parse(text)
    if (!isObject(json) || (json["data_type"] !== "int64" && json["data_type"] !== "uint64")) return text
    const digits = JsonMember.get(text, "fill_value")
    return digits !== undefined && /^-?\d{16,20}$/.test(digits)
      ? JsonMember.setText(text, "fill_value", `"${digits}"`)
      : text
  } catch {
    return text
  }
}

const metadataName = `/${ZarrKey.metadata(NodePath.root)}`

/**
 * The same of the value of a key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const value = (key: string, bytes: Uint8Array | undefined): Uint8Array | undefined => {
  if (bytes === undefined || !key.endsWith(metadataName)) return bytes
  const text = new TextDecoder().decode(bytes)
  const other = exact(text)
  return other === text ? bytes : new TextEncoder().encode(other)
}
