/**
 * Repositories that Icechunk's own Rust and Python wrote, spec 1 and 2. They are not part of this
 * repository; without them these tests are skipped.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import type { FormatError } from "../../src/encoding/FormatError.ts"
import * as Msgpack from "../../src/encoding/Msgpack.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as RepoInfo from "../../src/format/RepoInfo.ts"
import * as Snapshot from "../../src/format/Snapshot.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as damage from "./damage.ts"

const decodeValue = (specVersion: 1 | 2) => (specVersion === 1 ? Msgpack.decode : Flexbuffer.decode)

const workspace = path.resolve(import.meta.dirname, "../../../..")
const directory = path.resolve(workspace, "../shared/data/icechunk-repositories")
const present = fs.existsSync(directory)

const files = (repository: string, prefix: string): ReadonlyArray<string> => {
  const all = fs.readdirSync(path.join(directory, repository, prefix))
  return all.toSorted().map((name) => `${repository}/${prefix}/${name}`)
}

const load = (file: string, type: IcechunkFile.FileType) =>
  IcechunkFile.decode(file, new Uint8Array(fs.readFileSync(path.join(directory, file))), type)

const versions = ["split-repo-v2", "test-repo-v2"]
const repoFiles = present ? versions.flatMap((name) => [`${name}/repo`, ...files(name, "overwritten")]) : []
const snapshotFiles = present ? [...versions, "test-repo-v1"].flatMap((name) => files(name, "snapshots")) : []

describe.skipIf(!present)(`repositories in ${path.relative(workspace, directory)}`, () => {
  it.layer(NodeZstd.layer)((it) => {
    it.effect("their repo objects can be read and written", () =>
      Effect.gen(function* () {
        expect(repoFiles.length).toBeGreaterThan(10)
        for (const file of repoFiles) {
          const { header, payload } = yield* load(file, "RepoInfo")
          expect(header).toMatchObject({ specVersion: 2, compression: "zstd" })
          expect(header.implementation).toMatch(/^ic-/)
          const info = Result.getOrThrow(RepoInfo.decode(file, payload))
          expect(info.specVersion).toBe(2)
          expect(info.branches.get("main")).toBeDefined()
          expect(info.latestUpdates.at(-1)!.updatedAt).toBeGreaterThan(1e15)
          if (info.config !== undefined) {
            expect(Result.getOrThrow(Flexbuffer.decode(file, "config", info.config))).toHaveProperty("manifest")
          }
          expect(Result.getOrThrow(RepoInfo.decode(file, RepoInfo.encode(info)))).toStrictEqual(info)
        }
      })
    )

    it.effect("their snapshots can be read and written", () =>
      Effect.gen(function* () {
        expect(snapshotFiles.length).toBeGreaterThan(10)
        let arrays = 0
        for (const file of snapshotFiles) {
          const { header, payload } = yield* load(file, "Snapshot")
          const snapshot = Result.getOrThrow(Snapshot.decode(file, decodeValue(header.specVersion), payload))
          expect(snapshot.id).toBe(path.basename(file))
          expect(snapshot.parentId === undefined).toBe(
            header.specVersion === 2 || snapshot.message === "Repository initialized"
          )
          const known = new Set(snapshot.manifestFiles.map(({ id }) => id))
          for (const { data, path, userData } of snapshot.nodes) {
            const zarr = JSON.parse(new TextDecoder().decode(userData)) as { node_type: string; shape?: Array<number> }
            expect(zarr.node_type).toBe(data._tag.toLowerCase())
            expect(Snapshot.find(snapshot, path)!.path).toBe(path)
            if (data._tag === "Group") continue
            arrays++
            expect(data.shape.map(({ length }) => length)).toStrictEqual(zarr.shape)
            for (const { extents, id } of data.manifests) {
              expect(known.has(id)).toBe(true)
              expect(extents).toHaveLength(data.shape.length)
            }
          }
          if (snapshot.nodes.length > 0) expect(Snapshot.find(snapshot, NodePath.root)).toBe(snapshot.nodes[0])
          const back = Result.getOrThrow(Snapshot.decode(file, Flexbuffer.decode, Snapshot.encode(snapshot)))
          expect(back).toStrictEqual({ ...snapshot, parentId: undefined })
        }
        expect(arrays).toBeGreaterThan(20)
      })
    )

    const survivesDamage = <A>(
      names: ReadonlyArray<string>,
      type: IcechunkFile.FileType,
      decode: (file: string, specVersion: 1 | 2, payload: Uint8Array) => Result.Result<A, FormatError>
    ) =>
      Effect.gen(function* () {
        for (const [seed, file] of names.entries()) {
          const { header, payload } = yield* load(file, type)
          const run = (bytes: Uint8Array) => decode(file, header.specVersion, bytes)
          expect(damage.truncations(payload, run)).toBeGreaterThan(payload.length - 8)
          damage.flips(payload, 1000, seed, run)
        }
      })

    it.effect("their repo objects, damaged, fail with a FormatError or not at all", () =>
      survivesDamage(repoFiles, "RepoInfo", (file, _, payload) => RepoInfo.decode(file, payload))
    )

    it.effect("their snapshots, damaged, fail with a FormatError or not at all", () =>
      survivesDamage(snapshotFiles, "Snapshot", (file, specVersion, payload) =>
        Snapshot.decode(file, decodeValue(specVersion), payload)
      )
    )
  })
})
