/**
 * Fractal heaps, which hold links, attributes and shared messages: objects in blocks of growing sizes, and large ones apart. Source:
 * HDF5 File Format Specification 3.0, III.G.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type ImportError, WrongFormat } from "../../ImportError.ts"
import type { ByteSource, Span } from "../ByteSource.ts"
import * as BTree2 from "./BTree2.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

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
  /** Bytes of the filters that its blocks went through. */
  readonly filterBytes: number
  /** The B-tree of objects that are too large for its blocks. */
  readonly large: number | undefined
}

const log2 = (value: number): number => Math.round(Math.log2(value))

const isPowerOfTwo = (value: number): boolean => value >= 1 && value < 2 ** 40 && Number.isInteger(Math.log2(value))

const parseFractal = (cursor: Cursor): FractalHeap => {
  cursor.signature("FRHP")
  cursor.version("a fractal heap", 0)
  const idLength = cursor.u16()
  const filterBytes = cursor.u16()
  const flags = cursor.u8()
  const maxManaged = cursor.u32()
  const { lengthSize, offsetSize } = cursor.sizes
  cursor.skip(lengthSize)
  const large = cursor.address()
  cursor.skip(lengthSize + offsetSize + 8 * lengthSize)
  const tableAt = cursor.at
  const width = cursor.u16()
  const startSize = cursor.length()
  const maxDirect = cursor.length()
  const maxBits = cursor.u16()
  cursor.skip(2)
  const root = cursor.address()
  const rows = cursor.u16()
  if (filterBytes > 0) cursor.skip(lengthSize + 4 + filterBytes)
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
    rows,
    filterBytes,
    large
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

/** Bytes of one object that are read, at most; the rest of a larger one is not. */
const maxObjectBytes = 4 * 1024 * 1024 + 256 * 1024

/** Where the objects are that are too large for the blocks of a heap, by their numbers. */
const largeObjects = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  tree: number | undefined
): Effect.fn.Return<ReadonlyMap<number, Span>, ImportError> {
  const places = new Map<number, Span>()
  if (tree === undefined) return places
  const { nodes, recordSize, type } = yield* BTree2.read(source, sizes, tree)
  const { lengthSize, offsetSize } = sizes
  if (type !== 1 || recordSize !== offsetSize + 2 * lengthSize) {
    return yield* source.damaged(tree, "a B-tree of large objects is expected there")
  }
  yield* parsing(source, () => {
    for (const { bytes, count, start } of nodes) {
      const cursor = new Cursor(bytes, start, sizes)
      for (let i = 0; i < count; i++) {
        const at = cursor.place("a large object")
        const length = cursor.length()
        places.set(cursor.length(), { start: at, end: at + length })
      }
    }
  })
  return places
})

/** Objects of a fractal heap by their ids, and where each is in the file. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number,
  ids: ReadonlyArray<{ readonly bytes: Uint8Array; readonly at: number }>
): Effect.fn.Return<ReadonlyArray<Cursor>, ImportError> {
  const { lengthSize, offsetSize } = sizes
  const headerSize = 14 + 12 * lengthSize + 3 * offsetSize + 8 + 4
  const first = yield* source.read(address, headerSize)
  // Filters follow, when there are some.
  const filterBytes = (first[7] ?? 0) | ((first[8] ?? 0) << 8)
  const bytes = filterBytes === 0 ? first : yield* source.read(address, headerSize + lengthSize + 4 + filterBytes)
  const heap = yield* parsing(source, () => parseFractal(new Cursor(bytes, address, sizes)))
  if (heap.filterBytes > 0) {
    return yield* new WrongFormat({
      location: source.location,
      expected: "HDF5",
      problem: `links or attributes at byte ${address} are compressed, which is not read. Write the file again with \`h5repack\``
    })
  }
  const blocks = yield* directBlocks(source, sizes, heap)
  // Ids of links and attributes are too short to say themselves where an object is.
  const isLarge = ({ bytes }: { readonly bytes: Uint8Array }): boolean => (((bytes[0] ?? 0) >> 4) & 3) === 1
  const large = ids.some(isLarge) ? yield* largeObjects(source, sizes, heap.large) : undefined
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
      if (kind === 1) {
        const number = cursor.uint(Math.min(8, heap.idLength - 1))
        const span = large?.get(number)
        if (span === undefined) return cursor.fail(`a fractal heap has no large object ${number}`, 0)
        return span.end <= source.size
          ? { start: span.start, end: Math.min(span.end, span.start + maxObjectBytes) }
          : cursor.fail(`a large object ends at ${span.end}, the file at ${source.size}`, 0)
      }
      if (kind !== 0) return cursor.fail(`there are no objects of the kind ${kind} in a fractal heap`, 0)
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
