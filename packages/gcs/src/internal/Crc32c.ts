/**
 * CRC32C (RFC 3720, appendix B.4) of bytes, sixteen at a time: a third of the time that an MD5 takes. Pure.
 */

/** Of the byte `i` with `t` zero bytes after it, at `256 t + i`. */
const tables = new Int32Array(16 * 256)
for (let i = 0; i < 256; i++) {
  let sum = i
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0x82f63b78
  tables[i] = sum
}
for (let at = 256; at < tables.length; at++) {
  const before = tables[at - 256]!
  tables[at] = (before >>> 8) ^ tables[before & 255]!
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** A word that is followed by `after` more bytes of its sixteen. */
const word = (value: number, after: number): number => {
  const at = after * 256
  return (
    tables[at + 768 + (value & 255)]! ^
    tables[at + 512 + ((value >>> 8) & 255)]! ^
    tables[at + 256 + ((value >>> 16) & 255)]! ^
    tables[at + (value >>> 24)]!
  )
}

/** The sum as an unsigned number. */
export const of = (bytes: Uint8Array): number => {
  let sum = -1
  let at = 0
  if (isLittleEndian && bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length >>> 4) << 2)
    for (let i = 0; i < words.length; i += 4) {
      sum = word(words[i]! ^ sum, 12) ^ word(words[i + 1]!, 8) ^ word(words[i + 2]!, 4) ^ word(words[i + 3]!, 0)
    }
    at = words.length * 4
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ tables[(sum ^ bytes[at]!) & 255]!
  return ~sum >>> 0
}

/** In base64, highest byte first, as Google Cloud Storage writes it. */
export const base64 = (bytes: Uint8Array): string => {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(of(bytes))
  return sum.toString("base64")
}
