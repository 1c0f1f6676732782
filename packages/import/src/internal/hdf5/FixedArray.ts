/**
 * Chunks in a fixed array. Source: HDF5 File Format Specification, "Fixed Array Index".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type Context, type Next, partBytes } from "./ChunkIndices.ts"
import * as Elements from "./Elements.ts"
import * as IndexFields from "./IndexFields.ts"

/** Bit `at` of a bitmap, whose first bit is the highest of the first byte. */
export const isSet = (bitmap: Uint8Array, at: number): boolean => (bitmap[at >> 3]! & (0x80 >> (at & 7))) !== 0

/** The index's parts: its header and all of it, or pages that are beside each other. */
export const read = (context: Context, address: number): Next => {
  const { grid, sizes, source } = context
  const { base, lengthSize, offsetSize } = sizes
  const order = Elements.orderOf(grid.rank)
  let pages:
    | { readonly next: () => ReadonlyArray<number>; readonly read: (of: ReadonlyArray<number>) => Next }
    | undefined

  const open = Effect.gen(function* () {
    const header = yield* source.read(address, 8 + lengthSize + offsetSize + 4)
    const problem = IndexFields.blockProblem(header, "FAHD")
    if (problem !== undefined) return yield* source.damaged(address, problem)
    const [client, bytes, pageBits] = [header[5]!, header[6]!, header[7]!]
    const wrong = Elements.kindProblem(context, client, bytes)
    if (wrong !== undefined) return yield* source.damaged(address + 5, wrong)
    const kind: Elements.Kind = { isFiltered: client === 1, bytes }
    const view = IndexFields.view(header)
    const count = IndexFields.number(view, 8, lengthSize)
    const chunks = grid.maxCounts.reduce((a, b) => a * b, 1)
    if (count !== chunks) {
      return yield* source.damaged(address + 8, `its index is for ${count} chunks, and it has at most ${chunks}`)
    }
    const at = IndexFields.address(view, 8 + lengthSize, offsetSize, base)
    if (at < 0 || count === 0) return false
    const head = 6 + offsetSize
    if (pageBits > 31) return yield* source.damaged(address + 7, `its index has pages of 2^${pageBits} chunks`)
    const perPage = 2 ** pageBits
    if (at + head + count * bytes > source.size) {
      return yield* source.damaged(
        at,
        `an index of ${count} chunks is expected there, and the file ends at ${source.size}`
      )
    }
    if (count <= perPage) {
      const block = yield* source.read(at, head + count * bytes + 4)
      const problem = IndexFields.blockProblem(block, "FADB")
      if (problem !== undefined) return yield* source.damaged(at, problem)
      const wrong = Elements.add(context, kind, order, { block, at: head, from: 0, count, start: at })
      if (wrong !== undefined) return yield* wrong
      return false
    }
    const pageCount = Math.ceil(count / perPage)
    const bitmapBytes = Math.ceil(pageCount / 8)
    const block = yield* source.read(at, head + bitmapBytes + 4)
    const paged = IndexFields.blockProblem(block, "FADB")
    if (paged !== undefined) return yield* source.damaged(at, paged)
    const bitmap = block.subarray(head, head + bitmapBytes)
    const pageBytes = perPage * bytes + 4
    const first = at + block.length
    let page = 0
    pages = {
      next: () => {
        const some: Array<number> = []
        for (; page < pageCount && (some.length + 1) * pageBytes <= Math.max(partBytes, pageBytes); page++) {
          if (isSet(bitmap, page)) some.push(page)
        }
        return some
      },
      read: (some) =>
        Effect.gen(function* () {
          const lengths = some.map((page) => Math.min(perPage, count - page * perPage))
          const starts = some.map((page) => first + page * pageBytes)
          const blocks = yield* source.readMany(
            starts.map((start, i) => ({ start, end: start + lengths[i]! * bytes + 4 }))
          )
          for (const [i, block] of blocks.entries()) {
            const wrong = Elements.pageProblem(context, block, starts[i]!)
            if (wrong !== undefined) return yield* wrong
            const run = { block, at: 0, from: some[i]! * perPage, count: lengths[i]!, start: starts[i]! }
            const problem = Elements.add(context, kind, order, run)
            if (problem !== undefined) return yield* problem
          }
          return page < pageCount
        })
    }
    return true
  })

  return Effect.suspend(() => {
    if (pages === undefined) return open
    return pages.read(pages.next())
  })
}
