/** Bodies that were read as a whole because the server ignores ranges, to answer further ranges from. Bounded. */
import type { ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import type { Reason } from "@effect-icechunk/core/ObjectStoreError"
import type * as Deferred from "effect/Deferred"

export interface Kept {
  readonly bytes: Uint8Array
  readonly meta: ObjectMeta
}

export interface Whole {
  readonly get: (key: string) => Kept | undefined
  readonly keep: (key: string, kept: Kept) => void
  /** The bodies that are on their way, by key: who asks for one of them meanwhile waits for it. */
  readonly underWay: Map<string, Deferred.Deferred<Kept, Reason>>
}

/** Keeps at most so many bytes; those that were asked for last. */
export const make = (most: number): Whole => {
  const byKey = new Map<string, Kept>()
  let held = 0
  const remove = (key: string): void => {
    held -= byKey.get(key)?.bytes.length ?? 0
    byKey.delete(key)
  }
  return {
    get: (key) => {
      const kept = byKey.get(key)
      if (kept === undefined) return undefined
      byKey.delete(key)
      byKey.set(key, kept)
      return kept
    },
    keep: (key, kept) => {
      remove(key)
      byKey.set(key, kept)
      held += kept.bytes.length
      for (const oldest of byKey.keys()) {
        if (held <= most) break
        remove(oldest)
      }
    },
    underWay: new Map()
  }
}
