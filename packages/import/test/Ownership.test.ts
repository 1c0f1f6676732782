/**
 * What the chunks of a data set bring belongs to whoever takes them: they write into it, and whoever takes the chunks again finds them
 * as they were.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Concatenation,
  type Dataset,
  Grib2,
  Hdf5,
  type ImportError,
  Kerchunk,
  NetCdf3,
  SourceFile,
  ZarrHierarchy
} from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Files from "./support/Files.ts"
import * as World from "./support/World.ts"

const columnsOf = (chunks: Dataset.Chunks): ReadonlyArray<Uint8Array | Uint32Array | Float64Array> => {
  if (chunks._tag === "Bytes") return [chunks.bytes]
  const { indices, lengths, locations, offsets } = chunks.refs
  return [indices, offsets, lengths, ...(typeof locations === "string" ? [] : [locations.ids])]
}

/** Takes the chunks of all arrays, remembers them, and writes over each as it comes. */
const take = ({ arrays }: Dataset.Dataset) =>
  Effect.forEach(arrays, ({ chunks, path }) =>
    chunks.pipe(
      Stream.map((some) => {
        const columns = columnsOf(some)
        const before = columns.map((column) => [...column])
        for (const column of columns) column.fill(77)
        return before
      }),
      Stream.runCollect,
      Effect.map((all) => ({ path, all }))
    )
  )

const isUntouched = Effect.fnUntraced(function* <E>(dataset: Effect.Effect<Dataset.Dataset, E>) {
  const found = yield* dataset
  const first = yield* take(found)
  assert.isAbove(first.flatMap(({ all }) => all).length, 0)
  assert.deepStrictEqual(yield* take(found), first)
})

const of = (
  name: string,
  dataset: (file: SourceFile.SourceFile) => Effect.Effect<Dataset.Dataset, ImportError.ImportError>
) =>
  Effect.gen(function* () {
    const { file } = yield* Files.inMemory(Files.bytes(name))
    yield* isUntouched(dataset(file))
  })

describe("chunks belong to those who take them", () => {
  it.effect.each([
    "chunks-earliest.h5",
    "chunks-latest.h5",
    "layouts-earliest.h5",
    "layouts-latest.h5",
    "packed.nc",
    "texts.h5"
  ])("HDF5: %s", (name) => of(name, Hdf5.dataset))

  it.effect("kerchunk", () =>
    Effect.gen(function* () {
      const { objects, put } = yield* World.make
      const { document, numbers } = JSON.parse(new TextDecoder().decode(Files.bytes("kerchunk.json")))
      yield* put("layouts-earliest.h5", Files.bytes("layouts-earliest.h5"))
      yield* put("numbers.bin", Uint8Array.from(Buffer.from(numbers, "base64")))
      const { file } = yield* put("refs.json", new TextEncoder().encode(JSON.stringify(document)))
      const open = (location: string) => SourceFile.make(objects, location.slice("s3://".length), location)
      yield* isUntouched(Kerchunk.dataset(file, { open }))
    })
  )

  it.effect("Zarr", () =>
    Effect.gen(function* () {
      const { objects, put } = yield* World.make
      const { objects: contents } = JSON.parse(new TextDecoder().decode(Files.bytes("zarr2.json"))) as {
        readonly objects: Readonly<Record<string, string>>
      }
      for (const [key, content] of Object.entries(contents)) {
        yield* put(`zarr/${key}`, Uint8Array.from(Buffer.from(content, "base64")))
      }
      yield* isUntouched(ZarrHierarchy.dataset(SourceFile.make(objects, "bucket/zarr", "s3://bucket/zarr")))
    })
  )

  it.effect("concatenated files", () =>
    Effect.gen(function* () {
      const parts = yield* Effect.forEach(["a", "b"], (key) =>
        Effect.gen(function* () {
          const { file } = yield* Files.inMemory(Files.bytes("packed.nc"), key)
          return { file, dataset: yield* Hdf5.dataset(file) }
        })
      )
      yield* isUntouched(Concatenation.concatenate(parts, { newDimension: "run" }))
    })
  )
})

const real = [
  ["ncl-contour.nc", NetCdf3.dataset],
  ["trmm-hyrax.nc", NetCdf3.dataset],
  ["eta-multi-field.grib2", Grib2.dataset],
  ["hdf5-unfiltered-edge-chunks.h5", Hdf5.dataset],
  ["pytables-blosc-bigendian.h5", Hdf5.dataset]
] as const

describe("so do those of other writers' files", () => {
  it.effect.each(real)("%s", ([name, dataset]) => of(name, dataset))
})
