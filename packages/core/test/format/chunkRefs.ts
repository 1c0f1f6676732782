/** Random chunk refs, and a plain model of an array's refs to compare the columns and manifests with. */
import * as fc from "fast-check"
import * as ChunkRef from "../../src/format/manifest/ChunkRef.ts"
import type { BulkVirtualRefs, ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import * as Checksum from "../../src/values/Checksum.ts"
import * as ChunkIndex from "../../src/values/ChunkIndex.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import { text } from "./arbitraries.ts"

/** Offsets and lengths, whose sum stays below 2^53. */
const size = fc.oneof(
  fc.nat(300),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, 2 ** 52 - 1),
  fc.nat(2 ** 31 - 1).map((n) => n * 2 ** 21)
)

const location = fc.oneof(
  fc.constantFrom("s3://bucket/a.nc", "s3://bucket/b.nc", "vcc://model/x/y", "file:///data/é.nc"),
  text.map((key) => `gcs://bucket/${key}`)
)

export const checksum: fc.Arbitrary<Checksum.Checksum | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom('"abc"', 'W/"abc-2"', "").map(Checksum.etag),
  text.map(Checksum.etag),
  fc.integer({ min: 1, max: 0xffff_ffff }).map((seconds) => Checksum.lastModified(seconds * 1000))
)

export const ref: fc.Arbitrary<ChunkRef.ChunkRef> = fc.oneof(
  fc.uint8Array({ maxLength: 20 }).map(ChunkRef.inline),
  fc
    .tuple(fc.uint8Array({ minLength: 12, maxLength: 12 }), size, size)
    .map(([id, offset, length]) => ChunkRef.native(ObjectId.chunkId(id), offset, length)),
  fc
    .tuple(location, size, size, checksum)
    .map(([location, offset, length, checksum]) => ChunkRef.virtual({ location, offset, length, checksum }))
)

/** What changes one index, or many at once. */
export type Step =
  | { readonly index: ChunkIndex.ChunkIndex; readonly ref: ChunkRef.ChunkRef | "Deleted" }
  | { readonly bulk: BulkVirtualRefs }

/** Shape of the grid, few places so that indices meet. */
export const grid: fc.Arbitrary<ReadonlyArray<number>> = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 })

export const index = (gridShape: ReadonlyArray<number>): fc.Arbitrary<ChunkIndex.ChunkIndex> =>
  fc.tuple(...gridShape.map((chunks) => fc.nat(chunks - 1)))

const bulk = (gridShape: ReadonlyArray<number>): fc.Arbitrary<BulkVirtualRefs> =>
  fc
    .record({
      rows: fc.array(fc.tuple(index(gridShape), size, size, fc.nat(), fc.nat(0xffff_ffff)), { maxLength: 12 }),
      values: fc.array(location, { minLength: 1, maxLength: 4 }),
      checksums: fc.array(checksum, { minLength: 4, maxLength: 4 }),
      one: fc.boolean(),
      kind: fc.constantFrom("one", "location", "row", "none")
    })
    .map(({ checksums, kind, one, rows, values }) => {
      const locations = one ? values.slice(0, 1) : values
      return {
        indices: Uint32Array.from(rows.flatMap(([index]) => index)),
        offsets: Float64Array.from(rows, ([, offset]) => offset),
        lengths: BigUint64Array.from(rows, ([, , length]) => BigInt(length)),
        locations: one ? values[0]! : { values, ids: Uint32Array.from(rows, ([, , , pick]) => pick % values.length) },
        checksums:
          kind === "none"
            ? undefined
            : kind === "one"
              ? checksums[0]
              : kind === "location"
                ? checksums.slice(0, locations.length)
                : Uint32Array.from(rows, ([, , , , seconds]) => seconds)
      }
    })

export const step = (gridShape: ReadonlyArray<number>): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        index: index(gridShape),
        ref: fc.oneof({ weight: 4, arbitrary: ref }, fc.constant("Deleted" as const))
      })
    },
    { weight: 1, arbitrary: fc.record({ bulk: bulk(gridShape) }) }
  )

/** The refs of an array, tombstones among them, by the text of their index. */
export class Model {
  readonly refs = new Map<
    string,
    { readonly index: ChunkIndex.ChunkIndex; readonly ref: ChunkRef.ChunkRef | "Deleted" }
  >()

  set(index: ChunkIndex.ChunkIndex, ref: ChunkRef.ChunkRef | "Deleted"): void {
    this.refs.set(index.join(), { index, ref })
  }

  get(index: ChunkIndex.ChunkIndex): ChunkRef.ChunkRef | "Deleted" | undefined {
    return this.refs.get(index.join())?.ref
  }

  /** All by ascending index. */
  inOrder() {
    return [...this.refs.values()].toSorted((a, b) => ChunkIndex.compare(a.index, b.index))
  }

  /** Those that are refs, by ascending index. */
  present() {
    return this.inOrder().flatMap(({ index, ref }) => (ref === "Deleted" ? [] : [{ index, ref }]))
  }
}

const applyBulk = (refs: BulkVirtualRefs, rank: number, model: Model): void => {
  for (let row = 0; row < refs.offsets.length; row++) {
    const { checksums, locations } = refs
    const id = typeof locations === "string" ? 0 : locations.ids[row]!
    const own =
      checksums instanceof Uint32Array
        ? checksums[row] === 0
          ? undefined
          : Checksum.lastModified(checksums[row]! * 1000)
        : Array.isArray(checksums)
          ? (checksums as ReadonlyArray<Checksum.Checksum | undefined>)[id]
          : (checksums as Checksum.Checksum | undefined)
    model.set(
      Array.from(refs.indices.subarray(row * rank, (row + 1) * rank)),
      ChunkRef.virtual({
        location: typeof locations === "string" ? locations : locations.values[id]!,
        offset: Number(refs.offsets[row]),
        length: Number(refs.lengths[row]),
        checksum: own
      })
    )
  }
}

/** Columns that nobody else has. */
const ownColumns = ({ lengths, locations, offsets, ...refs }: BulkVirtualRefs): BulkVirtualRefs => ({
  ...refs,
  indices: refs.indices.slice(),
  offsets: Float64Array.from(offsets, Number),
  lengths: Float64Array.from(lengths, Number),
  locations: typeof locations === "string" ? locations : { values: [...locations.values], ids: locations.ids.slice() }
})

/** Does the same to the columns and to the model. */
export const apply = (step: Step, columns: ChunkRefColumns, model: Model): void => {
  if ("bulk" in step) {
    const keep = step.bulk.offsets.length % 2 === 0
    columns.setVirtualBulk(keep ? ownColumns(step.bulk) : step.bulk, { keep })
    applyBulk(step.bulk, columns.rank, model)
    return
  }
  const { index, ref } = step
  model.set(index, ref)
  if (ref === "Deleted") columns.setDeleted(index)
  else if (ref._tag === "Inline") columns.setInline(index, ref.bytes)
  else if (ref._tag === "Native") columns.setNative(index, ObjectId.bytes12(ref.id), ref.offset, ref.length)
  else columns.setVirtual(index, ref.ref)
}
