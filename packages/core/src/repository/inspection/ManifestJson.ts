/**
 * A manifest as JSON, with the names that Icechunk's own inspection has, and with its refs. Pure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import * as ChunkRef from "../../format/manifest/ChunkRef.ts"
import type { Manifest } from "../../format/manifest/Manifest.ts"
import * as ManifestRows from "../../format/manifest/ManifestRows.ts"
import type { Json, JsonObject } from "../../values/Json.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import { type Budget, field } from "./Shown.ts"

/** Rows that are looked at in one go. */
const batch = 1 << 14

interface Counts {
  readonly Inline: number
  readonly Native: number
  readonly Virtual: number
  readonly compressed: number
}

/**
 * An array's part of a manifest.
 *
 * @category models
 * @since 0.1.0
 */
export interface Part {
  readonly node: NodeId
  readonly counts: Counts
  readonly refs: ReadonlyArray<Json>
}

const refJson = (ref: ChunkRef.ChunkRef, budget: Budget): JsonObject =>
  ChunkRef.match(ref, {
    Inline: ({ bytes }): JsonObject => ({ type: "inline", ...budget.bytes(bytes) }),
    Native: ({ id, length, offset }): JsonObject => ({ type: "native", chunk_id: id, offset, length }),
    Virtual: ({ ref: { checksum, length, location, offset } }): JsonObject => ({
      type: "virtual",
      location,
      offset,
      length,
      ...field("checksum_etag", checksum?._tag === "ETag" ? checksum.etag : undefined),
      ...field("checksum_last_modified", checksum?._tag === "LastModified" ? checksum.seconds : undefined)
    })
  })

/**
 * Counts the refs of an array, and shows the first of them: a step for each batch, because there may be millions.
 *
 * @category formatting
 * @since 0.1.0
 */
export function* part(
  manifest: Manifest,
  { count, node }: { readonly node: NodeId; readonly count: number },
  budget: Budget
): Generator<void, Result.Result<Part, FormatError>> {
  const rows = manifest.rows(node)!
  const counts = { Inline: 0, Native: 0, Virtual: 0, compressed: 0 }
  const refs: Array<Json> = []
  const shown = budget.take("arrays.refs", count)
  for (let from = 0; from < count; from += batch) {
    const done = attempt(() => {
      for (let row = from; row < Math.min(from + batch, count); row++) {
        rows.seek(row)
        counts[rows.kind]++
        if (rows.has(ManifestRows.Ref.compressed_location)) counts.compressed++
        if (row < shown) refs.push({ index: rows.index(), ...refJson(rows.ref(), budget) })
      }
    })
    if (Result.isFailure(done)) return Result.fail(done.failure)
    yield
  }
  return Result.succeed({ node, counts, refs })
}

const partJson = ({ counts, node, refs }: Part, extra: Uint8Array | undefined, budget: Budget): JsonObject => ({
  node_id: node,
  num_chunk_refs: counts.Inline + counts.Native + counts.Virtual,
  num_inline: counts.Inline,
  num_native: counts.Native,
  num_virtual: counts.Virtual,
  refs,
  ...(extra === undefined ? {} : { extra: budget.bytes(extra) })
})

/**
 * A manifest whose payload has `sizeBytes`, with the first `shown` of its arrays.
 *
 * @category formatting
 * @since 0.1.0
 */
export const manifestJson = (
  manifest: Manifest,
  sizeBytes: number,
  parts: ReadonlyArray<Part>,
  shown: number,
  budget: Budget
): JsonObject => {
  const total = (kind: keyof Counts): number => parts.reduce((sum, { counts }) => sum + counts[kind], 0)
  const dictionary = manifest.locationDictionary
  return {
    id: manifest.id,
    size_bytes: sizeBytes,
    num_arrays: parts.length,
    total_chunk_refs: manifest.count,
    total_inline: total("Inline"),
    total_native: total("Native"),
    total_virtual: total("Virtual"),
    arrays: parts.slice(0, shown).map((part) => partJson(part, manifest.arrayExtra(part.node), budget)),
    compression: {
      uses_location_compression: total("compressed") > 0,
      ...field("dictionary_size_bytes", dictionary?.length),
      num_compressed_refs: total("compressed")
    },
    ...(manifest.extra === undefined ? {} : { extra: budget.bytes(manifest.extra) })
  }
}
