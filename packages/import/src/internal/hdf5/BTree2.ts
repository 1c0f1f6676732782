/**
 * B-trees of version 2: records, by nodes. Neighbours of a level are fetched together. Source: HDF5 File Format Specification 3.0,
 * III.A.2.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

/** Records of one node, and where they are in the file. */
export interface Node {
  readonly bytes: Uint8Array
  readonly start: number
  readonly count: number
}

/** A tree that is read in parts. */
export interface Tree {
  readonly type: number
  readonly recordSize: number
  /** The next nodes, some of one level; none after the last. */
  readonly next: Effect.Effect<ReadonlyArray<Node>, ImportError>
}

interface Header {
  readonly type: number
  readonly nodeSize: number
  readonly recordSize: number
  readonly depth: number
  readonly root: number | undefined
  readonly records: number
}

/** Bytes that the numbers up to a limit take. */
const bytesFor = (limit: number): number => Math.floor(Math.log2(Math.max(1, limit)) / 8) + 1

const parseHeader = (cursor: Cursor): Header => {
  cursor.signature("BTHD")
  cursor.version("a B-tree", 0)
  const type = cursor.u8()
  const nodeSize = cursor.u32()
  const recordSize = cursor.u16()
  const depth = cursor.u16()
  cursor.skip(2)
  const root = cursor.address()
  const records = cursor.u16()
  cursor.length()
  cursor.checksum()
  return { type, nodeSize, recordSize, depth, root, records }
}

/** How nodes of a level are laid out; 0 is a leaf. */
interface Level {
  /** Records, at most. */
  readonly most: number
  /** Bytes of a pointer to a node of the level below, and of the two numbers in it: of records in that node, and below it. */
  readonly pointerSize: number
  readonly countSize: number
  readonly totalSize: number
}

const overhead = 10

const levelsOf = ({ depth, nodeSize, recordSize }: Header, { offsetSize }: Sizes): ReadonlyArray<Level> => {
  const most = Math.floor((nodeSize - overhead) / recordSize)
  const countSize = bytesFor(most)
  const levels: Array<Level> = [{ most, pointerSize: 0, countSize, totalSize: 0 }]
  let total = most
  let totalSize = 0
  for (let level = 1; level <= depth; level++) {
    const pointerSize = offsetSize + countSize + totalSize
    const records = Math.floor((nodeSize - overhead - pointerSize) / (recordSize + pointerSize))
    levels.push({ most: records, pointerSize, countSize, totalSize })
    total = (records + 1) * total + records
    totalSize = bytesFor(Math.min(total, 2 ** 64))
  }
  return levels
}

/** Bytes of nodes that are read at once, at most, as far as a node is smaller. */
const partBytes = 4 * 1024 * 1024

/** Reads the header of a tree. A node that comes twice, or is of another tree: `DamagedFile`. */
export const open = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number
): Effect.fn.Return<Tree, ImportError> {
  const bytes = yield* source.read(address, 16 + sizes.offsetSize + 2 + sizes.lengthSize + 4)
  const header = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, address, sizes)
    const found = parseHeader(cursor)
    const { depth, nodeSize, recordSize } = found
    if (recordSize === 0 || nodeSize < overhead + recordSize || nodeSize > source.size || depth > 64) {
      cursor.fail(
        `a B-tree of ${depth} levels with nodes of ${nodeSize} bytes and records of ${recordSize} cannot be`,
        6
      )
    }
    return found
  })
  const { depth, nodeSize, recordSize, root, type } = header
  const levels = levelsOf(header, sizes)
  if (levels.some(({ most }) => most < 1)) {
    return yield* source.damaged(address + 6, `nodes of ${nodeSize} bytes are too small for the records of a B-tree`)
  }
  /** Nodes that are to be read, the next one at the end. */
  const left =
    root === undefined || header.records === 0 ? [] : [{ address: root, count: header.records, level: depth }]
  const seen = new Set<number>()

  /** The records of a node; what is below it comes into `below`. */
  const nodeOf = (bytes: Uint8Array, { address, count, level }: (typeof left)[number], below: typeof left): Node => {
    const cursor = new Cursor(bytes, address, sizes)
    cursor.signature(level === 0 ? "BTLF" : "BTIN")
    cursor.version("a node of a B-tree", 0)
    if (cursor.u8() !== type) cursor.fail("the node of another B-tree is there", cursor.at - 1)
    const records = cursor.take(count * recordSize)
    const { countSize, totalSize } = levels[level]!
    const children = level === 0 ? 0 : count + 1
    for (let child = 0; child < children; child++) {
      below.push({ address: cursor.place("a node of a B-tree"), count: cursor.uint(countSize), level: level - 1 })
      cursor.skip(totalSize)
    }
    cursor.checksum()
    return { bytes: records, start: address + 6, count }
  }

  const next = Effect.suspend(() => {
    const level = left.at(-1)?.level
    const nodes: typeof left = []
    while (left.at(-1)?.level === level && left.length > 0 && nodes.length * nodeSize < partBytes)
      nodes.push(left.pop()!)
    for (const { address, count, level } of nodes) {
      if (seen.has(address)) return Effect.fail(source.damaged(address, "a B-tree leads to this node twice"))
      seen.add(address)
      if (count > levels[level]!.most) {
        return Effect.fail(source.damaged(address, `${count} records are expected there, more than a node holds`))
      }
    }
    const spans = nodes.map(({ address, count, level }) => {
      const children = level === 0 ? 0 : count + 1
      return { start: address, end: address + overhead + count * recordSize + children * levels[level]!.pointerSize }
    })
    return Effect.flatMap(source.readMany(spans), (fetched) =>
      parsing(source, () => {
        const below: typeof left = []
        const found = fetched.map((bytes, i) => nodeOf(bytes, nodes[i]!, below))
        for (const node of below.toReversed()) left.push(node)
        return found
      })
    )
  })
  return { type, recordSize, next }
})

/** All records of a tree, in the order of their nodes, which is not quite that of the records. */
export const read = Effect.fnUntraced(function* (source: ByteSource, sizes: Sizes, address: number) {
  const { next, recordSize, type } = yield* open(source, sizes, address)
  const nodes: Array<Node> = []
  for (let some = yield* next; some.length > 0; some = yield* next) nodes.push(...some)
  return { type, recordSize, nodes }
})
