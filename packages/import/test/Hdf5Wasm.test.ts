/** Every array and attribute that is imported, compared with what another libhdf5 reads of the same file: h5wasm, HDF5 2.0. */
import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5, Import } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Files from "./support/Files.ts"
import * as Hdf5Wasm from "./support/Hdf5Wasm.ts"
import * as World from "./support/World.ts"

/** A float that Zarr has as text. */
const number = (value: number | string): number | string => {
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value)
  return value
}

/** An attribute as libhdf5 has it; `_FillValue` of floats is base64. */
const attributeValues = (name: string, json: Dataset.Json): ReadonlyArray<number | string> => {
  if (name === "_FillValue" && typeof json === "string" && json.endsWith("="))
    return [Buffer.from(json, "base64").readDoubleLE()]
  return Hdf5Wasm.flat(json).map(number)
}

/** Whether a file has a layout of a version, chunked and of two dimensions, in an object header of version 2. */
const hasLayout = (content: Uint8Array, version: number): boolean =>
  content.some(
    (byte, at) => byte === 8 && content[at + 4] === version && content[at + 5] === 2 && content[at + 7] === 3
  )

/** Attributes that only say what dimensions are, and are not imported. */
const ofDimensions =
  /@(DIMENSION_LIST|REFERENCE_LIST|_Netcdf4Dimid|_Netcdf4Coordinates|_NCProperties|_nc3_strict|CLASS|NAME)$/

/**
 * Imports a file and compares all of it: what is there has the same values, and what is not there is reported. Says how much that was,
 * and what h5wasm has no values of.
 */
const compared = (content: Uint8Array, options?: Hdf5.Options) =>
  Effect.gen(function* () {
    const { put, session } = yield* World.make
    const { file } = yield* put("a.h5", content)
    const dataset = yield* Hdf5.dataset(file, options)
    yield* Import.into(session, "/", dataset)
    const ours = new Set(dataset.arrays.map(({ path }) => path))
    const { arrays, attributes, paths } = yield* Hdf5Wasm.read(content, ours)
    const reported = new Set(dataset.skipped.map(({ path }) => path))
    const unread: Array<string> = []
    let values = 0
    for (const path of ours) {
      const expected = arrays.get(path)
      if (expected === undefined) {
        unread.push(path)
        continue
      }
      const { data } = yield* World.read(session, path)
      const found = Hdf5Wasm.flat(data)
      assert.deepStrictEqual(found, Hdf5Wasm.flat(expected), path)
      values += found.length
    }
    const json = new Map<string, { readonly name: string; readonly value: Dataset.Json }>(
      [...dataset.groups, ...dataset.arrays].flatMap((one) =>
        Object.entries(one.attributes).map(([name, value]) => [`${one.path}@${name}`, { name, value }] as const)
      )
    )
    for (const [at, { name, value }] of json) {
      const expected = attributes.get(at)
      if (expected === undefined) unread.push(at)
      else assert.deepStrictEqual(attributeValues(name, value), Hdf5Wasm.flat(expected), at)
    }
    const isDimension = (path: string): boolean =>
      Hdf5Wasm.flat(attributes.get(`${path}@NAME`))
        .join()
        .startsWith("This is a netCDF dimension but not a netCDF variable")
    const lost = [
      ...paths.filter((path) => !ours.has(path) && !reported.has(path) && !isDimension(path)),
      ...[...attributes.keys()].filter(
        (at) => !json.has(at) && !reported.has(at) && !ofDimensions.test(at) && ours.has(at.slice(0, at.indexOf("@")))
      )
    ]
    return { arrays: ours.size, values, attributes: json.size, unread, lost }
  }).pipe(Effect.scoped, Effect.orDie)

/** Arrays, values and attributes of each file. */
type Figures = readonly [arrays: number, values: number, attributes: number, unread?: ReadonlyArray<string>]

const own: Readonly<Record<string, Figures>> = {
  "chunks-earliest.h5": [53, 560_118, 0],
  "chunks-latest.h5": [53, 560_118, 0],
  "four-bytes-new.h5": [16, 2034, 13],
  "four-bytes-old.h5": [16, 2034, 13],
  "hundred-earliest.h5": [100, 80_000, 0],
  "hundred-latest.h5": [100, 80_000, 0],
  "large-attributes.h5": [1, 6, 14],
  "layouts-earliest.h5": [38, 25_490, 31, ["/half"]],
  "layouts-latest.h5": [38, 25_490, 31, ["/half"]],
  "packed.nc": [5, 140, 6],
  "phony.h5": [9, 220, 0],
  "shared-messages.h5": [4, 10_300, 37],
  "texts.h5": [4, 58, 0],
  "thousand-earliest.h5": [1, 1000, 0],
  "thousand-latest.h5": [1, 1000, 0],
  "types.h5": [3, 8, 10, ["/@half"]]
}

// Of `pytables-blosc-bigendian.h5` h5wasm has no Blosc, and gives what happens to be in memory.
const real: Readonly<Record<string, Figures>> = {
  "brain-average-minc2.h5": [6, 14_655, 53],
  "daymet-netcdf4.nc": [5, 353_401, 44],
  "h5py-szip-scaleoffset.h5": [2, 20_000, 0],
  "hdf5-all-filters.h5": [9, 1800, 0],
  "hdf5-index-types.h5": [9, 202, 0],
  "hdf5-unfiltered-edge-chunks.h5": [1, 72, 0],
  "mls-aura-l2gp.he5": [30, 286_622, 162],
  "mls-libver-latest.h5": [32, 363_460, 12],
  "netcdf-vlen-strings.nc": [1, 2, 0]
}

const sameAs = ([name, [arrays, values, attributes, unread = []]]: readonly [string, Figures]) =>
  Effect.gen(function* () {
    const found = yield* compared(Files.bytes(name))
    assert.deepStrictEqual(found, { arrays, values, attributes, unread: [...unread], lost: [] })
  })

describe("what h5wasm reads", () => {
  it.live.each(Object.entries(own))("%s is the same", sameAs)
})

describe("what h5wasm reads", () => {
  it.live.each(Object.entries(real))("%s is the same", sameAs)
})

describe("files that libhdf5 2.0 writes", () => {
  it.live.each(["earliest", "v108", "v110", "v112", "v114", "v200"] as const)(
    "%s: all layouts are the same",
    (libver) =>
      Effect.gen(function* () {
        const data = Int32Array.from({ length: 600 }, (_, i) => (i * 7) % 1000)
        const content = yield* Hdf5Wasm.written(
          { libver: libver === "earliest" ? ["earliest", "latest"] : libver },
          (file) => {
            const add = (name: string, rest: object) => file.create_dataset({ name, data, shape: [30, 20], ...rest })
            const chunks = [7, 6]
            for (const [suffix, filter] of [
              ["", {}],
              ["_deflated", { compression: "gzip" }]
            ] as const) {
              add(`fixed${suffix}`, { chunks, ...filter })
              add(`grows${suffix}`, { chunks, maxshape: [null, 20], ...filter })
              add(`grows_second${suffix}`, { chunks, maxshape: [30, null], ...filter })
              add(`grows_both${suffix}`, { chunks, maxshape: [null, null], ...filter })
              add(`one${suffix}`, { chunks: [30, 20], ...filter })
            }
            add("plain", {})
            file.create_dataset({ name: "text", data: ["x", "yy", "zžz"] })
            const group = file.create_group("g", true)
            for (let i = 0; i < 20; i++) {
              group.create_attribute(`a${i}`, i)
              group.create_dataset({ name: `x${i}`, data: Float64Array.of(i) })
            }
            file.create_attribute("numbers", Float64Array.of(1, 2.5, Number.NaN), [3])
          }
        )
        const found = yield* compared(content)
        assert.deepStrictEqual(found, { arrays: 32, values: 11 * 600 + 3 + 20, attributes: 21, unread: [], lost: [] })
        // Version 5 of the layout comes with HDF5 2.0.
        if (libver === "v200") assert.isTrue(hasLayout(content, 5))
      })
  )
})
