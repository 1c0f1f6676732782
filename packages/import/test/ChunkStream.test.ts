import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5, Import, type ImportError } from "@effect-icechunk/import"
import * as Fletcher32 from "@effect-icechunk/import/codecs/Fletcher32"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as ByteSource from "../src/internal/ByteSource.ts"
import * as ChunkStream from "../src/internal/hdf5/ChunkStream.ts"
import * as Filters from "../src/internal/hdf5/Filters.ts"
import type { ArrayLayout } from "../src/internal/hdf5/Layout.ts"
import * as Reencode from "../src/internal/hdf5/Reencode.ts"
import * as Lookup from "../src/internal/hdf5/Lookup.ts"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as World from "./support/World.ts"
import * as zarr from "zarrita"

Fletcher32.register(zarr.registry)

interface Described {
  readonly array: ArrayLayout
  readonly dtype: string
  readonly big: boolean
  readonly fill: number
  readonly sha: string
}

const layoutsOf = (age: string): ReadonlyArray<readonly [string, Described]> => {
  const file = path.join(import.meta.dirname, `files/expected/chunks-${age}.layouts.json`)
  const json = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, Described>
  return Object.entries(json).map(([name, one]) => {
    const maxShape = one.array.maxShape.map((length) => (length < 0 ? Number.POSITIVE_INFINITY : length))
    return [name, { ...one, array: { ...one.array, maxShape } }] as const
  })
}

const layoutOf = (age: string, name: string): ArrayLayout => layoutsOf(age).find(([one]) => one === name)![1].array

const arrayOf = (
  source: ByteSource.ByteSource,
  name: string,
  { array, big, dtype, fill }: Described,
  onSkipped: (report: ChunkStream.Report) => void = () => undefined
): Dataset.VirtualArray => {
  const { codecs } = Result.getOrThrow(Filters.codecs(array.filters, array))
  const endian = { name: "bytes", configuration: { endian: big ? "big" : "little" } }
  return {
    path: `/${name}`,
    shape: array.shape,
    chunkShape: ChunkStream.chunkShape(array),
    dataType: dtype,
    fillValue: fill,
    codecs: [array.elementSize > 1 ? endian : { name: "bytes" }, ...codecs],
    dimensionNames: undefined,
    attributes: {},
    chunks: ChunkStream.make(source, array, onSkipped)
  }
}

/** Chunks of an array of a file that was changed. */
const chunksOf = (
  age: string,
  name: string,
  change: (bytes: Uint8Array, array: ArrayLayout) => Uint8Array | undefined,
  options?: ChunkStream.Options
) =>
  Effect.gen(function* () {
    const content = Files.bytes(`chunks-${age}.h5`)
    const array = layoutOf(age, name)
    const { file } = yield* Files.inMemory(change(content, array) ?? content)
    const source = yield* ByteSource.open(file)
    const reports: Array<ChunkStream.Report> = []
    const chunks = yield* Stream.runCollect(ChunkStream.make(source, array, (one) => void reports.push(one), options))
    return { chunks, reports }
  })

const addressOf = ({ layout }: ArrayLayout): number =>
  layout._tag === "Chunked" ? layout.index.address! : layout.address!

/** Bytes of the headers of indices, checksum included. */
const headers: Readonly<Record<string, number>> = { FAHD: 28, EAHD: 72, BTHD: 38 }

const damaged = (age: string, name: string, change: Parameters<typeof chunksOf>[2]) =>
  Effect.map(Effect.flip(chunksOf(age, name, change)), (error: ImportError.ImportError) => {
    assert.strictEqual(error._tag, "DamagedFile", error.message)
    const { location, offset, problem } = error as ImportError.DamagedFile
    assert.strictEqual(location, "s3://bucket/file")
    return { offset: offset!, problem }
  })

describe("chunks of HDF5 arrays", () => {
  it.effect.each(["earliest", "latest"])(
    "%s: every index and filter has the values that HDF5 reads",
    (age) =>
      Effect.gen(function* () {
        const { put, session } = yield* World.make
        const { count, file } = yield* put("a.h5", Files.bytes(`chunks-${age}.h5`))
        const source = yield* ByteSource.open(file)
        const layouts = layoutsOf(age)
        const arrays = layouts.map(([name, one]) => arrayOf(source, name, one))
        const { written } = yield* Import.into(session, "/", {
          groups: [{ path: "/", attributes: {} }],
          arrays,
          skipped: []
        })
        assert.strictEqual(written, 3)
        assert.isAtMost(count.requests, 2)
        for (const [name, { sha }] of layouts) {
          if (name.startsWith("extpaged")) continue // too many chunks for a test; see below
          const { data } = yield* World.read(session, `/${name}`)
          const { buffer, byteLength, byteOffset } = data as Uint8Array
          const bytes = new Uint8Array(buffer, byteOffset, byteLength)
          assert.strictEqual(crypto.createHash("sha256").update(bytes).digest("hex"), sha, name)
        }
        const tags = new Set(
          layouts.map(([, { array }]) =>
            array.layout._tag === "Chunked" ? array.layout.index._tag : array.layout._tag
          )
        )
        assert.deepStrictEqual(
          [...tags].toSorted(),
          age === "earliest"
            ? ["BTree1", "Contiguous"]
            : ["BTree2", "Contiguous", "ExtensibleArray", "FixedArray", "Implicit", "Single"]
        )
      }),
    60_000
  )

  it.effect.each(["earliest", "latest"])("%s: the importer finds the same layouts in the file", (age) =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes(`chunks-${age}.h5`))
      const source = yield* ByteSource.open(file)
      const { arrays, skipped } = yield* Hdf5.dataset(file)
      assert.deepStrictEqual(skipped, [])
      const layouts = layoutsOf(age)
      assert.strictEqual(arrays.length, layouts.length)
      for (const [name, one] of layouts) {
        const expected = arrayOf(source, name, one)
        const found = arrays.find((array) => array.path === `/${name}`)!
        assert.deepStrictEqual(found.chunkShape, expected.chunkShape, name)
        assert.deepStrictEqual(found.codecs, expected.codecs, name)
        assert.deepStrictEqual(yield* Stream.runCollect(found.chunks), yield* Stream.runCollect(expected.chunks), name)
      }
    })
  )

  it.effect("pages of data blocks that were not written are left out", () =>
    Effect.gen(function* () {
      for (const name of ["extpaged_none", "extpaged_all"]) {
        const { chunks } = yield* chunksOf("latest", name, () => undefined)
        const indices = chunks.flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.indices) : []))
        assert.deepStrictEqual(indices, [3, 40, 5000, 131_069, 135_500, 137_700, 149_999, 262_200])
      }
    })
  )

  it("the checksum is lookup3", () => {
    // The driver program of lookup3.c says so.
    const text = new TextEncoder().encode("Four score and seven years ago")
    assert.strictEqual(Lookup.checksum(text), 0x1777_0551)
    assert.strictEqual(Lookup.checksum(new Uint8Array(0)), 0xdead_beef)
  })

  it.effect("chunks with other filters are left out and reported on demand", () =>
    Effect.gen(function* () {
      const { chunks, reports } = yield* chunksOf("latest", "masked", () => undefined, { maskedChunks: "skip" })
      assert.strictEqual(
        chunks.reduce((sum, one) => sum + (one._tag === "Refs" ? one.refs.offsets.length : 1), 0),
        13
      )
      assert.strictEqual(reports.length, 1)
      assert.match(reports[0]!.problem, /^3 chunks/)
    })
  )
})

describe("the filters of an array", () => {
  const filtered = [{ name: "numcodecs.zlib", configuration: { level: 4 } }]

  it.live.each([
    ["those that most of its chunks have", {}, { "/mostly_without": [], "/mostly_with": filtered }, 2],
    ["all of them", { filterMask: 0 }, { "/mostly_without": filtered, "/mostly_with": filtered }, 6],
    ["none of them", { filterMask: 1 }, { "/mostly_without": [], "/mostly_with": [] }, 6]
  ] as const)("are %s, and all chunks are read", ([, options, codecs, copies]) =>
    Effect.gen(function* () {
      const { dataset, same } = yield* Expected.compare("masks.h5", (file) => Hdf5.dataset(file, options))
      assert.deepStrictEqual(same, ["/mostly_with", "/mostly_without"])
      assert.deepStrictEqual<unknown>(
        Object.fromEntries(dataset.arrays.map((array) => [array.path, array.codecs.slice(1)])),
        codecs
      )
      const chunks = yield* Effect.forEach(dataset.arrays, (array) => Stream.runCollect(array.chunks))
      assert.strictEqual(chunks.flat().filter(({ _tag }) => _tag === "Bytes").length, copies)
    })
  )
})

describe("damaged chunk indices", () => {
  const flip = (at: number) => (bytes: Uint8Array, array: ArrayLayout) => {
    const where = addressOf(array) + at
    bytes[where] = bytes[where]! ^ 1
    return undefined
  }

  it.effect.each(["fixed_all", "ext_none", "bt2_all", "deep"])("%s: another checksum than the bytes", (name) =>
    Effect.gen(function* () {
      const { offset, problem } = yield* damaged("latest", name, flip(9))
      assert.strictEqual(offset, addressOf(layoutOf("latest", name)))
      assert.match(problem, /checksum/)
    })
  )

  it.effect("a B-tree that leads in circles", () =>
    Effect.gen(function* () {
      const deep = layoutOf("earliest", "deep")
      const { offset } = yield* damaged("earliest", "deep", (bytes) => {
        const view = new DataView(bytes.buffer)
        const root = addressOf(deep)
        assert.isAbove(bytes[root + 5]!, 0)
        // The second child is the first again.
        const key = 8 + 8 * 3
        const child = root + 24 + key
        view.setBigUint64(child + key + 8, view.getBigUint64(child, true), true)
        return undefined
      })
      assert.isAbove(offset, 0)
      const own = yield* damaged("earliest", "deep", (bytes) => {
        new DataView(bytes.buffer).setBigUint64(addressOf(deep) + 24 + 32, BigInt(addressOf(deep)), true)
        return undefined
      })
      assert.strictEqual(own.offset, addressOf(deep))
      const level = yield* damaged("earliest", "deep", (bytes) => {
        bytes[addressOf(deep) + 5] = 7
        return undefined
      })
      assert.match(level.problem, /level 6/)
    })
  )

  it.effect("a B-tree of version 2 that leads to a node twice", () =>
    Effect.gen(function* () {
      let first = 0
      const { offset, problem } = yield* damaged("latest", "deep", (bytes, array) => {
        const view = new DataView(bytes.buffer)
        const header = addressOf(array)
        const root = Number(view.getBigUint64(header + 16, true))
        const records = view.getUint16(header + 24, true)
        const children = root + 6 + records * 24
        first = Number(view.getBigUint64(children, true))
        bytes.copyWithin(children + 9, children, children + 9)
        const end = children + (records + 1) * 9
        view.setUint32(end, Lookup.checksum(bytes, root, end), true)
        return undefined
      })
      assert.strictEqual(offset, first)
      assert.match(problem, /twice/)
    })
  )

  it.effect("more entries than the file has, and a file that was cut off", () =>
    Effect.gen(function* () {
      const at = addressOf(layoutOf("earliest", "bt2_none"))
      const many = yield* damaged("earliest", "bt2_none", (bytes) => {
        bytes.set([0xff, 0xff], at + 6)
        return bytes.slice(0, at + 4000)
      })
      assert.strictEqual(many.offset, at + 6)
      const cut = yield* damaged("latest", "bt2_none", (bytes, array) => bytes.slice(0, addressOf(array) + 20))
      assert.strictEqual(cut.offset, addressOf(layoutOf("latest", "bt2_none")))
    })
  )

  it.effect("chunks between the places of the grid, and outside of the file", () =>
    Effect.gen(function* () {
      const at = addressOf(layoutOf("earliest", "single_none"))
      const between = yield* damaged("earliest", "single_none", (bytes) => {
        bytes[at + 24 + 8] = 3
        return undefined
      })
      assert.match(between.problem, /between/)
      const outside = yield* damaged("earliest", "single_none", (bytes) => {
        new DataView(bytes.buffer).setUint32(at + 24 + 32, 0x7fff_ffff, true)
        return undefined
      })
      assert.strictEqual(outside.offset, 0x7fff_ffff)
      const short = yield* damaged("earliest", "single_none", (bytes) => {
        bytes[at + 24] = 5
        return undefined
      })
      assert.match(short.problem, /chunks of this array have 480/)
    })
  )

  it.effect(
    "mutated indices end in chunks or in an error of their own",
    () =>
      Effect.gen(function* () {
        const runs = Number(process.env["FUZZ_RUNS"] ?? 400)
        for (const age of ["earliest", "latest"]) {
          const content = Files.bytes(`chunks-${age}.h5`)
          const layouts = layoutsOf(age).filter(([name]) => !name.startsWith("extpaged"))
          for (let seed = 0; seed < runs; seed++) {
            const [name, { array }] = layouts[seed % layouts.length]!
            const at = addressOf(array)
            // The index is what is changed: its first bytes, and what follows them.
            const length = Math.min(content.length - at, 16 << (seed % 8))
            const part = Fuzz.mutate(content.subarray(at, at + length), seed).subarray(0, length)
            const bytes = content.slice()
            bytes.set(part, at)
            const header = headers[String.fromCharCode(...content.subarray(at, at + 4))]
            // A header whose checksum is right again gets further.
            if (header !== undefined && seed % 3 > 0) {
              bytes.set(content.subarray(at, at + 6), at)
              const sum = Lookup.checksum(bytes, at, at + header - 4)
              new DataView(bytes.buffer).setUint32(at + header - 4, sum, true)
            }
            const { count, file } = yield* Files.inMemory(bytes)
            const exit = yield* Effect.exit(
              Effect.gen(function* () {
                const source = yield* ByteSource.open(file)
                yield* ChunkStream.commonMask(source, array)
                yield* Stream.runDrain(ChunkStream.make(source, array, () => undefined))
              })
            )
            if (Exit.isFailure(exit)) {
              assert.isTrue(
                Result.isSuccess(Cause.findError(exit.cause)),
                `${name}, ${seed}: ${Cause.pretty(exit.cause)}`
              )
            }
            assert.isBelow(count.requests, 100)
          }
        }
      }),
    600_000
  )
})

describe("chunks with other filters than their array", () => {
  const filtersOf = (ids: ReadonlyArray<readonly [number, ReadonlyArray<number>]>) =>
    ids.map(([id, values]) => ({ id, name: undefined, flags: 0, values }))
  const raw = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 7)

  it.effect.each([
    [
      "shuffle, deflate",
      filtersOf([
        [2, [4]],
        [1, [6]]
      ])
    ],
    [
      "shuffle, zstd",
      filtersOf([
        [2, [4]],
        [32_015, [3]]
      ])
    ],
    [
      "fletcher32, shuffle, deflate",
      filtersOf([
        [3, []],
        [2, [4]],
        [1, [6]]
      ])
    ],
    ["blosc", filtersOf([[32_001, [2, 2, 4, 300_000, 5, 1, 5]]])]
  ] as const)("%s: what zarrita decodes is what was there", ([, filters]) =>
    Effect.gen(function* () {
      const plan = Result.getOrThrow(Filters.plan(filters, { elementSize: 4 }))
      const encoded = yield* Effect.orDie(Reencode.chunk(raw, plan, { chunk: 0xffff_ffff, array: 0 }, raw.length))
      const { codecs } = Result.getOrThrow(Filters.codecs(filters, { elementSize: 4 }))
      let bytes = encoded
      for (const { configuration, name } of codecs.toReversed()) {
        bytes = yield* Effect.promise(async () => {
          const entry = await zarr.registry.get(name as "zstd")!()
          const codec = entry.fromConfig(configuration, { dataType: "int32" } as never)
          return await codec.decode(bytes)
        })
      }
      assert.isTrue(Buffer.from(bytes).equals(Buffer.from(raw)))
    })
  )

  it.effect.each([
    ["nothing is undone", 0],
    ["a checksum is taken off", 1]
  ] as const)("what comes of bytes is no part of them where %s", ([, first]) =>
    Effect.gen(function* () {
      const filters = filtersOf([
        [3, []],
        [1, [6]]
      ])
      const plan = Result.getOrThrow(Filters.plan(filters, { elementSize: 4 }))
      const stored = yield* Effect.orDie(Reencode.chunk(raw, plan, { chunk: 3, array: 2 }, raw.length))
      assert.strictEqual(stored.length, raw.length + 4)
      const before = stored.slice()
      const bytes = yield* Effect.orDie(Reencode.chunk(stored, plan, { chunk: 2, array: 2 | first }, raw.length))
      assert.isTrue(Buffer.from(bytes).equals(first === 1 ? raw : before))
      bytes.fill(0)
      assert.isTrue(Buffer.from(stored).equals(before))
    })
  )

  it.effect("bytes of another length than a chunk's, and filters that cannot be undone, are refused", () =>
    Effect.gen(function* () {
      const filters = filtersOf([
        [2, [4]],
        [32_015, [3]]
      ])
      const plan = Result.getOrThrow(Filters.plan(filters, { elementSize: 4 }))
      const short = yield* Effect.flip(Reencode.chunk(raw, plan, { chunk: 3, array: 0 }, raw.length + 4))
      assert.match(short, /300000 bytes/)
      const closed = yield* Effect.flip(Reencode.chunk(raw, plan, { chunk: 1, array: 0 }, raw.length))
      assert.match(closed, /32015 cannot be undone/)
    })
  )
})

describe("filters", () => {
  const filter = (id: number, ...values: ReadonlyArray<number>) => ({ id, name: undefined, flags: 0, values })
  const about = { elementSize: 4 }

  it("shuffle elements of eight bytes only where no checksum is behind them", () => {
    const filters = [filter(3), filter(2, 8), filter(1, 6)]
    const refused = Filters.codecs(filters, { elementSize: 8 })
    assert.match(Result.isFailure(refused) ? refused.failure.problem : "", /after a checksum of 4 bytes/)
    const without = Result.getOrThrow(Filters.codecs(filters, { elementSize: 8, mask: 1 }))
    assert.deepStrictEqual(
      without.codecs.map(({ name }) => name),
      ["numcodecs.shuffle", "numcodecs.zlib"]
    )
    const halves = Result.getOrThrow(Filters.codecs([filter(3), filter(2, 4)], about))
    assert.deepStrictEqual(
      halves.codecs.map(({ name }) => name),
      ["numcodecs.fletcher32", "numcodecs.shuffle"]
    )
  })

  it("become codecs in their order", () => {
    const { codecs, dropTail } = Result.getOrThrow(Filters.codecs([filter(2, 4), filter(1, 6), filter(3)], about))
    assert.strictEqual(dropTail, 4)
    assert.deepStrictEqual(codecs, [
      { name: "numcodecs.shuffle", configuration: { elementsize: 4 } },
      { name: "numcodecs.zlib", configuration: { level: 6 } }
    ])
    const zstd = Result.getOrThrow(Filters.codecs([filter(32_015, 0xffff_fffb)], about))
    assert.deepStrictEqual(zstd.codecs, [{ name: "zstd", configuration: { level: -5, checksum: false } }])
  })

  it.each([4, 5, 6, 307, 32_000, 32_004, 32_008, 4711])(
    "%i before another is reported unless it is registered",
    (id) => {
      const filters = [filter(id), filter(1, 6)]
      const without = Filters.codecs(filters, about)
      assert.isTrue(Result.isFailure(without))
      const table = { [id]: { name: "mine" } }
      assert.deepStrictEqual(Result.getOrThrow(Filters.codecs(filters, { ...about, table })).codecs[0], {
        name: "mine"
      })
      const refused = Filters.codecs(filters, { ...about, table: { [id]: () => "because" } })
      assert.match(Result.isFailure(refused) ? refused.failure.problem : "", /because$/)
    }
  )

  it("a shuffle of other elements than the array's is reported, because zarrita would undo it wrongly", () => {
    assert.isTrue(Result.isFailure(Filters.codecs([filter(2, 8)], about)))
    assert.deepStrictEqual(Result.getOrThrow(Filters.codecs([filter(2, 1)], about)).codecs, [])
  })
})
