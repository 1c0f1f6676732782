import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ZarritaStore } from "@effect-icechunk/core"
import { Import, SourceFile, ZarrHierarchy } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as zarr from "zarrita"
import * as Files from "./support/Files.ts"
import * as World from "./support/World.ts"

interface Written {
  readonly objects: Readonly<Record<string, string>>
  readonly expected: Readonly<Record<string, ReadonlyArray<unknown>>>
}

/** What zarr-python 2.13 wrote, and read again. */
const { expected, objects } = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, "files/written/zarr2.json"), "utf8")
) as Written

const written = Effect.gen(function* () {
  const world = yield* World.make
  for (const [key, text] of Object.entries(objects)) {
    yield* world.put(`z/${key}`, new Uint8Array(Buffer.from(text, "base64")))
  }
  return { ...world, root: SourceFile.make(world.objects, "bucket/z", "s3://bucket/z") }
})

const plain = (value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : Number.isNaN(value) ? "NaN" : value

/** Arrays whose rows zarrita gives in the order that they are stored in. */
const values = Effect.fnUntraced(function* (session: World.World["session"], at: string) {
  const store = yield* ZarritaStore.make(session)
  return yield* Effect.promise(async () => {
    const array = await zarr.open.v3(zarr.root(store).resolve(at), { kind: "array" })
    const read: unknown = await zarr.get(array)
    const data = array.shape.length === 0 ? [read] : (read as { data: Iterable<unknown> }).data
    return Array.from(data, plain)
  })
})

describe("ZarrHierarchy", () => {
  it.effect("reads what zarr-python wrote as Zarr 2, value by value, with and without consolidated metadata", () =>
    Effect.gen(function* () {
      const { objects: store, root, session } = yield* written
      for (const at of ["/with", "/without"]) {
        const dataset = yield* ZarrHierarchy.dataset(root)
        yield* Import.into(session, at, dataset)
        assert.deepStrictEqual(
          dataset.skipped.map(({ path, reason }) => [path, reason]),
          [["/pickled", "filter"]]
        )
        for (const [array, wanted] of Object.entries(expected)) {
          // zarrita keeps the order of columns.
          const got = yield* values(session, `${at}${array}`)
          const isColumns = array === "/fortran" || array === "/deltaF"
          const rows = isColumns ? wanted.map((_, i) => wanted[(i % 5) * 7 + Math.floor(i / 5)]) : wanted
          assert.deepStrictEqual(got, rows, array)
        }
        const { attributes } = yield* World.read(session, `${at}/sparse`)
        assert.deepStrictEqual(attributes, { odd: "NaN", _FillValue: "AAAAAAAA+H8=" })
        yield* Effect.orDie(store.delete(["bucket/z/.zmetadata"]))
      }
    })
  )

  it.effect("reads stores that list nothing, and asks for chunks on demand", () =>
    Effect.gen(function* () {
      const { root, session } = yield* written
      const { store } = root
      const silent = { ...root, store: { ...store, list: Files.listsNothing } }
      const grid = yield* ZarrHierarchy.dataset(silent)
      assert.deepStrictEqual(
        grid.arrays.map(({ path }) => path),
        ["/plain", "/scalar"]
      )
      const dataset = yield* ZarrHierarchy.dataset(silent, { chunks: "head" })
      yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual(yield* values(session, "/sparse"), [...expected["/sparse"]!])
      assert.deepStrictEqual(yield* values(session, "/sub/inner"), [...expected["/sub/inner"]!])
    })
  )

  it.effect("keeps fill values of 64 bits of both formats, with all of their digits", () =>
    Effect.gen(function* () {
      const { objects: store, put, session } = yield* World.make
      const text = (value: string) => new TextEncoder().encode(value)
      const two = (dtype: string, fill: string) =>
        text(
          `{"zarr_format":2,"shape":[3],"chunks":[2],"dtype":"${dtype}","compressor":null,"fill_value":${fill},"order":"C","filters":null}`
        )
      const three = (type: string, fill: string) =>
        text(
          `{"zarr_format":3,"node_type":"array","shape":[3],"chunk_grid":{"name":"regular","configuration":{"chunk_shape":[2]}},"chunk_key_encoding":{"name":"default"},"data_type":"${type}","fill_value":${fill},"codecs":[{"name":"bytes","configuration":{"endian":"little"}}]}`
        )
      // Attributes of that name are numbers like others.
      const attributes = '{"data_type":"int64","fill_value":1152921504606846976,"of":{"fill_value":1e15}}'
      yield* put("two/.zgroup", text('{"zarr_format":2}'))
      yield* put("two/.zattrs", text(attributes))
      yield* put("two/least/.zattrs", text(attributes))
      yield* put("two/least/.zarray", two("<i8", "-9223372036854775808"))
      yield* put("two/most/.zarray", two("<u8", "18446744073709551615"))
      yield* put("two/float/.zarray", two("<f8", "100000000000000000"))
      yield* put("two/beyond/.zarray", two("<i8", "9223372036854775808"))
      yield* put("three/zarr.json", text(`{"zarr_format":3,"node_type":"group","attributes":${attributes}}`))
      yield* put("three/own/zarr.json", three("int64", "-9223372036854775806"))
      yield* put("three/float/zarr.json", three("float64", "100000000000000000"))
      for (const at of ["two", "three"]) {
        const dataset = yield* ZarrHierarchy.dataset(SourceFile.make(store, `bucket/${at}`, `s3://bucket/${at}`))
        const { skipped } = yield* Import.into(session, `/${at}`, dataset)
        assert.deepStrictEqual(
          skipped.map(({ path, problem }) => `${path}: ${problem}`),
          at === "two" ? ["/beyond: its fill value `9223372036854775808` is not one of its data type"] : []
        )
      }
      for (const at of ["/two", "/two/least", "/three"]) {
        assert.deepStrictEqual(yield* session.attributes(at), JSON.parse(attributes))
      }
      const fill = (at: string) => Effect.map(World.read(session, at), ({ data }) => [...(data as BigInt64Array)][0])
      assert.strictEqual(yield* fill("/two/least"), -(2n ** 63n))
      assert.strictEqual(yield* fill("/two/most"), 2n ** 64n - 1n)
      assert.strictEqual<number | bigint | undefined>(yield* fill("/two/float"), 1e17)
      assert.strictEqual(yield* fill("/three/own"), -(2n ** 63n) + 2n)
      assert.strictEqual<number | bigint | undefined>(yield* fill("/three/float"), 1e17)
    })
  )

  it.effect("reads what zarrita wrote as Zarr 3, shards as they are, consolidated or not", () =>
    Effect.gen(function* () {
      const { objects: store, put, session } = yield* World.make
      const files = new Map<string, Uint8Array>()
      yield* Effect.promise(async () => {
        const root = zarr.root({
          get: (key: string) => Promise.resolve(files.get(key)),
          set: (key: string, bytes: Uint8Array) => Promise.resolve(void files.set(key, bytes.slice()))
        })
        await zarr.create(root, { attributes: { title: "three" } })
        await zarr.create(root.resolve("/inner"))
        const array = await zarr.create(root.resolve("/inner/a"), {
          shape: [5, 4],
          chunkShape: [2, 3],
          dtype: "int32",
          fillValue: -1,
          codecs: [
            { name: "bytes", configuration: { endian: "little" } },
            { name: "numcodecs.lz4", configuration: { acceleration: 1 } }
          ],
          dimensionNames: ["y", "x"],
          attributes: { units: "m" }
        })
        const data = Int32Array.from({ length: 20 }, (_, i) => i)
        await zarr.set(array, null, { data, shape: [5, 4], stride: [4, 1] })
      })
      // One shard with two of its four chunks, and the place of each at its end.
      const shard = new DataView(new ArrayBuffer(8 + 4 * 16))
      for (const [i, value] of [7, 8, 9, 10].entries()) shard.setInt16(2 * i, value, true)
      for (const [i, offset] of [0, undefined, 4, undefined].entries()) {
        shard.setBigUint64(8 + 16 * i, offset === undefined ? 2n ** 64n - 1n : BigInt(offset), true)
        shard.setBigUint64(16 + 16 * i, offset === undefined ? 2n ** 64n - 1n : 4n, true)
      }
      const bytes = { name: "bytes", configuration: { endian: "little" } }
      const sharded = {
        zarr_format: 3,
        node_type: "array",
        shape: [8],
        data_type: "int16",
        chunk_grid: { name: "regular", configuration: { chunk_shape: [8] } },
        chunk_key_encoding: { name: "default", configuration: { separator: "." } },
        fill_value: 0,
        codecs: [
          {
            name: "sharding_indexed",
            configuration: { chunk_shape: [2], codecs: [bytes], index_codecs: [bytes], index_location: "end" }
          }
        ],
        attributes: {}
      }
      files.set("/sharded/zarr.json", new TextEncoder().encode(JSON.stringify(sharded)))
      files.set("/sharded/c.0", new Uint8Array(shard.buffer))
      for (const [key, content] of files) yield* put(`z3${key}`, content)
      const root = SourceFile.make(store, "bucket/z3", "s3://bucket/z3")

      const read = Effect.fnUntraced(function* (at: string) {
        const dataset = yield* ZarrHierarchy.dataset(root)
        assert.deepStrictEqual(dataset.skipped, [])
        yield* Import.into(session, at, dataset)
        assert.deepStrictEqual(yield* session.attributes(at), { title: "three" })
        const array = yield* World.read(session, `${at}/inner/a` as `/${string}`)
        assert.deepStrictEqual(
          Array.from(array.data as Int32Array),
          Array.from({ length: 20 }, (_, i) => i)
        )
        assert.deepStrictEqual(array.attributes, { units: "m" })
        const { data } = yield* World.read(session, `${at}/sharded` as `/${string}`)
        assert.deepStrictEqual(Array.from(data as Int16Array), [7, 8, 0, 0, 9, 10, 0, 0])
      })
      yield* read("/plain")

      const documents = [...files].filter(([key]) => key.endsWith("/zarr.json") && key !== "/zarr.json")
      const metadata = Object.fromEntries(
        documents.map(([key, content]) => [
          key.slice(1, -"/zarr.json".length),
          JSON.parse(new TextDecoder().decode(content)) as unknown
        ])
      )
      const top = JSON.parse(new TextDecoder().decode(files.get("/zarr.json"))) as object
      const consolidated = { ...top, consolidated_metadata: { kind: "inline", must_understand: false, metadata } }
      yield* put("z3/zarr.json", new TextEncoder().encode(JSON.stringify(consolidated)))
      // What is consolidated is not asked for.
      yield* store.delete(documents.map(([key]) => `bucket/z3${key}`))
      yield* read("/consolidated")
    })
  )

  it.effect("refuses an Icechunk repository, and a directory without Zarr", () =>
    Effect.gen(function* () {
      const { objects: store, put } = yield* World.make
      yield* put("i/repo", Uint8Array.of(1))
      for (const [key, text] of [
        ["i", "Icechunk"],
        ["n", "neither"]
      ] as const) {
        const error = yield* Effect.flip(
          ZarrHierarchy.dataset(SourceFile.make(store, `bucket/${key}`, `s3://bucket/${key}`))
        )
        assert.strictEqual(error._tag, "WrongFormat")
        assert.include(error.message, text)
      }
    })
  )
})
