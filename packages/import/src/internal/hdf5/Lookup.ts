/**
 * The checksum of HDF5's metadata: Bob Jenkins' lookup3, in the public domain, over bytes, from 0. Pure.
 *
 * @since 0.1.0
 */

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

/** The checksum of bytes, as an unsigned number. */
export const checksum = (bytes: Uint8Array, start = 0, end: number = bytes.length): number => {
  let length = end - start
  let at = start
  let a = (0xdead_beef + length) | 0
  let b = a
  let c = a
  const word = (from: number): number =>
    bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24)
  while (length > 12) {
    a = (a + word(at)) | 0
    b = (b + word(at + 4)) | 0
    c = (c + word(at + 8)) | 0
    a = ((a - c) | 0) ^ rotate(c, 4)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotate(a, 6)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotate(b, 8)
    b = (b + a) | 0
    a = ((a - c) | 0) ^ rotate(c, 16)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotate(a, 19)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotate(b, 4)
    b = (b + a) | 0
    at += 12
    length -= 12
  }
  if (length === 0) return c >>> 0
  // The rest counts as if zeros followed.
  const last = (offset: number): number => {
    let value = 0
    for (let i = 0; i < 4; i++) if (offset + i < length) value |= bytes[at + offset + i]! << (8 * i)
    return value
  }
  a = (a + last(0)) | 0
  b = (b + last(4)) | 0
  c = (c + last(8)) | 0
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  c = ((c ^ b) - rotate(b, 24)) | 0
  return c >>> 0
}

/** Whether the last four bytes are the checksum of those before them. */
export const isSound = (bytes: Uint8Array, start = 0, end: number = bytes.length): boolean => {
  const at = end - 4
  if (at < start) return false
  const stored = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  return checksum(bytes, start, at) === stored >>> 0
}
