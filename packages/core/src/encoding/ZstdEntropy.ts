/**
 * The entropy coding of zstd: finite state entropy, Huffman codes, and literals written with them.
 *
 * Source: RFC 8878, section 4, and 3.1.1.3.1 for literals.
 *
 * @since 0.1.0
 */
import { ZstdError } from "./Zstd.ts"

/**
 * Throws a `ZstdError`.
 *
 * @category errors
 * @since 0.1.0
 */
export const fail = (problem: string): never => {
  throw new ZstdError({ problem })
}

/**
 * Bits that are read from their end to their beginning. The highest bit that is set in the last byte only
 * marks where they end.
 *
 * @category models
 * @since 0.1.0
 */
export class BitReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly start: number
  private readonly end: number
  /** Bits that have not been read. Negative once more were read than there are; those were zeros. */
  left: number

  constructor(bytes: Uint8Array, view: DataView, start: number, end: number) {
    if (end <= start || bytes[end - 1] === 0) fail("a block is damaged")
    this.bytes = bytes
    this.view = view
    this.start = start
    this.end = end
    this.left = 8 * (end - start) - 1 - (Math.clz32(bytes[end - 1]!) - 24)
  }

  /** The next `count` bits, at most 24, without moving. */
  peek(count: number): number {
    const low = this.left - count
    if (low < 0) {
      // Zeros stand below the first bit.
      return this.left <= 0 ? 0 : (this.word(0) & ((1 << this.left) - 1)) << -low
    }
    return (this.word(low >>> 3) >>> (low & 7)) & ((1 << count) - 1)
  }

  private word(at: number): number {
    const position = this.start + at
    if (position + 4 <= this.end) return this.view.getUint32(position, true)
    let word = 0
    for (let i = 0; position + i < this.end; i++) word |= this.bytes[position + i]! << (8 * i)
    return word
  }

  /** Reads `count` bits, at most 24. */
  read(count: number): number {
    const value = this.peek(count)
    this.left -= count
    return value
  }

  /** Reads `count` bits, at most 31. */
  readLong(count: number): number {
    if (count <= 24) return this.read(count)
    const high = this.read(count - 16)
    return high * 0x1_0000 + this.read(16)
  }
}

/**
 * A table of finite state entropy. A state means a symbol; the next state is its base and as many bits.
 *
 * @category models
 * @since 0.1.0
 */
export interface FseTable {
  readonly log: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
  readonly bases: Uint16Array
}

/**
 * A table of `2^log` states from the share that each symbol has of them; -1 is a share of less than one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fseTable = (log: number, shares: ReadonlyArray<number>): FseTable => {
  const size = 1 << log
  const symbols = new Uint8Array(size)
  const bits = new Uint8Array(size)
  const bases = new Uint16Array(size)
  let high = size
  for (const [symbol, share] of shares.entries()) if (share < 0) symbols[--high] = symbol
  const step = (size >> 1) + (size >> 3) + 3
  let at = 0
  for (const [symbol, share] of shares.entries()) {
    for (let i = 0; i < share; i++) {
      symbols[at] = symbol
      do at = (at + step) & (size - 1)
      while (at >= high)
    }
  }
  const next = shares.map((share) => (share < 0 ? 1 : share))
  for (let state = 0; state < size; state++) {
    const place = next[symbols[state]!]!++
    bits[state] = log - (31 - Math.clz32(place))
    bases[state] = (place << bits[state]!) - size
  }
  return { log, symbols, bits, bases }
}

/**
 * A table that always means `symbol`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const singleTable = (symbol: number): FseTable => ({
  log: 0,
  symbols: Uint8Array.of(symbol),
  bits: Uint8Array.of(0),
  bases: Uint16Array.of(0)
})

/**
 * A table from its description at `at`, and where that ends.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readFse = (
  bytes: Uint8Array,
  at: number,
  end: number,
  maxSymbol: number,
  maxLog: number
): { readonly table: FseTable; readonly end: number } => {
  let bit = 8 * at
  /** `count` bits from `bit` on, lowest first; zeros behind the end. */
  const peek = (count: number): number => {
    let value = 0
    const first = bit >>> 3
    for (let i = 0; i < 3; i++) if (first + i < end) value |= bytes[first + i]! << (8 * i)
    return (value >>> (bit & 7)) & ((1 << count) - 1)
  }
  const read = (count: number): number => {
    const value = peek(count)
    bit += count
    return value
  }
  const log = read(4) + 5
  if (log > maxLog) fail("a table is too large")
  const shares: Array<number> = []
  let rest = 1 << log
  while (rest > 0) {
    // Values from 0 to rest + 1. The lowest of them take a bit less than the others.
    const width = 32 - Math.clz32(rest + 1)
    const short = (1 << width) - 2 - rest
    let value = peek(width - 1)
    if (value < short) bit += width - 1
    else {
      value = read(width)
      if (value >= 1 << (width - 1)) value -= short
    }
    const share = value - 1
    rest -= Math.abs(share)
    shares.push(share)
    if (share === 0) {
      for (let zeros = 3; zeros === 3;) {
        zeros = read(2)
        for (let i = 0; i < zeros; i++) shares.push(0)
        if (shares.length > maxSymbol + 1) fail("a table has too many symbols")
      }
    }
    if (shares.length > maxSymbol + 1 || bit > 8 * end) fail("a table is damaged")
  }
  if (rest < 0) fail("a table is damaged")
  return { table: fseTable(log, shares), end: (bit + 7) >>> 3 }
}

/**
 * A table of Huffman codes: the next `log` bits mean a symbol, of which `bits` are its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface HuffmanTable {
  readonly log: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
}

/** Codes are not longer. */
const maxHuffmanLog = 11

const huffmanTable = (weights: Array<number>): HuffmanTable => {
  let total = 0
  for (const weight of weights) if (weight > 0) total += 2 ** (weight - 1)
  if (total === 0) fail("a table of Huffman codes is empty")
  const log = 32 - Math.clz32(total)
  if (log > maxHuffmanLog) fail("a table of Huffman codes is too large")
  // The last weight is not written: it completes the sum to a power of two.
  const missing = 2 ** log - total
  if ((missing & (missing - 1)) !== 0) fail("a table of Huffman codes is damaged")
  weights.push(32 - Math.clz32(missing))
  const symbols = new Uint8Array(1 << log)
  const bits = new Uint8Array(1 << log)
  let at = 0
  for (let weight = 1; weight <= log; weight++) {
    for (const [symbol, its] of weights.entries()) {
      if (its !== weight) continue
      const next = at + 2 ** (weight - 1)
      symbols.fill(symbol, at, next)
      bits.fill(log + 1 - weight, at, next)
      at = next
    }
  }
  return { log, symbols, bits }
}

/** Weights that are written with two states in turn. */
const readWeights = (bytes: Uint8Array, at: number, end: number): Array<number> => {
  const { end: start, table } = readFse(bytes, at, end, 255, 6)
  const bits = new BitReader(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start, end)
  const weights: Array<number> = []
  let state = bits.read(table.log)
  let other = bits.read(table.log)
  while (weights.length < 255) {
    weights.push(table.symbols[state]!)
    const next = table.bases[state]! + bits.read(table.bits[state]!)
    state = other
    other = next
    if (bits.left < 0) {
      weights.push(table.symbols[state]!)
      return weights
    }
  }
  return fail("a table of Huffman codes has too many symbols")
}

/**
 * A table of Huffman codes from its description at `at`, and where that ends.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readHuffman = (
  bytes: Uint8Array,
  at: number,
  end: number
): { readonly table: HuffmanTable; readonly end: number } => {
  if (at >= end) fail("a table of Huffman codes is cut off")
  const header = bytes[at]!
  const direct = header >= 128
  const stop = at + 1 + (direct ? (header - 126) >> 1 : header)
  if (stop > end) fail("a table of Huffman codes is cut off")
  const weights = direct
    ? Array.from({ length: header - 127 }, (_, i) => {
        const pair = bytes[at + 1 + (i >> 1)]!
        return i % 2 === 0 ? pair >> 4 : pair & 15
      })
    : readWeights(bytes, at + 1, stop)
  if (weights.length > 255) fail("a table of Huffman codes has too many symbols")
  return { table: huffmanTable(weights), end: stop }
}

/** Fills `output` with the symbols of one stream. */
const readStream = (
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  table: HuffmanTable,
  output: Uint8Array
) => {
  const bits = new BitReader(bytes, view, at, end)
  const { bits: lengths, log, symbols } = table
  for (let i = 0; i < output.length; i++) {
    const code = bits.peek(log)
    output[i] = symbols[code]!
    bits.left -= lengths[code]!
  }
  if (bits.left !== 0) fail("literals are damaged")
}

/**
 * The literals of a block, the table that they were written with (or else `previous`), and where they end.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readLiterals = (
  bytes: Uint8Array,
  at: number,
  end: number,
  previous: HuffmanTable | undefined,
  maxBytes: number
): { readonly literals: Uint8Array; readonly huffman: HuffmanTable | undefined; readonly end: number } => {
  if (at >= end) fail("a block is cut off")
  const type = bytes[at]! & 3
  const format = (bytes[at]! >> 2) & 3
  const compressed = type >= 2
  // Bits of a size, and bytes of the header: sizes are behind four bits, or three.
  const sizeBits = compressed ? [10, 10, 14, 18][format]! : [5, 12, 5, 20][format]!
  const headerSize = compressed ? [3, 3, 4, 5][format]! : [1, 2, 1, 3][format]!
  if (at + headerSize > end) fail("a block is cut off")
  let header = 0
  for (let i = headerSize - 1; i >= 0; i--) header = header * 256 + bytes[at + i]!
  const shift = compressed || sizeBits !== 5 ? 16 : 8
  const size = Math.floor(header / shift) % 2 ** sizeBits
  if (size > maxBytes) fail("a block is too large")
  const start = at + headerSize
  if (!compressed) {
    const stop = start + (type === 0 ? size : 1)
    if (stop > end) fail("a block is cut off")
    const literals = type === 0 ? bytes.subarray(start, stop) : new Uint8Array(size).fill(bytes[start]!)
    return { literals, huffman: previous, end: stop }
  }
  const stop = start + Math.floor(header / 2 ** (4 + sizeBits))
  if (stop > end) fail("a block is cut off")
  const described = type === 2 ? readHuffman(bytes, start, stop) : undefined
  const table = described?.table ?? previous ?? fail("a block repeats a table that does not exist")
  let from = described?.end ?? start
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const literals = new Uint8Array(size)
  if (format === 0) readStream(bytes, view, from, stop, table, literals)
  else {
    if (from + 6 > stop) fail("a block is cut off")
    const quarter = (size + 3) >> 2
    if (3 * quarter > size) fail("literals are damaged")
    const jumps = [view.getUint16(from, true), view.getUint16(from + 2, true), view.getUint16(from + 4, true)]
    from += 6
    for (let stream = 0; stream < 4; stream++) {
      const to = stream === 3 ? stop : from + jumps[stream]!
      if (to > stop) fail("a block is cut off")
      const part = literals.subarray(stream * quarter, stream === 3 ? size : (stream + 1) * quarter)
      readStream(bytes, view, from, to, table, part)
      from = to
    }
  }
  return { literals, huffman: table, end: stop }
}
