/**
 * Files of random content by h5py and netCDF-C (`files/random_files.py`), compared array by array with what these read. Skipped where
 * no Python with h5py and netCDF4 is found. `RANDOM_FILES_SEED` and `RANDOM_FILES_COUNT` make others, and more.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Hdf5, Import, NetCdf3 } from "@effect-icechunk/import"
import * as Fletcher32 from "@effect-icechunk/import/codecs/Fletcher32"
import * as Effect from "effect/Effect"
import * as zarr from "zarrita"
import * as World from "./support/World.ts"

Fletcher32.register(zarr.registry)

const seed = Number(process.env["RANDOM_FILES_SEED"] ?? 1)
const count = Number(process.env["RANDOM_FILES_COUNT"] ?? 120)

/** A Python that has both; Debian's comes with its packages, others with their own. */
const python = ["python3", "/usr/bin/python3"].find((name) => {
  try {
    execFileSync(name, ["-c", "import h5py, netCDF4"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})

interface Found {
  readonly shape: ReadonlyArray<number>
  readonly type: string
  readonly values: string
  readonly dimensions?: ReadonlyArray<string>
}

const base64 = (data: ArrayBufferView): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")

/** Imports a file; says how many arrays have the values that the other reader found, and which filters others were left out for. */
const compare = (file: string) =>
  Effect.gen(function* () {
    const bytes = fs.readFileSync(file)
    const expected = JSON.parse(fs.readFileSync(`${file}.json`, "utf8")) as Record<string, Found>
    const { put, session } = yield* World.make
    const source = yield* put(path.basename(file), new Uint8Array(bytes))
    const importer = bytes.subarray(0, 3).toString() === "CDF" ? NetCdf3.dataset : Hdf5.dataset
    const dataset = yield* importer(source.file)
    yield* Import.into(session, "/", dataset)
    const left = new Map(dataset.skipped.map(({ path, problem, reason }) => [path, `${reason}: ${problem}`]))
    let same = 0
    for (const [at, one] of Object.entries(expected)) {
      const array = dataset.arrays.find((array) => array.path === at)
      if (array === undefined) {
        // The filters of these files that no reader of Zarr undoes.
        assert.match(left.get(at) ?? "", /the filter `lzf`|`shuffle` \(2\): it comes after a checksum/, `${file} ${at}`)
        continue
      }
      const { data, shape } = yield* World.read(session, at)
      assert.deepStrictEqual(shape, one.shape, `${file} ${at}`)
      if (one.dimensions !== undefined) assert.deepStrictEqual(array.dimensionNames, one.dimensions, `${file} ${at}`)
      assert.strictEqual(base64(data as ArrayBufferView), one.values, `${file} ${at}: values`)
      same++
    }
    return { same, of: Object.keys(expected).length }
  }).pipe(Effect.scoped)

describe.skipIf(python === undefined)("random files by h5py and netCDF-C", () => {
  it.live(`have the values that these read (seed ${seed})`, () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "random-files-"))),
        (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
      )
      const script = path.join(import.meta.dirname, "files/random_files.py")
      execFileSync(python!, [script, String(seed), String(count), directory], { stdio: "inherit" })
      let same = 0
      let all = 0
      for (const name of fs.readdirSync(directory).filter((name) => !name.endsWith(".json"))) {
        const found = yield* compare(path.join(directory, name))
        same += found.same
        all += found.of
      }
      assert.isAtLeast(all, 4 * count)
      assert.isAtLeast(same, 0.8 * all)
    }).pipe(Effect.scoped)
  )
})
