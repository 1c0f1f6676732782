/**
 * Virtual data sets that this library makes of files, as the official engine reads them: metadata, and chunks out of the files.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Credentials } from "@effect-icechunk/core"
import { Concatenation, Hdf5, Import, NetCdf3, SourceFile, ZarrHierarchy } from "@effect-icechunk/import"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { services } from "../support/FsServices.ts"
import * as Interop from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const root = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-imports-"))
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

const files = path.resolve(import.meta.dirname, "../../packages/import/test/files/written")
const node = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** A NetCDF-3 file of two records. */
const classic = Buffer.from(
  `43444601 00000002 0000000a 00000001 00000001 74000000 00000000 00000000 00000000
   0000000b 00000001 00000001 61000000 00000001 00000000 00000000 00000000 00000004
   00000004 00000050 00000007 fffffffe`.replaceAll(/\s/g, ""),
  "hex"
)

/** A Zarr 2 array of two chunks. */
const zarray = {
  zarr_format: 2,
  shape: [4],
  chunks: [2],
  dtype: "<i2",
  compressor: null,
  fill_value: 0,
  order: "C",
  filters: null
}

describe("virtual data sets", () => {
  it.live("are read by the official engine, node by node and chunk by chunk", () =>
    Effect.gen(function* () {
      const data = path.join(root, "data")
      const directory = path.join(root, "repository")
      fs.mkdirSync(path.join(data, "zarr"), { recursive: true })
      for (const name of ["layouts-latest.h5", "packed.nc", "large-fills.nc", "checksums.nc"])
        fs.copyFileSync(path.join(files, name), path.join(data, name))
      fs.writeFileSync(path.join(data, "classic.nc"), classic)
      fs.writeFileSync(path.join(data, "zarr/.zarray"), JSON.stringify(zarray))
      fs.writeFileSync(path.join(data, "zarr/0"), Uint8Array.of(1, 0, 2, 0))
      fs.writeFileSync(path.join(data, "zarr/1"), Uint8Array.of(3, 0, 4, 0))
      const store = yield* FsObjectStore.make({ directory: data }).pipe(Effect.provide(node))
      const at = (key: string) => SourceFile.make(store, key, `data://${data}/${key}`)
      const container = { name: "data", protocol: "data", platform: "fs" as const, bucket_prefix: data }
      const open = {
        config: { virtual_chunk_containers: [container] },
        credentials: { data: Credentials.directory(data) }
      }
      yield* Interop.inRepository(
        { services: services(directory) },
        open
      )((repository) =>
        Effect.gen(function* () {
          yield* repository.config.update((config) => ({ ...config, virtual_chunk_containers: [container] }))
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/", {})
          const packed = at("packed.nc")
          yield* Import.into(session, "/layouts", yield* Hdf5.dataset(at("layouts-latest.h5")))
          yield* Import.into(session, "/packed", yield* Hdf5.dataset(packed))
          for (const name of ["large-fills.nc", "checksums.nc"])
            yield* Import.into(session, `/${name.slice(0, -3)}`, yield* Hdf5.dataset(at(name)))
          yield* Import.into(session, "/classic", yield* NetCdf3.dataset(at("classic.nc")))
          yield* Import.into(session, "/zarr", yield* ZarrHierarchy.dataset(at("zarr")))
          const runs = [yield* Hdf5.dataset(packed), yield* Hdf5.dataset(packed)].map((dataset) => ({
            file: packed,
            dataset
          }))
          yield* Import.into(session, "/runs", yield* Concatenation.concatenate(runs, { newDimension: "run" }))
          yield* session.commit("imports")
        })
      )
      const ours = yield* Interop.inRepository(
        { services: services(directory) },
        open
      )((repository) => Interop.readOurs(repository))
      assert.isAbove(ours.size, 5000)
      const engine = yield* Effect.promise(() => Engine.open({ directory, containers: ["data"] }))
      const session = yield* Effect.promise(() => engine.readonlySession({ branch: "main" }))
      let compared = 0
      for (const [key, value] of ours) {
        // Of the arrays with very many chunks each eleventh.
        if (/many(_fixed)?\/c\//.test(key) && compared++ % 11 !== 0) continue
        const theirs = yield* Effect.promise(() => session.store.get(key))
        if (key.endsWith("zarr.json"))
          assert.deepStrictEqual(JSON.parse(Interop.buffer(theirs)!.toString()), JSON.parse(value!.toString()))
        else assert.deepStrictEqual(Interop.buffer(theirs), value, key)
      }
      const fill = yield* Effect.promise(() => session.store.get("large-fills/int64/zarr.json"))
      assert.match(Interop.buffer(fill)!.toString(), /"fill_value": *-9223372036854775806\b/)
    }).pipe(Effect.scoped)
  )
})
