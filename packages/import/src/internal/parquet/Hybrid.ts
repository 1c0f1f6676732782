/**
 * Small integers in runs and packed in bits: levels and numbers of a dictionary. Pure. Source: Apache Parquet, "Run length encoding /
 * bit-packing hybrid".
 *
 * @since 0.1.0
 */
import { damage } from "./Thrift.ts"

/** Integers of `width` bits, at most 32, that start at `at` and end before `end`, as many as `into` has. `place` is for messages. */
export const read = (
  bytes: Uint8Array,
  at: number,
  end: number,
  width: number,
  into: Uint32Array,
  place: number
): void => {
  const ends = (): never => damage(place, "a page ends within its runs of integers")
  const count = into.length
  const { length: available } = bytes
  let done = 0
  while (done < count) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 28) return ends()
      const byte = bytes[at++]!
      header += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    const length = Math.floor(header / 2)
    if (header % 2 === 0) {
      const size = (width + 7) >> 3
      if (at + size > end) return ends()
      let value = 0
      for (let i = 0; i < size; i++) value += bytes[at++]! * 2 ** (8 * i)
      // A run of nothing is a byte more, so that this ends.
      const to = Math.min(count, done + length)
      into.fill(value, done, to)
      done = to
      continue
    }
    // The last group may be cut off behind the last integer that counts.
    const taken = Math.min(count - done, length * 8)
    if (at + Math.ceil((taken * width) / 8) > end) return ends()
    const divisor = 2 ** width
    for (let i = 0; i < taken; i++) {
      const bit = i * width
      const from = at + Math.floor(bit / 8)
      let value = 0
      for (let j = 0; j < 5 && from + j < available; j++) value += bytes[from + j]! * 2 ** (8 * j)
      into[done + i] = Math.floor(value / 2 ** (bit % 8)) % divisor
    }
    done += taken
    at = Math.min(end, at + length * width)
  }
}
