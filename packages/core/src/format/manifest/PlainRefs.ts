/**
 * Chunk refs of one array as plain columns, to be sent to other programs. Pure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { ChunkRefColumns, Kind } from "./ChunkRefColumns.ts"

/**
 * Refs and tombstones by ascending index, each index once; see `Columns`. The columns are as long as they have to be.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainRefs {
  readonly rank: number
  readonly indices: Uint32Array
  readonly kinds: Uint8Array
  readonly offsets: Float64Array
  readonly lengths: Float64Array
  readonly targets: Uint32Array
  readonly checksums: Uint32Array
  readonly locations: ReadonlyArray<string>
  readonly etags: ReadonlyArray<string>
  readonly inline: Uint8Array
  readonly ids: Uint8Array
}

/**
 * A copy of the rows that count.
 *
 * @category encoding
 * @since 0.1.0
 */
export const of = (columns: ChunkRefColumns): PlainRefs => {
  const own = new ChunkRefColumns(columns.rank)
  own.append(columns)
  const { checksums, count, etags, ids, indices, inline, kinds, lengths, locations, offsets, targets } = own.columns()
  return {
    rank: own.rank,
    indices: indices.slice(0, count * own.rank),
    kinds: kinds.slice(0, count),
    offsets: offsets.slice(0, count),
    lengths: lengths.slice(0, count),
    targets: targets.slice(0, count),
    checksums: checksums.slice(0, count),
    locations: [...locations],
    etags: [...etags],
    inline: inline.slice(0, own.inlineBytes),
    ids: ids.slice(0, 12 * kinds.subarray(0, count).filter((kind) => kind === Kind.Native).length)
  }
}

/** What is wrong with a row. */
const problemAt = (refs: PlainRefs, row: number): string | undefined => {
  const kind = refs.kinds[row]!
  const offset = refs.offsets[row]!
  const length = refs.lengths[row]!
  const target = refs.targets[row]!
  if (kind === Kind.Deleted) return undefined
  if (kind > Kind.VirtualLastModified) return `its kind is ${kind}`
  if (!(offset >= 0 && length >= 1 && Number.isSafeInteger(offset) && Number.isSafeInteger(offset + length))) {
    return "it addresses no bytes"
  }
  if (kind === Kind.Inline) return offset + length > refs.inline.length ? "its bytes are missing" : undefined
  if (kind === Kind.Native) return target + 12 > refs.ids.length ? "its id is missing" : undefined
  if (target >= refs.locations.length) return "its location is missing"
  return kind === Kind.VirtualETag && refs.checksums[row]! >= refs.etags.length ? "its ETag is missing" : undefined
}

/**
 * The refs, to be merged with others; a sentence that says what is wrong with them when they do not fit together.
 *
 * @category decoding
 * @since 0.1.0
 */
export const columns = (refs: PlainRefs): Result.Result<ChunkRefColumns, string> => {
  const { checksums, etags, ids, indices, inline, kinds, lengths, locations, offsets, rank, targets } = refs
  const count = kinds.length
  const isWhole = [offsets, lengths, targets, checksums].every((column) => column.length === count)
  if (!isWhole || indices.length !== count * rank) return Result.fail("columns differ in length")
  for (let row = 0; row < count; row++) {
    const problem = problemAt(refs, row)
    if (problem !== undefined) return Result.fail(`of row ${row}, ${problem}`)
  }
  const found = new ChunkRefColumns(rank)
  found.appendFrom(
    {
      count,
      indices,
      kinds,
      offsets,
      lengths,
      targets,
      checksums,
      locations,
      etags,
      inline,
      ids,
      areLocationsDistinct: () => false
    },
    Uint32Array.from({ length: count }, (_, row) => row)
  )
  return found.rowsInOrder().length === count ? Result.succeed(found) : Result.fail("an index is there twice")
}
