/**
 * All chunk refs of an array, those of its manifests and those that a session has changed, set in other columns: one
 * manifest after the other, with nothing made per ref but its index. No chunk is read or copied.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { attempt } from "../../encoding/Attempt.ts"
import { FormatError } from "../../encoding/FormatError.ts"
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import { type ManifestRows, Ref } from "../../format/manifest/ManifestRows.ts"
import type * as Checksum from "../../values/Checksum.ts"
import * as ChunkIndex from "../../values/ChunkIndex.ts"
import type { AssetError, Assets } from "../Assets.ts"
import { type ArrayNode, gridShape } from "../ChunkReads.ts"
import * as Layout from "../Layout.ts"
import type { SnapshotView } from "../SnapshotView.ts"

/** Rows of a manifest between two steps, so that millions of them can be interrupted. */
const stepSize = 1 << 14

/**
 * Goes over the refs of an array in its manifests, those that count and others: a ref may be in two manifests, of which
 * the first counts and is visited last, and it may be outside of the grid, or of what the manifest is for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const eachStored = Effect.fnUntraced(function* (
  assets: Assets,
  base: SnapshotView["base"],
  array: ArrayNode,
  isWanted: (extents: ArrayNode["data"]["manifests"][number]["extents"]) => boolean,
  visit: (rows: ManifestRows) => void
): Effect.fn.Return<void, AssetError> {
  for (const [number, { extents, id, problem }] of [...array.data.manifests.entries()].toReversed()) {
    if (problem !== undefined) {
      const field = `${array.path} manifests[${number}].extents`
      return yield* new FormatError({ file: Layout.snapshot(base.id), field, problem })
    }
    if (!isWanted(extents)) continue
    const rows = (yield* assets.manifest(id)).rows(array.id)
    if (rows === undefined) continue
    for (let from = 0; from < rows.count; from += stepSize) {
      yield* Effect.fromResult(
        attempt(() => {
          for (let row = from; row < Math.min(from + stepSize, rows.count); row++) {
            rows.seek(row)
            if (rows.isWithin(extents)) visit(rows)
          }
        })
      )
      yield* Effect.yieldNow
    }
  }
})

/** Sets refs as they stand in a manifest. */
class Setter {
  readonly #to: ChunkRefColumns
  #rows: ManifestRows | undefined
  #etagAt = -1
  #checksum: Checksum.Checksum | undefined

  constructor(to: ChunkRefColumns) {
    this.#to = to
  }

  set(index: ChunkIndex.ChunkIndex, rows: ManifestRows): void {
    switch (rows.kind) {
      case "Inline":
        return this.#to.setInline(index, rows.bytes(Ref.inline)!)
      case "Native":
        return this.#to.setNative(index, rows.chunkId, rows.offset, rows.length)
      case "Virtual": {
        const { length, offset } = rows
        const location = rows.locations[rows.locationId()]!
        return this.#to.setVirtual(index, { location, offset, length, checksum: this.#checksumOf(rows) })
      }
    }
  }

  /** Refs of one object share their tag in the file. */
  #checksumOf(rows: ManifestRows): Checksum.Checksum | undefined {
    if (!rows.has(Ref.checksum_etag)) return rows.checksum()
    const at = rows.vector(Ref.checksum_etag)
    if (this.#rows !== rows || this.#etagAt !== at) {
      this.#rows = rows
      this.#etagAt = at
      this.#checksum = rows.checksum()
    }
    return this.#checksum
  }
}

/**
 * Sets all refs of an array, as a session shows them, in columns, each at the index that `place` gives for its own, or
 * nowhere. `onStored` is told the index of each ref that a manifest has, also where a change or a smaller grid hides it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const into = Effect.fnUntraced(function* (
  to: ChunkRefColumns,
  assets: Assets,
  view: Pick<SnapshotView, "base" | "chunks">,
  array: ArrayNode,
  place: (index: ChunkIndex.ChunkIndex) => ChunkIndex.ChunkIndex | undefined,
  onStored?: (index: ChunkIndex.ChunkIndex) => void
): Effect.fn.Return<void, AssetError> {
  const grid = gridShape(array.data)
  const changed = view.chunks(array.id)?.frozen()
  const setter = new Setter(to)
  yield* eachStored(
    assets,
    view.base,
    array,
    () => true,
    (rows) => {
      const index = rows.index()
      onStored?.(index)
      if (ChunkIndex.problem(index, grid) !== undefined) return
      const placed = changed?.has(index) === true ? undefined : place(index)
      if (placed !== undefined) setter.set(placed, rows)
    }
  )
  for (const row of changed?.rowsInOrder() ?? []) {
    const ref = changed!.at(row)
    const index = changed!.indexAt(row)
    if (ref === "Deleted" || ChunkIndex.problem(index, grid) !== undefined) continue
    const placed = place(index)
    if (placed !== undefined) to.set(placed, ref)
  }
})
