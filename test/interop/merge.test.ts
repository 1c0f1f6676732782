/**
 * Repositories that were merged, as the official engine reads them: every version, byte for byte. Both engines have written
 * to both sides.
 */
import { BranchMerge, MemoryObjectStore, type ObjectStore, Platform, type WritableSession } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fork from "../../packages/tigris/src/Fork.ts"
import * as TigrisBuckets from "../../packages/tigris/src/TigrisBuckets.ts"
import * as TestTigris from "../../packages/tigris/test/support/TestTigris.ts"
import * as Interop from "../support/InteropSuite.ts"
import { assertSame, bytes, inRepository, placeOn, readOurs, readTheirs } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const arrayJson = (attributes = {}) => Interop.arrayJson([16], attributes)

type Store = ObjectStore.ObjectStoreShape

/** Two places, the second of which becomes a copy of the first, and how each is merged into the other. */
interface Sides {
  readonly home: Store
  readonly fork: Effect.Effect<Store, unknown>
  readonly merge: (options?: BranchMerge.MergeOptions) => Effect.Effect<BranchMerge.Merged, unknown>
  readonly refresh: (options?: BranchMerge.MergeOptions) => Effect.Effect<BranchMerge.Merged, unknown>
}

const ours = (
  store: Store,
  message: string,
  work: (session: WritableSession.WritableSession) => Effect.Effect<unknown, unknown>
) =>
  inRepository(placeOn(store))((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.writableSession("main")
      yield* work(session)
      return yield* session.commit(message)
    })
  )

const engineOn = (store: Store) => Effect.promise(async () => Engine.Repository.open(await placeOn(store).storage()))

const theirs = (store: Store, message: string, entries: Readonly<Record<string, Uint8Array>>) =>
  Effect.flatMap(engineOn(store), (repository) =>
    Effect.promise(async () => {
      const session = await repository.writableSession("main")
      for (const [key, value] of Object.entries(entries)) await session.store.set(key, Buffer.from(value))
      return session.commit(message)
    })
  )

type Contents = ReadonlyMap<string, Buffer | undefined>

/** What the engine reads of each version of `main`, the first one first; ours reads the same. */
const versions = Effect.fnUntraced(function* (store: Store) {
  const engine = yield* engineOn(store)
  const ancestry = yield* Effect.promise(() => engine.ancestry({ branch: "main" }))
  const all = new Map<string, { readonly before: string | undefined; readonly contents: Contents }>()
  let before: string | undefined
  for (const { id } of ancestry.toReversed()) {
    const contents = yield* Effect.promise(() => readTheirs(engine, { snapshotId: id }))
    const read = yield* inRepository(placeOn(store))((repository) => readOurs(repository, { snapshotId: id }))
    assertSame(read, contents as ReadonlyMap<string, Buffer>, id)
    all.set(id, { before, contents })
    before = id
  }
  return all
})

/** The contents of a version with what a commit of the other side did. */
const withChange = (onto: Contents, from: Contents, to: Contents, but: ReadonlySet<string>): Map<string, Buffer> => {
  const changed = new Map(onto as ReadonlyMap<string, Buffer>)
  for (const key of new Set([...from.keys(), ...to.keys()])) {
    const [was, now] = [from.get(key), to.get(key)]
    if (but.has(key) || (was !== undefined && now !== undefined && was.equals(now))) continue
    if (now === undefined) changed.delete(key)
    else changed.set(key, now)
  }
  return changed
}

/** As if the group had not been moved, which it is as a whole. */
const unmoved = (contents: Contents): Contents => {
  const at = ["g/", "moved/"].filter((prefix) => [...contents.keys()].some((key) => key.startsWith(prefix)))
  assert.isBelow(at.length, 2)
  return new Map([...contents].map(([key, value]) => [key.replace(/^moved\//, "g/"), value]))
}

/** Every commit that came in does, on top of what is there, what it did on the other side. */
const assertMerged = Effect.fnUntraced(function* (
  into: Store,
  other: Store,
  { commits }: BranchMerge.Merged,
  lost: ReadonlySet<string> = new Set()
) {
  const [here, there] = [yield* versions(into), yield* versions(other)]
  for (const { from, to } of commits) {
    const [mine, their] = [here.get(to)!, there.get(from)!]
    const [onto, was, is] = [here.get(mine.before!)!, there.get(their.before!)!, their].map(({ contents }) =>
      unmoved(contents)
    )
    assertSame(unmoved(mine.contents), withChange(onto!, was!, is!, lost), `${from} as ${to}`)
  }
  return { here, there }
})

const begun = Effect.fnUntraced(function* (sides: Sides) {
  const { home } = sides
  yield* ours(home, "begin", (session) =>
    Effect.gen(function* () {
      yield* session.createGroup("/g")
      for (const path of ["/a", "/g/b"]) yield* session.setMetadata(path, arrayJson())
      for (let i = 0; i < 4; i++) yield* session.setChunk("/a", [i], bytes(i % 2 === 0 ? 700 : 9, i))
      yield* session.setChunk("/g/b", [0], bytes(700, 10))
    })
  )
  yield* theirs(home, "begin, theirs", { "a/c/4": bytes(900, 4) })
  const fork = yield* sides.fork
  yield* ours(fork, "chunks", (session) =>
    Effect.gen(function* () {
      yield* session.setChunk("/a", [5], bytes(700, 5))
      yield* session.setChunk("/a", [6], bytes(9, 6))
      yield* session.deleteChunk("/a", [0])
    })
  )
  yield* theirs(fork, "nodes", { "n/zarr.json": arrayJson({ by: "the engine" }), "n/c/1": bytes(900, 20) })
  yield* ours(fork, "a move", (session) => session.move("/g", "/moved"))
  yield* theirs(fork, "attributes", { "a/zarr.json": arrayJson({ title: "a" }), "a/c/9": bytes(900, 9) })
  return fork
})

const suite = (name: string, make: Effect.Effect<Sides, unknown, Scope.Scope>): void => {
  describe(`a repository ${name}`, () => {
    it.live("whose commits went in as they are is what the fork is, in each version", () =>
      Effect.gen(function* () {
        const sides = yield* make
        const fork = yield* begun(sides)
        const merged = yield* sides.merge()
        assert.isTrue(merged.isFastForward)
        assert.deepStrictEqual(yield* versions(sides.home), yield* versions(fork))
        yield* theirs(sides.home, "and on", { "n/c/2": bytes(700, 21) })
        assert.deepStrictEqual((yield* versions(sides.home)).size, 8)
      })
    )

    it.live("that moved on has each commit on top, and both sides are the same after a refresh", () =>
      Effect.gen(function* () {
        const sides = yield* make
        const { home } = sides
        const fork = yield* begun(sides)
        yield* theirs(home, "theirs", { "a/c/10": bytes(900, 30), "t/zarr.json": arrayJson() })
        yield* ours(home, "ours", (session) => session.setChunk("/g/b", [3], bytes(700, 31)))
        const merged = yield* sides.merge()
        assert.lengthOf(merged.commits, 4)
        yield* assertMerged(home, fork, merged)
        yield* theirs(home, "and on", { "moved/b/c/5": bytes(700, 32) })
        const refreshed = yield* sides.refresh()
        assert.lengthOf(refreshed.commits, 3)
        const { here, there } = yield* assertMerged(fork, home, refreshed)
        assertSame([...here.values()].at(-1)!.contents, [...there.values()].at(-1)!.contents as never, "both")
      })
    )

    it.live("with conflicts has what was decided, both ways", () =>
      Effect.gen(function* () {
        for (const winner of ["ours", "theirs"] as const) {
          const sides = yield* make
          const { home } = sides
          const fork = yield* begun(sides)
          yield* theirs(home, "theirs", { "a/c/5": bytes(900, 40), "a/c/0": bytes(900, 41) })
          yield* ours(home, "ours", (session) => session.setMetadata("/a", arrayJson({ title: "home" })))
          const before = yield* versions(home)
          const error = yield* Effect.flip(sides.merge())
          assert.strictEqual((error as { readonly _tag?: string })._tag, "RebaseConflict")
          assert.deepStrictEqual(yield* versions(home), before)
          const solver = { ChunkDoubleUpdate: winner, ZarrMetadataDoubleUpdate: winner }
          const merged = yield* sides.merge({ rebase: solver })
          const disputed = new Set(["a/c/0", "a/c/5", "a/zarr.json"])
          const { here } = yield* assertMerged(home, fork, merged, winner === "theirs" ? disputed : new Set())
          const tip = [...here.values()].at(-1)!.contents
          const expected = winner === "ours" ? [undefined, bytes(700, 5)] : [bytes(900, 41), bytes(900, 40)]
          assert.deepStrictEqual(
            ["a/c/0", "a/c/5"].map((key) => tip.get(key)),
            expected.map((value) => (value === undefined ? undefined : Buffer.from(value)))
          )
          const { attributes } = JSON.parse(String(tip.get("a/zarr.json")))
          assert.strictEqual(attributes.title, winner === "ours" ? "a" : "home")
          // The way back: what the source has is "ours" there.
          const refreshed = yield* sides.refresh({
            rebase: {
              ChunkDoubleUpdate: winner === "ours" ? "theirs" : "ours",
              ZarrMetadataDoubleUpdate: winner === "ours" ? "theirs" : "ours"
            }
          })
          assert.lengthOf(refreshed.commits, 2)
          const forked = [...(yield* versions(fork)).values()].at(-1)!.contents
          assertSame(forked, tip as never, `the fork, ${winner}`)
          yield* theirs(home, "and on", { "a/c/0": bytes(700, 50) })
          yield* versions(home)
        }
      })
    )
  })
}

suite(
  "that is merged with a copy of it",
  Effect.gen(function* () {
    const [home, copy] = [yield* MemoryObjectStore.make(), yield* MemoryObjectStore.make()]
    const merge = (into: Store, from: Store, options?: BranchMerge.MergeOptions) =>
      inRepository(placeOn(into))((repository) =>
        inRepository(placeOn(from))((other) => BranchMerge.merge(repository, other, options))
      )
    return {
      home,
      fork: Effect.gen(function* () {
        for (const { key } of yield* Stream.runCollect(home.list(""))) {
          const { bytes, meta } = yield* home.get(key)
          yield* copy.put(key, bytes, { metadata: meta.metadata })
        }
        return copy
      }),
      merge: (options) => merge(home, copy, options),
      refresh: (options) => merge(copy, home, options)
    }
  })
)

suite(
  "in a bucket of Tigris that is merged with a fork",
  Effect.gen(function* () {
    const { buckets } = yield* TestTigris.open({ buckets: { home: { snapshots: true } } })
    const prefix = "repository"
    const services = Layer.mergeAll(
      Layer.succeed(TigrisBuckets.TigrisBuckets, buckets),
      Platform.layerNone,
      NodeZstd.layer
    )
    return {
      home: yield* buckets.store("home", { prefix }),
      fork: Effect.andThen(buckets.fork("home", "alice"), Effect.scoped(buckets.store("alice", { prefix }))),
      merge: (options) => Effect.provide(Fork.merge("alice", { prefix, ...options }), services),
      refresh: (options) => Effect.provide(Fork.refresh("alice", { prefix, ...options }), services)
    }
  })
)
