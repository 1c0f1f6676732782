/**
 * Decompression of zstd frames in plain TypeScript: for browsers, and for frames so small that setting up
 * a native decoder takes longer than decoding.
 *
 * Everything is checked before it is used and no more than `maxBytes` is allocated. Checksums of frames
 * are not verified, and a frame that others follow is the only one decoded.
 *
 * Source: RFC 8878, sections 3 to 5.
 *
 * @since 0.1.0
 */
import { checkFrame, ZstdError } from "./Zstd.ts"
import * as Entropy from "./ZstdEntropy.ts"

const fail: (problem: string) => never = Entropy.fail

/** Largest content of a block. */
const maxBlock = 128 * 1024

/** What may be allocated at first for a frame, for each of its bytes; more comes as it is filled. */
const firstExpansion = 64

const zeros = (count: number): ReadonlyArray<number> => Array.from({ length: count }, () => 0)

const ones = (count: number): ReadonlyArray<number> => Array.from({ length: count }, () => 1)

// How many bits are added to a length, by its code.
// prettier-ignore
const literalLengthBits = Uint8Array.from([
  ...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
])
// prettier-ignore
const matchLengthBits = Uint8Array.from([
  ...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
])

/** Where the lengths of each code start: after those of the code before it. */
const baselines = (first: number, bits: Uint8Array): Uint32Array => {
  let next = first
  return Uint32Array.from(bits, (count) => {
    const base = next
    next += 2 ** count
    return base
  })
}
const literalLengthBase = baselines(0, literalLengthBits)
const matchLengthBase = baselines(3, matchLengthBits)

/** The three kinds of code in a sequence: largest code, most accurate table, and the table without one. */
interface Codes {
  readonly maxCode: number
  readonly maxLog: number
  readonly predefined: Entropy.FseTable
}

// prettier-ignore
const literalLengths: Codes = {
  maxCode: 35,
  maxLog: 9,
  predefined: Entropy.fseTable(6, [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1
  ])
}

const offsets: Codes = {
  maxCode: 31,
  maxLog: 8,
  predefined: Entropy.fseTable(5, [...ones(6), 2, 2, 2, ...ones(15), -1, -1, -1, -1, -1])
}

const matchLengths: Codes = {
  maxCode: 52,
  maxLog: 9,
  predefined: Entropy.fseTable(6, [1, 4, 3, 2, 2, 2, 2, 2, 2, ...ones(37), -1, -1, -1, -1, -1, -1, -1])
}

/** What a block inherits from the one before it, and the first block from a dictionary. */
interface Tables {
  huffman: Entropy.HuffmanTable | undefined
  literalLengths: Entropy.FseTable | undefined
  offsets: Entropy.FseTable | undefined
  matchLengths: Entropy.FseTable | undefined
  /** The latest three offsets. */
  repeats: readonly [number, number, number]
}

/**
 * A dictionary, ready for use: content that matches reach back into, and tables to start with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dictionary {
  /** 0 for raw content. */
  readonly id: number
  readonly content: Uint8Array
  /** @internal */
  readonly tables: Readonly<Tables>
}

const noTables: Readonly<Tables> = {
  huffman: undefined,
  literalLengths: undefined,
  offsets: undefined,
  matchLengths: undefined,
  repeats: [1, 4, 8]
}

const noDictionary: Dictionary = { id: 0, content: new Uint8Array(0), tables: noTables }

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * A dictionary from its bytes, in zstd's format or raw content. Throws a `ZstdError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const dictionary = (bytes: Uint8Array): Dictionary => {
  const view = viewOf(bytes)
  if (bytes.length < 8 || view.getUint32(0, true) !== 0xec30_a437) {
    return { id: 0, content: bytes.slice(), tables: noTables }
  }
  const huffman = Entropy.readHuffman(bytes, 8, bytes.length)
  const offsetTable = Entropy.readFse(bytes, huffman.end, bytes.length, offsets.maxCode, offsets.maxLog)
  const matchTable = Entropy.readFse(bytes, offsetTable.end, bytes.length, matchLengths.maxCode, matchLengths.maxLog)
  const literalTable = Entropy.readFse(
    bytes,
    matchTable.end,
    bytes.length,
    literalLengths.maxCode,
    literalLengths.maxLog
  )
  const at = literalTable.end
  if (at + 12 > bytes.length) fail("the dictionary is cut off")
  const content = bytes.slice(at + 12)
  const repeats = [view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true)] as const
  if (repeats.some((offset) => offset === 0 || offset > content.length)) fail("the dictionary has offsets beyond it")
  return {
    id: view.getUint32(4, true),
    content,
    tables: {
      huffman: huffman.table,
      literalLengths: literalTable.table,
      offsets: offsetTable.table,
      matchLengths: matchTable.table,
      repeats
    }
  }
}

/** One frame on its way out. */
class Decoder {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly maxBytes: number
  private readonly history: Uint8Array
  private readonly tables: Tables
  private output: Uint8Array
  private length = 0

  constructor(bytes: Uint8Array, maxBytes: number, firstSize: number, dictionary: Dictionary) {
    this.bytes = bytes
    this.view = viewOf(bytes)
    this.maxBytes = maxBytes
    this.history = dictionary.content
    this.tables = { ...dictionary.tables }
    this.output = new Uint8Array(firstSize)
  }

  result(): Uint8Array {
    return this.length === this.output.length ? this.output : this.output.slice(0, this.length)
  }

  /** Makes room for `size` more bytes. */
  private reserve(size: number): void {
    const needed = this.length + size
    if (needed <= this.output.length) return
    if (needed > this.maxBytes) fail("the zstd frame holds more than is allowed")
    const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(needed, 2 * this.output.length)))
    grown.set(this.output.subarray(0, this.length))
    this.output = grown
  }

  /** All blocks from `at`. */
  blocks(at: number): void {
    const { bytes } = this
    for (let last = false; !last;) {
      if (at + 3 > bytes.length) fail("the zstd frame is cut off")
      const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
      at += 3
      last = (header & 1) === 1
      const type = (header >> 1) & 3
      const size = header >> 3
      if (size > maxBlock) fail("a block is too large")
      if (at + (type === 1 ? 1 : size) > bytes.length) fail("the zstd frame is cut off")
      if (type === 0) {
        this.reserve(size)
        this.output.set(bytes.subarray(at, at + size), this.length)
        this.length += size
        at += size
      } else if (type === 1) {
        this.reserve(size)
        this.output.fill(bytes[at]!, this.length, this.length + size)
        this.length += size
        at += 1
      } else if (type === 2) {
        this.block(at, at + size)
        at += size
      } else fail("a block is of no known type")
    }
  }

  private block(at: number, end: number): void {
    const literals = Entropy.readLiterals(this.bytes, at, end, this.tables.huffman, maxBlock)
    this.tables.huffman = literals.huffman
    this.sequences(literals.end, end, literals.literals)
  }

  /** A table for one kind of code; moves over what describes it. */
  private table(
    mode: number,
    codes: Codes,
    previous: Entropy.FseTable | undefined,
    at: number,
    end: number
  ): { readonly table: Entropy.FseTable; readonly end: number } {
    switch (mode) {
      case 0:
        return { table: codes.predefined, end: at }
      case 1: {
        if (at >= end) fail("a block is cut off")
        const code = this.bytes[at]!
        if (code > codes.maxCode) fail("a block has an unknown code")
        return { table: Entropy.singleTable(code), end: at + 1 }
      }
      case 2:
        return Entropy.readFse(this.bytes, at, end, codes.maxCode, codes.maxLog)
      default:
        return { table: previous ?? fail("a block repeats a table that does not exist"), end: at }
    }
  }

  private sequences(at: number, end: number, literals: Uint8Array): void {
    const { bytes, tables } = this
    if (at >= end) fail("a block is cut off")
    let count = bytes[at++]!
    if (count >= 128) {
      const more = count === 255 ? 2 : 1
      if (at + more > end) fail("a block is cut off")
      count = count === 255 ? bytes[at]! + (bytes[at + 1]! << 8) + 0x7f00 : ((count - 128) << 8) + bytes[at]!
      at += more
    }
    if (count === 0) {
      if (at !== end) fail("a block has bytes after its end")
      this.append(literals, 0, literals.length)
      return
    }
    if (at >= end) fail("a block is cut off")
    const modes = bytes[at++]!
    if ((modes & 3) !== 0) fail("a block has reserved bits set")
    const literalTable = this.table(modes >> 6, literalLengths, tables.literalLengths, at, end)
    const offsetTable = this.table((modes >> 4) & 3, offsets, tables.offsets, literalTable.end, end)
    const matchTable = this.table((modes >> 2) & 3, matchLengths, tables.matchLengths, offsetTable.end, end)
    tables.literalLengths = literalTable.table
    tables.offsets = offsetTable.table
    tables.matchLengths = matchTable.table
    this.execute(count, matchTable.end, end, literals)
  }

  /** Decodes `count` sequences from the bits in `at` to `end` and appends what they say. */
  private execute(count: number, at: number, end: number, literals: Uint8Array): void {
    const { tables, view } = this
    const literalTable = tables.literalLengths!
    const offsetTable = tables.offsets!
    const matchTable = tables.matchLengths!
    const blockStart = this.length
    const bits = new Entropy.BitReader(this.bytes, view, at, end)
    let [first, second, third] = tables.repeats
    let used = 0
    let literalState = bits.read(literalTable.log)
    let offsetState = bits.read(offsetTable.log)
    let matchState = bits.read(matchTable.log)
    for (let i = 0; i < count; i++) {
      const offsetCode = offsetTable.symbols[offsetState]!
      const matchCode = matchTable.symbols[matchState]!
      const literalCode = literalTable.symbols[literalState]!
      const offsetValue = 2 ** offsetCode + bits.readLong(offsetCode)
      const matchLength = matchLengthBase[matchCode]! + bits.read(matchLengthBits[matchCode]!)
      const literalLength = literalLengthBase[literalCode]! + bits.read(literalLengthBits[literalCode]!)
      if (i + 1 < count) {
        literalState = literalTable.bases[literalState]! + bits.read(literalTable.bits[literalState]!)
        matchState = matchTable.bases[matchState]! + bits.read(matchTable.bits[matchState]!)
        offsetState = offsetTable.bases[offsetState]! + bits.read(offsetTable.bits[offsetState]!)
      }
      // Values up to 3 name one of the latest offsets; without literals, the one after it.
      let offset = offsetValue - 3
      if (offsetValue > 3) {
        third = second
        second = first
        first = offset
      } else {
        const repeat = literalLength === 0 ? offsetValue : offsetValue - 1
        offset = repeat === 0 ? first : repeat === 1 ? second : repeat === 2 ? third : first - 1
        if (repeat !== 0) {
          if (repeat !== 1) third = second
          second = first
          first = offset
        }
      }
      if (used + literalLength > literals.length) fail("a block has more literals than it says")
      if (this.length + literalLength + matchLength - blockStart > maxBlock) fail("a block is too large")
      this.append(literals, used, literalLength)
      used += literalLength
      this.match(offset, matchLength)
    }
    if (bits.left !== 0) fail("a block is damaged")
    if (this.length + literals.length - used - blockStart > maxBlock) fail("a block is too large")
    this.append(literals, used, literals.length - used)
    tables.repeats = [first, second, third]
  }

  private append(from: Uint8Array, start: number, size: number): void {
    this.reserve(size)
    if (size < 32) {
      for (let i = 0; i < size; i++) this.output[this.length + i] = from[start + i]!
    } else this.output.set(from.subarray(start, start + size), this.length)
    this.length += size
  }

  /** Appends `size` bytes from `offset` bytes ago, which may be in the dictionary or not be written yet. */
  private match(offset: number, size: number): void {
    if (offset <= 0 || offset > this.length + this.history.length) fail("a block reaches back before the content")
    const fromHistory = Math.min(size, offset - this.length)
    if (fromHistory > 0) {
      this.append(this.history, this.history.length - (offset - this.length), fromHistory)
      size -= fromHistory
    }
    this.reserve(size)
    const { length, output } = this
    const from = length - offset
    if (size >= 32 && offset >= size) output.copyWithin(length, from, from + size)
    else for (let i = 0; i < size; i++) output[length + i] = output[from + i]!
    this.length += size
  }
}

/**
 * The content of the frame that `bytes` start with, at most `maxBytes` of it. Throws a `ZstdError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decompress = (bytes: Uint8Array, maxBytes: number, dictionary: Dictionary = noDictionary): Uint8Array => {
  const header = checkFrame(bytes, maxBytes)
  if (header.dictionaryId !== 0 && header.dictionaryId !== dictionary.id) {
    fail(`the zstd frame needs the dictionary ${header.dictionaryId}`)
  }
  const firstSize = Math.min(header.contentSize ?? maxBytes, firstExpansion * bytes.length + 1024, maxBytes)
  const decoder = new Decoder(bytes, maxBytes, firstSize, dictionary)
  decoder.blocks(header.size)
  const content = decoder.result()
  if (header.contentSize !== undefined && header.contentSize !== content.length) {
    throw new ZstdError({ problem: `the zstd frame holds ${content.length} bytes and says ${header.contentSize}` })
  }
  return content
}

/**
 * A decompressor for many small frames that share a dictionary, as the service `Zstd` has one. The
 * dictionary is looked at when the first frame comes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const withDictionary = (bytes: Uint8Array): ((frame: Uint8Array, maxBytes: number) => Uint8Array) => {
  let parsed: Dictionary | undefined
  return (frame, maxBytes) => decompress(frame, maxBytes, (parsed ??= dictionary(bytes)))
}
