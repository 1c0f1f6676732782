import { assert, describe, it } from "@effect/vitest"
import { type Dataset, ImportError, Kerchunk, SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Compression from "../src/internal/parquet/Compression.ts"
import * as Hybrid from "../src/internal/parquet/Hybrid.ts"
import * as References from "../src/internal/parquet/References.ts"
import * as Thrift from "../src/internal/parquet/Thrift.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as JsonFuzz from "./support/JsonFuzz.ts"
import * as World from "./support/World.ts"

interface Written {
  readonly cases: ReadonlyArray<{ readonly name: string; readonly parquet?: Readonly<Record<string, string>> }>
  readonly tables: Readonly<Record<string, string>>
  readonly odd: Readonly<Record<string, string>>
}

const written = JSON.parse(new TextDecoder().decode(Files.bytes("kerchunk-files.json"))) as Written

const decode64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

const odd = (name: string): Uint8Array => decode64(written.odd[name]!)

const encode = (json: unknown) => new TextEncoder().encode(JSON.stringify(json))

const limits = { maxRows: 1000, maxBytes: 2 ** 20 }

const zmetadata = (shape: ReadonlyArray<number>, recordSize: Dataset.Json = 2, chunks = shape.map(() => 1)) => ({
  record_size: recordSize,
  metadata: {
    ".zgroup": { zarr_format: 2 },
    "a/.zarray": {
      zarr_format: 2,
      shape,
      chunks,
      dtype: "<i4",
      order: "C",
      fill_value: 0,
      filters: null,
      compressor: null
    }
  }
})

/** A directory of references, and what is asked of it. */
const directory = Effect.fnUntraced(function* (metadata: unknown, files: Readonly<Record<string, Uint8Array>>) {
  const { put } = yield* World.make
  for (const [key, content] of Object.entries(files)) yield* put(`refs.parq/${key}`, content)
  const { count, file } = yield* put("refs.parq/.zmetadata", encode(metadata))
  return { count, root: SourceFile.make(file.store, "bucket/refs.parq", "s3://bucket/refs.parq") }
})

/** All chunks of a data set, in a form to compare. */
const chunksOf = (dataset: Dataset.Dataset) =>
  Effect.forEach(dataset.arrays, ({ chunks }) => Stream.runCollect(chunks)).pipe(
    Effect.map((all) =>
      all.flat().flatMap((one) => {
        if (one._tag === "Bytes") return [[...one.index, Buffer.from(one.bytes).toString()]]
        const { indices, lengths, locations, offsets } = one.refs
        const rank = indices.length / offsets.length
        const { ids, values } = locations as Exclude<typeof locations, string>
        return Array.from(offsets, (offset, row) => {
          const index = Array.from(indices.subarray(row * rank, (row + 1) * rank))
          return [index, values[ids[row]!]!, offset, lengths[row]!].flat()
        })
      })
    )
  )

describe("Parquet", () => {
  it.effect("takes columns that are missing as fsspec does, and others beside them", () =>
    Effect.gen(function* () {
      for (const [name, chunks] of [
        [
          "fine",
          [
            [0, "s3://b/k", 1, 2],
            [1, "ab"]
          ]
        ],
        ["no raw", [[0, "s3://b/k", 1, 2]]],
        ["only raw", [[1, "ab"]]],
        [
          "short numbers",
          [
            [0, "s3://b/k", 7, 9],
            [1, "ab"]
          ]
        ],
        [
          "nested beside",
          [
            [0, "s3://b/k", 1, 2],
            [1, "ab"]
          ]
        ],
        // What has no place that a number holds exactly is reported.
        ["large numbers", [[1, "ab"]]]
      ] as const) {
        const { root } = yield* directory(zmetadata([2]), { "a/refs.0.parq": odd(name) })
        const dataset = yield* Kerchunk.dataset(root)
        assert.deepStrictEqual(yield* chunksOf(dataset), chunks as never, name)
        assert.strictEqual(dataset.skipped.length, name === "large numbers" ? 1 : 0, name)
      }
    })
  )

  it.effect("refuses files that are not of references, and says where", () =>
    Effect.gen(function* () {
      const fine = odd("fine")
      const cut = fine.slice(0, 60)
      const noEnd = fine.slice()
      noEnd[noEnd.length - 1] = 0
      const longFooter = fine.slice()
      new DataView(longFooter.buffer).setUint32(fine.length - 8, 0x7fff_ffff, true)
      for (const [content, part] of [
        [odd("no offset"), "no column `offset`"],
        [odd("no path and no raw"), "no column `path`, `raw`"],
        [odd("offset of doubles"), "column `offset` is of the type DOUBLE"],
        [odd("path of numbers"), "column `path` is of the type INT64"],
        [odd("raw of lists"), "`raw`"],
        [odd("brotli"), "Brotli"],
        [odd("delta"), "encoding 5"],
        [odd("path not text"), "not UTF-8"],
        [new Uint8Array(0), "start"],
        [encode({}), "start"],
        [cut, "end as a Parquet file"],
        [noEnd, "end as a Parquet file"],
        [longFooter, "more than the file"]
      ] as const) {
        const { root } = yield* directory(zmetadata([2]), { "a/refs.0.parq": content })
        const dataset = yield* Kerchunk.dataset(root)
        const error = yield* Effect.flip(chunksOf(dataset))
        assert.instanceOf(error, ImportError.DamagedFile, part)
        assert.strictEqual(error.location, "s3://bucket/refs.parq/a/refs.0.parq")
        assert.isNumber(error.offset, part)
        assert.include(error.message, part)
      }
    })
  )

  it.effect("reads nothing but the files that it needs, each with one request", () =>
    Effect.gen(function* () {
      const thousand = written.cases.find(({ name }) => name === "thousand-latest.h5")!.parquet!
      const { ".zmetadata": metadata, ...rest } = thousand
      const files = Object.fromEntries(Object.entries(rest).map(([key, content]) => [key, decode64(content)]))
      const { count, root } = yield* directory(JSON.parse(new TextDecoder().decode(decode64(metadata!))), files)
      const dataset = yield* Kerchunk.dataset(root)
      assert.deepStrictEqual([count.requests, count.lists], [1, 0])
      const [{ chunks }] = dataset.arrays as [Dataset.VirtualArray]
      assert.lengthOf(yield* chunksOf(dataset), 1000)
      assert.deepStrictEqual([count.requests, count.lists], [1 + 4, 1])
      yield* Stream.runDrain(Stream.take(chunks, 1))
      assert.isAtMost(count.requests, 1 + 4 + 4)
    })
  )

  it.effect("takes files that are not there for missing chunks, and asks for no more than there are", () =>
    Effect.gen(function* () {
      const files = { "a/refs.3.parq": odd("fine"), "a/refs.0x1.parq": odd("fine"), "a/b/refs.1.parq": odd("fine") }
      // 10^15 chunks, in a file.
      const { count, root } = yield* directory(zmetadata([1e6, 1e9 - 1], 2), files)
      const dataset = yield* Kerchunk.dataset(root)
      assert.deepStrictEqual(yield* chunksOf(dataset), [
        [0, 6, "s3://b/k", 1, 2],
        [0, 7, "ab"]
      ])
      assert.deepStrictEqual([count.requests, count.lists], [2, 1])
      const { root: none } = yield* directory(zmetadata([2]), {})
      assert.deepStrictEqual(yield* chunksOf(yield* Kerchunk.dataset(none)), [])
    })
  )

  it.effect("asks a store that lists nothing for each file, and refuses to where they are many", () =>
    Effect.gen(function* () {
      const unlisted = (shape: ReadonlyArray<number>) =>
        Effect.gen(function* () {
          const { count, root } = yield* directory(zmetadata(shape), { "a/refs.2.parq": odd("fine") })
          const store = { ...root.store, list: Files.listsNothing }
          return { count, dataset: yield* Kerchunk.dataset({ ...root, store }) }
        })
      const { count, dataset } = yield* unlisted([6])
      assert.lengthOf(yield* chunksOf(dataset), 2)
      assert.strictEqual(count.requests, 1 + 3)
      const error = yield* Effect.flip(chunksOf((yield* unlisted([1e9])).dataset))
      assert.strictEqual(error._tag, "WrongFormat")
      assert.include(error.message, "does not list")
    })
  )

  it.effect("refuses a record size that its files or numbers do not have", () =>
    Effect.gen(function* () {
      for (const [recordSize, tag, part] of [
        [1, "DamagedFile", "2 rows, where `record_size` is 1"],
        [3, "DamagedFile", "2 rows, where `record_size` and the array's grid make 3"],
        [0, "WrongFormat", "record_size"],
        [1e12, "WrongFormat", "record_size"],
        ["2", "WrongFormat", "record_size"],
        [null, "WrongFormat", "record_size"]
      ] as const) {
        const { root } = yield* directory(zmetadata([5], recordSize), { "a/refs.0.parq": odd("fine") })
        const error = yield* Effect.flip(Effect.flatMap(Kerchunk.dataset(root), chunksOf))
        assert.strictEqual(error._tag, tag)
        assert.include(error.message, part)
      }
      for (const metadata of [{}, { record_size: 2 }, { record_size: 2, metadata: {} }, []]) {
        const { root } = yield* directory(metadata, {})
        const error = yield* Effect.flip(Kerchunk.dataset(root))
        assert.strictEqual(error._tag, "WrongFormat")
        assert.include(error.message, ".zmetadata")
      }
      // The last file may end with the last chunk.
      const { root } = yield* directory(zmetadata([2], 100), { "a/refs.0.parq": odd("fine") })
      assert.lengthOf(yield* chunksOf(yield* Kerchunk.dataset(root)), 2)
    })
  )

  it.effect("finds directories by their ends or by what is in them", () =>
    Effect.gen(function* () {
      const { root } = yield* directory(zmetadata([2]), { "a/refs.0.parq": odd("fine") })
      const { objects } = yield* World.make
      for (const key of ["d", "d/", "d.parquet", "d.json"]) {
        const base = key.replace(/\/$/, "")
        const get = (at: string, options?: Parameters<typeof root.store.get>[1]) =>
          root.store.get(at.replace(base, "bucket/refs.parq"), options)
        const dataset = yield* Kerchunk.dataset(SourceFile.make({ ...objects, get }, key, `s3://x/${key}`))
        assert.lengthOf(yield* chunksOf(dataset), 2)
      }
      const missing = yield* Effect.flip(Kerchunk.dataset(SourceFile.make(objects, "nothing")))
      assert.strictEqual(missing._tag, "ObjectStoreError")
    })
  )

  it("reads runs and packed integers, of which some are more than are asked for", () => {
    const read = (bytes: ReadonlyArray<number>, width: number, count: number) => {
      const into = new Uint32Array(count)
      Hybrid.read(Uint8Array.from(bytes), 0, bytes.length, width, into, 7)
      return [...into]
    }
    // The example of the format: 0 to 7 in 3 bits.
    assert.deepStrictEqual(read([0x03, 0x88, 0xc6, 0xfa], 3, 8), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.deepStrictEqual(read([0x03, 0x88, 0xc6], 3, 5), [0, 1, 2, 3, 4])
    assert.deepStrictEqual(read([0x06, 0x05, 0x03, 0x88, 0xc6, 0xfa], 3, 5), [5, 5, 5, 0, 1])
    assert.deepStrictEqual(read([0x04, 1, 2, 3, 4], 32, 2), [0x0403_0201, 0x0403_0201])
    assert.deepStrictEqual(read([0x03, ...Array.from({ length: 32 }, () => 0xff)], 32, 8), Array(8).fill(0xffff_ffff))
    assert.deepStrictEqual(read([0x00, 0x09, 0x02, 0x07], 4, 1), [7])
    // A run of 2^31 - 1, and one of 2^34: no more are written than fit, as there is no place for them.
    assert.deepStrictEqual(read([0xfe, 0xff, 0xff, 0xff, 0x0f, 0x09], 4, 3), [9, 9, 9])
    assert.deepStrictEqual(read([0xff, 0xff, 0xff, 0xff, 0x0f], 0, 3), [0, 0, 0])
    for (const bytes of [
      [],
      [0x06],
      [0x80],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x00, 0x01],
      [0x03, 0x88],
      [0x02, 0x01]
    ]) {
      assert.throws(() => read(bytes, 3, 8), Thrift.Damage as never)
    }
  })

  it("expands Snappy to as many bytes as it says, and no others", () => {
    const text = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content)
    const bytes = (...parts: ReadonlyArray<number | string>) =>
      Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? part : Array.from(Buffer.from(part)))))
    assert.strictEqual(text(Compression.snappy(bytes(3, 8, "abc"), 3)), "abc")
    assert.strictEqual(text(Compression.snappy(bytes(8, 4, "ab", 0x09, 2), 8)), "ababababa".slice(0, 8))
    assert.strictEqual(text(Compression.snappy(bytes(5, 4, "ab", 0x0a, 2, 0), 5)), "ababa")
    for (const [damaged, length] of [
      [bytes(3, 8, "abc"), 4],
      [bytes(3, 8, "ab"), 3],
      [bytes(8, 4, "ab", 0x09, 3), 8],
      [bytes(8, 4, "ab", 0x09, 0), 8],
      [bytes(4, 4, "ab", 0x09, 2), 4],
      [bytes(0xff, 0xff, 0xff, 0xff, 0x0f, 0), 0xffff_ffff],
      [bytes(2, 0xf0), 2],
      [bytes(2, 0xfc, 0xff, 0xff, 0xff, 0xff), 2],
      [bytes(0x80), 0],
      [bytes(), 0]
    ] as const) {
      assert.isUndefined(Compression.snappy(damaged, length))
    }
  })

  it.effect("expands no page to more than it says, nor all of them to more than is allowed", () =>
    Effect.gen(function* () {
      const content = new Uint8Array(1000)
      const gzip = new Uint8Array(
        yield* Effect.promise(() =>
          new Response(new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer()
        )
      )
      assert.deepStrictEqual(yield* Compression.decompress(2, gzip, 1000), content)
      for (const length of [0, 999, 1001, 2 ** 28]) {
        assert.include(yield* Effect.flip(Compression.decompress(2, gzip, length)), "gzip")
      }
      assert.include(yield* Effect.flip(Compression.decompress(0, gzip, 2 ** 40)), "more than")
      const error = yield* Effect.flip(References.read("x", odd("fine"), { maxRows: 2, maxBytes: 20 }))
      assert.include(error.message, "`maxBytes`")
    })
  )

  it("bounds structs in depth, in lists and in numbers", () => {
    for (const [bytes, part] of [
      [[0x1c], "ends too early"],
      [Array.from({ length: 100 }, () => 0x1c), "too large"],
      [[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f], "elements"],
      [[0x18, 0xff, 0xff, 0xff, 0x0f], "bytes are expected"],
      [[0x16, ...Array.from({ length: 12 }, () => 0xff)], "integer that cannot be"],
      [[0x1b], "type 11"]
    ] as const) {
      let message = ""
      try {
        Thrift.struct(Uint8Array.from(bytes), 0, bytes.length)
      } catch (error) {
        message = (error as Thrift.Damage).problem
      }
      assert.include(message, part)
    }
    // A list of 100,000 structs of nothing.
    const many = new Uint8Array(100_010)
    many.set([0x19, 0xfc, 0xa0, 0x8d, 0x06])
    assert.throws(() => Thrift.struct(many, 0, many.length), Thrift.Damage as never)
  })

  const runs = Number(process.env["FUZZ_RUNS"] ?? 60)

  it.effect(
    "ends on damaged metadata of directories",
    () =>
      Effect.gen(function* () {
        const { ".zmetadata": metadata, ...rest } = written.cases.find(
          ({ name }) => name === "day-1.nc, pyarrow"
        )!.parquet!
        const text = new TextDecoder().decode(decode64(metadata!))
        const { put } = yield* World.make
        for (const [key, content] of Object.entries(rest)) yield* put(`refs/${key}`, decode64(content))
        const counts = { Success: 0, Failure: 0 }
        for (let seed = 1; seed <= runs * 5; seed++) {
          const { count, file } = yield* put("refs/.zmetadata", JsonFuzz.mutate(text, seed))
          const root = SourceFile.make(file.store, "bucket/refs/", "s3://bucket/refs/")
          const result = yield* Effect.result(Effect.flatMap(Kerchunk.dataset(root), chunksOf))
          counts[result._tag]++
          assert.isBelow(count.requests + count.lists, 50, `seed ${seed}`)
        }
        assert.isAbove(counts.Success, runs)
        assert.isAbove(counts.Failure, runs / 2)
      }),
    3_600_000
  )

  it.effect(
    "ends on damaged files",
    () =>
      Effect.gen(function* () {
        let read = 0
        let refused = 0
        for (const [i, content] of [...Object.values(written.tables), ...Object.values(written.odd)].entries()) {
          const bytes = decode64(content)
          for (let j = 0; j < runs; j++) {
            const mutated = Fuzz.mutate(bytes, i * 1_000_003 + j, j % 2 === 0 ? bytes.length : 300)
            const result = yield* Effect.result(References.read("file", mutated, limits))
            if (result._tag === "Success") {
              assert.isAtMost(result.success.rows, limits.maxRows)
              read++
            } else {
              assert.strictEqual(result.failure._tag, "DamagedFile")
              refused++
            }
          }
        }
        assert.isAbove(read, runs)
        assert.isAbove(refused, runs)
      }),
    3_600_000
  )
})
