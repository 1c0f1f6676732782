/**
 * Values of files as JSON, as xarray writes them into Zarr.
 *
 * @since 0.1.0
 */
import type { Json } from "../Dataset.ts"

/** A value as messages show it: lists and objects, which may be of any depth, only by their kind. */
export const shown = (value: Json | bigint | undefined): string => {
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object" && value !== null) return "an object"
  return `\`${typeof value === "bigint" ? value : JSON.stringify(value ?? null).slice(0, 60)}\``
}

/** A number as JSON has it: NaN and infinities are texts. */
export const numberJson = (value: number): Json => (Number.isFinite(value) ? value : String(value))

/** An integer, as a number where that is exact. */
export const integer = (value: bigint | number): bigint | number => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}

/** An integer as JSON, or `undefined` where JSON numbers, as JavaScript reads them, do not have it. */
export const integerJson = (value: bigint | number): number | undefined => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

/** Why integers are left out. */
export const beyond = {
  reason: "value",
  problem: "it has integers beyond 2^53, which JSON numbers do not hold exactly in all readers"
} as const

const base64 = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

/** `_FillValue` of floating point data, as xarray has it in Zarr: base64 of the value as a little-endian double. */
export const floatFillJson = (value: number): string => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return base64(bytes)
}

const utf8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true })
const latin1 = /* @__PURE__ */ new TextDecoder("latin1")

/** Text of a file: UTF-8, or else Latin-1, which old writers use; up to the first NUL. */
export const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  const part = end < 0 ? bytes : bytes.subarray(0, end)
  try {
    return utf8.decode(part)
  } catch {
    return latin1.decode(part)
  }
}

/**
 * Texts as one chunk of the codec `vlen-utf8`: their number, and each with its length before it, in 32 bits. Source: numcodecs,
 * `VLenUTF8`.
 */
export const encodeTexts = (texts: ReadonlyArray<string>): Uint8Array => {
  const encoder = new TextEncoder()
  const parts = texts.map((one) => encoder.encode(one))
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 4))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, parts.length, true)
  let at = 4
  for (const part of parts) {
    view.setUint32(at, part.length, true)
    bytes.set(part, at + 4)
    at += 4 + part.length
  }
  return bytes
}
