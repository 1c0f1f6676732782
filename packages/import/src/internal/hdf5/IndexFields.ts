/**
 * Numbers of chunk indices, little-endian and of sizes that the file says. Pure.
 *
 * @since 0.1.0
 */
import * as Lookup from "./Lookup.ts"

export const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** An unsigned number of up to 8 bytes; beyond 2^53 it is not exact, which no use of it here needs. */
export const number = (from: DataView, at: number, size: number): number => {
  if (size === 8) return from.getUint32(at + 4, true) * 0x1_0000_0000 + from.getUint32(at, true)
  if (size === 4) return from.getUint32(at, true)
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value * 256 + from.getUint8(at + i)
  return value
}

const isUndefined = (from: DataView, at: number, size: number): boolean => {
  for (let i = 0; i < size; i++) if (from.getUint8(at + i) !== 0xff) return false
  return true
}

/** An address as the file has it, plus the base address; -1 when it is not allocated. */
export const address = (from: DataView, at: number, size: number, base: number): number => {
  if (from.getUint8(at) === 0xff && isUndefined(from, at, size)) return -1
  return number(from, at, size) + base
}

export const signature = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 4))

/** The problem of a block that has to begin with a signature and a version, and end with its checksum. */
export const blockProblem = (bytes: Uint8Array, expected: string, end: number = bytes.length): string | undefined => {
  const name = `a block of the chunk index (\`${expected}\`)`
  if (signature(bytes) !== expected) return `${name} is expected there`
  if (bytes[4] !== 0) return `${name} has version ${bytes[4]}, which is not known`
  return Lookup.isSound(bytes, 0, end) ? undefined : `${name} has another checksum than its bytes`
}
