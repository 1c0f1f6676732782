import * as crypto from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Import, Kerchunk, SourceFile } from "@effect-icechunk/import"
import * as Grib2 from "@effect-icechunk/import/codecs/Grib2"
import * as Effect from "effect/Effect"
import * as zarr from "zarrita"
import * as References from "../src/internal/parquet/References.ts"
import * as Files from "./support/Files.ts"
import * as World from "./support/World.ts"

type Expected = Readonly<
  Record<string, { readonly shape?: ReadonlyArray<number>; readonly sha256?: string; readonly kind?: string }>
>

/** What `files/kerchunkFiles.py` wrote, with the values that fsspec and zarr-python read. */
interface Written {
  /** Files that are nowhere else. */
  readonly made: Readonly<Record<string, string>>
  readonly cases: ReadonlyArray<{
    readonly name: string
    readonly sources: ReadonlyArray<string>
    readonly json?: Dataset.JsonObject
    readonly parquet?: Readonly<Record<string, string>>
    readonly expected: Expected
  }>
  readonly rows: ReadonlyArray<readonly [path: string | null, offset: number, size: number, raw: string | null]>
  readonly tables: Readonly<Record<string, string>>
  /** Files that are not of references, or have them in unusual ways. */
  readonly odd: Readonly<Record<string, string>>
}

const written = JSON.parse(new TextDecoder().decode(Files.bytes("kerchunk-files.json"))) as Written

const decode64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

/** Kerchunk's GRIB has the codec of ours. */
const options = { extensions: ["gribberish"] }
Grib2.register(zarr.registry)

const source = (name: string): Uint8Array => {
  const made = written.made[name]
  return made === undefined ? Files.bytes(name) : decode64(made)
}

const sha256 = (data: unknown) => {
  const { buffer, byteLength, byteOffset } = data as Uint8Array
  return crypto
    .createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex")
}

const compare = Effect.fnUntraced(function* (session: World.World["session"], expected: Expected) {
  let compared = 0
  for (const [path, { sha256: hash, shape }] of Object.entries(expected)) {
    if (hash === undefined) continue
    const read = yield* World.read(session, path)
    assert.deepStrictEqual(read.shape, shape, path)
    assert.strictEqual(sha256(read.data), hash, `the values of ${path}`)
    compared++
  }
  return compared
})

/** Refs, chunks with bytes inside, arrays whose values were compared, and what is skipped. */
const outcomes: Readonly<Record<string, ReadonlyArray<number | string>>> = {
  "packed.nc": [7, 1, 5],
  // Kerchunk encodes objects by a codec that Zarr 3 does not have.
  "types.h5": [
    1,
    3,
    4,
    "/compound: filter",
    "/lists: filter",
    "/long_double: data type",
    "/opaque: filter",
    "/references: filter"
  ],
  "shared-messages.h5": [46, 3, 4],
  "phony.h5": [6, 6, 9],
  "daymet-netcdf4.nc": [4, 1, 5],
  "era5-64bit-packed.nc": [5, 1, 6],
  // Two references are of chunks outside of the grid.
  "hdf5-index-types.h5": [18, 0, 9, "/: name"],
  "hdf5-all-filters.h5": [25, 1, 9],
  // zarr-python does not read it either: a chunk at the edge is unfiltered, and kerchunk does not say so.
  "hdf5-unfiltered-edge-chunks.h5": [4, 2, 0],
  "trmm-hyrax.nc": [2, 1, 3],
  "brain-average-minc2.h5": [3, 0, 3],
  "netcdf-vlen-strings.nc": [0, 0, 0, "/vs: filter"],
  "dwd-cosmo-simple.grib2": [1, 6, 7],
  "day-1.nc": [5, 3, 5],
  "thousand-latest.h5": [1000, 0, 1],
  "three days, inline below 0": [17, 1, 5],
  "three days, inline below 500": [0, 18, 5]
}

describe("Files that kerchunk writes", () => {
  for (const one of written.cases) {
    it.effect(one.name, () =>
      Effect.gen(function* () {
        const { objects, put, session } = yield* World.make
        for (const name of one.sources) yield* put(name, source(name))
        for (const [key, content] of Object.entries(one.parquet ?? {})) yield* put(`refs/${key}`, decode64(content))
        const { file } = yield* one.json === undefined
          ? put("unused", new Uint8Array(1))
          : put("refs.json", new TextEncoder().encode(JSON.stringify(one.json)))
        const root = one.json === undefined ? SourceFile.make(objects, "bucket/refs", "s3://bucket/refs") : file
        const dataset = yield* Kerchunk.dataset(root, options)
        const { refs, skipped, written: inside } = yield* Import.into(session, "/", dataset, options)
        const left = new Set(skipped.filter(({ kind }) => kind === "array").map(({ path }) => path))
        const kept = Object.fromEntries(Object.entries(one.expected).filter(([path]) => !left.has(path)))
        const compared = yield* compare(session, kept)
        const reports = skipped.map(({ path, reason }) => `${path}: ${reason}`)
        assert.deepStrictEqual(
          [refs, inside, compared, ...reports],
          outcomes[one.name.replace(/ in Parquet|, (?:fastparquet|pyarrow).*/, "")],
          one.name
        )
      })
    )
  }

  it.effect("reads pages of both kinds, dictionaries and all compressions, as pyarrow and fastparquet write them", () =>
    Effect.gen(function* () {
      for (const [name, content] of Object.entries(written.tables)) {
        const limits = { maxRows: 1000, maxBytes: 2 ** 20 }
        const table = yield* References.read(name, decode64(content), limits)
        const rows = Array.from({ length: table.rows }, (_, row) => {
          const path = table.pathIds[row]!
          const raw = table.raw.get(row)
          return [
            path === 0 ? null : table.paths[path - 1]!,
            table.offsets[row]!,
            table.sizes[row]!,
            raw === undefined ? null : Buffer.from(raw).toString("hex")
          ]
        })
        assert.deepStrictEqual(rows, written.rows as never, name)
      }
    })
  )
})
