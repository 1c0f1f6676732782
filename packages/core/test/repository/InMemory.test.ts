import * as Repository from "@effect-icechunk/core/Repository"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inWorld, world } from "./Fixture.ts"
import { array, suite } from "./RepositorySuite.ts"

suite("in memory", MemoryObjectStore.layer())

describe("a commit of more refs than a manifest can have", () => {
  it.effect("fails with ManifestTooLarge, says what to do, and works once the manifests are split", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      const rows = 2_200_000
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/v", array([rows], [1]))
          yield* session.setVirtualRefs("/v", {
            indices: Uint32Array.from({ length: rows }, (_, i) => i),
            offsets: new Float64Array(rows),
            lengths: new Float64Array(rows).fill(1),
            locations: `s3://bucket/${"x".repeat(1000)}`
          })
          const before = yield* repository.branches
          const error = yield* Effect.flip(session.commit("too many"))
          assert.strictEqual(error._tag, "ManifestTooLarge")
          assert.include(error.message, "manifest.splitting")
          assert.deepStrictEqual(yield* repository.branches, before)
          yield* repository.config.update((config) => ({
            ...config,
            manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: 1_000_000 }]]] } }
          }))
          yield* session.commit("three manifests")
          assert.strictEqual((yield* session.chunkRef("/v", [rows - 1]))?._tag, "Virtual")
        })
      )
    }).pipe(Effect.provide(MemoryObjectStore.layer()))
  )
})
