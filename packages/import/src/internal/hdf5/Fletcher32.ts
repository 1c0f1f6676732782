/**
 * The checksum of HDF5's filter `fletcher32`. Source: HDF5 File Format Specification, "Fletcher32 checksum".
 *
 * @since 0.1.0
 */

/** Bytes that the filter puts behind those of a chunk. */
export const size = 4

/** Words that are summed up before the sums are reduced: as many as stay exact. */
const block = 65_536

/** Modulo 65535 as sums of ones' complement have it: only nothing is 0. */
const reduced = (sum: number): number => (sum === 0 ? 0 : ((sum - 1) % 65_535) + 1)

/** Two sums over words of 16 bits, the higher byte first; a last byte alone is a higher one. */
const checksum = (bytes: Uint8Array): number => {
  const words = Math.ceil(bytes.length / 2)
  let first = 0
  let second = 0
  for (let from = 0; from < words; from += block) {
    const to = Math.min(words, from + block)
    for (let word = from; word < to; word++) {
      first += bytes[2 * word]! * 256 + (bytes[2 * word + 1] ?? 0)
      second += first
    }
    first = reduced(first)
    second = reduced(second)
  }
  return second * 65_536 + first
}

const viewOf = ({ buffer, byteLength, byteOffset }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

/** The bytes before their checksum, which is the last four bytes; or why they are not these. */
export const checked = (bytes: Uint8Array): Uint8Array | string => {
  if (bytes.length < size) return `${bytes.length} bytes are too few for a checksum of fletcher32`
  const own = bytes.subarray(0, bytes.length - size)
  const said = viewOf(bytes).getUint32(own.length, true)
  const found = checksum(own)
  // Writers before HDF5 1.6.3 on machines whose lowest byte comes first swapped the bytes of both sums.
  const swapped = ((found & 0x00ff_00ff) << 8) | ((found >>> 8) & 0x00ff_00ff)
  return said === found || said === swapped >>> 0
    ? own
    : "the checksum of fletcher32 is another one than that of its bytes"
}

/** Bytes with their checksum behind them. */
export const appended = (bytes: Uint8Array): Uint8Array => {
  const all = new Uint8Array(bytes.length + size)
  all.set(bytes)
  viewOf(all).setUint32(bytes.length, checksum(bytes), true)
  return all
}
