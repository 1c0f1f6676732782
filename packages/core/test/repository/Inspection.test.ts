import * as Inspection from "@effect-icechunk/core/Inspection"
import * as History from "@effect-icechunk/core/History"
import * as Repository from "@effect-icechunk/core/Repository"
import * as RepositoryState from "@effect-icechunk/core/RepositoryState"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Shown from "../../src/repository/inspection/Shown.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import { inWorld, pattern, text, type World, worldInMemory } from "./Fixture.ts"
import { array } from "./RepositorySuite.ts"

const count = 1500

/** Every kind of node, chunk and file. */
const fill = Effect.gen(function* () {
  const persist = {
    virtual_chunk_containers: [{ name: "data", protocol: "s3", platform: "s3", bucket_prefix: "data" }]
  }
  const repository = yield* Repository.create({ persist })
  const session = yield* repository.writableSession("main")
  yield* session.createGroup("/", { title: "all" })
  yield* session.createGroup("/g")
  yield* session.createArray("/g/a", { ...array([4, 2000], [1, 1000]), dimensionNames: ["t", null] })
  yield* session.createArray("/v", array([count], [1]))
  yield* session.setChunk("/g/a", [0, 0], pattern(1000))
  yield* session.setChunk("/g/a", [3, 1], text("inline"))
  yield* session.setVirtualRefs("/v", {
    indices: Uint32Array.from({ length: count }, (_, i) => i),
    offsets: Array.from({ length: count }, (_, i) => i),
    lengths: Array.from({ length: count }, () => 1),
    locations: {
      values: Array.from({ length: count }, (_, i) => `s3://data/a/long/name/of/a/file/${i}.nc`),
      ids: Uint32Array.from({ length: count }, (_, i) => i)
    }
  })
  yield* TestClock.adjust("1.5 seconds")
  const one = yield* session.commit("one", { metadata: { author: "me" } })
  yield* repository.createTag("v1", one)
  yield* session.deleteNode("/v")
  yield* session.setChunk("/g/a", [1, 0], text("x"))
  const two = yield* session.commit("two")
  yield* repository.deleteTag("v1")
  yield* RepositoryState.setStatus(repository, "ReadOnly", { reason: "why" })
  return { repository, one, two }
})

type Filled = Effect.Success<typeof fill>

const filled = <A, E>(f: (all: Filled & { readonly world: World }) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const world = yield* worldInMemory
    return yield* inWorld(world)(Effect.flatMap(fill, (all) => f({ ...all, world })))
  })

type Plain = Readonly<Record<string, unknown>>

describe("inspection", () => {
  it.effect("shows the repository object", () =>
    filled(({ one, repository, two }) =>
      Effect.gen(function* () {
        const shown: Plain = yield* Inspection.repo(repository)
        assert.deepInclude(shown, {
          spec_version: "2.0",
          branches: { main: two },
          tags: {},
          deleted_tags: ["v1"],
          num_snapshots: 3,
          metadata: {},
          status: { availability: "ReadOnly", set_at: "1970-01-01T00:00:01.500Z", limited_availability_reason: "why" },
          enabled_feature_flags: null,
          disabled_feature_flags: null
        })
        assert.deepInclude(shown["file"], { key: "repo", type: "RepoInfo", implementation: "ic-effect-0.1.0" })
        const snapshots = shown["snapshots"] as ReadonlyArray<Plain>
        assert.deepStrictEqual(
          snapshots.find(({ id }) => id === one),
          {
            id: one,
            parent_id: ObjectId.initialSnapshotId,
            flushed_at: "1970-01-01T00:00:01.500Z",
            message: "one",
            metadata: { author: "me" }
          }
        )
        const updates = shown["latest_updates"] as ReadonlyArray<Plain>
        assert.deepStrictEqual(
          updates.map(({ update_type }) => update_type),
          [
            { type: "RepoStatusChangedUpdate", status: shown["status"] },
            { type: "TagDeletedUpdate", name: "v1", previous_snap_id: one },
            { type: "NewCommitUpdate", branch: "main", new_snap_id: two },
            { type: "TagCreatedUpdate", name: "v1" },
            { type: "NewCommitUpdate", branch: "main", new_snap_id: one },
            { type: "RepoInitializedUpdate" }
          ]
        )
        assert.isUndefined(updates[0]!["backup_path"])
        const older = `overwritten/${updates[1]!["backup_path"] as string}`
        const before: Plain = yield* Inspection.file(repository, older)
        assert.deepInclude(before["file"], { key: older })
        assert.deepInclude(before["status"], { availability: "Online" })
        const config = shown["config"] as { readonly json: Plain }
        assert.property(config.json, "virtual_chunk_containers")
      })
    )
  )

  it.effect("shows a snapshot, its manifests, and its log", () =>
    filled(({ one, repository, two }) =>
      Effect.gen(function* () {
        const shown: Plain = yield* Inspection.snapshot(repository, one)
        const manifests = yield* History.manifests(repository, { snapshotId: one })
        assert.deepInclude(shown, {
          id: one,
          commit_message: "one",
          metadata: { author: "me" },
          num_nodes: 4,
          manifests: manifests.map(({ id, numChunkRefs, sizeBytes }) => ({
            id,
            size_bytes: sizeBytes,
            num_chunk_refs: numChunkRefs
          }))
        })
        const nodes = shown["nodes"] as ReadonlyArray<Plain>
        assert.deepStrictEqual(
          nodes.map(({ node_type, path }) => [path, node_type]),
          [
            ["/", "group"],
            ["/g", "group"],
            ["/g/a", "array"],
            ["/v", "array"]
          ]
        )
        const [, , a, v] = nodes
        assert.deepStrictEqual(a!["shape"], [
          { name: "t", array_length: 4, num_chunks: 4 },
          { array_length: 2000, num_chunks: 2 }
        ])
        assert.nestedPropertyVal(a!, "zarr_metadata.json.node_type", "array")
        const [refs] = v!["manifest_refs"] as ReadonlyArray<{ readonly id: string; readonly extents: unknown }>
        assert.deepStrictEqual(refs!.extents, [[0, count]])

        const all = new Map<unknown, Plain>()
        for (const { id, sizeBytes } of manifests) {
          const manifest: Plain = yield* Inspection.manifest(repository, id, { maxItems: 10 })
          assert.deepInclude(manifest["file"], { key: `manifests/${id}`, size_bytes: sizeBytes })
          for (const one of manifest["arrays"] as ReadonlyArray<Plain>) all.set(one["node_id"], { manifest, ...one })
        }
        const native = all.get(a!["id"])!
        assert.deepInclude(native, { num_chunk_refs: 2, num_inline: 1, num_native: 1, num_virtual: 0 })
        const [first, second] = native["refs"] as ReadonlyArray<Plain>
        assert.deepInclude(first, { index: [0, 0], type: "native", offset: 0, length: 1000 })
        assert.deepStrictEqual(second, { index: [3, 1], type: "inline", size_bytes: 6, base64: btoa("inline") })
        const chunkKey = `chunks/${first!["chunk_id"] as string}`
        assert.deepStrictEqual(yield* Inspection.file(repository, chunkKey), {
          file: { key: chunkKey, size_bytes: 1000, type: "Chunk" }
        })
        const virtual = all.get(v!["id"])!
        assert.deepInclude(virtual, { num_chunk_refs: count, num_virtual: count })
        assert.strictEqual((virtual["refs"] as ReadonlyArray<Plain>).length < 10, true)
        const manifest = virtual["manifest"] as Plain
        const compression = manifest["compression"] as Plain
        assert.strictEqual(compression["uses_location_compression"], compression["num_compressed_refs"] !== 0)
        assert.isAtLeast((manifest["left_out"] as { readonly "arrays.refs": number })["arrays.refs"], count - 10)

        const log: Plain = yield* Inspection.transactionLog(repository, two)
        assert.deepInclude(log, {
          id: two,
          new_arrays: [],
          deleted_arrays: [v!["id"]],
          updated_chunks: [{ node_id: a!["id"], num_chunks: 1, chunks: [[1, 0]] }],
          moved_nodes: []
        })
        const firstLog: Plain = yield* Inspection.transactionLog(repository, one)
        assert.strictEqual((firstLog["new_arrays"] as ReadonlyArray<unknown>).length, 2)
        assert.strictEqual((firstLog["new_groups"] as ReadonlyArray<unknown>).length, 2)
      })
    )
  )

  it.effect("shows every file by its key, as plain data, also while the repository is offline", () =>
    filled(({ repository, world }) =>
      Effect.gen(function* () {
        yield* RepositoryState.setStatus(repository, "Offline")
        const keys = (yield* Stream.runCollect(world.store.list(""))).map(({ key }) => key)
        for (const key of keys) {
          const shown = yield* Inspection.file(repository, key)
          assert.deepStrictEqual(JSON.parse(JSON.stringify(shown)), shown)
          const { size } = yield* world.store.head(key)
          assert.deepInclude(shown["file"], { key, size_bytes: size })
        }
        const config: Plain = yield* Inspection.config(repository)
        assert.nestedPropertyVal(config, "json.virtual_chunk_containers[0].name", "data")
        assert.isUndefined(((yield* Inspection.config(repository, { maxBytes: 3 })) as Plain)["json"])
      })
    )
  )

  it.effect("shows no more than was asked for, and counts what it leaves out", () =>
    filled(({ one, repository }) =>
      Effect.gen(function* () {
        const none: Plain = yield* Inspection.snapshot(repository, one, { maxItems: 0, maxBytes: 0 })
        assert.deepInclude(none, { nodes: [], manifests: [], metadata: {}, num_nodes: 4 })
        assert.deepInclude(none["left_out"], { nodes: 4, metadata: 1 })
        const some: Plain = yield* Inspection.repo(repository, { maxItems: 3 })
        assert.deepInclude(some["left_out"], { latest_updates: 6 })
        for (const odd of [Number.NaN, -1]) {
          const shown: Plain = yield* Inspection.snapshot(repository, one, { maxItems: odd, maxBytes: odd })
          assert.isUndefined(shown["left_out"])
        }
      })
    )
  )

  it.effect("refuses what is no file of a repository, and says what is damaged or missing", () =>
    filled(({ one, repository, two, world }) =>
      Effect.gen(function* () {
        const refuse = (key: string, ...says: ReadonlyArray<string>) =>
          Effect.map(Effect.flip(Inspection.file(repository, key)), (error) => {
            assert.strictEqual(error._tag, "NotInspectable", key)
            for (const part of [key, ...says]) assert.include(error.message, part)
          })
        yield* refuse("refs/branch.main/ref.json", "`snapshots/…`")
        yield* refuse("", "`repo`")
        yield* refuse("snapshots", "`snapshots/…`")
        yield* refuse("snapshots/", "`snapshots/…`")
        yield* refuse("constructor/x", "`snapshots/…`")
        yield* refuse(`snapshots/${one}/x`)
        yield* refuse("snapshots/nonsense", "not an id")
        yield* refuse("manifests/../repo")
        yield* refuse("manifests/..", "not an id")
        yield* refuse("transactions/nonsense", "not an id")
        yield* refuse("chunks/nonsense", "not an id")
        yield* refuse("overwritten/config.1.A", "`repo.`")

        const missing = yield* Effect.flip(Inspection.snapshot(repository, "00000000000000000000"))
        assert.strictEqual(missing._tag, "ObjectStoreError")
        assert.include(missing.message, "snapshots/00000000000000000000")
        // Another kind of file in the place of this one, a file that is cut, and one that is none.
        const { bytes } = yield* world.store.get(`transactions/${one}`)
        yield* world.store.put(`snapshots/${two}`, bytes)
        yield* world.store.put(`transactions/${two}`, bytes.subarray(0, bytes.length - 5))
        yield* world.store.put("config.json", text("{"))
        for (const key of [`snapshots/${two}`, `transactions/${two}`, "config.json"]) {
          const error = yield* Effect.flip(Inspection.file(repository, key))
          assert.strictEqual(error._tag, "FormatError")
          assert.include(error.message, key)
        }
      })
    )
  )

  it("writes times as Icechunk does", () => {
    assert.strictEqual(Shown.time(0), "1970-01-01T00:00:00Z")
    assert.strictEqual(Shown.time(1_700_000_000_123_000), "2023-11-14T22:13:20.123Z")
    assert.strictEqual(Shown.time(1_700_000_000_000_045), "2023-11-14T22:13:20.000045Z")
  })
})
