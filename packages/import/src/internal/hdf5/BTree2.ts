/**
 * B-trees of version 2: records in order. Nodes of a level are fetched together. Source: HDF5 File Format Specification 3.0,
 * III.A.2.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

/** Records, and where each node of them is in the file. */
export interface Records {
  readonly type: number
  readonly recordSize: number
  readonly nodes: ReadonlyArray<{ readonly bytes: Uint8Array; readonly start: number; readonly count: number }>
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
  if (recordSize === 0 || nodeSize < 16 + recordSize || depth > 16) {
    cursor.fail(`a B-tree has nodes of ${nodeSize} bytes, records of ${recordSize} and ${depth} levels`)
  }
  return { type, nodeSize, recordSize, depth, root, records }
}

/** Bytes of the pointers of a node at each level above the leaves. */
const pointers = ({ depth, nodeSize, recordSize }: Header, { offsetSize }: Sizes) => {
  const overhead = 10
  const most = Math.floor((nodeSize - overhead) / recordSize)
  const countSize = bytesFor(most)
  let total = most
  let totalSize = 0
  return Array.from({ length: depth }, () => {
    const size = offsetSize + countSize + totalSize
    const here = { countSize, totalSize, size }
    const records = Math.max(0, Math.floor((nodeSize - overhead - size) / (recordSize + size)))
    total = (records + 1) * total + records
    totalSize = bytesFor(Math.min(total, 2 ** 52))
    return here
  })
}

/** All records of a tree, in the order of their nodes, which is not quite that of the records. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number
): Effect.fn.Return<Records, ImportError> {
  const size = 16 + sizes.offsetSize + 2 + sizes.lengthSize + 4
  const bytes = yield* source.read(address, size)
  const header = yield* parsing(source, () => parseHeader(new Cursor(bytes, address, sizes)))
  const { depth, nodeSize, recordSize, type } = header
  const nodes: Array<Records["nodes"][number]> = []
  if (header.root === undefined || header.records === 0) return { type, recordSize, nodes }
  const levels = pointers(header, sizes)
  let current = [{ address: header.root, count: header.records }]
  const seen = new Set<number>()
  for (let level = depth; level >= 0; level--) {
    const fetched = yield* source.readMany(current.map(({ address }) => ({ start: address, end: address + nodeSize })))
    const children: Array<{ readonly address: number; readonly count: number }> = []
    yield* parsing(source, () => {
      for (const [i, bytes] of fetched.entries()) {
        const { address, count } = current[i]!
        const cursor = new Cursor(bytes, address, sizes)
        if (seen.has(address)) cursor.fail("a B-tree leads back to itself")
        seen.add(address)
        cursor.signature(level === 0 ? "BTLF" : "BTIN")
        cursor.version("a node of a B-tree", 0)
        if (cursor.u8() !== type) cursor.fail("a node belongs to another B-tree", cursor.at - 1)
        const records = cursor.take(count * recordSize)
        nodes.push({ bytes: records, start: address + 6, count })
        if (level > 0) {
          const { countSize, totalSize } = levels[level - 1]!
          for (let child = 0; child <= count; child++) {
            const address = cursor.place("a node of a B-tree")
            children.push({ address, count: cursor.uint(countSize) })
            cursor.skip(totalSize)
          }
        }
        cursor.checksum()
      }
    })
    current = children
  }
  return { type, recordSize, nodes }
})
