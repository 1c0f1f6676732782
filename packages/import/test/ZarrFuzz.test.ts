import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { MemoryObjectStore, ZarritaStore } from "@effect-icechunk/core"
import { type Dataset, Import, SourceFile, ZarrHierarchy } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as JsonFuzz from "./support/JsonFuzz.ts"
import * as World from "./support/World.ts"

const { objects } = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, "files/written/zarr2.json"), "utf8")) as {
  readonly objects: Readonly<Record<string, string>>
}

const array3 = (more: object = {}) => ({
  zarr_format: 3,
  node_type: "array",
  shape: [4, 6],
  chunk_grid: { name: "regular", configuration: { chunk_shape: [2, 3] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  data_type: "float32",
  fill_value: 0,
  codecs: [
    { name: "bytes", configuration: { endian: "little" } },
    { name: "zstd", configuration: { level: 1, checksum: false } }
  ],
  dimension_names: ["y", "x"],
  attributes: { units: "K", valid_range: [0, 1] },
  ...more
})

const sharded = array3({
  codecs: [
    {
      name: "sharding_indexed",
      configuration: {
        chunk_shape: [1, 3],
        codecs: [{ name: "bytes", configuration: { endian: "little" } }],
        index_codecs: [{ name: "bytes", configuration: { endian: "little" } }, { name: "crc32c" }],
        index_location: "end"
      }
    }
  ]
})

const group3 = (more: object = {}) => ({ zarr_format: 3, node_type: "group", attributes: { title: "t" }, ...more })

const texts = (documents: Readonly<Record<string, object>>): Record<string, Uint8Array> =>
  Object.fromEntries(
    Object.entries(documents).map(([key, json]) => [key, new TextEncoder().encode(JSON.stringify(json))])
  )

const chunks = Object.fromEntries(
  ["a", "g/b"].flatMap((node) => [0, 1].map((i) => [`${node}/c/${i}/0`, new Uint8Array(24)] as const))
)

const two = Object.fromEntries(
  Object.entries(objects).map(([key, text]) => [key, new Uint8Array(Buffer.from(text, "base64"))])
)

/** Hierarchies by their objects, whose metadata is mutated. */
const hierarchies: ReadonlyArray<Readonly<Record<string, Uint8Array>>> = [
  two,
  Object.fromEntries(Object.entries(two).filter(([key]) => key !== ".zmetadata")),
  {
    ...texts({ "zarr.json": group3(), "a/zarr.json": array3(), "g/zarr.json": group3(), "g/b/zarr.json": sharded }),
    ...chunks
  },
  {
    ...texts({
      "zarr.json": group3({
        consolidated_metadata: {
          kind: "inline",
          must_understand: false,
          metadata: { a: array3(), g: group3(), "g/b": sharded }
        }
      })
    }),
    ...chunks
  },
  texts({
    "zarr.json": array3({
      shape: [],
      chunk_grid: { name: "regular", configuration: { chunk_shape: [] } },
      dimension_names: []
    })
  })
]

const isMetadata = (key: string) => /(?:^|\/)(?:zarr\.json|\.z\w+)$/.test(key)

/** A hierarchy with some of its documents mutated. */
const mutated = (seed: number) =>
  Effect.gen(function* () {
    const next = Fuzz.random(seed)
    const hierarchy = hierarchies[next(hierarchies.length)]!
    const keys = Object.keys(hierarchy).filter(isMetadata)
    // The one that stands for all is mutated most often, where there is one.
    const root = keys.find((key) => key === ".zmetadata" || key === "zarr.json")
    const victims = new Set([
      keys[next(keys.length)]!,
      next(2) === 0 && root !== undefined ? root : keys[next(keys.length)]!
    ])
    const store = yield* MemoryObjectStore.make()
    for (const [key, bytes] of Object.entries(hierarchy)) {
      const content = victims.has(key) ? JsonFuzz.mutate(new TextDecoder().decode(bytes), seed + key.length) : bytes
      yield* Effect.orDie(store.put(`z/${key}`, content))
    }
    return SourceFile.make(next(4) === 0 ? { ...store, list: Files.listsNothing } : store, "z", "s3://bucket/z")
  })

const some = 1000

const run = (seed: number) =>
  Effect.gen(function* () {
    const root = yield* mutated(seed)
    const dataset = yield* Effect.result(ZarrHierarchy.dataset(root))
    if (Result.isFailure(dataset)) {
      assert.include(["DamagedFile", "WrongFormat", "ObjectStoreError"], dataset.failure._tag)
      return "refused"
    }
    const { session } = yield* World.make
    const found = dataset.success
    // All that is accepted can be written; some of the chunks are enough.
    const arrays = found.arrays.map((array) => Object.assign({}, array, { chunks: Stream.take(array.chunks, 1) }))
    yield* Import.into(session, "/", { ...found, arrays })
    const store = yield* ZarritaStore.make(session)
    for (const array of arrays) {
      // zarrita knows no data types but those with a plain name. The others are extensions of Zarr.
      if (typeof array.dataType !== "string" || !/^\w+$/.test(array.dataType)) continue
      yield* Effect.promise(() => zarr.open.v3(zarr.root(store).resolve(array.path as "/"), { kind: "array" }))
    }
    return found.skipped.length === 0 ? "read" : "skipped"
  }).pipe(Effect.scoped)

const read = Effect.fnUntraced(function* (
  text: string,
  options?: ZarrHierarchy.Options,
  list?: typeof Files.listsNothing
) {
  const store = yield* MemoryObjectStore.make()
  yield* store.put("z/zarr.json", new TextEncoder().encode(text))
  const root = SourceFile.make(list === undefined ? store : { ...store, list }, "z", "s3://bucket/z")
  const dataset = yield* ZarrHierarchy.dataset(root, options)
  const { session } = yield* World.make
  yield* Import.into(session, "/", dataset)
  return dataset
})

const consolidated = (metadata: object, attributes = "{}") =>
  JSON.stringify({
    zarr_format: 3,
    node_type: "group",
    attributes: "HERE",
    consolidated_metadata: { kind: "inline", metadata }
  }).replace('"HERE"', () => attributes)

const report = ({ arrays, groups, skipped }: Dataset.Dataset) => ({
  nodes: [...groups, ...arrays].map(({ path }) => path),
  skipped: skipped.map(({ kind, path, reason }) => `${path} ${kind}: ${reason}`)
})

describe("Odd metadata of Zarr", () => {
  it.effect("has groups above all that is there, and nothing below arrays or under names that cannot be", () =>
    Effect.gen(function* () {
      const dataset = yield* read(
        consolidated({
          a: array3(),
          "a/b": array3(),
          "a/c": group3(),
          "g/h/i": array3(),
          "g//j": array3(),
          "g/../k": array3(),
          "g/%2E./k": array3(),
          __proto: group3(),
          "/l/": group3()
        })
      )
      assert.deepStrictEqual(report(dataset), {
        nodes: ["/", "/g", "/g/h", "/l", "/a", "/g/h/i"],
        skipped: [
          "/__proto group: name",
          "/a/b array: layout",
          "/a/c group: layout",
          "/g/%2E./k array: name",
          "/g/../k array: name",
          "/g//j array: name"
        ]
      })
    })
  )

  it.effect("leaves out attributes that cannot be stored, and keeps the others", () =>
    Effect.gen(function* () {
      const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`
      const attributes = `{"deep":${deep},"half":"\\ud800","__proto__":{"x":1},"constructor":2,"nan":NaN}`
      const dataset = yield* read(
        consolidated({ a: array3({ attributes: { half: "\ud800", units: "K" } }) }, attributes)
      )
      assert.deepStrictEqual(report(dataset).skipped, [
        "/@deep attribute: value",
        "/@half attribute: value",
        "/a@half attribute: value"
      ])
      const [root] = dataset.groups
      assert.deepStrictEqual(Object.keys(root!.attributes), ["__proto__", "constructor", "nan"])
      assert.deepStrictEqual(dataset.arrays[0]!.attributes, { units: "K" })
    })
  )

  it.effect("names values that are nested deep only by their kind", () =>
    Effect.gen(function* () {
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
      for (const field of ["fill_value", "compressor", "filters", "dtype", "shape", "order", "dimension_separator"]) {
        const zarray = {
          zarr_format: 2,
          shape: [2],
          chunks: [1],
          dtype: "<i4",
          order: "C",
          fill_value: 0,
          filters: null,
          compressor: { id: "blosc", shuffle: 1 },
          [field]: field === "compressor" ? { id: "blosc", shuffle: "HERE" } : "HERE"
        }
        const store = yield* MemoryObjectStore.make()
        yield* store.put("z/.zgroup", new TextEncoder().encode('{"zarr_format":2}'))
        yield* store.put("z/a/.zarray", new TextEncoder().encode(JSON.stringify(zarray).replace('"HERE"', deep)))
        const { skipped } = yield* ZarrHierarchy.dataset(SourceFile.make(store, "z", "s3://bucket/z"))
        assert.deepStrictEqual(
          skipped.map(({ path }) => path),
          ["/a"],
          field
        )
        assert.isBelow(skipped[0]!.problem.length, 200)
      }
    })
  )

  it.effect("reads NaN beside long texts", () =>
    Effect.gen(function* () {
      const long = 'x\\"'.repeat(3_000_000)
      const dataset = yield* read(consolidated({}, `{"nan":-Infinity,"long":"${long}","said":"NaN \\"NaN"}`))
      const { attributes } = dataset.groups[0]!
      assert.deepStrictEqual([attributes["nan"], attributes["said"]], ["-Infinity", 'NaN "NaN'])
      assert.lengthOf(attributes["long"] as string, 6_000_000)
    })
  )

  it.effect("does not try more chunks one by one than is allowed", () =>
    Effect.gen(function* () {
      const plain = array3({ shape: [1e9, 1e9], codecs: [{ name: "bytes", configuration: { endian: "little" } }] })
      for (const [options, list] of [
        [{}, Files.listsNothing],
        [{ chunks: "grid" }, undefined],
        [{ chunks: "head" }, undefined]
      ] as const) {
        const dataset = yield* read(consolidated({ a: plain }), options, list)
        assert.deepStrictEqual(report(dataset).skipped, ["/a array: layout"])
      }
      const few = array3({ ...plain, shape: [4, 6] })
      assert.lengthOf((yield* read(consolidated({ a: few }), { chunks: "grid", maxChunks: 3 })).skipped, 1)
      assert.lengthOf((yield* read(consolidated({ a: few }), { chunks: "grid", maxChunks: 4 })).skipped, 0)
    })
  )
})

describe("Mutated metadata of Zarr", () => {
  const runs = Number(process.env["FUZZ_RUNS"] ?? 500)
  const from = Number(process.env["FUZZ_FROM"] ?? 1)

  it.effect(
    "ends in a data set that can be written and opened, in a report, or in an error",
    () =>
      Effect.gen(function* () {
        const counts = { read: 0, skipped: 0, refused: 0 }
        const problems: Array<string> = []
        for (let seed = from; seed < from + runs; seed++) {
          const exit = yield* Effect.exit(run(seed))
          if (Exit.isSuccess(exit)) counts[exit.value]++
          else problems.push(`seed ${seed}: ${Cause.pretty(exit.cause).slice(0, some)}`)
        }
        assert.deepStrictEqual(problems, [])
        for (const count of Object.values(counts)) assert.isAbove(count, runs / 20)
      }),
    3_600_000
  )
})
