import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5, Import } from "@effect-icechunk/import"
import * as Fletcher32 from "@effect-icechunk/import/codecs/Fletcher32"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as World from "./support/World.ts"

/** Why arrays of a file are not there, by path. */
const reasons = ({ skipped }: Dataset.Dataset): Record<string, string> =>
  Object.fromEntries(skipped.map(({ path, reason }) => [path, reason]))

Fletcher32.register(zarr.registry)

const own = [
  "layouts-earliest.h5",
  "layouts-latest.h5",
  "hundred-earliest.h5",
  "hundred-latest.h5",
  "packed.nc",
  "short-variables.nc",
  "large-fills.nc"
]

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
      const indices = chunks.flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.indices) : []))
      assert.deepStrictEqual(indices, [3, 9, 4, 9])
      const below = dataset.groups.find(({ path }) => path === "/deep/below")!
      assert.strictEqual(Object.keys(below.attributes).length, 30)
      assert.strictEqual(below.attributes["attribute_07"], 10.5)
    })
  )

  it.live("a checksum before a compression is a codec; one that comes last is dropped", () =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes("checksums.nc"))
      const dataset = yield* Hdf5.dataset(file)
      const names = dataset.arrays.map(({ codecs, path }) => [path, codecs.slice(1).map(({ name }) => name)])
      assert.deepStrictEqual(names, [
        ["/alone", []],
        ["/both", ["numcodecs.fletcher32", "numcodecs.shuffle", "numcodecs.zlib"]],
        ["/deflated", ["numcodecs.fletcher32", "numcodecs.zlib"]],
        ["/wide_deflated", ["numcodecs.fletcher32", "numcodecs.zlib"]]
      ])
      // Its four bytes are no part of the refs: seven shorts.
      const alone = yield* Stream.runCollect(dataset.arrays.find(({ path }) => path === "/alone")!.chunks)
      assert.deepStrictEqual(
        alone.flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.lengths) : [])),
        [14, 14, 14, 14, 14]
      )
      // Four bytes more are no element of eight: no reader of Zarr shuffles what is left over.
      assert.deepStrictEqual(reasons(dataset), { "/wide": "filter" })
      const { missing, same } = yield* Expected.compare("checksums.nc", Hdf5.dataset)
      assert.deepStrictEqual([same.length, missing], [4, ["/wide"]])
    })
  )

  it.live("a filter that nothing undoes is left out of the codecs only where no chunk went through it", () =>
    Effect.gen(function* () {
      const { dataset, missing, same } = yield* Expected.compare("partly-lzf.h5", Hdf5.dataset)
      assert.deepStrictEqual([same, missing], [["/never"], ["/first_without"]])
      assert.deepStrictEqual(reasons(dataset), { "/first_without": "filter" })
      // With a codec of the reader's own, what most chunks have counts again.
      const { file } = yield* Files.inMemory(Files.bytes("partly-lzf.h5"))
      const { skipped } = yield* Hdf5.dataset(file, { filters: { 32_000: { name: "mine.lzf" } } })
      assert.deepStrictEqual(skipped, [])
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
      assert.deepStrictEqual(names("/fixed"), names("/plain"))
      assert.match(names("/fixed")[0]!, /^phony_dim_\d+$/)
      // What may grow is another dimension than what may not.
      assert.strictEqual(names("/grows")[1], names("/fixed")[1])
      assert.notStrictEqual(names("/grows")[0], names("/fixed")[0])
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

const real = [
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

describe("HDF5 files by other writers", () => {
  it.live.each(real)("%s has the values that libhdf5 reads, or says why not", (name) =>
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

  it.live.each(real)("%s, mutated, ends in a data set or in an error of its own", (name) =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 40)
      const content = Files.bytes(name)
      const { read, refused } = yield* Fuzz.run({ content, runs, seed: 1, importer: Hdf5.dataset })
      assert.strictEqual(read + refused, runs)
    })
  )
})

/** Where bytes are in a file. */
const find = (content: Uint8Array, text: string, from = 0): number => Buffer.from(content).indexOf(text, from, "latin1")

const changed = (content: Uint8Array, at: number, ...bytes: ReadonlyArray<number>): Uint8Array => {
  const copy = content.slice()
  copy.set(bytes, at)
  return copy
}

describe("an HDF5 file", () => {
  const all = (content: Uint8Array, options?: Hdf5.Options) =>
    Effect.gen(function* () {
      const { count, file } = yield* Files.inMemory(content)
      const exit = yield* Effect.result(
        Effect.gen(function* () {
          const dataset = yield* Hdf5.dataset(file, options)
          for (const { chunks } of dataset.arrays) yield* Stream.runDrain(chunks)
          return dataset
        })
      )
      return { count, exit }
    })

  const earliest = Files.bytes("layouts-earliest.h5")
  const latest = Files.bytes("layouts-latest.h5")

  it.live("may begin after a user block, and its addresses count from there", () =>
    Effect.gen(function* () {
      for (const [content, block] of [
        [earliest, 512],
        [latest, 2048]
      ] as const) {
        const behind = new Uint8Array(block + content.length)
        behind.set(content, block)
        const moved = yield* all(behind)
        const plain = yield* all(content)
        if (moved.exit._tag === "Failure" || plain.exit._tag === "Failure") return assert.fail("it is not read")
        const offsets = (dataset: Dataset.Dataset) =>
          Effect.map(
            Effect.forEach(dataset.arrays, ({ chunks }) => Stream.runCollect(chunks)),
            (found) => found.flat().flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.offsets) : []))
          )
        const [there, here] = [yield* offsets(moved.exit.success), yield* offsets(plain.exit.success)]
        assert.isAbove(here.length, 5000)
        assert.deepStrictEqual(
          there,
          here.map((offset) => offset + block)
        )
      }
    })
  )

  // A file whose groups are of the old kind.
  const old = Files.bytes("hundred-earliest.h5")
  const words = new DataView(old.buffer, old.byteOffset)
  // What the root's entry in the superblock remembers, and the first node of its tree.
  const [root, tree, heap] = [64, 80, 88].map((at) => Number(words.getBigUint64(at, true))) as [number, number, number]
  const node = Number(words.getBigUint64(tree + 32, true))
  const chunkTree = (() => {
    for (let at = find(earliest, "TREE"); at >= 0; at = find(earliest, "TREE", at + 1))
      if (earliest[at + 4] === 1) return at
    return -1
  })()

  it.live.each([
    ["is cut in half", earliest.subarray(0, earliest.length / 2), undefined, "the file ends at"],
    ["is cut off after its first bytes", latest.subarray(0, 100), undefined, "100"],
    ["has a version that nobody knows", changed(earliest, 8, 9), 8, "version 9 of the superblock is not known"],
    ["has addresses of seven bytes", changed(earliest, 13, 7), 13, "addresses of 7"],
    ["has a superblock with another checksum", changed(latest, 11, 0xff), 0, "another checksum"],
    ["has a tree of a group that is none", changed(old, tree, 0), tree, "`TREE` is expected there"],
    [
      "has an object header with another checksum",
      changed(latest, find(latest, "OHDR") + 20, 0x77),
      undefined,
      "checksum"
    ],
    ["has a heap that is none", changed(old, heap, 0), heap, "`HEAP` is expected there"],
    ["has a tree of chunks with too many entries", changed(earliest, chunkTree + 6, 0xff, 0xff), undefined, ""]
  ] as const)("that %s is refused, and the place is said", ([, content, offset, problem]) =>
    Effect.gen(function* () {
      const { exit } = yield* all(content)
      if (exit._tag === "Success" || exit.failure._tag !== "DamagedFile") return assert.fail("it was read")
      assert.include(exit.failure.message, problem)
      assert.include(exit.failure.message, "s3://bucket/file")
      if (offset !== undefined) assert.strictEqual(exit.failure.offset, offset)
    })
  )

  it.live("whose tree leads back to itself is refused", () =>
    Effect.gen(function* () {
      // The first child of the first node becomes the node itself, one level up.
      const looped = changed(old, tree + 5, 1)
      new DataView(looped.buffer).setBigUint64(tree + 24 + 8, BigInt(tree), true)
      const { exit } = yield* all(looped)
      if (exit._tag === "Success") return assert.fail("it was read")
      assert.include(exit.failure.message, "leads back to itself")
    })
  )

  it.live("whose group is in itself ends", () =>
    Effect.gen(function* () {
      const { put } = yield* World.make
      const looped = old.slice()
      const view = new DataView(looped.buffer)
      // Every entry of a node leads to the root.
      const entries = view.getUint16(node + 6, true)
      for (let i = 0; i < entries; i++) {
        const at = node + 8 + i * 40
        view.setBigUint64(at + 8, BigInt(root), true)
      }
      const { file } = yield* put("loop.h5", looped)
      const { skipped } = yield* Hdf5.dataset(file)
      assert.isTrue(skipped.some(({ problem }) => problem === "it is `/` under another name"))
    })
  )

  it.live.each([
    [
      "NetCDF-3",
      Uint8Array.from([0x43, 0x44, 0x46, 1, ...Array.from({ length: 100 }, () => 0)]),
      "import it with `NetCdf3`"
    ],
    ["a page", new TextEncoder().encode("<html>".repeat(20)), "it has no HDF5 signature"],
    ["nothing", new Uint8Array(0), "it has no HDF5 signature"]
  ] as const)("is not %s", ([, content, problem]) =>
    Effect.gen(function* () {
      const { exit } = yield* all(content)
      if (exit._tag === "Success") return assert.fail("it was read")
      assert.strictEqual(exit.failure._tag, "WrongFormat")
      assert.include(exit.failure.message, problem)
    })
  )

  it.live("that changes between its header and its chunks fails, and leaves the session as it was", () =>
    Effect.gen(function* () {
      const { objects, put, session } = yield* World.make
      const { file } = yield* put("a.h5", earliest)
      const dataset = yield* Hdf5.dataset(file, { wholeBelow: 0, blockSize: 512, cacheBytes: 1024 })
      yield* objects.put("bucket/a.h5", latest)
      const error = yield* Effect.flip(Import.into(session, "/", dataset))
      assert.strictEqual(error._tag, "FileChanged")
      assert.isTrue(yield* session.isEmpty())
    })
  )

  it.live("whose chunks change later is not served: refs remember the version of its header", () =>
    Effect.gen(function* () {
      const { objects, put, session } = yield* World.make
      const { file } = yield* put("a.h5", earliest)
      yield* Import.into(session, "/", yield* Hdf5.dataset(file))
      yield* objects.put("bucket/a.h5", changed(earliest, earliest.length - 1, 1))
      const error = yield* Effect.flip(session.chunk("/plain", [0, 0]))
      assert.strictEqual(error._tag, "ChecksumMismatch")
    })
  )

  it.live("reads filters that a program has codecs for", () =>
    Effect.gen(function* () {
      const { exit } = yield* all(latest, { filters: { 1: () => "it is too slow for us" } })
      if (exit._tag === "Failure") return assert.fail(exit.failure.message)
      const { arrays, skipped } = exit.success
      assert.isFalse(arrays.some(({ path }) => path === "/fixed"))
      assert.include(skipped.find(({ path }) => path === "/fixed")!.problem, "too slow for us")
      const other = yield* all(latest, { filters: { 1: { name: "acme.inflate" } } })
      if (other.exit._tag === "Failure") return assert.fail(other.exit.failure.message)
      assert.deepInclude(other.exit.success.arrays.find(({ path }) => path === "/fixed")!.codecs, {
        name: "acme.inflate"
      })
    })
  )

  it.live.each(own.slice(0, 2))("%s, mutated, ends in a data set or in an error of its own", (name) =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 100)
      const { refused } = yield* Fuzz.run({ content: Files.bytes(name), runs, seed: 7, importer: Hdf5.dataset })
      assert.isAbove(refused, 0)
    })
  )
})
