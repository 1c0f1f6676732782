/** Headers, heaps, types, attributes and dimensions of HDF5 that are kept in ways that most files do not need. */
import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5, Import, SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as Hdf5Wasm from "./support/Hdf5Wasm.ts"
import * as World from "./support/World.ts"

const read = (content: Uint8Array, options?: Hdf5.Options) =>
  Effect.flatMap(Files.inMemory(content), ({ file }) => Hdf5.dataset(file, options))

const at = ({ arrays }: Dataset.Dataset, path: string): Dataset.VirtualArray => {
  const found = arrays.find((one) => one.path === path)
  if (found === undefined) throw new Error(`there is no ${path}`)
  return found
}

const why = ({ skipped }: Dataset.Dataset, path: string): string | undefined => {
  const found = skipped.find((one) => one.path === path)
  return found === undefined ? undefined : `${found.kind}, ${found.reason}: ${found.problem}`
}

/** The only place of some bytes in a file. */
const place = (content: Uint8Array, bytes: Uint8Array | ReadonlyArray<number>, from = 0): number => {
  const found = Buffer.from(content).indexOf(Buffer.from(bytes), from)
  if (found < 0) throw new Error("these bytes are not there")
  return found
}

const changed = (content: Uint8Array, where: number, ...bytes: ReadonlyArray<number>): Uint8Array => {
  const copy = content.slice()
  copy.set(bytes, where)
  return copy
}

const offsets = (dataset: Dataset.Dataset, path: string) =>
  Effect.map(Stream.runCollect(at(dataset, path).chunks), (chunks) =>
    chunks.flatMap((one) => (one._tag === "Refs" ? Array.from(one.refs.offsets) : []))
  )

const files = [
  "four-bytes-new.h5",
  "four-bytes-old.h5",
  "large-attributes.h5",
  "shared-messages.h5",
  "texts.h5",
  "types.h5"
]

describe("metadata of HDF5", () => {
  it.live("messages that objects share are read where they are kept", () =>
    Effect.gen(function* () {
      const { missing, same } = yield* Expected.compare("shared-messages.h5", Hdf5.dataset)
      assert.deepStrictEqual([same.length, missing], [4, []])
      const content = Files.bytes("shared-messages.h5")
      const dataset = yield* read(content)
      assert.deepStrictEqual(dataset.skipped, [])
      const { attributes, codecs, fillValue } = at(dataset, "/d2")
      assert.strictEqual(fillValue, 7.5)
      assert.strictEqual(codecs.length, 3)
      assert.strictEqual(Object.keys(attributes).length, 12)
      assert.strictEqual(attributes["text"], "one text")
      assert.deepStrictEqual(
        attributes["common9"],
        Array.from({ length: 12 }, (_, i) => i + 9)
      )
      // The table's checksum is looked at.
      const table = place(content, new TextEncoder().encode("SMTB"))
      const error = yield* Effect.flip(read(changed(content, table + 6, 0xff)))
      if (error._tag !== "DamagedFile") return assert.fail(error._tag)
      assert.include(error.problem, "another checksum")
      assert.isTrue(error.offset! >= table && error.offset! < table + 200)
    })
  )

  it.live.each(["four-bytes-new.h5", "four-bytes-old.h5"])(
    "%s: addresses and lengths of four bytes, after a user block",
    (name) =>
      Effect.gen(function* () {
        const { missing, same } = yield* Expected.compare(name, Hdf5.dataset)
        assert.deepStrictEqual([same.length, missing], [16, []])
        const { groups } = yield* read(Files.bytes(name))
        const { attributes } = groups.find(({ path }) => path === "/g")!
        assert.deepStrictEqual(attributes["text"], ["x", "yy"])
        assert.strictEqual(Object.keys(attributes).length, 13)
      })
  )

  it.live("attributes that are too large for the blocks of a heap are read", () =>
    Effect.gen(function* () {
      const dataset = yield* read(Files.bytes("large-attributes.h5"))
      const { attributes } = at(dataset, "/a")
      assert.strictEqual(Object.keys(attributes).length, 13)
      assert.deepStrictEqual(
        attributes["large"],
        Array.from({ length: 9000 }, (_, i) => i * 0.5)
      )
      assert.strictEqual((dataset.groups[0]!.attributes["large"] as ReadonlyArray<number>).length, 70_000)
    })
  )

  it.live("an attribute of some megabytes is reported, and not read to its end", () =>
    Effect.gen(function* () {
      const content = yield* Hdf5Wasm.written({ libver: "v110" }, (file) => {
        file.create_attribute("huge", new Float64Array(2_000_000), [2_000_000])
        file.create_attribute("small", 1)
        file.create_dataset({ name: "a", data: Int32Array.of(1, 2) })
      })
      const { count, file } = yield* Files.inMemory(content)
      const dataset = yield* Hdf5.dataset(file)
      assert.strictEqual(why(dataset, "/@huge"), "attribute, data type: it has 2000000 elements")
      assert.deepStrictEqual(dataset.groups[0]!.attributes, { small: 1 })
      assert.isBelow(count.bytes, content.length / 2)
    })
  )

  it.live("types that Zarr has not are reported, with what they are, and the rest goes on", () =>
    Effect.gen(function* () {
      const dataset = yield* read(Files.bytes("types.h5"))
      const lacks = (what: string) => `array, data type: its elements are ${what}, which no Zarr data type is for`
      assert.deepStrictEqual(Object.fromEntries(dataset.skipped.map(({ path }) => [path, why(dataset, path)])), {
        "/@large":
          "attribute, value: it has integers beyond 2^53, which JSON numbers do not hold exactly in all readers",
        "/@nothing": "attribute, data type: it has no value",
        "/complex": lacks("a compound of 2 members (r, i)"),
        "/compound": lacks("a compound of 2 members (a, b)"),
        "/lists": lacks("a list in each element"),
        "/long_double": lacks("a floating point number of 80 bits that is not of IEEE 754"),
        "/nothing": "array, layout: it has no elements and no shape",
        "/opaque": lacks("opaque"),
        "/references": lacks("references to other objects"),
        "/three_bytes": lacks("an integer of 24 bits in 3 bytes"),
        "/time": lacks("a time"),
        "/view": "array, layout: it is a view of arrays in other files; import those and concatenate them"
      })
      assert.deepStrictEqual(
        dataset.arrays.map(({ dataType, path }) => [path, dataType]),
        [
          ["/enumeration", "uint8"],
          ["/large_fill", "int64"],
          ["/of_named_type", "float64"]
        ]
      )
      assert.strictEqual(at(dataset, "/large_fill").fillValue, -9_223_372_036_854_775_806n)
      assert.deepStrictEqual(dataset.groups[0]!.attributes, {
        big_endian: [0, 1, 2],
        half: 1.5,
        matrix: [
          [0, 1, 2],
          [3, 4, 5]
        ],
        nan: "NaN",
        of_named_type: [0, 1, 2],
        text: "x",
        texts: ["a", "b"],
        yes: true
      })
    })
  )

  it.live("attributes that are only named like those of dimension scales stay", () =>
    Effect.gen(function* () {
      const dataset = yield* read(Files.bytes("types.h5"))
      assert.deepStrictEqual(at(dataset, "/of_named_type").attributes, { CLASS: "IMAGE", NAME: "mine" })
      const packed = yield* read(Files.bytes("packed.nc"))
      assert.notProperty(at(packed, "/time").attributes, "CLASS")
      assert.notProperty(at(packed, "/time").attributes, "NAME")
    })
  )

  // 32 bits, little-endian, signed; the first of them in this file is an array's.
  const old = Files.bytes("layouts-earliest.h5")
  const int32 = [0x10, 0x08, 0, 0, 4, 0, 0, 0, 0, 0, 0x20, 0]

  it.live.each([
    ["type class", place(old, int32), 0x1b, "types of class 11 are not known"],
    ["version of a type", place(old, int32), 0x90, "version 9 of a type is not known"]
  ] as const)("an array of an unknown %s is reported, and the rest goes on", ([, where, byte, problem]) =>
    Effect.gen(function* () {
      const all = yield* read(old)
      const dataset = yield* read(changed(old, where, byte))
      const gone = all.arrays.filter(({ path }) => !dataset.arrays.some((one) => one.path === path))
      assert.isAtLeast(gone.length, 1)
      assert.isAtLeast(dataset.arrays.length, 36)
      for (const { path } of gone) {
        assert.strictEqual(
          why(dataset, path),
          `array, format: it is of a kind that is not read: ${problem} (at byte ${where})`
        )
      }
    })
  )

  it.live("an attribute of an unknown kind is reported, and the rest goes on", () =>
    Effect.gen(function* () {
      const content = Files.bytes("four-bytes-old.h5")
      const name = place(
        content,
        new TextEncoder().encode("x03\0"),
        place(content, new TextEncoder().encode("text\0\0\0\0"))
      )
      // The name takes eight bytes; its type comes after it.
      const dataset = yield* read(changed(content, name + 8, 0x1b))
      const problem = `attribute, data type: it is of a kind of which types of class 11 are not known (at byte ${name + 8})`
      assert.strictEqual(why(dataset, "/g@x03"), problem)
      assert.strictEqual(Object.keys(dataset.groups.find(({ path }) => path === "/g")!.attributes).length, 12)
    })
  )

  it.live("layouts of version 1, whose lengths say nothing, are read", () =>
    Effect.gen(function* () {
      const dataset = yield* read(old)
      const [address] = yield* offsets(dataset, "/contiguous")
      // Version 3: the class, the address, the size.
      const message = new Uint8Array(18)
      message.set([3, 1])
      const view = new DataView(message.buffer)
      view.setBigUint64(2, BigInt(address!), true)
      view.setBigUint64(10, 2400n, true)
      const where = place(old, message)
      for (const lengths of [
        [30, 20],
        [1, 1],
        [2400, 1]
      ]) {
        const older = new Uint8Array(24)
        older.set([1, 2, 1])
        const words = new DataView(older.buffer)
        words.setBigUint64(8, BigInt(address!), true)
        for (const [i, length] of lengths.entries()) words.setUint32(16 + 4 * i, length, true)
        const again = yield* read(changed(old, where, ...older))
        assert.deepStrictEqual(yield* offsets(again, "/contiguous"), [address])
        assert.deepStrictEqual(at(again, "/contiguous").shape, [30, 20])
      }
    })
  )

  it.live("a superblock of version 1 has four bytes more", () =>
    Effect.gen(function* () {
      const view = new DataView(old.buffer, old.byteOffset)
      const root = Number(view.getBigUint64(64, true))
      const header = old.slice(root, root + 16 + view.getUint32(root + 8, true))
      // What was the root's header is now in part the superblock: it is moved to the end.
      const content = new Uint8Array(old.length + header.length)
      content.set(old)
      content.set(header, old.length)
      content.set(old.subarray(24, 96), 28)
      content.set([32, 0, 0, 0], 24)
      content[8] = 1
      new DataView(content.buffer).setBigUint64(68, BigInt(old.length), true)
      const [before, after] = [yield* read(old), yield* read(content)]
      assert.deepStrictEqual(
        after.arrays.map(({ path }) => path),
        before.arrays.map(({ path }) => path)
      )
    })
  )

  it.live("an array whose name netCDF changes is reported when there is another of that name", () =>
    Effect.gen(function* () {
      const content = yield* Hdf5Wasm.written({ libver: "v110" }, (file) => {
        file.create_dataset({ name: "_nc4_non_coord_x", data: Int32Array.of(1, 2) })
        file.create_dataset({ name: "x", data: Int32Array.of(3, 4) })
        file.create_dataset({ name: "_nc4_non_coord_y", data: Int32Array.of(5, 6) })
      })
      const dataset = yield* read(content)
      assert.deepStrictEqual(
        dataset.arrays.map(({ path }) => path),
        ["/x", "/y"]
      )
      assert.strictEqual(why(dataset, "/x"), "array, name: there is another `/x`")
    })
  )
})

describe("dimensions that grow", () => {
  it.live("are as long as the longest array that has them, also in groups below, and no others of their name", () =>
    Effect.gen(function* () {
      const dataset = yield* read(Files.bytes("short-variables.nc"))
      assert.deepStrictEqual(Object.fromEntries(dataset.arrays.map(({ path, shape }) => [path, shape])), {
        "/inner/of_parent": [10],
        "/nothing": [10, 3],
        "/own/time": [2],
        "/own/y": [2, 3],
        "/short": [10, 3],
        "/time": [10],
        "/x": [3]
      })
    })
  )
})

describe("dimensions without names", () => {
  it.live("have the names that netCDF gives them", () =>
    Effect.gen(function* () {
      const { arrays } = yield* read(Files.bytes("phony.h5"))
      assert.deepStrictEqual(
        Object.fromEntries(arrays.map(({ dimensionNames, path }) => [path, dimensionNames])),
        Object.fromEntries(Object.entries(Expected.of("phony.h5")).map(([path, { dimensions }]) => [path, dimensions]))
      )
    })
  )

  it.live("have the same names in whatever order a store answers", () =>
    Effect.gen(function* () {
      const names = ({ arrays }: Dataset.Dataset) => arrays.map(({ dimensionNames, path }) => [path, dimensionNames])
      const { file } = yield* Files.inMemory(Files.bytes("layouts-earliest.h5"))
      let turn = 0
      const slow = {
        ...file.store,
        get: ((key, options) =>
          Effect.andThen(
            Effect.sleep((turn = (turn * 7 + 3) % 11)),
            file.store.get(key, options)
          )) as typeof file.store.get
      }
      const options = { wholeBelow: 0, blockSize: 512, cacheBytes: 1024 }
      const scattered = yield* Hdf5.dataset(SourceFile.make(slow, file.key, file.location), options)
      assert.deepStrictEqual(names(scattered), names(yield* Hdf5.dataset(file)))
    })
  )
})

describe("texts of HDF5", () => {
  const content = Files.bytes("texts.h5")

  it.live("that a filter hides are reported or referred to, and never read as empty", () =>
    Effect.gen(function* () {
      const dataset = yield* read(content)
      assert.include(why(dataset, "/lzf"), "array, filter: the filter `lzf` (32000)")
      assert.include(why(dataset, "/lzf_fixed"), "array, filter: the filter `lzf` (32000)")
      // A codec that readers have is of use for what is referred to, not for what has to be decoded here.
      const known = yield* read(content, { filters: { 32_000: { name: "acme.lzf" } } })
      assert.include(why(known, "/lzf"), "array, data type: its elements are texts of any length")
      const fixed = at(known, "/lzf_fixed")
      assert.deepStrictEqual(fixed.dataType, { name: "null_terminated_bytes", configuration: { length_bytes: 3 } })
      assert.deepStrictEqual(fixed.codecs, [{ name: "bytes" }, { name: "acme.lzf" }])
      assert.strictEqual((yield* offsets(known, "/lzf_fixed")).length, 4)
    })
  )

  it.live("of a filter that only readers undo are referred to where their length is fixed, or reported", () =>
    Effect.gen(function* () {
      // Deflate becomes Zstandard, as far as the headers say.
      const deflate = [1, 0, 8, 0, 1, 0, 1, 0, ...new TextEncoder().encode("deflate\0")]
      let other = content
      for (let from = place(content, deflate); ; from = place(content, deflate, from + 1)) {
        other = changed(other, from, 0x0f, 0x7d)
        if (Buffer.from(content).indexOf(Buffer.from(deflate), from + 1) < 0) break
      }
      const dataset = yield* read(other)
      assert.include(why(dataset, "/deflate"), "array, data type: its elements are texts of any length")
      const { codecs, dataType } = at(dataset, "/deflate_fixed")
      assert.deepStrictEqual(dataType, { name: "null_terminated_bytes", configuration: { length_bytes: 3 } })
      assert.strictEqual(codecs[1]!["name"], "zstd")
    })
  )

  it.live("that are long are counted by their bytes", () =>
    Effect.gen(function* () {
      const dataset = yield* read(content, { maxTextBytes: 10_000 })
      assert.include(why(dataset, "/long"), "texts of any length, more than `maxTextBytes` allows to decode")
      assert.strictEqual(at(dataset, "/deflate").dataType, "string")
      assert.strictEqual(at(yield* read(content), "/long").dataType, "string")
    })
  )

  it.live("whose bytes cannot be inflated are reported, and the rest is imported", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      // The first chunk's stream, by its two bytes of zlib, after the name of the array.
      const [first] = yield* offsets(yield* read(content, { maxTextBytes: 0 }), "/deflate_fixed")
      const chunks = Array.from(content.keys()).filter((i) => content[i] === 0x78 && content[i + 1] === 0x5e)
      const own = chunks.filter((i) => i !== first)
      assert.isAtLeast(own.length, 7)
      let reported = 0
      for (const start of own) {
        const dataset = yield* read(changed(content, start + 2, 0xff, 0xff, 0xff, 0xff))
        const problem = why(dataset, "/deflate")
        if (problem === undefined) continue
        reported++
        assert.match(
          problem,
          /^array, value: the (texts at byte \d+ could not be decoded|chunk \d at byte \d+ has other filters than its array)/
        )
        assert.strictEqual(at(dataset, "/number").dataType, "int64")
      }
      assert.strictEqual(reported, 7)
      const { file } = yield* put("a.h5", content)
      yield* Import.into(session, "/", yield* Hdf5.dataset(file))
      const { data } = yield* World.read(session, "/deflate")
      assert.deepStrictEqual([...(data as unknown as Iterable<string>)].slice(0, 4), ["a", "bb", "ccc", ""])
    })
  )
})

describe("requests", () => {
  it.live("are one or two for each place of a file whose metadata lies between its data", () =>
    Effect.gen(function* () {
      const chunk = 16_384
      const arrays = 20
      const content = yield* Hdf5Wasm.written({ libver: "v110" }, (file) => {
        const data = new Int32Array(20 * chunk)
        for (let i = 0; i < arrays; i++) {
          file.create_dataset({ name: `v${i}`, data, shape: [20, chunk], chunks: [1, chunk], maxshape: [null, chunk] })
        }
      })
      const { count, file } = yield* Files.inMemory(content)
      const dataset = yield* Hdf5.dataset(file)
      for (const { chunks } of dataset.arrays) yield* Stream.runDrain(chunks)
      assert.isAbove(content.length, 25e6)
      assert.isAtMost(count.requests, 2 * arrays + 10)
      assert.isAtMost(count.bytes, (2 * arrays + 10) * 65_536)
    })
  )
})

describe("mutations", () => {
  it.live.each([...files, "phony.h5"])("%s, mutated, ends in a data set or in an error of its own", (name) =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 60)
      const { read, refused } = yield* Fuzz.run({ content: Files.bytes(name), runs, seed: 11, importer: Hdf5.dataset })
      assert.strictEqual(read + refused, runs)
    })
  )
})
