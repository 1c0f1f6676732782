import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Hdf5 } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Expected from "./support/Expected.ts"
import * as Files from "./support/Files.ts"

/** Why arrays of a file are not there, by path. */
const reasons = ({ skipped }: Dataset.Dataset): Record<string, string> =>
  Object.fromEntries(skipped.map(({ path, reason }) => [path, reason]))

const own = ["layouts-earliest.h5", "layouts-latest.h5", "hundred-earliest.h5", "hundred-latest.h5", "packed.nc"]

describe("HDF5 files that h5py and netCDF-C wrote", () => {
  it.effect.each(own)("%s has the values that they read", (name) =>
    Effect.gen(function* () {
      const { missing, same } = yield* Expected.compare(name, Hdf5.dataset)
      assert.deepStrictEqual(missing, [])
      assert.strictEqual(same.length, Object.keys(Expected.of(name)).length)
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

describe.skipIf(Files.find(shared[0]!) === undefined)("HDF5 files by other writers (shared/data)", () => {
  it.effect.each(shared)("%s has the values that libhdf5 reads, or says why not", (name) =>
    Effect.gen(function* () {
      const { dataset, missing, same } = yield* Expected.compare(name, Hdf5.dataset)
      const why = reasons(dataset)
      console.log(
        name,
        same.length,
        missing.map((path) => [path, why[path]]),
        dataset.skipped.map((s) => `${s.path}: ${s.problem}`).slice(0, 12)
      )
      for (const path of missing) assert.isDefined(why[path], path)
    })
  )
})
void Stream
