/**
 * Chunks in a B-tree of version 2: records of the types 10 and 11. Source: HDF5 File Format Specification, "Version 2 B-trees".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DamagedFile } from "../../ImportError.ts"
import { type Context, type Next, partBytes } from "./ChunkIndices.ts"
import * as IndexFields from "./IndexFields.ts"

interface Node {
  readonly address: number
  readonly records: number
  /** 0 is a leaf. */
  readonly depth: number
}

interface Tree {
  readonly nodeBytes: number
  readonly recordBytes: number
  readonly type: number
  /** By depth: bytes of the number of records in a node, and of those in it and below it. */
  readonly counts: ReadonlyArray<{ readonly records: number; readonly all: number; readonly most: number }>
}

const bytesFor = (value: number): number => Math.max(1, Math.ceil(Math.floor(Math.log2(Math.max(1, value)) + 1) / 8))

/** How nodes of each depth are laid out. */
const countsOf = (nodeBytes: number, recordBytes: number, depth: number, offsetSize: number): Tree["counts"] => {
  const leaf = Math.floor((nodeBytes - 10) / recordBytes)
  const records = bytesFor(leaf)
  const counts = [{ records, all: 0, most: leaf }]
  let below = leaf
  for (let i = 1; i <= depth; i++) {
    const pointer = offsetSize + records + (i > 1 ? counts[i - 1]!.all : 0)
    const most = Math.floor((nodeBytes - 10 - pointer) / (recordBytes + pointer))
    below = (most + 1) * below + most
    counts.push({ records, all: bytesFor(Math.min(below, 2 ** 64 - 1)), most })
  }
  return counts
}

/** The index's parts: nodes of one depth. */
export const read = (context: Context, address: number): Next => {
  const { grid, rows, sizes, source } = context
  const { base, lengthSize, offsetSize } = sizes
  const { rank } = grid
  const visited = new Set<number>()
  const left: Array<Node> = []
  let tree: Tree | undefined

  const record = (view: DataView, at: number, start: number): DamagedFile | undefined => {
    const size = grid.isFiltered ? tree!.recordBytes - offsetSize - 4 - 8 * rank : 0
    const where = IndexFields.address(view, at, offsetSize, base)
    const scaled = at + tree!.recordBytes - 8 * rank
    for (let axis = 0; axis < rank; axis++) rows.position[axis] = IndexFields.number(view, scaled + 8 * axis, 8)
    if (where < 0) return undefined
    const wrong = grid.isFiltered
      ? rows.add(where, IndexFields.number(view, at + offsetSize, size), view.getUint32(at + offsetSize + size, true))
      : rows.add(where, grid.chunkBytes, 0)
    return wrong === undefined ? undefined : source.damaged(wrong.offset ?? start + at, wrong.problem)
  }

  const open = Effect.gen(function* () {
    const header = yield* source.read(address, 16 + offsetSize + 2 + lengthSize + 4)
    const problem = IndexFields.blockProblem(header, "BTHD")
    if (problem !== undefined) return yield* source.damaged(address, problem)
    const view = IndexFields.view(header)
    const type = header[5]!
    if (type !== (grid.isFiltered ? 11 : 10)) {
      return yield* source.damaged(address + 5, `a B-tree of chunks is expected there, not of type ${type}`)
    }
    const nodeBytes = view.getUint32(6, true)
    const recordBytes = view.getUint16(10, true)
    const depth = view.getUint16(12, true)
    const rest = recordBytes - offsetSize - 8 * rank
    if (grid.isFiltered ? rest < 5 || rest > 12 : rest !== 0) {
      return yield* source.damaged(
        address + 10,
        `records of ${recordBytes} bytes cannot be of chunks of ${rank} dimensions`
      )
    }
    if (nodeBytes < 10 + recordBytes || nodeBytes > source.size || depth > 64) {
      return yield* source.damaged(address + 6, `a B-tree of depth ${depth} with nodes of ${nodeBytes} bytes cannot be`)
    }
    const counts = countsOf(nodeBytes, recordBytes, depth, offsetSize)
    if (counts.some(({ most }) => most < 1)) {
      return yield* source.damaged(address + 6, `nodes of ${nodeBytes} bytes are too small for its records`)
    }
    tree = { nodeBytes, recordBytes, type, counts }
    const root = IndexFields.address(view, 16, offsetSize, base)
    const records = view.getUint16(16 + offsetSize, true)
    if (root < 0) return false
    left.push({ address: root, records, depth })
    return true
  })

  const part = Effect.gen(function* () {
    const { counts, nodeBytes, recordBytes, type } = tree!
    const { depth } = left.at(-1)!
    const nodes: Array<Node> = []
    while (left.length > 0 && left.at(-1)!.depth === depth && nodes.length * nodeBytes < partBytes)
      nodes.push(left.pop()!)
    const expected = depth === 0 ? "BTLF" : "BTIN"
    const pointer = depth === 0 ? 0 : offsetSize + counts[0]!.records + (depth > 1 ? counts[depth - 1]!.all : 0)
    for (const { address, records } of nodes) {
      if (visited.has(address)) return yield* source.damaged(address, "a B-tree leads to this node twice")
      visited.add(address)
      if (records > counts[depth]!.most) {
        return yield* source.damaged(address, `${records} records are expected there, more than a node holds`)
      }
    }
    const spans = nodes.map(({ address, records }) => ({
      start: address,
      end: address + 6 + records * recordBytes + (depth === 0 ? 0 : (records + 1) * pointer) + 4
    }))
    const blocks = yield* source.readMany(spans)
    const below: Array<Node> = []
    for (const [i, block] of blocks.entries()) {
      const { address: start, records } = nodes[i]!
      const problem = IndexFields.blockProblem(block, expected)
      if (problem !== undefined) return yield* source.damaged(start, problem)
      if (block[5] !== type) return yield* source.damaged(start + 5, `a node of type ${type} is expected there`)
      const view = IndexFields.view(block)
      for (let number = 0; number < records; number++) {
        const wrong = record(view, 6 + number * recordBytes, start)
        if (wrong !== undefined) return yield* wrong
      }
      if (depth === 0) continue
      for (let child = 0, at = 6 + records * recordBytes; child <= records; child++, at += pointer) {
        const address = IndexFields.address(view, at, offsetSize, base)
        if (address < 0) return yield* source.damaged(start + at, "a B-tree leads nowhere")
        below.push({
          address,
          records: IndexFields.number(view, at + offsetSize, counts[0]!.records),
          depth: depth - 1
        })
      }
    }
    for (const node of below.toReversed()) left.push(node)
    return left.length > 0
  })

  return Effect.suspend(() => (tree === undefined ? open : part))
}
