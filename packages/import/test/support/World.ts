/** A repository in memory, and the objects that its refs point to: `s3://bucket/key` is the object `bucket/key`. */
import type { ObjectStore, Zstd } from "@effect-icechunk/core"
import { MemoryObjectStore, Platform, Repository, type WritableSession, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as zarr from "zarrita"
import * as CountingStore from "./CountingStore.ts"

export interface World {
  readonly objects: ObjectStore.ObjectStoreShape
  readonly repository: Repository.RepositoryShape
  readonly session: WritableSession.WritableSession
  /** An object as a file to import, and what is asked of it. */
  readonly put: (
    key: string,
    content: Uint8Array
  ) => Effect.Effect<{ readonly file: SourceFile.SourceFile; readonly count: CountingStore.Count }>
}

export const make: Effect.Effect<World, never, Scope.Scope> = Effect.gen(function* () {
  const objects = yield* MemoryObjectStore.make()
  const services: Layer.Layer<ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd> = Layer.mergeAll(
    MemoryObjectStore.layer(),
    Platform.layer([Effect.succeed(Platform.fromStore("s3", objects))]),
    NodeZstd.layer
  )
  const context = yield* Layer.build(services)
  const repository = yield* Effect.orDie(Effect.provide(Repository.create(), context))
  return {
    objects,
    repository,
    session: yield* Effect.orDie(repository.writableSession("main")),
    put: (key, content) =>
      Effect.gen(function* () {
        yield* Effect.orDie(objects.put(`bucket/${key}`, content))
        const { count, store } = CountingStore.make(objects)
        return { count, file: SourceFile.make(store, `bucket/${key}`, `s3://bucket/${key}`) }
      })
  }
})

/** The values of an array of a session, as zarrita reads them. */
export const read = (session: Parameters<typeof ZarritaStore.fromSession>[0], path: string) =>
  Effect.gen(function* () {
    const store = yield* ZarritaStore.make(session)
    return yield* Effect.promise(async () => {
      const array = await zarr.open.v3(zarr.root(store).resolve(path), { kind: "array" })
      const { attrs: attributes, dtype: dataType, shape } = array
      // zarrita's `get` takes arrays with elements along some dimension.
      const { data } =
        shape.length === 0
          ? await array.getChunk([])
          : shape.includes(0)
            ? { data: new Uint8Array(0) }
            : await zarr.get(array)
      return { data, shape, attributes, dataType }
    })
  })
