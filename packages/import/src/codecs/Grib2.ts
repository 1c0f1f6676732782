/**
 * The codec `gribberish` for zarrita: a field of GRIB 2, as `Grib2.dataset` refers to it, becomes numbers. Simple packing, with
 * and without a bitmap; other packings are an error that names the template.
 *
 * @since 0.1.0
 */
import type { ZarritaRegistry } from "../internal/ZarritaRegistry.ts"

/**
 * Bytes that are no field of GRIB 2, or one that is packed in a way that is not unpacked here.
 *
 * @category errors
 * @since 0.1.0
 */
export class Grib2DecodeError extends Error {
  override readonly name = "Grib2DecodeError"
}

/** A number of 16 bits, the first of which is the sign. */
const signed = (view: DataView, at: number): number => {
  const value = view.getUint16(at)
  return value & 0x8000 ? -(value & 0x7fff) : value
}

/** The sections 5, 6 and 7 of a message with one field, or of the sections of a field. */
const sectionsOf = (bytes: Uint8Array): ReadonlyMap<number, DataView> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = new Map<number, DataView>()
  let at = bytes.length >= 16 && view.getUint32(0) === 0x4752_4942 ? 16 : 0
  while (at + 5 <= bytes.length && !found.has(7)) {
    const length = view.getUint32(at)
    if (length < 5 || at + length > bytes.length) break
    found.set(view.getUint8(at + 4), new DataView(bytes.buffer, bytes.byteOffset + at, length))
    at += length
  }
  return found
}

/**
 * The values of a field, in the order of the file. Values that the bitmap leaves out are NaN.
 *
 * @throws {Grib2DecodeError} where the bytes are not `points` values in simple packing.
 * @category decoding
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array, points: number): Float64Array => {
  const sections = sectionsOf(bytes)
  const representation = sections.get(5)
  const bitmap = sections.get(6)
  const data = sections.get(7)
  if (representation === undefined || bitmap === undefined || data === undefined || representation.byteLength < 11) {
    throw new Grib2DecodeError(
      "The chunk is no field of GRIB 2: its sections 5 to 7 are not there. Import the file again."
    )
  }
  const template = representation.getUint16(9)
  if (template !== 0) {
    throw new Grib2DecodeError(
      `The field is packed by template 5.${template}. Only simple packing (5.0) is unpacked here; Python's gribberish reads it.`
    )
  }
  const indicator = bitmap.byteLength > 5 ? bitmap.getUint8(5) : 255
  if (representation.byteLength < 20 || (indicator !== 0 && indicator !== 255)) {
    throw new Grib2DecodeError("The field has a bitmap that is not its own, which cannot be read.")
  }
  const count = representation.getUint32(5)
  const bits = representation.getUint8(19)
  const bitmapBytes = 6 + Math.ceil(points / 8)
  if (
    bits > 32 ||
    (indicator === 255 ? count !== points : count > points || bitmap.byteLength < bitmapBytes) ||
    data.byteLength < 5 + Math.ceil((count * bits) / 8)
  ) {
    throw new Grib2DecodeError(
      `The field has ${count} values of ${bits} bits, which do not fit the array or their section.`
    )
  }
  const reference = representation.getFloat32(11)
  const binary = 2 ** signed(representation, 15)
  const decimal = 10 ** -signed(representation, 17)
  const out = new Float64Array(points)
  let at = 5
  let held = 0
  let heldBits = 0
  let taken = 0
  for (let i = 0; i < points; i++) {
    if (indicator === 0 && (bitmap.getUint8(6 + (i >> 3)) & (0x80 >> (i & 7))) === 0) {
      out[i] = Number.NaN
      continue
    }
    if (taken++ === count) throw new Grib2DecodeError("The bitmap of the field has more points than there are values.")
    while (heldBits < bits) {
      held = held * 256 + data.getUint8(at++)
      heldBits += 8
    }
    const rest = 2 ** (heldBits - bits)
    const packed = Math.floor(held / rest)
    held -= packed * rest
    heldBits -= bits
    out[i] = (packed * binary + reference) * decimal
  }
  return out
}

const strides = (shape: ReadonlyArray<number>): Array<number> =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))

/**
 * Registers the decoder with zarrita: `Grib2.register(zarr.registry)`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const register = (registry: ZarritaRegistry): void => {
  const entry = {
    kind: "array_to_bytes",
    fromConfig: (_: unknown, { shape }: { readonly shape: ReadonlyArray<number> }) => ({
      kind: "array_to_bytes",
      encode: () => {
        throw new Grib2DecodeError("Fields of GRIB 2 are only read.")
      },
      decode: (bytes: Uint8Array) => ({
        data: decode(
          bytes,
          shape.reduce((a, b) => a * b, 1)
        ),
        shape: [...shape],
        stride: strides(shape)
      })
    })
  }
  registry.set("gribberish", () => Promise.resolve(entry as never))
}
