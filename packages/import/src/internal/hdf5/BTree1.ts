/**
 * Chunks in a B-tree of version 1. Source: HDF5 File Format Specification, "Version 1 B-trees", node type 1.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DamagedFile } from "../../ImportError.ts"
import { type Context, type Next, partBytes } from "./ChunkIndices.ts"
import * as IndexFields from "./IndexFields.ts"

interface Node {
  readonly address: number
  /** That its parent says; `undefined` for the root. */
  readonly level: number | undefined
}

/** Entries of a node that the library writes when nobody asks for others. */
const usualEntries = 64

/** The index's parts: nodes of one level that are next in order. */
export const read = (context: Context, root: number): Next => {
  const { grid, rows, sizes, source } = context
  const { offsetSize, base } = sizes
  const { rank } = grid
  const keyBytes = 8 + 8 * (rank + 1)
  const head = 8 + 2 * offsetSize
  const bytesOf = (entries: number): number => head + entries * (keyBytes + offsetSize)
  const usual = bytesOf(usualEntries)
  const visited = new Set<number>()
  /** The nodes that are left; those that come first are at the end. */
  const left: Array<Node> = [{ address: root, level: undefined }]

  const leaf = (view: DataView, entries: number, at: number): DamagedFile | undefined => {
    const { position } = rows
    for (let entry = 0; entry < entries; entry++) {
      const key = head + entry * (keyBytes + offsetSize)
      for (let axis = 0; axis < rank; axis++) {
        const scaled = IndexFields.number(view, key + 8 + 8 * axis, 8) / grid.chunkShape[axis]!
        if (!Number.isInteger(scaled)) {
          return source.damaged(at + key, "a chunk begins between two places of the grid of chunks")
        }
        position[axis] = scaled
      }
      const address = IndexFields.address(view, key + keyBytes, offsetSize, base)
      if (address < 0) continue
      const wrong = rows.add(address, view.getUint32(key, true), view.getUint32(key + 4, true))
      if (wrong !== undefined) return source.damaged(wrong.offset ?? at + key, wrong.problem)
    }
    return undefined
  }

  const problemOf = ({ address: at, level }: Node, bytes: Uint8Array, view: DataView): DamagedFile | undefined => {
    if (IndexFields.signature(bytes) !== "TREE")
      return source.damaged(at, "a node of a B-tree (`TREE`) is expected there")
    if (bytes[4] !== 1) return source.damaged(at + 4, `a B-tree of chunks is expected there, not of type ${bytes[4]}`)
    if (level !== undefined && bytes[5] !== level) {
      return source.damaged(at + 5, `a node of level ${level} is expected there, not of level ${bytes[5]}`)
    }
    const entries = view.getUint16(6, true)
    return at + bytesOf(entries) > source.size
      ? source.damaged(at + 6, `${entries} entries of a B-tree are expected there, and the file ends before`)
      : undefined
  }

  const next = Effect.gen(function* () {
    const { level } = left.at(-1)!
    const nodes: Array<Node> = []
    while (left.length > 0 && left.at(-1)!.level === level && nodes.length * usual < partBytes / 4)
      nodes.push(left.pop()!)
    for (const { address } of nodes) {
      if (visited.has(address)) return yield* source.damaged(address, "a B-tree leads to this node twice")
      visited.add(address)
      if (address + head > source.size) {
        return yield* source.damaged(
          address,
          `a node of a B-tree is expected there, and the file ends at ${source.size}`
        )
      }
    }
    const guesses = yield* source.readMany(
      nodes.map(({ address }) => ({ start: address, end: Math.min(source.size, address + usual) }))
    )
    const below: Array<Node> = []
    for (const [i, node] of nodes.entries()) {
      let bytes = guesses[i]!
      let view = IndexFields.view(bytes)
      const problem = problemOf(node, bytes, view)
      if (problem !== undefined) return yield* problem
      const entries = view.getUint16(6, true)
      if (bytesOf(entries) > bytes.length) {
        bytes = yield* source.read(node.address, bytesOf(entries))
        view = IndexFields.view(bytes)
      }
      const height = bytes[5]!
      if (height === 0) {
        const problem = leaf(view, entries, node.address)
        if (problem !== undefined) return yield* problem
        continue
      }
      for (let entry = 0; entry < entries; entry++) {
        const at = head + entry * (keyBytes + offsetSize) + keyBytes
        const address = IndexFields.address(view, at, offsetSize, base)
        if (address < 0) return yield* source.damaged(node.address + at, "a B-tree leads nowhere")
        below.push({ address, level: height - 1 })
      }
    }
    for (const node of below.toReversed()) left.push(node)
    return left.length > 0
  })
  return next
}
