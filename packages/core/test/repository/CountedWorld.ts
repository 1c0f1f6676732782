/**
 * A repository of small chunks over stores that count what is asked of them, and hold it back when a test wants it.
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as Session from "@effect-icechunk/core/Session"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { inWorld, pattern, type World, worldInMemory } from "./Fixture.ts"

export const object = pattern(100_000, 3)

export const credentials = { data: Credentials.anonymous }

/** What is under way in a store, and what was asked for. */
export interface Counts {
  underWay: number
  most: number
  bytes: number
  mostBytes: number
  readonly asked: Array<number>
  /** Gets of chunks wait for it, if there is one. */
  hold: Deferred.Deferred<void> | undefined
}

const counting = (store: ObjectStore.ObjectStoreShape): readonly [ObjectStore.ObjectStoreShape, Counts] => {
  const counts: Counts = { underWay: 0, most: 0, bytes: 0, mostBytes: 0, asked: [], hold: undefined }
  const counted: ObjectStore.ObjectStoreShape = {
    ...store,
    isLocal: undefined,
    get: (key, options) =>
      options?.range?._tag !== "Bounded"
        ? store.get(key, options)
        : Effect.suspend(() => {
            const { length } = options.range as { readonly length: number }
            counts.asked.push(length)
            counts.most = Math.max(counts.most, ++counts.underWay)
            counts.mostBytes = Math.max(counts.mostBytes, (counts.bytes += length))
            return Effect.ensuring(
              Effect.andThen(
                counts.hold === undefined ? Effect.yieldNow : Deferred.await(counts.hold),
                store.get(key, options)
              ),
              Effect.sync(() => {
                counts.underWay--
                counts.bytes -= length
              })
            )
          })
  }
  return [counted, counts]
}

export interface Counted extends World {
  readonly native: Counts
  readonly virtual: Counts
}

export const countedWorld = Effect.map(worldInMemory, ({ objects, store }): Counted => {
  const [countedStore, native] = counting(store)
  const [countedObjects, virtual] = counting(objects)
  return { store: countedStore, objects: countedObjects, native, virtual }
})

/** A repository of 100 chunks of 1000 bytes each: 0 to 49 virtual, 50 to 79 native, 80 to 89 inline, others missing. */
export const setUp = Effect.fnUntraced(function* (world: Counted) {
  yield* world.objects.put("bucket/a", object)
  yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create({
        persist: { virtual_chunk_containers: [{ name: "data", protocol: "s3", platform: "s3" }] }
      })
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/array", { shape: [100], chunkShape: [1], dataType: "uint8", fillValue: 0 })
      yield* session.setVirtualRefs("/array", {
        indices: Uint32Array.from({ length: 50 }, (_, i) => i),
        offsets: Array.from({ length: 50 }, (_, i) => i * 1000),
        lengths: Array.from({ length: 50 }, () => 1000),
        locations: "s3://bucket/a"
      })
      for (let i = 50; i < 80; i++) yield* session.setChunk("/array", [i], pattern(1000, i))
      for (let i = 80; i < 90; i++) yield* session.setChunk("/array", [i], pattern(100, i))
      yield* session.commit("chunks")
    })
  )
})

export const expected = (i: number): Uint8Array | undefined =>
  i < 50 ? object.slice(i * 1000, i * 1000 + 1000) : i < 80 ? pattern(1000, i) : i < 90 ? pattern(100, i) : undefined

export const inSession = <A, E>(
  world: Counted,
  use: (session: Session.Session) => Effect.Effect<A, E>,
  options?: Repository.OpenOptions
) =>
  Effect.andThen(
    setUp(world),
    inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* Repository.open({ credentials, ...options })
        const session = yield* repository.readonlySession({ branch: "main" })
        yield* session.chunk("/array", [99])
        return yield* use(session)
      })
    )
  )
