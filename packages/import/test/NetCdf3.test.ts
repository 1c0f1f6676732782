import { assert, describe, it } from "@effect/vitest"
import { NetCdf3 } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as World from "./support/World.ts"
import { Import } from "@effect-icechunk/import"

const names = ["ncl-contour.nc", "wxp-surface-obs.nc", "trmm-hyrax.nc", "era5-64bit-packed.nc", "glerl-cdf5.nc"]

describe("NetCDF-3 files by other writers", () => {
  it.effect.each(names)("%s has the values, dimensions and attributes that netCDF-C reads, in two requests", (name) =>
    Effect.gen(function* () {
      const { count, dataset, missing, same } = yield* Expected.compare(name, NetCdf3.dataset)
      assert.deepStrictEqual(missing, [])
      assert.deepStrictEqual(dataset.skipped, [])
      assert.strictEqual(count.requests, 2)
      const expected = Expected.of(name)
      assert.strictEqual(same.length, Object.keys(expected).length)
      for (const { attributes, dimensionNames, dataType, path } of dataset.arrays) {
        const one = expected[path]!
        assert.deepStrictEqual(dimensionNames, one.dimensions!.slice(0, one.shape.length))
        for (const [key, value] of Object.entries(one.attributes!)) {
          if (key !== "_FillValue") {
            assert.deepStrictEqual(attributes[key], value, `${path}@${key}`)
          } else if (typeof dataType === "string" && dataType.startsWith("float")) {
            // As xarray writes it: base64 of a double.
            const bytes = Buffer.from(attributes[key] as string, "base64")
            assert.strictEqual(bytes.readDoubleLE(), value)
          } else assert.strictEqual(attributes[key], value)
        }
      }
    })
  )

  it.effect("a larger file is read by its header, and its text", () =>
    Effect.gen(function* () {
      const content = Files.bytes("wxp-surface-obs.nc")
      const { put, session } = yield* World.make
      const { count, file } = yield* put("a.nc", content)
      const dataset = yield* NetCdf3.dataset(file, { wholeBelow: 0, blockSize: 8192 })
      assert.strictEqual(count.requests, 2)
      const imported = yield* Import.into(session, "/", dataset)
      assert.isAbove(imported.refs, 20_000)
      assert.isAtMost(count.bytes, content.length + 8192)
    })
  )

  it.effect("large variables are cut where their shape can be divided, and read the same", () =>
    Effect.gen(function* () {
      const cut = (file: Parameters<typeof NetCdf3.dataset>[0]) => NetCdf3.dataset(file, { maxChunkBytes: 4096 })
      const { dataset, same } = yield* Expected.compare("ncl-contour.nc", cut)
      assert.isAbove(same.length, 5)
      const large = dataset.arrays.find(({ path }) => path === "/T")!
      const chunks = yield* Stream.runCollect(large.chunks)
      assert.isAbove(chunks.flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.offsets) : [])).length, 10)
    })
  )

  it.effect("text beyond the limit is referred to", () =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes("wxp-surface-obs.nc"))
      const dataset = yield* NetCdf3.dataset(file, { maxTextBytes: 0 })
      const cc = dataset.arrays.find(({ path }) => path === "/CC")!
      assert.deepStrictEqual(cc.dataType, { name: "null_terminated_bytes", configuration: { length_bytes: 4 } })
      assert.deepStrictEqual([cc.shape, cc.chunkShape], [[1645], [1]])
    })
  )

  it.effect("mutated files end in a data set or in an error of their own", () =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 300)
      for (const name of names) {
        const content = Files.bytes(name)
        const { read, refused } = yield* Fuzz.run({ content, within: 4096, runs, seed: 1, importer: NetCdf3.dataset })
        assert.isAbove(read, 0)
        assert.isAbove(refused, 0)
      }
    })
  )
})

/** A file of one word after another; texts are padded. */
const words = (...parts: ReadonlyArray<number | string>): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) => {
        if (typeof part === "string") {
          const bytes = Buffer.alloc(Math.ceil(part.length / 4) * 4)
          bytes.write(part, "latin1")
          return bytes
        }
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(part >>> 0)
        return bytes
      })
    )
  )

/** Two records of `a`, a byte, and `b`, a short, in a file whose number of records is `records`. */
const interleaved = (records: number, ...data: ReadonlyArray<number>): Uint8Array =>
  words(
    "CDF\u0001",
    records,
    0x0a,
    1,
    1,
    "t",
    0,
    0,
    0,
    0x0b,
    2,
    1,
    "a",
    1,
    0,
    0,
    0,
    1,
    4,
    116,
    1,
    "b",
    1,
    0,
    0,
    0,
    3,
    4,
    120,
    ...data
  )

describe("a NetCDF-3 file", () => {
  const read = (content: Uint8Array) =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const { file } = yield* put("a.nc", content)
      yield* Import.into(session, "/", yield* NetCdf3.dataset(file))
      const [a, b] = yield* Effect.all([World.read(session, "/a"), World.read(session, "/b")])
      return [[...(a.data as Int8Array)], [...(b.data as Int16Array)]]
    })

  it.effect("interleaves the records of its variables, padded to four bytes", () =>
    Effect.gen(function* () {
      const content = interleaved(2, 0x01_00_00_00, 0x00_07_00_00, 0xff_00_00_00, 0xff_fe_00_00)
      assert.deepStrictEqual(yield* read(content), [
        [1, -1],
        [7, -2]
      ])
    })
  )

  it.effect("has as many records as fit when its writer did not say how many", () =>
    Effect.gen(function* () {
      const content = interleaved(-1, 0x01_00_00_00, 0x00_07_00_00, 0xff_00_00_00, 0xff_fe_00_00, 0x05_00_00_00)
      assert.deepStrictEqual((yield* read(content))[0], [1, -1])
    })
  )

  it.effect.each([
    ["of its own type", 11, 0x1000_0000, 2n ** 60n],
    ["of another type that it has not", 10, 0xf000_0000, 2n ** 64n - 2n]
  ] as const)("has a fill value of 64 bits: %s", ([, type, high, fill]) =>
    Effect.gen(function* () {
      const before = ["CDF\u0005", 0, 0, 0x0a, 0, 1, 0, 1, "x", 0, 1, 0, 0, 0, 0x0b, 0, 1, 0, 1, "a", 0, 1, 0, 0]
      const content = words(...before, 0x0c, 0, 1, 0, 10, "_FillValue", type, 0, 1, high, 0, 11, 0, 8, 0, 168, 0, 7)
      const { put, session } = yield* World.make
      const { file } = yield* put("a.nc", content)
      const dataset = yield* NetCdf3.dataset(file)
      assert.strictEqual(dataset.arrays[0]!.fillValue, fill)
      yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual([...((yield* World.read(session, "/a")).data as BigUint64Array)], [7n])
    })
  )

  it.effect("that has no records may end before they would begin", () =>
    Effect.gen(function* () {
      const content = interleaved(0)
      assert.isBelow(content.length, 120)
      const { file } = yield* Files.inMemory(content)
      const { arrays } = yield* NetCdf3.dataset(file)
      assert.deepStrictEqual(
        arrays.map(({ shape }) => shape),
        [[0], [0]]
      )
    })
  )

  it.effect("does not pad the records of a single variable", () =>
    Effect.gen(function* () {
      const content = words(
        "CDF\u0001",
        3,
        0x0a,
        1,
        1,
        "t",
        0,
        0,
        0,
        0x0b,
        1,
        1,
        "a",
        1,
        0,
        0,
        0,
        3,
        4,
        80,
        0x00_01_00_02,
        0x00_03_00_00
      )
      const { put, session } = yield* World.make
      const { file } = yield* put("a.nc", content)
      yield* Import.into(session, "/", yield* NetCdf3.dataset(file))
      assert.deepStrictEqual([...((yield* World.read(session, "/a")).data as Int16Array)], [1, 2, 3])
    })
  )

  const good = interleaved(2, 0x01_00_00_00, 0x00_07_00_00, 0xff_00_00_00, 0xff_fe_00_00)
  const changed = (at: number, word: number): Uint8Array => {
    const bytes = good.slice()
    new DataView(bytes.buffer).setUint32(at, word)
    return bytes
  }

  it.effect.each([
    ["is cut off in its data", good.subarray(0, good.length - 4), 120, "end at 130, and the file at 128"],
    ["is cut off in its header", good.subarray(0, 70), 40, "the file is too short"],
    ["has more records than bytes", changed(4, 1000), 116, "in 1000 records"],
    ["has a negative count", changed(12, 0x8000_0001), 12, "is negative"],
    ["has more dimensions than bytes", changed(12, 0x7fff_ffff), 12, "the file is too short"],
    ["has a name longer than itself", changed(16, 0x0100_0000), 16, "the file is too short"],
    ["has a list that is none", changed(8, 0x0b), 8, "does not begin there"],
    ["has a dimension that it has not", changed(56, 9), 56, "has dimension 9 of 1"],
    ["has an unknown type", changed(68, 12), 68, "there is no type 12"],
    ["begins after its end", changed(76, 0xffff_0000), 76, "the file ends at 132"]
  ] as const)("that %s is refused, and the place is said", ([, content, offset, problem]) =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(content)
      const error = yield* Effect.flip(NetCdf3.dataset(file))
      if (error._tag !== "DamagedFile") return assert.fail(error.message)
      assert.include(error.message, problem)
      assert.strictEqual(error.offset, offset)
      assert.include(error.message, "s3://bucket/file")
    })
  )

  it.effect.each([
    ["HDF5", Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0, 0, 0, 0), "import it with `Hdf5`"],
    ["a page", new TextEncoder().encode("<html>"), "does not begin with `CDF`"],
    ["nothing", new Uint8Array(0), "does not begin with `CDF`"],
    ["a later version", Uint8Array.of(0x43, 0x44, 0x46, 9), "does not begin with `CDF`"]
  ] as const)("is not %s", ([, content, problem]) =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(content)
      const error = yield* Effect.flip(NetCdf3.dataset(file))
      assert.strictEqual(error._tag, "WrongFormat")
      assert.include(error.message, problem)
    })
  )
})
