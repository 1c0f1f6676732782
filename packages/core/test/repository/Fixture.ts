/**
 * Repositories in memory, with a platform whose objects a test controls.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Zstd from "../../src/format/Zstd.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as MemoryObjectStore from "../../src/store/MemoryObjectStore.ts"
import * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as Platform from "../../src/virtual/Platform.ts"

/** One store for all buckets: the key is bucket and key. */
export const platform = (name: string, objects: ObjectStore.ObjectStoreShape): Platform.Platform => ({
  name,
  defaultRegion: undefined,
  hasBuckets: true,
  sharesCredentials: true,
  open: ({ bucket }) => Effect.succeed(ObjectStore.prefixed(objects, bucket))
})

export interface World {
  /** The repository's store. */
  readonly store: ObjectStore.ObjectStoreShape
  /** What the containers read from; keys start with the bucket. */
  readonly objects: ObjectStore.ObjectStoreShape
}

export const world: Effect.Effect<World> = Effect.gen(function* () {
  const objects = yield* MemoryObjectStore.make({ description: "memory://objects" })
  const store = yield* MemoryObjectStore.make({ description: "memory://repository" })
  return { store, objects }
})

/** Runs an effect with the stores of a world, each time as a new program would. */
export const inWorld =
  ({ objects, store }: World) =>
  <A, E>(
    effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope>
  ): Effect.Effect<A, E> =>
    Effect.scoped(effect).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.succeed(ObjectStore.ObjectStore, store),
          Platform.layer([Effect.succeed(platform("s3", objects))]),
          NodeZstd.layer
        )
      )
    )

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Bytes that tell where they come from. */
export const pattern = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17) % 251)
