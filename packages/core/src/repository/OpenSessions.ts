/**
 * The sessions of this process that may have written files which nothing refers to yet: a garbage collection must not take
 * those for garbage.
 *
 * @since 0.1.0
 */
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type { SnapshotId } from "../values/ObjectId.ts"

interface Entry {
  readonly store: WeakRef<ObjectStoreShape>
  readonly branch: string
  /** What the user holds: a session that nobody can reach any more commits nothing. */
  session: WeakRef<object> | undefined
  /** In milliseconds since 1970, `undefined` while there is nothing to commit. */
  since: number | undefined
  /** The snapshot that the session is on. */
  base: SnapshotId
  /** Whether something was done to it since it was last committed; a new one is about to be used. */
  isInUse: boolean
}

const entries = new Set<Entry>()

/** How many entries there were when those of forgotten sessions were last removed. */
let swept = 64

const isForgotten = ({ session, store }: Entry): boolean =>
  store.deref() === undefined || (session !== undefined && session.deref() === undefined)

const sweep = (): void => {
  for (const entry of entries) if (isForgotten(entry)) entries.delete(entry)
  swept = Math.max(64, 2 * entries.size)
}

/**
 * An open session, for itself to say what becomes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenSession {
  /** Names what the user holds. */
  readonly is: (session: object) => void
  /** Files are written from a time on that are not committed. */
  readonly changed: (since: number) => void
  /** Something is done that may be committed. */
  readonly used: () => void
  /** Everything is committed or discarded. */
  readonly settled: () => void
  /** The session goes on from a snapshot. */
  readonly on: (base: SnapshotId) => void
  /** Branches of other sessions that are in use on the same snapshot. */
  readonly others: () => ReadonlyArray<string>
}

/**
 * Notes a session that is opened.
 *
 * @category constructors
 * @since 0.1.0
 */
export const register = (store: ObjectStoreShape, branch: string, base: SnapshotId, now: number): OpenSession => {
  if (entries.size >= swept) sweep()
  const entry: Entry = { store: new WeakRef(store), branch, session: undefined, since: now, base, isInUse: true }
  entries.add(entry)
  return {
    is: (session) => {
      entry.session = new WeakRef(session)
    },
    changed: (since) => {
      entry.since = Math.min(entry.since ?? since, since)
    },
    used: () => {
      entry.isInUse = true
    },
    settled: () => {
      entry.since = undefined
      entry.isInUse = false
    },
    on: (base) => {
      entry.base = base
    },
    others: () => {
      sweep()
      return [...entries]
        .filter((other) => other !== entry && other.isInUse && other.base === entry.base)
        .filter((other) => {
          const there = other.store.deref()
          return there !== undefined && isSameStore(there, store)
        })
        .map(({ branch }) => branch)
    }
  }
}

/**
 * Whether two stores are the same place. Those in memory have no name of their own.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSameStore = (a: ObjectStoreShape, b: ObjectStoreShape): boolean =>
  a === b ||
  (a.origin.platform !== "memory" &&
    a.description === b.description &&
    a.origin.platform === b.origin.platform &&
    a.origin.endpoint === b.origin.endpoint)

/**
 * The sessions on a store that have something to commit or may get something, and since when, in milliseconds since 1970.
 *
 * @category accessors
 * @since 0.1.0
 */
export const on = (store: ObjectStoreShape): ReadonlyArray<{ readonly branch: string; readonly since: number }> => {
  sweep()
  const found: Array<{ readonly branch: string; readonly since: number }> = []
  for (const { branch, since, store: held } of entries) {
    const other = held.deref()
    if (since !== undefined && other !== undefined && isSameStore(other, store)) found.push({ branch, since })
  }
  return found
}
