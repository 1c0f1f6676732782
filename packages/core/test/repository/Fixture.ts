/**
 * Repositories in a store, with a platform whose objects a test controls.
 */
import type * as Zstd from "@effect-icechunk/core/Zstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

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

/** Two new places in the store of the context, emptied afterwards. */
export const world: Effect.Effect<World, never, ObjectStore.ObjectStore | Scope.Scope> = Effect.gen(function* () {
  const store = yield* ObjectStore.ObjectStore
  const prefix = `repository-${globalThis.crypto.randomUUID()}`
  yield* Effect.addFinalizer(() =>
    Stream.runCollect(store.list(`${prefix}/`)).pipe(
      Effect.flatMap((left) => store.delete(left.map(({ key }) => key))),
      Effect.ignore
    )
  )
  return {
    store: ObjectStore.prefixed(store, `${prefix}/repository`),
    objects: ObjectStore.prefixed(store, `${prefix}/objects`)
  }
})

/** A new place in memory. */
export const worldInMemory: Effect.Effect<World, never, Scope.Scope> = Effect.provide(world, MemoryObjectStore.layer())

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
