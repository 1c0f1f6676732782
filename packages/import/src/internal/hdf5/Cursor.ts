/**
 * Reads one thing after another from a part of an HDF5 file. Pure: what cannot be is thrown as `Damage`, and caught by `parsing`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DamagedFile } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import type { Sizes } from "./Layout.ts"
import * as Lookup from "./Lookup.ts"

/** What is wrong at a byte of the file. Thrown and caught in this folder. */
class Damage {
  readonly offset: number
  readonly problem: string
  /** It may be sound, and of a later version than is read here. */
  readonly isUnknown: boolean
  constructor(offset: number, problem: string, isUnknown: boolean) {
    this.offset = offset
    this.problem = problem
    this.isUnknown = isUnknown
  }
}

/** Runs a parser; what it throws is a damaged file. */
export const parsing = <A>(source: Pick<ByteSource, "damaged">, parse: () => A): Effect.Effect<A, DamagedFile> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      if (error instanceof Damage) return Effect.fail(source.damaged(error.offset, error.problem))
      throw error
    }
  })

/** Runs a parser; what it does not know is a sentence with the byte where that is. For what concerns a part of a file only. */
export const known = <A>(parse: () => A): A | { readonly unknown: string } => {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Damage && error.isUnknown) return { unknown: `${error.problem} (at byte ${error.offset})` }
    throw error
  }
}

const latin1 = /* @__PURE__ */ new TextDecoder("latin1")

export class Cursor {
  at = 0
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where the bytes are in the file. */
  readonly start: number
  readonly sizes: Sizes

  constructor(bytes: Uint8Array, start: number, sizes: Sizes) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.start = start
    this.sizes = sizes
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  fail(problem: string, at: number = this.at): never {
    throw new Damage(this.start + at, problem, false)
  }

  /** As `fail`, for what a later version of the format may have. */
  unknown(problem: string, at: number = this.at): never {
    throw new Damage(this.start + at, problem, true)
  }

  /** Goes on by so many bytes, and says where they are. */
  skip(length: number): number {
    const { at } = this
    if (!(length >= 0 && at + length <= this.bytes.length)) {
      this.fail(`${length} bytes are expected there, and there are ${this.bytes.length - at}`)
    }
    this.at += length
    return at
  }

  take(length: number): Uint8Array {
    const at = this.skip(length)
    return this.bytes.subarray(at, at + length)
  }

  u8(): number {
    return this.view.getUint8(this.skip(1))
  }

  u16(): number {
    return this.view.getUint16(this.skip(2), true)
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true)
  }

  /** An unsigned number of 1 to 8 bytes; beyond 2^53 it is not exact. */
  uint(size: number): number {
    const at = this.skip(size)
    let value = 0
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes[at + i]!
    return value
  }

  length(): number {
    return this.uint(this.sizes.lengthSize)
  }

  /** A position in the file, or `undefined` for none. */
  address(): number | undefined {
    const { base, offsetSize } = this.sizes
    const at = this.at
    const isNone = this.take(offsetSize).every((byte) => byte === 0xff)
    if (isNone) return undefined
    this.at = at
    const address = this.uint(offsetSize) + base
    return Number.isSafeInteger(address) ? address : this.fail(`there is no byte ${address} in a file`, at)
  }

  /** A position that has to be there. */
  place(what: string): number {
    const at = this.at
    return this.address() ?? this.fail(`the address of ${what} is missing`, at)
  }

  signature(expected: string): void {
    const at = this.at
    const found = latin1.decode(this.take(expected.length))
    if (found !== expected) this.fail(`\`${expected}\` is expected there`, at)
  }

  version(what: string, ...known: ReadonlyArray<number>): number {
    const at = this.at
    const version = this.u8()
    return known.includes(version) ? version : this.unknown(`version ${version} of ${what} is not known`, at)
  }

  /** Compares the checksum that comes next with what is before it; a wrong one is reported where that begins. */
  checksum(from = 0): void {
    const at = this.at
    const expected = Lookup.checksum(this.bytes, from, at)
    if (this.u32() !== expected) this.fail("what is there has another checksum than its bytes", from)
  }
}
