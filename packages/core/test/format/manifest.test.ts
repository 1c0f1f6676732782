import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as fs from "node:fs"
import * as path from "node:path"
import * as zlib from "node:zlib"
import * as ManifestJson from "../../src/repository/inspection/ManifestJson.ts"
import { Budget } from "../../src/repository/inspection/Shown.ts"
import * as ChunkRef from "../../src/format/manifest/ChunkRef.ts"
import { ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import { attempt } from "../../src/encoding/Attempt.ts"
import type * as FlatTable from "../../src/encoding/FlatTable.ts"
import { FormatError } from "../../src/encoding/FormatError.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as EffectiveRows from "../../src/format/manifest/EffectiveRows.ts"
import * as Manifest from "../../src/format/manifest/Manifest.ts"
import { type ManifestRows, Ref } from "../../src/format/manifest/ManifestRows.ts"
import * as ManifestWriter from "../../src/format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../src/format/manifest/MergedRefs.ts"
import * as ZstdDecoder from "../../src/encoding/ZstdDecoder.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as Checksum from "../../src/values/Checksum.ts"
import type { ChunkIndex } from "../../src/values/ChunkIndex.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as chunkRefs from "./chunkRefs.ts"
import * as damage from "./damage.ts"
import { readManifest } from "./officialFlatbuffers.ts"

const id = ObjectId.manifestId(Uint8Array.from({ length: 12 }, (_, i) => 100 + i))
const nodeId = (n: number) => ObjectId.nodeId(new Uint8Array(8).fill(n))
const node = nodeId(7)

const decode = (payload: Uint8Array) => Manifest.decode("manifests/M", payload, ZstdDecoder.withDictionary)

const whole = (gridShape: ReadonlyArray<number>) => gridShape.map((to) => ({ from: 0, to }))

const merge = (
  gridShape: ReadonlyArray<number>,
  bases: MergedRefs.ArraySources["bases"],
  changes: ChunkRefColumns | undefined
) => Result.getOrThrow(MergedRefs.merge({ node, gridShape, bases, changes }))

const encode = (...arrays: Parameters<typeof ManifestWriter.encode>[0]["arrays"]) =>
  Result.getOrThrow(ManifestWriter.encode({ id, arrays }))

/** A payload, `undefined` when there are no refs. */
const payloadOf = (gridShape: ReadonlyArray<number>, changes: ChunkRefColumns): Uint8Array | undefined =>
  encode({ refs: merge(gridShape, [], changes) })?.payload

type Entry = { readonly index: ChunkIndex; readonly ref: ChunkRef.ChunkRef }

/** All refs of an array, read one after the other. */
const readAll = (manifest: Manifest.Manifest, of: ObjectId.NodeId = node): ReadonlyArray<Entry> => {
  const rows = manifest.rows(of)
  return Array.from({ length: rows?.count ?? 0 }, (_, row) => {
    rows!.seek(row)
    return { index: rows!.index(), ref: rows!.ref() }
  })
}

/** What the official package reads of a ref, as a ref of ours. */
const officialRef = (ref: ReturnType<typeof readManifest>["arrays"][number]["refs"][number]): ChunkRef.ChunkRef => {
  const offset = Number(ref.offset)
  const length = Number(ref.length)
  if (ref.inline !== undefined) return ChunkRef.inline(ref.inline)
  if (ref.chunkId !== undefined) return ChunkRef.native(ObjectId.chunkId(ref.chunkId), offset, length)
  const checksum =
    ref.etag !== undefined
      ? Checksum.etag(ref.etag)
      : ref.lastModified > 0
        ? Checksum.lastModified(ref.lastModified * 1000)
        : undefined
  return ChunkRef.virtual({ location: ref.location!, offset, length, checksum })
}

const expectManifest = (payload: Uint8Array, expected: ReadonlyArray<Entry>): Manifest.Manifest => {
  const manifest = Result.getOrThrow(decode(payload))
  expect(manifest).toMatchObject({ id, count: expected.length, byteLength: payload.length })
  expect(readAll(manifest)).toStrictEqual(expected)
  for (const { index, ref } of expected) expect(manifest.get(node, index)).toStrictEqual(Result.succeed(ref))
  const rows = manifest.rows(node)!
  expect(rows.indices(0, rows.count)).toStrictEqual(Result.succeed(expected.map(({ index }) => index)))
  const locations = expected.flatMap(({ ref }) => (ref._tag === "Virtual" ? [ref.ref.location] : []))
  expect(rows.virtualLocations(0, rows.count)).toStrictEqual(Result.succeed(locations))
  expect(manifest.rows(node)!.virtualLocations(0, rows.count, { distinct: true })).toStrictEqual(
    Result.succeed([...new Set(locations)])
  )
  const official = readManifest(payload)
  expect(official).toMatchObject({ algorithm: 0, dictionary: undefined, extra: undefined })
  expect(ObjectId.manifestId(official.id)).toBe(id)
  expect(official.arrays).toHaveLength(1)
  expect(ObjectId.nodeId(official.arrays[0]!.node)).toBe(node)
  expect(official.arrays[0]!.refs.map((ref) => ({ index: ref.index, ref: officialRef(ref) }))).toStrictEqual(expected)
  return manifest
}

/** A ref that differs in one part. */
const variant = (ref: ChunkRef.ChunkRef, part: number): ChunkRef.ChunkRef => {
  if (ref._tag === "Inline") return ChunkRef.inline(Uint8Array.of(...ref.bytes.subarray(part % 2), 7))
  if (ref._tag === "Native") {
    const id = ObjectId.bytes12(ref.id).map((byte, i) => (i === part % 12 ? byte ^ 1 : byte))
    return part % 3 === 0
      ? ChunkRef.native(ref.id, ref.offset + 1, ref.length)
      : part % 3 === 1
        ? ChunkRef.native(ref.id, ref.offset, ref.length + 1)
        : ChunkRef.native(ObjectId.chunkId(id), ref.offset, ref.length)
  }
  const checksums = [undefined, Checksum.etag("other"), Checksum.lastModified(77_000)]
  const change = [
    { offset: ref.ref.offset + 1 },
    { length: ref.ref.length + 1 },
    { location: `${ref.ref.location}x` },
    { checksum: checksums[part % 3] }
  ][part % 4]
  return ChunkRef.virtual({ ...ref.ref, ...change })
}

const sameRef = (a: unknown, b: unknown): boolean => {
  try {
    expect(a).toStrictEqual(b)
    return true
  } catch {
    return false
  }
}

const boundingBox = (entries: ReadonlyArray<Entry>, rank: number) =>
  Array.from({ length: rank }, (_, axis) => ({
    from: Math.min(...entries.map(({ index }) => index[axis]!)),
    to: Math.max(...entries.map(({ index }) => index[axis]!)) + 1
  }))

const changed = (grid: ReadonlyArray<number>) => fc.array(chunkRefs.step(grid), { maxLength: 30 })

describe("changed refs", () => {
  it("change something where the first manifest that has their index has another ref, or none", () => {
    fc.assert(
      fc.property(
        chunkRefs.grid.chain((grid) =>
          fc.tuple(
            fc.constant(grid),
            fc.array(changed(grid), { maxLength: 3 }),
            changed(grid),
            fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }),
            fc.array(fc.nat(4), { minLength: 4, maxLength: 4 })
          )
        ),
        ([grid, written, steps, again, shrunk]) => {
          const bases: Array<MergedRefs.ArraySources["bases"][number]> = []
          const below = new chunkRefs.Model()
          const entries: Array<Entry> = []
          for (const steps of written) {
            const columns = new ChunkRefColumns(grid.length)
            const model = new chunkRefs.Model()
            for (const step of steps) chunkRefs.apply(step, columns, model)
            const payload = payloadOf(grid, columns)
            if (payload === undefined) continue
            bases.push({
              manifest: Result.getOrThrow(decode(payload)),
              extents: boundingBox(model.present(), grid.length)
            })
            entries.push(...model.present())
            for (const { index, ref } of model.present()) if (below.get(index) === undefined) below.set(index, ref)
          }
          const changes = new ChunkRefColumns(grid.length)
          const model = new chunkRefs.Model()
          for (const step of steps) chunkRefs.apply(step, changes, model)
          // The same refs again, as they are or a little different.
          for (const [how, which] of entries.length === 0 ? [] : again) {
            const { index, ref } = entries[which % entries.length]!
            chunkRefs.apply({ index, ref: how % 2 === 0 ? ref : variant(ref, how >> 1) }, changes, model)
          }
          const gridShape = grid.map((chunks, axis) => Math.max(0, chunks - Math.max(0, shrunk[axis]! - 2)))
          const rows = Result.getOrThrow(EffectiveRows.effectiveRows({ node, gridShape, bases, changes }))
          const expected = model.inOrder().filter(({ index, ref }) => {
            const old = below.get(index)
            const isSame = ref === "Deleted" ? old === undefined : old !== undefined && sameRef(old, ref)
            return !isSame && index.every((at, axis) => at < gridShape[axis]!)
          })
          const some = changes.only(rows)
          expect(Array.from(rows, (row) => changes.indexAt(row))).toStrictEqual(expected.map(({ index }) => index))
          expect(Array.from(some.rowsInOrder(), (row) => some.at(row))).toStrictEqual(expected.map(({ ref }) => ref))
          const kept = new Map(expected.map(({ index, ref }) => [index.join(), ref]))
          for (const { index } of model.inOrder()) expect(some.get(index)).toStrictEqual(kept.get(index.join()))
          for (const { extents } of bases) {
            const isInside = ({ index }: { readonly index: ChunkIndex }): boolean =>
              index.every((at, axis) => at >= extents[axis]!.from && at < extents[axis]!.to)
            expect(EffectiveRows.touches(changes.columns(), changes.rank, rows, extents)).toBe(expected.some(isInside))
          }
        }
      ),
      { numRuns: 500 }
    )
  })
})

describe("a manifest", () => {
  it("gives back the refs it was written from, to us and to the official reader of flatbuffers", () => {
    fc.assert(
      fc.property(
        chunkRefs.grid.chain((grid) => fc.tuple(fc.constant(grid), changed(grid), chunkRefs.index(grid))),
        ([grid, steps, anywhere]) => {
          const columns = new ChunkRefColumns(grid.length)
          const model = new chunkRefs.Model()
          for (const step of steps) chunkRefs.apply(step, columns, model)
          const expected = model.present()
          const encoded = encode({ refs: merge(grid, [], columns) })
          expect(encoded === undefined).toBe(expected.length === 0)
          if (encoded === undefined) return
          expect(encoded.count).toBe(expected.length)
          expect(encoded.extents).toStrictEqual([boundingBox(expected, grid.length)])
          const manifest = expectManifest(encoded.payload, expected)
          const found = model.get(anywhere)
          expect(manifest.get(node, anywhere)).toStrictEqual(Result.succeed(found === "Deleted" ? undefined : found))
          expect(manifest.get(nodeId(8), anywhere)).toStrictEqual(Result.succeed(undefined))
        }
      ),
      { numRuns: 500 }
    )
  })

  it("is written from the manifests below it and the changes, as if it had been written at once", () => {
    const gridAndSteps = chunkRefs.grid.chain((grid) =>
      fc.tuple(
        fc.constant(grid),
        fc.array(changed(grid), { minLength: 1, maxLength: 3 }),
        changed(grid),
        chunkRefs.index(grid),
        fc.boolean()
      )
    )
    fc.assert(
      fc.property(gridAndSteps, ([grid, below, steps, corner, shrink]) => {
        const model = new chunkRefs.Model()
        const bases: Array<MergedRefs.ArraySources["bases"][number]> = []
        // Of several manifests the first counts; in the model, the last.
        for (const baseSteps of below) {
          const columns = new ChunkRefColumns(grid.length)
          const own = new chunkRefs.Model()
          for (const step of baseSteps) chunkRefs.apply(step, columns, own)
          const payload = payloadOf(grid, columns)
          if (payload === undefined) continue
          // Beyond its extents a manifest says nothing.
          const extents = shrink ? corner.map((from, axis) => ({ from, to: grid[axis]! })) : whole(grid)
          bases.unshift({ manifest: Result.getOrThrow(decode(payload)), extents })
          for (const { index, ref } of own.present()) {
            if (!shrink || index.every((at, axis) => at >= corner[axis]!)) model.set(index, ref)
          }
        }
        const columns = new ChunkRefColumns(grid.length)
        for (const step of steps) chunkRefs.apply(step, columns, model)
        const smaller = shrink ? grid.map((chunks) => Math.max(1, chunks - 1)) : grid
        const expected = model.present().filter(({ index }) => index.every((at, axis) => at < smaller[axis]!))
        const encoded = encode({ refs: merge(smaller, bases, columns) })
        expect(encoded === undefined).toBe(expected.length === 0)
        if (encoded === undefined) return
        expectManifest(encoded.payload, expected)
      }),
      { numRuns: 500 }
    )
  })

  it("can be written for each box of the grid", () => {
    fc.assert(
      fc.property(
        chunkRefs.grid.chain((grid) =>
          fc.tuple(fc.constant(grid), changed(grid), fc.tuple(...grid.map((n) => fc.integer({ min: 1, max: n }))))
        ),
        ([grid, steps, sizes]) => {
          const columns = new ChunkRefColumns(grid.length)
          const model = new chunkRefs.Model()
          for (const step of steps) chunkRefs.apply(step, columns, model)
          const refs = merge(grid, [], columns)
          const boxOf = (index: ChunkIndex) => index.map((at, axis) => Math.floor(at / sizes[axis]!)).join()
          const expected = Object.values(Object.groupBy(model.present(), ({ index }) => boxOf(index)))
          const boxes = Result.getOrThrow(MergedRefs.byBox(refs, grid, sizes))
          const written = boxes.map((positions) => {
            const encoded = encode({ refs, positions })!
            const entries = readAll(Result.getOrThrow(decode(encoded.payload)))
            expect(encoded.extents).toStrictEqual([boundingBox(entries, grid.length)])
            return entries
          })
          const byBox = (all: ReadonlyArray<ReadonlyArray<Entry> | undefined>) =>
            new Map(all.map((entries) => [boxOf(entries![0]!.index), entries]))
          expect(byBox(written)).toStrictEqual(byBox(expected))
        }
      ),
      { numRuns: 200 }
    )
  })

  it("finds each ref and no other, whether they fill a box, are spread over it, or lie anywhere", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 })
    const picks = fc.oneof(
      fc.constant(() => true),
      fc.integer({ min: 1, max: 4 }).map((step) => (n: number) => n % step === 0),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 50 }).map((list) => (n: number) => list[n % list.length]!)
    )
    fc.assert(
      fc.property(sizes, fc.nat({ max: 3 }), picks, (shape, from, isPicked) => {
        const grid = shape.map((size) => size + from + 1)
        const changes = new ChunkRefColumns(grid.length)
        const all = shape.reduce((count, size) => count * size, 1)
        const present = new Map<string, ChunkRef.ChunkRef>()
        for (let n = 0; n < all; n++) {
          if (!isPicked(n)) continue
          let rest = n
          const index = shape.toReversed().map((size) => {
            const at = rest % size
            rest = (rest - at) / size
            return at + from
          })
          const bytes = Uint8Array.of(n, n >> 8)
          const ref = ChunkRef.inline(bytes)
          changes.setInline(index.toReversed(), bytes)
          present.set(index.toReversed().join(), ref)
        }
        const payload = payloadOf(grid, changes)
        if (payload === undefined) return
        const manifest = Result.getOrThrow(decode(payload))
        const cells = grid.reduce((count, size) => count * size, 1)
        for (let n = 0; n < cells; n++) {
          let rest = n
          const index = grid.map((size) => {
            const at = rest % size
            rest = (rest - at) / size
            return at
          })
          expect(manifest.get(node, index)).toStrictEqual(Result.succeed(present.get(index.join())))
        }
        const short = manifest.get(node, grid.slice(1))
        expect(short).toMatchObject({ failure: { field: expect.stringMatching(/^arrays\[0\]\.refs\[\d+\]\.index$/) } })
      })
    )
  })

  it("holds several arrays, by their ids", () => {
    const refs = [3, 250, 100].map((n) => {
      const columns = new ChunkRefColumns(1)
      for (let i = 0; i < n; i++) columns.setInline([i], Uint8Array.of(n))
      return Result.getOrThrow(MergedRefs.merge({ node: nodeId(n), gridShape: [1000], bases: [], changes: columns }))
    })
    const none = { ...refs[0]!, node: nodeId(1), count: 0 }
    const encoded = encode({ refs: refs[1]! }, { refs: none }, { refs: refs[0]! }, { refs: refs[2]! })!
    expect(encoded.extents).toStrictEqual([
      [{ from: 0, to: 250 }],
      undefined,
      [{ from: 0, to: 3 }],
      [{ from: 0, to: 100 }]
    ])
    const manifest = Result.getOrThrow(decode(encoded.payload))
    expect(manifest.nodes).toStrictEqual([3, 100, 250].map((n) => ({ node: nodeId(n), count: n })))
    expect(manifest.count).toBe(353)
    expect(manifest.get(nodeId(100), [99])).toStrictEqual(Result.succeed(ChunkRef.inline(Uint8Array.of(100))))
    expect(manifest.get(nodeId(3), [3])).toStrictEqual(Result.succeed(undefined))
    expect(readManifest(encoded.payload).arrays.map(({ refs }) => refs.length)).toStrictEqual([3, 100, 250])
  })

  it("takes 40 bytes a virtual ref, 44 with its place in the vector, and no more for shared texts", () => {
    const count = 20_000
    const columns = new ChunkRefColumns(2)
    columns.setVirtualBulk({
      indices: Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i >> 1 : 0)),
      offsets: new Float64Array(count),
      lengths: new Float64Array(count).fill(1),
      locations: "s3://bucket/a/long/key/that/all/of/them/share.nc"
    })
    expect(payloadOf([count, 1], columns)!.length).toBeLessThan(44 * count + 500)
  })

  it("of many objects is read by us and by the official reader of flatbuffers, whatever the order of the objects", () => {
    const count = 10_000
    for (const number of [(i: number) => i, (i: number) => (i * 7) % count]) {
      const columns = new ChunkRefColumns(1)
      const values = Array.from({ length: count }, (_, i) => `s3://bucket/${String(number(i)).padStart(6, "0")}.nc`)
      columns.setVirtualBulk({
        indices: Uint32Array.from({ length: count }, (_, i) => i),
        offsets: Float64Array.from({ length: count }, (_, i) => i * 2 ** 30),
        lengths: new Float64Array(count).fill(1),
        locations: { values, ids: Uint32Array.from({ length: count }, (_, i) => i) },
        checksums: values.map((_, i) => Checksum.etag(`"${i}"`))
      })
      const payload = payloadOf([count], columns)!
      const expected = values.map((location, i) => ({
        index: [i],
        ref: ChunkRef.virtual({ location, offset: i * 2 ** 30, length: 1, checksum: Checksum.etag(`"${i}"`) })
      }))
      expect(readAll(Result.getOrThrow(decode(payload)))).toStrictEqual(expected)
      expect(readManifest(payload).arrays[0]!.refs.map(officialRef)).toStrictEqual(expected.map(({ ref }) => ref))
    }
  })

  it("has a text once that was given twice, whatever the order of the others", () => {
    const count = 20_000
    const columns = new ChunkRefColumns(1)
    const values = Array.from({ length: count }, (_, i) => `s3://bucket/a/long/key/of/one/of/seven/objects/${i % 7}.nc`)
    columns.setVirtualBulk({
      indices: Uint32Array.from({ length: count }, (_, i) => i),
      offsets: new Float64Array(count),
      lengths: new Float64Array(count).fill(1),
      locations: { values, ids: Uint32Array.from({ length: count }, (_, i) => i) }
    })
    const payload = payloadOf([count], columns)!
    expect(payload.length).toBeLessThan(44 * count + 1000)
    const rows = Result.getOrThrow(decode(payload)).rows(node)!
    expect(rows.virtualLocations(0, count, { distinct: true })).toStrictEqual(Result.succeed(values.slice(0, 7)))
    expect(rows.virtualLocations(0, count)).toStrictEqual(Result.succeed(values))
  })

  it("that would be too large for other readers is refused, with what to do", () => {
    const columns = new ChunkRefColumns(1)
    const location = `s3://bucket/${"x".repeat(60_000)}`
    const count = 40_000
    columns.setVirtualBulk({
      indices: Uint32Array.from({ length: count }, (_, i) => i),
      offsets: new Float64Array(count),
      lengths: new Float64Array(count).fill(1),
      locations: location
    })
    expect(() => payloadOf([count], columns)).toThrow(/`manifest.splitting`/)
  })
})

/** A manifest as another writer might make it, with all that ours leaves out. */
const forged = (options: {
  readonly locations: ReadonlyArray<string>
  readonly dictionary?: Uint8Array | undefined
  readonly algorithm?: number | undefined
  readonly extra?: Uint8Array | undefined
  readonly first?: number | undefined
  readonly compress?: ((location: string) => Uint8Array) | undefined
}): Uint8Array => {
  const builder = new FlatBuilder()
  const { algorithm, compress, dictionary, extra, first = 0, locations } = options
  const refs = locations.map((location, i) => {
    const index = builder.u32s([first + i])
    const compressed = compress === undefined ? undefined : builder.bytes(compress(location))
    const plain = compress === undefined ? builder.string(location) : undefined
    const own = builder.optionalBytes(extra)
    return builder.table(10, (table) => {
      table.offset(Ref.index, index)
      table.u64(Ref.offset, i)
      table.u64(Ref.length, 1)
      table.offset(Ref.location, plain)
      table.offset(Ref.compressed_location, compressed)
      table.offset(Ref.extra, own)
    })
  })
  const vector = builder.offsets(refs)
  const dictionaryAt = builder.optionalBytes(dictionary)
  const extraAt = builder.optionalBytes(extra)
  const array = builder.table(3, (table) => {
    table.struct(Manifest.ArrayManifest.node_id, ObjectId.bytes8(node))
    table.offset(Manifest.ArrayManifest.refs, vector)
    table.offset(Manifest.ArrayManifest.extra, extraAt)
  })
  const arrays = builder.offsets([array])
  return builder.finish(
    builder.table(5, (table) => {
      table.struct(Manifest.Root.id, ObjectId.bytes12(id))
      table.offset(Manifest.Root.arrays, arrays)
      table.offset(Manifest.Root.location_dictionary, dictionaryAt)
      if (algorithm !== undefined) table.u8(Manifest.Root.compression_algorithm, algorithm)
      table.offset(Manifest.Root.extra, extraAt)
    })
  )
}

const dictionary = new Uint8Array(
  fs.readFileSync(path.join(import.meta.dirname, "../encoding/fixtures/locations.dict"))
)
const otherDictionary = new TextEncoder().encode("s3://bucket/some/raw/content/as/dictionary.nc".repeat(3))

const compressWith = (own: Uint8Array) => (location: string) =>
  new Uint8Array(zlib.zstdCompressSync(location, { dictionary: own, pledgedSrcSize: Buffer.byteLength(location) }))

const someLocations = (count: number, prefix = "s3://bucket/some/key") =>
  Array.from({ length: count }, (_, i) => `${prefix}/${i >> 1}.nc`)

const locationsIn = (manifest: Manifest.Manifest) =>
  readAll(manifest).map(({ ref }) => (ref._tag === "Virtual" ? ref.ref.location : ref._tag))

describe("a manifest with compressed locations", () => {
  const locations = someLocations(40)

  it("is read, whether or not it says how they are compressed", () => {
    for (const algorithm of [undefined, 1, 0]) {
      const payload = forged({ locations, dictionary, algorithm, compress: compressWith(dictionary) })
      const manifest = Result.getOrThrow(decode(payload))
      expect(locationsIn(manifest)).toStrictEqual(locations)
      expect(manifest.rows(node)!.virtualLocations(0, 40)).toStrictEqual(Result.succeed(locations))
      expect(manifest.rows(node)!.virtualLocations(0, 40, { distinct: true })).toStrictEqual(
        Result.succeed([...new Set(locations)])
      )
      expect(manifest.get(node, [39])).toStrictEqual(
        Result.succeed(ChunkRef.virtual({ location: locations[39]!, offset: 39, length: 1, checksum: undefined }))
      )
    }
  })

  it("decompresses what is stored twice once", () => {
    let calls = 0
    const counting: Manifest.Dictionary = (bytes) => {
      const decompress = ZstdDecoder.withDictionary(bytes)
      return (compressed, maxBytes) => (calls++, decompress(compressed, maxBytes))
    }
    const payload = forged({ locations, dictionary, compress: compressWith(dictionary) })
    const manifest = Result.getOrThrow(Manifest.decode("m", payload, counting))
    expect(manifest.rows(node)!.virtualLocations(0, 40)).toStrictEqual(Result.succeed(locations))
    expect(calls).toBe(20)
  })

  it("is shown with how many there are, and what each location is", () => {
    const payload = forged({ locations, dictionary, compress: compressWith(dictionary) })
    const manifest = Result.getOrThrow(decode(payload))
    const budget = new Budget({ maxItems: 3 })
    const steps = ManifestJson.part(manifest, manifest.nodes[0]!, budget)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    const part = Result.getOrThrow(step.value)
    const shown = ManifestJson.manifestJson(manifest, payload.length, [part], 1, budget)
    expect(shown).toMatchObject({
      total_chunk_refs: 40,
      total_virtual: 40,
      arrays: [{ num_virtual: 40, refs: locations.slice(0, 3).map((location) => ({ type: "virtual", location })) }],
      compression: {
        uses_location_compression: true,
        dictionary_size_bytes: dictionary.length,
        num_compressed_refs: 40
      }
    })
    expect(budget.leftOut()).toStrictEqual({ left_out: { "arrays.refs": 37 } })
  })

  it("keeps them and the dictionary when it is written again, and all that is `extra`", () => {
    const extra = Uint8Array.of(1, 2, 3)
    const payload = forged({ locations, dictionary, extra, compress: compressWith(dictionary) })
    const manifest = Result.getOrThrow(decode(payload))
    const changes = new ChunkRefColumns(1)
    changes.setVirtual([5], { location: "s3://other/plain", offset: 1, length: 2 })
    changes.setDeleted([6])
    const encoded = encode({ refs: merge([100], [{ manifest, extents: whole([100]) }], changes) })!
    const again = Result.getOrThrow(decode(encoded.payload))
    expect(locationsIn(again)).toStrictEqual(locations.with(5, "s3://other/plain").toSpliced(6, 1))
    const official = readManifest(encoded.payload)
    expect(official).toMatchObject({ dictionary, algorithm: 1, extra, arrays: [{ extra }] })
    const refs = official.arrays[0]!.refs
    expect(refs[4]!).toMatchObject({
      location: undefined,
      compressedLocation: compressWith(dictionary)(locations[4]!),
      extra
    })
    expect(refs[5]!).toMatchObject({ location: "s3://other/plain", compressedLocation: undefined, extra: undefined })
    // Without a compressed location left there is no need for a dictionary.
    const all = new ChunkRefColumns(1)
    for (let i = 0; i < 40; i++) all.setInline([i], Uint8Array.of(i))
    const plain = encode({ refs: merge([100], [{ manifest, extents: whole([100]) }], all) })!
    expect(readManifest(plain.payload)).toMatchObject({ dictionary: undefined, algorithm: 0 })
  })

  it("gives up the dictionary that fewer of its refs need", () => {
    const many = forged({ locations, dictionary, compress: compressWith(dictionary) })
    const few = forged({
      first: 40,
      locations: someLocations(10, "s3://few"),
      dictionary: otherDictionary,
      compress: compressWith(otherDictionary)
    })
    const plain = forged({ first: 60, locations: someLocations(5, "s3://é") })
    const bases = [few, many, plain].map((payload) => ({
      manifest: Result.getOrThrow(decode(payload)),
      extents: whole([100])
    }))
    const encoded = encode({ refs: merge([100], bases, undefined) })!
    expect(readManifest(encoded.payload)).toMatchObject({ dictionary, algorithm: 1 })
    expect(locationsIn(Result.getOrThrow(decode(encoded.payload)))).toStrictEqual([
      ...locations,
      ...someLocations(10, "s3://few"),
      ...someLocations(5, "s3://é")
    ])
  })

  it("fails with a FormatError when they cannot be decompressed", () => {
    const cases: ReadonlyArray<readonly [Parameters<typeof forged>[0], string]> = [
      [{ locations, compress: compressWith(dictionary) }, "location_dictionary"],
      [{ locations, dictionary, algorithm: 2, compress: compressWith(dictionary) }, "compression_algorithm"],
      [
        { locations, dictionary: otherDictionary, compress: compressWith(dictionary) },
        "arrays[0].refs[3].compressed_location"
      ],
      [{ locations, dictionary, compress: () => Uint8Array.of(1, 2, 3) }, "arrays[0].refs[3].compressed_location"],
      [
        { locations: someLocations(5, "x".repeat(1025)), dictionary, compress: compressWith(dictionary) },
        "arrays[0].refs[3].compressed_location"
      ]
    ]
    for (const [options, field] of cases) {
      const manifest = Result.getOrThrow(decode(forged(options)))
      const refs = merge([100], [{ manifest, extents: whole([100]) }], undefined)
      const failures: ReadonlyArray<Result.Result<unknown, FormatError | ManifestWriter.ManifestTooLarge>> = [
        manifest.get(node, [3]),
        manifest.rows(node)!.virtualLocations(3, 4),
        ...(options.dictionary === undefined ? [ManifestWriter.encode({ id, arrays: [{ refs }] })] : [])
      ]
      for (const failure of failures) {
        expect(Result.isFailure(failure) && failure.failure).toBeInstanceOf(FormatError)
      }
      expect(failures[0]).toMatchObject({ failure: { file: "manifests/M", field } })
    }
  })
})

describe("a manifest that another writer made", () => {
  it("keeps a text for each ref: written again, equal ones are one", () => {
    const locations = someLocations(1000)
    const manifest = Result.getOrThrow(decode(forged({ locations, algorithm: 0 })))
    const encoded = encode({ refs: merge([1000], [{ manifest, extents: whole([1000]) }], undefined) })!
    expect(locationsIn(Result.getOrThrow(decode(encoded.payload)))).toStrictEqual(locations)
    expect(encoded.payload.length).toBeLessThan(manifest.byteLength * 0.8)
  })

  it("is refused when an array occurs twice, and a ref when it is nothing or has another rank", () => {
    const withArrays = (times: number): Uint8Array => {
      const builder = new FlatBuilder()
      const index = builder.u32s([4])
      const refs = builder.offsets([builder.table(10, (table) => table.offset(Ref.index, index))])
      const array = builder.table(3, (table) => {
        table.struct(Manifest.ArrayManifest.node_id, ObjectId.bytes8(node))
        table.offset(Manifest.ArrayManifest.refs, refs)
      })
      const arrays = builder.offsets(new Array<number>(times).fill(array))
      return builder.finish(
        builder.table(5, (table) => {
          table.struct(Manifest.Root.id, ObjectId.bytes12(id))
          table.offset(Manifest.Root.arrays, arrays)
        })
      )
    }
    expect(decode(withArrays(2))).toMatchObject({ failure: { field: "arrays" } })
    const manifest = Result.getOrThrow(decode(withArrays(1)))
    expect(manifest.get(node, [4])).toMatchObject({ failure: { field: "arrays[0].refs[0]" } })
    expect(manifest.get(node, [4, 0])).toMatchObject({ failure: { field: "arrays[0].refs[0].index" } })
    expect(manifest.rows(node)!.virtualLocations(0, 1)).toMatchObject({ failure: { field: "arrays[0].refs[0]" } })
  })
})

/** Looks at everything in a manifest, and writes it again. */
const readEverything = (payload: Uint8Array): Result.Result<unknown, FormatError> =>
  Result.flatMap(decode(payload), (manifest) => {
    const results: Array<Result.Result<unknown, FormatError>> = []
    for (const { count, node } of manifest.nodes) {
      for (let row = 0; row < count; row++) {
        results.push(
          attempt(() => {
            const rows = manifest.rows(node)!
            rows.seek(row)
            return [rows.index(), rows.ref()]
          })
        )
      }
      const rows = manifest.rows(node)!
      results.push(rows.virtualLocations(0, count), manifest.get(node, [1, 2]))
      results.push(
        Result.flatMap(
          MergedRefs.merge({
            node,
            gridShape: [9, 9],
            bases: [{ manifest, extents: whole([9, 9]) }],
            changes: undefined
          }),
          (refs): Result.Result<unknown, FormatError> => {
            const encoded = ManifestWriter.encode({ id, arrays: [{ refs }] })
            if (Result.isSuccess(encoded)) {
              return Result.succeed(encoded.success && readManifest(encoded.success.payload))
            }
            // Wrong lengths may say that there is more than a manifest can have.
            const { failure } = encoded
            return failure._tag === "FormatError" ? Result.fail(failure) : Result.succeed(failure)
          }
        )
      )
    }
    return results.find(Result.isFailure) ?? Result.succeed(results.length)
  })

describe("a damaged manifest", () => {
  const columns = new ChunkRefColumns(2)
  const next = damage.random(3)
  for (let i = 0; i < 20; i++) {
    const index = [Math.floor(next() * 9), Math.floor(next() * 9)]
    const ref = { location: `s3://b/${i % 5}`, offset: i * 2 ** 33, length: 5 }
    if (i % 5 === 0) columns.setInline(index, new Uint8Array(i))
    else if (i % 5 === 1) columns.setNative(index, new Uint8Array(12).fill(i), i, 5)
    else if (i % 5 === 2) columns.setVirtual(index, { ...ref, checksum: Checksum.etag(`"${i}"`) })
    else if (i % 5 === 3) columns.setVirtual(index, { ...ref, checksum: Checksum.lastModified(1e12) })
    else columns.setVirtual(index, ref)
  }
  const payload = payloadOf([9, 9], columns)!
  const compressed = forged({
    locations: someLocations(8),
    dictionary,
    extra: Uint8Array.of(1),
    compress: compressWith(dictionary)
  })

  it("is whole before", () => {
    expect(Result.isSuccess(readEverything(payload))).toBe(true)
  })

  it("fails with a FormatError at every length it can be cut off at", () => {
    expect(damage.truncations(payload, readEverything)).toBeGreaterThan(0.9 * payload.length)
  })

  it("lists the same locations, or fails with the same error, whether rows are asked for one by one or together", () => {
    const count = 40
    const runs = new ChunkRefColumns(1)
    for (let i = 0; i < count; i++) {
      const ref = { location: `s3://b/${Math.floor(i / 10)}`, offset: i, length: 5 }
      if (i === 25) runs.setInline([i], new Uint8Array(i))
      else runs.setVirtual([i], i % 10 === 7 ? { ...ref, checksum: Checksum.etag('"tag"') } : ref)
    }
    const locations = (rows: ManifestRows, step: number, options?: { readonly distinct: boolean }) => {
      const all: Array<string> = []
      for (let from = 0; from < rows.count; from += step) {
        const batch = rows.virtualLocations(from, Math.min(from + step, rows.count), options)
        if (Result.isFailure(batch)) return batch
        all.push(...batch.success)
      }
      return Result.succeed(all)
    }
    const failures = damage.flips(payloadOf([count], runs)!, 4000, 4, (bytes) => {
      const manifest = decode(bytes)
      if (Result.isFailure(manifest)) return Result.fail(manifest.failure)
      const { nodes } = manifest.success
      const results = nodes.flatMap(({ node }) =>
        [undefined, { distinct: true }].map((options) => {
          const together = locations(manifest.success.rows(node)!, count, options)
          expect(together).toStrictEqual(locations(manifest.success.rows(node)!, 1, options))
          return together
        })
      )
      return results.find(Result.isFailure) ?? Result.succeed<ReadonlyArray<string>>([])
    })
    expect(failures).toBeGreaterThan(250)
  })

  it("fails with a FormatError or gives other refs when bytes are wrong", () => {
    expect(damage.flips(payload, 8000, 1, readEverything)).toBeGreaterThan(2000)
    expect(damage.flips(compressed, 2000, 2, readEverything)).toBeGreaterThan(200)
  })
})

describe("a manifest that unfolds into more than it is", () => {
  /** Refs whose texts, of a megabyte each, overlap. */
  const overlapping = (field: FlatTable.Field) => {
    const builder = new FlatBuilder()
    const text = builder.bytes(new Uint8Array(3_000_000).fill(97))
    const index = builder.u32s([0])
    const location = field === Ref.location ? undefined : builder.string("s3://b/k")
    const refs = Array.from({ length: 500 }, () =>
      builder.table(10, (table) => {
        table.offset(Ref.index, index)
        table.offset(Ref.location, location)
        table.offset(field, text)
      })
    )
    const vector = builder.offsets(refs)
    const array = builder.table(3, (table) => {
      table.struct(Manifest.ArrayManifest.node_id, ObjectId.bytes8(node))
      table.offset(Manifest.ArrayManifest.refs, vector)
    })
    const arrays = builder.offsets([array])
    const payload = builder.finish(
      builder.table(5, (table) => {
        table.struct(Manifest.Root.id, ObjectId.bytes12(id))
        table.offset(Manifest.Root.arrays, arrays)
      })
    )
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
    const start = payload.indexOf(97) - 4
    const rows = Result.getOrThrow(decode(payload)).rows(node)!
    for (let row = 0; row < rows.count; row++) {
      // Each ref has its own text, a few bytes behind that of the ref before, with its own length.
      rows.seek(row)
      const at = start + 8 * (row + 1)
      view.setUint32(at, 2_000_000, true)
      let position = payload.length
      for (let p = 0; p < start; p += 4) {
        if (p + view.getUint32(p, true) === start && p < position) position = p
      }
      view.setUint32(position, at - position, true)
    }
    return Result.getOrThrow(decode(payload))
  }

  it("fails with a FormatError before it takes the memory", () => {
    const location = overlapping(Ref.location)
    expect(location.rows(node)!.virtualLocations(0, 500)).toMatchObject({
      failure: { problem: expect.stringMatching(/shares its bytes/) }
    })
    for (const manifest of [location, overlapping(Ref.checksum_etag), overlapping(Ref.extra)]) {
      const rows = manifest.rows(node)!
      const bases = [{ manifest, extents: whole([1]), rows }]
      const refs = {
        node,
        rank: 1,
        count: 500,
        rows: Uint32Array.from({ length: 500 }, (_, i) => i),
        sources: new Uint32Array(500).fill(1),
        bases,
        changes: undefined
      }
      expect(ManifestWriter.encode({ id, arrays: [{ refs }] })).toMatchObject({
        failure: { problem: expect.stringMatching(/shares its bytes/) }
      })
    }
  })
})

const workspace = path.resolve(import.meta.dirname, "../../../..")
const directory = path.resolve(workspace, "../shared/data/icechunk-repositories")
const present = fs.existsSync(directory)
const repositories = ["split-repo-v2", "test-repo-v1", "test-repo-v2"]

describe.skipIf(!present)(`manifests in ${path.relative(workspace, directory)}`, () => {
  it.layer(NodeZstd.layer)((it) => {
    it.effect("are read, found in, and written again", () =>
      Effect.gen(function* () {
        const seen = { Inline: 0, Native: 0, Virtual: 0 }
        for (const repository of repositories) {
          for (const name of fs.readdirSync(path.join(directory, repository, "manifests"))) {
            const file = `${repository}/manifests/${name}`
            const bytes = new Uint8Array(fs.readFileSync(path.join(directory, file)))
            const { header, payload } = yield* IcechunkFile.decode(file, bytes, "Manifest")
            expect(header.specVersion).toBe(repository.endsWith("v1") ? 1 : 2)
            const manifest = Result.getOrThrow(Manifest.decode(file, payload, ZstdDecoder.withDictionary))
            expect(manifest.id).toBe(name)
            expect(manifest.nodes.length).toBeGreaterThan(0)
            const parts = manifest.nodes.map(({ count, node }) => {
              const entries = readAll(manifest, node)
              expect(entries).toHaveLength(count)
              for (const { index, ref } of entries) {
                seen[ref._tag]++
                expect(manifest.get(node, index)).toStrictEqual(Result.succeed(ref))
              }
              const gridShape = entries[0]!.index.map(() => 0xffff_ffff)
              const bases = [{ manifest, extents: whole(gridShape) }]
              return { refs: Result.getOrThrow(MergedRefs.merge({ node, gridShape, bases, changes: undefined })) }
            })
            const written = Result.getOrThrow(
              decode(Result.getOrThrow(ManifestWriter.encode({ id: manifest.id, arrays: parts }))!.payload)
            )
            expect(written.nodes).toStrictEqual(manifest.nodes)
            for (const { node } of manifest.nodes) expect(readAll(written, node)).toStrictEqual(readAll(manifest, node))
          }
        }
        expect(seen.Inline).toBeGreaterThan(0)
        expect(seen.Native).toBeGreaterThan(0)
        expect(seen.Virtual).toBeGreaterThan(0)
      })
    )
  })
})
