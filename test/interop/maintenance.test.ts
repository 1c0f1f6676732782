/**
 * Expiration, garbage collection and rewritten manifests, as the official engine sees what they leave: on repositories that
 * both engines have written. Its JavaScript builds expire and collect nothing themselves; what its own operations do is
 * compared in `packages/core/test/repository/upkeep`.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Maintenance, MemoryObjectStore, type ObjectStore, type Repository } from "@effect-icechunk/core"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { services } from "../support/FsServices.ts"
import * as Interop from "../support/InteropSuite.ts"
import { bytes, json, readOurs, zarrJson } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const root = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-maintenance-"))
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

const arrayJson = zarrJson({
  path: "/a",
  dataType: "uint8",
  itemSize: 1,
  fillValue: 0,
  shape: [20_000],
  chunkShape: [1000],
  written: []
})

/** What the engine reads of a version. */
const readTheirs = async (
  repository: Awaited<ReturnType<typeof Engine.Repository.open>>,
  version: { readonly branch?: string; readonly tag?: string; readonly snapshotId?: string }
) => {
  const { store } = await repository.readonlySession(version)
  const found = new Map<string, Buffer | string | undefined>()
  for (const key of (await store.list()).toSorted()) {
    // Chunks outside of the repository are not at hand.
    found.set(key, await store.get(key).then(Interop.buffer, () => "elsewhere"))
  }
  return found
}

const theirs = (place: Interop.Place) => Effect.promise(async () => Engine.Repository.open(await place.storage()))

const findings = (repository: Repository.RepositoryShape) =>
  Effect.map(Stream.runCollect(Maintenance.check(repository)), (all) =>
    all.filter(({ _tag }) => _tag !== "Ended").map(Maintenance.describe)
  )

/** Commits by both engines in turns: `main` with six, a branch that is deleted, a tag. */
const write = (place: Interop.Place) =>
  Effect.gen(function* () {
    const ids: Array<string> = []
    yield* Interop.inRepository(place)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/")
        yield* session.setMetadata("/a", json(arrayJson))
        for (let i = 0; i < 5; i++) yield* session.setChunk("/a", [i], bytes(1000, i))
        ids.push(yield* session.commit("ours"))
      })
    )
    for (let round = 1; round <= 4; round++) {
      if (round % 2 === 0) {
        yield* Interop.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* session.setChunk("/a", [round], bytes(1000, round * 10))
            ids.push(yield* session.commit(`ours ${round}`))
          })
        )
      } else {
        yield* Effect.promise(async () => {
          const repository = await Engine.Repository.open(await place.storage())
          const session = await repository.writableSession("main")
          await session.store.set(`a/c/${round}`, Buffer.from(bytes(1000, round * 10)))
          await session.store.set(`g${round}/zarr.json`, Buffer.from(json({ zarr_format: 3, node_type: "group" })))
          ids.push(await session.commit(`theirs ${round}`))
        })
      }
    }
    yield* Effect.promise(async () => {
      const repository = await Engine.Repository.open(await place.storage())
      await repository.createTag("kept", ids[1]!)
      await repository.createBranch("gone", ids[0]!)
      const session = await repository.writableSession("gone")
      await session.store.set("a/c/9", Buffer.from(bytes(1000, 99)))
      ids.push(await session.commit("garbage"))
      await repository.deleteBranch("gone")
    })
    return ids
  })

const suite = (name: string, makePlace: Effect.Effect<Interop.Place>): void => {
  describe(`after maintenance ${name}`, () => {
    const after = (maintain: (repository: Repository.RepositoryShape) => Effect.Effect<unknown, unknown>) =>
      Effect.gen(function* () {
        const place = yield* makePlace
        const ids = yield* write(place)
        const before = yield* theirs(place)
        const had = {
          main: yield* Effect.promise(() => readTheirs(before, { branch: "main" })),
          kept: yield* Effect.promise(() => readTheirs(before, { tag: "kept" })),
          diff: yield* Effect.promise(async () => {
            const first = (await before.ancestry({ branch: "main" })).at(-1)!.id
            return before.diff({ fromSnapshotId: first, toBranch: "main" })
          })
        }
        yield* Effect.sleep("50 millis")
        yield* Effect.orDie(Interop.inRepository(place)(maintain))
        const engine = yield* theirs(place)
        assert.deepStrictEqual(yield* Effect.promise(() => readTheirs(engine, { branch: "main" })), had.main)
        assert.deepStrictEqual(yield* Effect.promise(() => readTheirs(engine, { tag: "kept" })), had.kept)
        yield* Interop.inRepository(place)((repository) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* readOurs(repository), had.main)
            assert.deepStrictEqual(yield* readOurs(repository, { tag: "kept" }), had.kept)
          })
        )
        return { engine, ids, had, place }
      })

    const everything = { olderThan: "10 millis", minimumAge: 0 } as const

    it.live("by a collection it reads the same, and what was dropped is unknown to it", () =>
      Effect.gen(function* () {
        const { engine, had, ids } = yield* after((repository) => Maintenance.collectGarbage(repository, everything))
        const first = yield* Effect.promise(async () => (await engine.ancestry({ branch: "main" })).at(-1)!.id)
        assert.deepStrictEqual(
          yield* Effect.promise(() => engine.diff({ fromSnapshotId: first, toBranch: "main" })),
          had.diff
        )
        yield* Effect.promise(async () => {
          const error = await engine.createTag("late", ids.at(-1)!).then(
            () => undefined,
            (error: unknown) => error
          )
          assert.isDefined(error)
        })
      })
    )

    it.live("by an expiration its history is short, its difference is whole, and it commits and reads on", () =>
      Effect.gen(function* () {
        const { engine, had, ids, place } = yield* after((repository) =>
          Effect.andThen(
            Maintenance.expire(repository, { olderThan: "10 millis" }),
            Maintenance.collectGarbage(repository, everything)
          )
        )
        const ancestry = yield* Effect.promise(() => engine.ancestry({ branch: "main" }))
        assert.deepStrictEqual(
          ancestry.map(({ id }) => id),
          [ids[4]!, ancestry.at(-1)!.id]
        )
        // The logs of the expired commits are still there, and it reads them.
        assert.deepStrictEqual(
          yield* Effect.promise(() => engine.diff({ fromSnapshotId: ancestry.at(-1)!.id, toBranch: "main" })),
          had.diff
        )
        yield* Effect.promise(async () => {
          const session = await engine.writableSession("main")
          await session.store.set("a/c/7", Buffer.from(bytes(1000, 7)))
          await session.commit("on top")
        })
        yield* Interop.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            assert.deepStrictEqual(yield* session.chunk("/a", [7]), bytes(1000, 7))
            yield* Maintenance.expire(repository, { olderThan: 0 })
            const [tip] = yield* repository.history({ branch: "main" })
            assert.deepStrictEqual(tip?.prunedAncestorTxLogs as ReadonlyArray<string>, ids.slice(0, 5))
          })
        )
      })
    )

    it.live("by rewritten manifests it reads the same from more of them", () =>
      Effect.gen(function* () {
        const { engine } = yield* after((repository) =>
          Effect.andThen(
            repository.config.update((config) => ({
              ...config,
              manifest: {
                splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: 2 }]]] }
              }
            })),
            Maintenance.rewriteManifests(repository)
          )
        )
        const id = yield* Effect.promise(() => engine.lookupBranch("main"))
        assert.strictEqual((yield* Effect.promise(() => engine.lookupManifestFiles(id))).length, 3)
      })
    )

    it.live("by a cleaned `overwritten/` it opens, and commits", () =>
      Effect.gen(function* () {
        const { engine } = yield* after((repository) =>
          Maintenance.cleanOverwritten(repository, { ...everything, cutLog: true })
        )
        yield* Effect.promise(async () => {
          const session = await engine.writableSession("main")
          await session.store.set("a/c/7", Buffer.from(bytes(1000, 7)))
          await session.commit("on top")
        })
      })
    )
  })
}

suite("in memory", Effect.map(MemoryObjectStore.make(), Interop.placeOn))
suite(
  "in a directory",
  Effect.sync(() => {
    const directory = fs.mkdtempSync(path.join(root, "place-"))
    return { services: services(directory), storage: () => Engine.storage(directory) }
  })
)

/** A store that does something before the request of a number, counted from 1. */
const interrupted = (store: ObjectStore.ObjectStoreShape, at: number, meanwhile: Effect.Effect<unknown>) => {
  const state = { requests: 0 }
  const before = <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => (++state.requests === at ? Effect.andThen(meanwhile, request) : request))
  const wrapped: ObjectStore.ObjectStoreShape = {
    ...store,
    get: (key, options) => before(store.get(key, options)),
    put: (key, data, options) => before(store.put(key, data, options)),
    head: (key) => before(store.head(key)),
    list: (prefix) => Stream.unwrap(before(Effect.sync(() => store.list(prefix)))),
    delete: (keys) => before(store.delete(keys)),
    copy: (from, to, options) => before(store.copy(from, to, options))
  }
  return { state, store: wrapped }
}

describe("what the official engine does while we collect survives whole, before whichever of our requests it comes", () => {
  const others: Readonly<
    Record<string, (engine: Awaited<ReturnType<typeof Engine.Repository.open>>, garbage: string) => Promise<unknown>>
  > = {
    "a commit": async (engine) => {
      const session = await engine.writableSession("main")
      await session.store.set("a/c/11", Buffer.from(bytes(1000, 11)))
      return session.commit("meanwhile")
    },
    "a tag on what would be dropped": (engine, garbage) => engine.createTag("saved", garbage),
    "a branch on it, and a commit": async (engine, garbage) => {
      await engine.createBranch("saved", garbage)
      const session = await engine.writableSession("saved")
      await session.store.set("a/c/12", Buffer.from(bytes(1000, 12)))
      return session.commit("on it")
    }
  }
  for (const [name, other] of Object.entries(others)) {
    it.live(
      name,
      () =>
        Effect.gen(function* () {
          const template = yield* MemoryObjectStore.make()
          const ids = yield* write(Interop.placeOn(template))
          const all = yield* Effect.forEach(yield* Stream.runCollect(template.list("")), ({ key }) => template.get(key))
          let refusals = 0
          let at = 0
          for (let isOver = false; !isOver;) {
            at++
            const store = yield* MemoryObjectStore.make()
            for (const { bytes, meta } of all) yield* store.put(meta.key, bytes)
            const place = Interop.placeOn(store)
            const engine = yield* theirs(place)
            yield* Effect.sleep("5 millis")
            const meanwhile = Effect.promise(() =>
              other(engine, ids.at(-1)!).catch(() => {
                refusals++
              })
            )
            const held = interrupted(store, at, meanwhile)
            yield* Interop.inRepository(Interop.placeOn(held.store))((repository) =>
              Effect.gen(function* () {
                held.state.requests = 0
                yield* Maintenance.collectGarbage(repository, { olderThan: 0, minimumAge: 0 })
              })
            )
            isOver = held.state.requests < at
            assert.deepStrictEqual(yield* Interop.inRepository(place)(findings), [])
            const now = yield* theirs(place)
            for (const branch of yield* Effect.promise(() => now.listBranches())) {
              const read = yield* Effect.promise(() => readTheirs(now, { branch }))
              assert.notInclude([...read.values()], "elsewhere")
            }
          }
          assert.isAbove(at, 15)
          assert.strictEqual(refusals > 0, name !== "a commit")
        }),
      60_000
    )
  }
})

const shared = path.resolve(import.meta.dirname, "../../../shared/data/icechunk-repositories")

describe.skipIf(!fs.existsSync(shared))("repositories that Python Icechunk wrote (shared/data)", () => {
  it.live("test-repo-v1 is whole, and is neither expired nor collected before it is migrated", () =>
    Effect.gen(function* () {
      const directory = path.join(root, "test-repo-v1")
      fs.cpSync(path.join(shared, "test-repo-v1"), directory, { recursive: true })
      yield* Interop.inRepository({ services: services(directory) })((repository) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* Effect.orDie(findings(repository)), [])
          const all = { olderThan: 0, minimumAge: 0 } as const
          assert.strictEqual((yield* Effect.flip(Maintenance.collectGarbage(repository, all)))._tag, "WriteForbidden")
          assert.strictEqual((yield* Effect.flip(Maintenance.expire(repository, all)))._tag, "WriteForbidden")
        })
      )
    })
  )

  for (const name of ["test-repo-v2", "split-repo-v2"]) {
    it.live(`${name} is whole, and stays so after it was collected and expired`, () =>
      Effect.gen(function* () {
        const directory = path.join(root, name)
        fs.cpSync(path.join(shared, name), directory, { recursive: true })
        const place = { services: services(directory), storage: () => Engine.storage(directory) }
        const before = yield* theirs(place)
        const had = yield* Effect.promise(() => readTheirs(before, { branch: "main" }))
        yield* Effect.sleep("50 millis")
        yield* Interop.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const whole = Effect.map(Effect.orDie(findings(repository)), (found) => assert.deepStrictEqual(found, []))
            yield* whole
            yield* Maintenance.collectGarbage(repository, { olderThan: "10 millis", minimumAge: 0 })
            yield* whole
            yield* Maintenance.expire(repository, { olderThan: "10 millis" })
            yield* Maintenance.collectGarbage(repository, { olderThan: "10 millis", minimumAge: 0 })
            yield* whole
            yield* Maintenance.statistics(repository)
          })
        )
        const after = yield* theirs(place)
        assert.deepStrictEqual(yield* Effect.promise(() => readTheirs(after, { branch: "main" })), had)
      })
    )
  }
})
