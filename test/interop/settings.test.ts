/**
 * Every setting of Icechunk's configuration goes through both engines: written by one, saved again by the other.
 */
import * as Repository from "@effect-icechunk/core/Repository"
import type { RepositoryConfig } from "@effect-icechunk/core/RepositoryConfig"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import type { JsonObject } from "../../packages/core/src/values/Json.ts"
import * as Interop from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

/** All that Icechunk 2.2 knows, but for containers, none of it as it is by default. */
const all = {
  inline_chunk_threshold_bytes: 100,
  get_partial_values_concurrency: 7,
  compression: { algorithm: "zstd", level: 5 },
  max_concurrent_requests: 33,
  caching: {
    num_snapshot_nodes: 1,
    num_chunk_refs: 2,
    num_transaction_changes: 3,
    num_bytes_attributes: 4,
    num_bytes_chunks: 5
  },
  storage: {
    concurrency: { max_concurrent_requests_for_object: 3, ideal_concurrent_request_size: 1_000_000 },
    retries: { max_tries: 4, initial_backoff_ms: 5, max_backoff_ms: 6 },
    timeouts: {
      connect_timeout_ms: 10_001,
      read_timeout_ms: 10_002,
      operation_timeout_ms: 10_003,
      operation_attempt_timeout_ms: 10_004
    },
    unsafe_use_conditional_update: true,
    unsafe_use_conditional_create: true,
    unsafe_use_metadata: true,
    storage_class: "A",
    metadata_storage_class: "B",
    chunks_storage_class: "C",
    minimum_size_for_multipart_upload: 12_345_678
  },
  manifest: {
    preload: {
      max_total_refs: 11,
      max_arrays_to_scan: 12,
      preload_if: {
        and: [
          "true",
          { or: [{ path_matches: { regex: "^/a" } }, { name_matches: { regex: "b$" } }, "false"] },
          { num_refs: { from: { Included: 1 }, to: { Excluded: 9 } } },
          { num_refs: { from: "Unbounded", to: { Included: 9 } } }
        ]
      }
    },
    splitting: {
      split_sizes: [
        [
          { or: [{ path_matches: { regex: "^/a" } }, { and: [{ name_matches: { regex: "b" } }, "any_array"] }] },
          [
            { condition: { DimensionName: "time" }, num_chunks: 10 },
            { condition: { Axis: 1 }, num_chunks: 20 },
            { condition: "Any", num_chunks: 30 }
          ]
        ]
      ]
    },
    virtual_chunk_location_compression: {
      min_num_chunks: 21,
      dictionary_max_training_samples: 22,
      dictionary_max_size_bytes: 2300,
      compression_level: 4
    },
    max_concurrent_manifest_fetches_during_commit: 3
  },
  repo_update_retries: { default: { max_tries: 41, initial_backoff_ms: 42, max_backoff_ms: 43 } },
  num_updates_per_repo_info_file: 501
} satisfies RepositoryConfig

/** The configuration in the repository object. */
const carried = (store: ObjectStore.ObjectStoreShape) =>
  Effect.gen(function* () {
    const { bytes } = yield* store.get("repo")
    const { payload } = yield* IcechunkFile.decode("repo", bytes, "RepoInfo")
    const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
    return (yield* Effect.fromResult(Flexbuffer.decode("repo", "config", info.config!))) as JsonObject
  })

/** Names of all settings, as `storage.retries.max_tries`. */
const names = (value: unknown, path = ""): ReadonlyArray<string> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, inner]) => names(inner, path === "" ? name : `${path}.${name}`))
    : [path]

describe("every setting", () => {
  it.live("that we set is there after the official engine has saved the configuration, and the other way round", () =>
    Effect.gen(function* () {
      expect(names(all)).toHaveLength(39)
      const store = yield* MemoryObjectStore.make()
      const place = Interop.placeOn(store)
      yield* Effect.scoped(Repository.create({ persist: all })).pipe(Effect.provide(place.services))
      expect(yield* Effect.provide(carried(store), place.services)).toMatchObject(all)
      // The engine reads all of it, changes one setting, and writes the rest again.
      yield* Effect.promise(async () => {
        const engine = await Engine.Repository.open(await place.storage(), { getPartialValuesConcurrency: 8 })
        await engine.saveConfig()
      })
      const theirs = { ...all, get_partial_values_concurrency: 8 }
      expect(yield* Effect.provide(carried(store), place.services)).toMatchObject(theirs)
      // We read what it wrote, change another, and write the rest again.
      yield* Effect.gen(function* () {
        const repository = yield* Repository.open()
        yield* repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 101 }))
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/g")
        yield* session.commit("group")
      }).pipe(Effect.scoped, Effect.provide(place.services))
      const ours = { ...theirs, inline_chunk_threshold_bytes: 101 }
      expect(yield* Effect.provide(carried(store), place.services)).toMatchObject(ours)
      const engine = yield* Effect.promise(async () => Engine.Repository.open(await place.storage()))
      expect(engine.config).toMatchObject({
        inlineChunkThresholdBytes: 101,
        getPartialValuesConcurrency: 8,
        maxConcurrentRequests: 33,
        storage: { retries: { maxTries: 4 }, storageClass: "A", minimumSizeForMultipartUpload: 12_345_678 }
      })
    })
  )

  it.live("that the official engine sets is ours, also where it has made the repository", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const place = Interop.placeOn(store)
      yield* Effect.promise(async () => {
        const engine = await Engine.Repository.create(await place.storage(), {
          inlineChunkThresholdBytes: 100,
          maxConcurrentDecodes: 9,
          caching: { numSnapshotNodes: 1, numChunkRefs: 2 },
          storage: { timeouts: { readTimeoutMs: 10_002 }, chunksStorageClass: "C" },
          manifest: all.manifest
        })
        await engine.saveConfig()
      })
      const before = yield* Effect.provide(carried(store), place.services)
      const effective = yield* Effect.gen(function* () {
        const repository = yield* Repository.open()
        const known = yield* repository.config.effective
        yield* repository.config.update((config) => ({ ...config, num_updates_per_repo_info_file: 777 }))
        return known
      }).pipe(Effect.scoped, Effect.provide(place.services))
      expect(effective).toMatchObject({
        inline_chunk_threshold_bytes: 100,
        caching: { num_snapshot_nodes: 1, num_chunk_refs: 2 },
        storage: { timeouts: { read_timeout_ms: 10_002 }, chunks_storage_class: "C" },
        manifest: all.manifest
      })
      // What we do not know is kept.
      const after = yield* Effect.provide(carried(store), place.services)
      expect(after).toEqual({ ...before, num_updates_per_repo_info_file: 777 })
    })
  )
})
