/**
 * Chunks in a B-tree of version 2: records of the types 10 and 11. Source: HDF5 File Format Specification, "Version 2 B-trees".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DamagedFile } from "../../ImportError.ts"
import * as BTree2 from "./BTree2.ts"
import type { Context, Next } from "./ChunkIndices.ts"
import * as IndexFields from "./IndexFields.ts"

/** The index's parts: some nodes. */
export const read = (context: Context, address: number): Next => {
  const { grid, rows, sizes, source } = context
  const { base, offsetSize } = sizes
  const { rank } = grid
  let tree: BTree2.Tree | undefined

  const record = (view: DataView, at: number, start: number, recordSize: number): DamagedFile | undefined => {
    const size = grid.isFiltered ? recordSize - offsetSize - 4 - 8 * rank : 0
    const where = IndexFields.address(view, at, offsetSize, base)
    const scaled = at + recordSize - 8 * rank
    for (let axis = 0; axis < rank; axis++) rows.position[axis] = IndexFields.number(view, scaled + 8 * axis, 8)
    if (where < 0) return undefined
    const wrong = grid.isFiltered
      ? rows.add(where, IndexFields.number(view, at + offsetSize, size), view.getUint32(at + offsetSize + size, true))
      : rows.add(where, grid.chunkBytes, 0)
    return wrong === undefined ? undefined : source.damaged(wrong.offset ?? start + at, wrong.problem)
  }

  const open = Effect.gen(function* () {
    tree = yield* BTree2.open(source, sizes, address)
    const { recordSize, type } = tree
    if (type !== (grid.isFiltered ? 11 : 10)) {
      return yield* source.damaged(address + 5, `a B-tree of chunks is expected there, not of type ${type}`)
    }
    const rest = recordSize - offsetSize - 8 * rank
    if (grid.isFiltered ? rest < 5 || rest > 12 : rest !== 0) {
      return yield* source.damaged(
        address + 10,
        `records of ${recordSize} bytes cannot be of chunks of ${rank} dimensions`
      )
    }
    return true
  })

  const part = Effect.fnUntraced(function* ({ next, recordSize }: BTree2.Tree) {
    const nodes = yield* next
    for (const { bytes, count, start } of nodes) {
      const view = IndexFields.view(bytes)
      for (let number = 0; number < count; number++) {
        const wrong = record(view, number * recordSize, start, recordSize)
        if (wrong !== undefined) return yield* wrong
      }
    }
    return nodes.length > 0
  })

  return Effect.suspend(() => (tree === undefined ? open : part(tree)))
}
