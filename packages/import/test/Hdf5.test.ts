import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5, Import } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as World from "./support/World.ts"

/** Why arrays of a file are not there, by path. */
const reasons = ({ skipped }: Dataset.Dataset): Record<string, string> =>
  Object.fromEntries(skipped.map(({ path, reason }) => [path, reason]))

const own = ["layouts-earliest.h5", "layouts-latest.h5", "hundred-earliest.h5", "hundred-latest.h5", "packed.nc"]

describe("HDF5 files that h5py and netCDF-C wrote", () => {
  it.live.each(own)("%s has the values that they read", (name) =>
    Effect.gen(function* () {
      const { missing, same } = yield* Expected.compare(name, Hdf5.dataset)
      assert.deepStrictEqual(missing, [])
      assert.strictEqual(same.length, Object.keys(Expected.of(name)).length)
    })
  )

  it.live.each(["layouts-earliest.h5", "layouts-latest.h5"])("%s: what is no array of Zarr is named", (name) =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes(name))
      const dataset = yield* Hdf5.dataset(file)
      assert.deepStrictEqual(reasons(dataset), { "/link": "link", "/outside": "link" })
      const at = (path: string) => dataset.arrays.find((one) => one.path === path)!
      assert.strictEqual(at("/sparse").fillValue, -7)
      assert.deepStrictEqual(at("/big_endian").codecs, [{ name: "bytes", configuration: { endian: "big" } }])
      assert.deepStrictEqual(at("/fixed").codecs, [
        { name: "bytes", configuration: { endian: "little" } },
        { name: "numcodecs.shuffle", configuration: { elementsize: 4 } },
        { name: "numcodecs.zlib", configuration: { level: 4 } }
      ])
      // Of an array that is sparse the chunks that are there come, and no others.
      const chunks = yield* Stream.runCollect(at("/sparse").chunks)
      const indices = chunks.flatMap((one) => (one._tag === "Refs" ? [...one.refs.indices] : []))
      assert.deepStrictEqual(indices, [3, 9, 4, 9])
      const below = dataset.groups.find(({ path }) => path === "/deep/below")!
      assert.strictEqual(Object.keys(below.attributes).length, 30)
      assert.strictEqual(below.attributes["attribute_07"], 10.5)
    })
  )

  it.live("names dimensions as netCDF does, keeps packing in attributes, and those that are not attached apart", () =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes("packed.nc"))
      const { arrays, groups } = yield* Hdf5.dataset(file)
      const at = (path: string) => arrays.find((one) => one.path === path)!
      assert.deepStrictEqual(at("/t").dimensionNames, ["time", "lat", "lon"])
      assert.deepStrictEqual(at("/time").dimensionNames, ["time"])
      assert.deepStrictEqual(at("/inner/count").dimensionNames, ["lat"])
      assert.deepStrictEqual(at("/t").attributes, {
        _FillValue: -32_768,
        add_offset: 273.15,
        scale_factor: 0.01,
        units: "K"
      })
      assert.strictEqual(at("/t").fillValue, -32_768)
      assert.deepStrictEqual(
        groups.map(({ path }) => path),
        ["/", "/inner"]
      )
      const plain = yield* Files.inMemory(Files.bytes("layouts-latest.h5"))
      const layouts = yield* Hdf5.dataset(plain.file)
      const names = (path: string) => layouts.arrays.find((one) => one.path === path)!.dimensionNames!
      assert.deepStrictEqual(names("/fixed"), names("/grows_both"))
      assert.match(names("/fixed")[0]!, /^phony_dim_\d+$/)
      // Two dimensions of one length are two.
      assert.strictEqual(new Set(names("/sparse")).size, 2)
    })
  )

  it.live.each([
    ["hundred-earliest.h5", 60, 2e6],
    ["hundred-latest.h5", 60, 2e6]
  ] as const)("%s, 100 arrays of 100 chunks: fewer than %s requests and %s bytes", ([name, requests, bytes]) =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const { count, file } = yield* put(name, Files.bytes(name))
      const dataset = yield* Hdf5.dataset(file, { wholeBelow: 0 })
      const { refs } = yield* Import.into(session, "/", dataset)
      assert.strictEqual(refs, 10_000)
      assert.isBelow(count.requests, requests)
      assert.isBelow(count.bytes, bytes)
    })
  )
})

const shared = [
  "daymet-netcdf4.nc",
  "mls-aura-l2gp.he5",
  "mls-libver-latest.h5",
  "brain-average-minc2.h5",
  "netcdf-vlen-strings.nc",
  "h5py-szip-scaleoffset.h5",
  "hdf5-all-filters.h5",
  "hdf5-index-types.h5",
  "hdf5-unfiltered-edge-chunks.h5",
  "pytables-blosc-bigendian.h5"
]

/** What is not imported of them, and why. */
const left: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "h5py-szip-scaleoffset.h5": { "/scaleoffset": "filter", "/szip": "filter" },
  "hdf5-all-filters.h5": {
    "/all": "filter",
    "/external": "external storage",
    "/myfilter": "filter",
    "/nbit": "data type",
    "/scaleoffset": "filter",
    "/szip": "filter"
  }
}

describe.skipIf(Files.find(shared[0]!) === undefined)("HDF5 files by other writers (shared/data)", () => {
  it.live.each(shared)("%s has the values that libhdf5 reads, or says why not", (name) =>
    Effect.gen(function* () {
      const { count, dataset, missing, same } = yield* Expected.compare(name, Hdf5.dataset)
      const why = reasons(dataset)
      assert.deepStrictEqual(Object.fromEntries(missing.map((path) => [path, why[path]])), left[name] ?? {})
      // Of four arrays that Debian's libhdf5 has no filter for there is nothing to compare with.
      const unreadable = Object.values(Expected.of(name)).filter((one) => one.unreadable !== undefined)
      assert.strictEqual(
        same.length + missing.length,
        Object.keys(Expected.of(name)).length - (missing.length === 0 ? unreadable.length : 0)
      )
      // Read at once.
      assert.strictEqual(count.requests, 2)
    })
  )

  it.live("PyTables' numbers, by Blosc and with the highest byte first, are those that it wrote", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const { file } = yield* put("a.h5", Files.bytes("pytables-blosc-bigendian.h5"))
      yield* Import.into(session, "/", yield* Hdf5.dataset(file))
      for (const [path, width] of [
        ["/i1", 1],
        ["/i2", 2],
        ["/i4", 4],
        ["/i8", 8]
      ] as const) {
        const { data } = yield* World.read(session, path)
        const values = [...(data as Int8Array | BigInt64Array)].map(Number)
        assert.deepStrictEqual(
          values,
          values.map((_, i) => i),
          `${width} bytes`
        )
      }
    })
  )

  it.live.each(shared)("%s, mutated, ends in a data set or in an error of its own", (name) =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 40)
      const content = Files.bytes(name)
      const { read, refused } = yield* Fuzz.run({ content, runs, seed: 1, importer: Hdf5.dataset })
      assert.strictEqual(read + refused, runs)
    })
  )
})

describe("an HDF5 file", () => {
  it.live.each(own.slice(0, 2))("%s, mutated, ends in a data set or in an error of its own", (name) =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 100)
      const { refused } = yield* Fuzz.run({ content: Files.bytes(name), runs, seed: 7, importer: Hdf5.dataset })
      assert.isAbove(refused, 0)
    })
  )
})
