/**
 * Objects in memory, by platform.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as MemoryObjectStore from "../store/MemoryObjectStore.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import * as Location from "../values/Location.ts"
import * as Container from "../values/VirtualChunkContainer.ts"

/**
 * A store for each platform that locations name, with the objects. Fails with `InvalidLocation` when one is not a location.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  objects: Readonly<Record<string, Uint8Array>>
): Effect.fn.Return<ReadonlyMap<Container.PlatformName, ObjectStoreShape>, Location.InvalidLocation> {
  const stores = new Map<string, ObjectStoreShape>()
  for (const [text, bytes] of Object.entries(objects)) {
    const location = yield* Effect.fromResult(Location.parse(text))
    const problem = Location.objectProblem(location)
    if (location._tag === "Relative" || problem !== undefined) {
      const why = problem ?? "it is relative to a container"
      return yield* new Location.InvalidLocation({ location: text, problem: why })
    }
    const platform = Container.platformOf(location.protocol)
    const store = stores.get(platform) ?? (yield* MemoryObjectStore.make({ description: `memory, as ${platform}` }))
    stores.set(platform, store)
    // A new store in memory is writable and refuses no key that a location can have.
    yield* Effect.orDie(store.put(location.path, bytes))
  }
  return stores
})
