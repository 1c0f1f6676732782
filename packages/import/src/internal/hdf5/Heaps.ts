/**
 * Heaps: local ones with the names of old groups, global ones with texts of any length, fractal ones with links and attributes.
 * Source: HDF5 File Format Specification 3.0, III.D to III.G.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

/** The data of a local heap: texts at offsets, each up to its NUL. */
export const readLocal = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number
): Effect.fn.Return<Cursor, ImportError> {
  const bytes = yield* source.read(address, 8 + 2 * sizes.lengthSize + sizes.offsetSize)
  const { at, size } = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, address, sizes)
    cursor.signature("HEAP")
    cursor.version("a local heap", 0)
    cursor.skip(3)
    const size = cursor.length()
    cursor.skip(sizes.lengthSize)
    return { size, at: cursor.place("the data of a local heap") }
  })
  return new Cursor(yield* source.read(at, size), at, sizes)
})

/** The bytes at an offset of a local heap. */
export const localText = (heap: Cursor, offset: number): Uint8Array => {
  if (offset >= heap.bytes.length) heap.fail(`a name is at ${offset} of a heap of ${heap.bytes.length} bytes`, 0)
  const end = heap.bytes.indexOf(0, offset)
  return heap.bytes.subarray(offset, end < 0 ? undefined : end)
}

/** Where something is in a global heap. */
export interface GlobalId {
  readonly address: number
  readonly index: number
}

const parseCollection = (cursor: Cursor, end: number): ReadonlyMap<number, Uint8Array> => {
  const objects = new Map<number, Uint8Array>()
  while (cursor.at + 8 + cursor.sizes.lengthSize <= end) {
    const index = cursor.u16()
    cursor.skip(6)
    const size = cursor.length()
    // What is left is free.
    if (index === 0) break
    objects.set(index, cursor.take(size))
    cursor.skip(Math.min(cursor.left, (8 - (size % 8)) % 8))
  }
  return objects
}

/** Global heaps of a file, each of which is read once. */
export class GlobalHeaps {
  readonly #source: ByteSource
  readonly #sizes: Sizes
  readonly #collections = new Map<number, ReadonlyMap<number, Uint8Array>>()

  constructor(source: ByteSource, sizes: Sizes) {
    this.#source = source
    this.#sizes = sizes
  }

  /** Fetches the collections that the ids are in. */
  load(ids: ReadonlyArray<GlobalId>): Effect.Effect<void, ImportError> {
    const missing = [...new Set(ids.map(({ address }) => address))].filter((one) => !this.#collections.has(one))
    if (missing.length === 0) return Effect.void
    const [source, sizes, collections] = [this.#source, this.#sizes, this.#collections]
    return Effect.gen(function* () {
      const prefix = 8 + sizes.lengthSize
      const heads = yield* source.readMany(missing.map((start) => ({ start, end: start + prefix })))
      const lengths = yield* parsing(source, () =>
        heads.map((bytes, i) => {
          const cursor = new Cursor(bytes, missing[i]!, sizes)
          cursor.signature("GCOL")
          cursor.version("a global heap", 1)
          cursor.skip(3)
          return Math.max(prefix, cursor.length())
        })
      )
      const whole = yield* source.readMany(missing.map((start, i) => ({ start, end: start + lengths[i]! })))
      yield* parsing(source, () => {
        for (const [i, bytes] of whole.entries()) {
          const cursor = new Cursor(bytes, missing[i]!, sizes)
          cursor.skip(prefix)
          collections.set(missing[i]!, parseCollection(cursor, bytes.length))
        }
      })
    })
  }

  /** What a loaded collection has under an id. */
  get({ address, index }: GlobalId): Uint8Array | undefined {
    return this.#collections.get(address)?.get(index)
  }
}

interface FractalHeap {
  readonly address: number
  readonly idLength: number
  readonly hasChecksums: boolean
  readonly width: number
  readonly startSize: number
  readonly maxDirect: number
  /** Bytes of an offset, and of the length of an object. */
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly root: number | undefined
  readonly rows: number
}

const log2 = (value: number): number => Math.round(Math.log2(value))

const isPowerOfTwo = (value: number): boolean => value >= 1 && value < 2 ** 40 && Number.isInteger(Math.log2(value))

const parseFractal = (cursor: Cursor): FractalHeap => {
  cursor.signature("FRHP")
  cursor.version("a fractal heap", 0)
  const idLength = cursor.u16()
  const at = cursor.at
  if (cursor.u16() !== 0) cursor.fail("links and attributes that are compressed are not read", at)
  const flags = cursor.u8()
  const maxManaged = cursor.u32()
  const { lengthSize, offsetSize } = cursor.sizes
  cursor.skip(lengthSize + offsetSize + lengthSize + offsetSize + 8 * lengthSize)
  const tableAt = cursor.at
  const width = cursor.u16()
  const startSize = cursor.length()
  const maxDirect = cursor.length()
  const maxBits = cursor.u16()
  cursor.skip(2)
  const root = cursor.address()
  const rows = cursor.u16()
  cursor.checksum()
  if (
    !isPowerOfTwo(width) ||
    !isPowerOfTwo(startSize) ||
    !isPowerOfTwo(maxDirect) ||
    maxBits > 64 ||
    maxDirect < startSize
  ) {
    cursor.fail(
      `a fractal heap of width ${width}, with blocks from ${startSize} to ${maxDirect} bytes, cannot be`,
      tableAt
    )
  }
  return {
    address: cursor.start,
    idLength,
    hasChecksums: (flags & 2) !== 0,
    width,
    startSize,
    maxDirect,
    offsetBytes: Math.ceil(maxBits / 8),
    lengthBytes: Math.min(
      Math.floor((log2(maxDirect) + 7) / 8),
      Math.floor(Math.log2(Math.max(1, maxManaged)) / 8) + 1
    ),
    root,
    rows
  }
}

/** A block of a fractal heap that holds objects: where its first byte is in the space of the heap, and in the file. */
interface Direct {
  readonly offset: number
  readonly address: number
  readonly size: number
}

/** The size of the blocks in a row. */
const rowSize = ({ startSize }: FractalHeap, row: number): number => startSize * 2 ** Math.max(0, row - 1)

/** Blocks of a heap, at most: bounds what a damaged one can ask for. */
const maxBlocks = 65_536

const directBlocks = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  heap: FractalHeap
): Effect.fn.Return<ReadonlyArray<Direct>, ImportError> {
  if (heap.root === undefined) return []
  if (heap.rows === 0) return [{ offset: 0, address: heap.root, size: heap.startSize }]
  const directRows = log2(heap.maxDirect) - log2(heap.startSize) + 2
  const found: Array<Direct> = []
  let current = [{ address: heap.root, offset: 0, rows: heap.rows }]
  const seen = new Set<number>()
  while (current.length > 0) {
    const prefix = 5 + sizes.offsetSize + heap.offsetBytes
    const bytes = yield* source.readMany(
      current.map(({ address, rows }) => ({
        start: address,
        end: address + prefix + rows * heap.width * sizes.offsetSize + 4
      }))
    )
    const next: typeof current = []
    yield* parsing(source, () => {
      for (const [i, block] of bytes.entries()) {
        const { address, offset, rows } = current[i]!
        const cursor = new Cursor(block, address, sizes)
        if (seen.has(address) || seen.size > maxBlocks) cursor.fail("a fractal heap leads back to itself")
        seen.add(address)
        cursor.signature("FHIB")
        cursor.version("a block of a fractal heap", 0)
        cursor.skip(sizes.offsetSize + heap.offsetBytes)
        let at = offset
        for (let row = 0; row < rows; row++) {
          const size = rowSize(heap, row)
          for (let column = 0; column < heap.width; column++, at += size) {
            const child = cursor.address()
            if (child === undefined) continue
            if (row < directRows) found.push({ offset: at, address: child, size })
            else next.push({ address: child, offset: at, rows: log2(size) - log2(heap.startSize * heap.width) + 1 })
          }
        }
        cursor.checksum()
      }
    })
    if (next.some(({ rows }) => rows < 1 || rows > 64)) {
      return yield* source.damaged(heap.address, "a fractal heap has blocks of no size")
    }
    current = next
  }
  return found
})

/** Objects of a fractal heap by their ids, and where each is in the file. */
export const readFractal = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number,
  ids: ReadonlyArray<{ readonly bytes: Uint8Array; readonly at: number }>
): Effect.fn.Return<ReadonlyArray<Cursor>, ImportError> {
  const { lengthSize, offsetSize } = sizes
  const headerSize = 14 + 12 * lengthSize + 3 * offsetSize + 8 + 4
  const bytes = yield* source.read(address, Math.min(headerSize, Math.max(0, source.size - address)))
  const heap = yield* parsing(source, () => parseFractal(new Cursor(bytes, address, sizes)))
  const blocks = yield* directBlocks(source, sizes, heap)
  const placed = yield* parsing(source, () =>
    ids.map(({ at, bytes }) => {
      const cursor = new Cursor(bytes, at, sizes)
      const first = cursor.u8()
      const kind = (first >> 4) & 3
      if (kind === 2) {
        const isLong = heap.idLength > 18
        const length = 1 + (isLong ? (first & 0x0f) * 256 + cursor.u8() : first & 0x0f)
        return { inline: new Cursor(cursor.take(length), at, sizes) }
      }
      if (kind !== 0) return cursor.fail("an object of a fractal heap that is too large for its blocks is not read", 0)
      const offset = cursor.uint(heap.offsetBytes)
      const length = cursor.uint(heap.lengthBytes)
      const block = blocks.find((one) => one.offset <= offset && offset + length <= one.offset + one.size)
      if (block === undefined) return cursor.fail(`a fractal heap has no bytes ${offset} to ${offset + length}`, 0)
      const start = block.address + offset - block.offset
      return { start, end: start + length }
    })
  )
  const spans = placed.flatMap((one) => ("inline" in one ? [] : [one]))
  const read = yield* source.readMany(spans)
  let next = 0
  return placed.map((one) => ("inline" in one ? one.inline : new Cursor(read[next++]!, one.start, sizes)))
})
