/** A store that counts what it is asked for. */
import type { ObjectStore } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"

export interface Count {
  requests: number
  bytes: number
  lists: number
  /** Of each get, from where to where. */
  readonly spans: Array<readonly [start: number, end: number]>
}

export const make = (
  store: ObjectStore.ObjectStoreShape
): { readonly store: ObjectStore.ObjectStoreShape; readonly count: Count } => {
  const count: Count = { requests: 0, bytes: 0, lists: 0, spans: [] }
  return {
    count,
    store: {
      ...store,
      head: (key) => {
        count.requests++
        return store.head(key)
      },
      list: (prefix) => {
        count.lists++
        return store.list(prefix)
      },
      get: (key, options) => {
        count.requests++
        return Effect.tap(store.get(key, options), ({ bytes, span }) =>
          Effect.sync(() => {
            count.bytes += bytes.length
            count.spans.push([span.start, span.end])
          })
        )
      }
    }
  }
}
