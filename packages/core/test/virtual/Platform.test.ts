/** Programs whose virtual chunks are in clouds, tested without one. The example of the README is the first test. */
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { ObjectStore } from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const bytes = Uint8Array.of(1, 2, 3, 4)
const grid = Uint8Array.of(5, 6, 7, 8)

/** Four bytes of each location, through a repository in memory. */
const program = (locations: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const repository = yield* Repository.create()
    const session = yield* repository.writableSession("main")
    yield* session.createArray("/a", {
      shape: [4 * locations.length],
      chunkShape: [4],
      dataType: "uint8",
      fillValue: 0
    })
    return yield* Effect.forEach(locations, (location, i) =>
      Effect.andThen(
        session.setVirtualRef("/a", [i], { location, offset: 0, length: 4 }, { capture: true }),
        session.chunk("/a", [i])
      )
    )
  }).pipe(Effect.scoped)

const on = <E>(platforms: Layer.Layer<Platform.Platforms, E>) =>
  Layer.mergeAll(MemoryObjectStore.layer(), platforms, NodeZstd.layer)

describe("Platform.layerMemory", () => {
  it.effect("is the clouds of a program in one line: several platforms and buckets", () =>
    Effect.gen(function* () {
      const clouds = Platform.layerMemory({
        "s3://model-output/run-1.nc": bytes,
        "s3://another/run-1.nc": grid,
        "gs://reference/grid.nc": grid,
        "file:///data/a.nc": bytes
      })
      const read = program([
        "s3://model-output/run-1.nc",
        "s3://another/run-1.nc",
        "gs://reference/grid.nc",
        "file:///data/a.nc"
      ])
      assert.deepStrictEqual(yield* Effect.provide(read, on(clouds)), [bytes, grid, grid, bytes])
    })
  )

  it.effect("has what was put there, and nothing else", () =>
    Effect.gen(function* () {
      const clouds = on(Platform.layerMemory({ "s3://bucket/a": bytes }))
      const error = yield* Effect.flip(Effect.provide(program(["s3://bucket/b"]), clouds))
      assert.strictEqual(error._tag, "VirtualObjectNotFound")
      const other = yield* Effect.flip(Effect.provide(program(["gs://bucket/b"]), clouds))
      assert.strictEqual(other._tag, "MissingPlatform")
    })
  )

  it.effect("refuses what is not a location", () =>
    Effect.gen(function* () {
      for (const location of ["bucket/a", "vcc://name/a", "s3://bucket", "s3://bucket/"]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(Platform.layerMemory({ [location]: bytes }))))
        assert.strictEqual(error._tag, "InvalidLocation")
      }
    })
  )
})

describe("Platform.fromLayer", () => {
  it.effect("reads from the store of a Layer, by bucket and key", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* store.put("bucket/a//b", bytes)
      const platforms = Platform.layer([Platform.fromLayer("s3", Layer.succeed(ObjectStore, store))])
      assert.deepStrictEqual(yield* Effect.provide(program(["s3://bucket/a//b"]), on(platforms)), [bytes])
    })
  )
})

describe("MissingPlatform", () => {
  it("asks whether a name that differs by case was meant", () => {
    const error = new Platform.MissingPlatform({ container: "model", platform: "S3", known: ["gcs", "s3"] })
    assert.include(error.message, "Did you mean `s3`?")
  })
})
