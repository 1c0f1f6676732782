/** Damages bytes in every way that the tests of this directory try on decoders. */
import * as Result from "effect/Result"
import { expect } from "vitest"
import { FormatError } from "../../src/encoding/FormatError.ts"

/** Deterministic random numbers from 0 up to 1 (mulberry32), so that a failure can be repeated. */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Runs a decoder, which must not throw; its failure must be a FormatError about `file`. */
const survives = <A>(decode: (bytes: Uint8Array) => Result.Result<A, FormatError>, bytes: Uint8Array): boolean => {
  const result = decode(bytes)
  if (Result.isFailure(result)) {
    expect(result.failure).toBeInstanceOf(FormatError)
    expect(result.failure.field).not.toBe("")
  }
  return Result.isFailure(result)
}

/** Cuts `bytes` off at every length; returns how many of the cuts failed. */
export const truncations = <A>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => Result.Result<A, FormatError>
): number => {
  let failures = 0
  for (let length = 0; length < bytes.length; length++) if (survives(decode, bytes.slice(0, length))) failures++
  return failures
}

/**
 * Changes some bytes at random places, `rounds` times: flipped bits, random bytes, and the numbers that
 * offsets and lengths go wrong with. Returns how many rounds failed.
 */
export const flips = <A>(
  bytes: Uint8Array,
  rounds: number,
  seed: number,
  decode: (bytes: Uint8Array) => Result.Result<A, FormatError>
): number => {
  const next = random(seed)
  const below = (n: number) => Math.floor(next() * n)
  let failures = 0
  for (let round = 0; round < rounds; round++) {
    const damaged = bytes.slice()
    const view = new DataView(damaged.buffer)
    for (let i = below(4); i >= 0; i--) {
      const at = below(damaged.length)
      switch (below(4)) {
        case 0:
          damaged[at]! ^= 1 << below(8)
          break
        case 1:
          damaged[at] = below(256)
          break
        case 2:
          if (at + 4 <= damaged.length) view.setUint32(at, below(2 * damaged.length), true)
          break
        default:
          if (at + 4 <= damaged.length) {
            view.setUint32(at, [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0][below(6)]!, true)
          }
      }
    }
    if (survives(decode, damaged)) failures++
  }
  return failures
}
