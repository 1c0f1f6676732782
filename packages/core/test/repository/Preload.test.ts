/**
 * Manifests that are read ahead when a session is opened, as Icechunk's configuration says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { PreloadCondition } from "../../src/values/IcechunkSettings.ts"
import type { RepositoryConfig } from "../../src/values/RepositoryConfig.ts"
import type { ManifestId } from "../../src/values/ObjectId.ts"
import type { NodePath } from "../../src/values/NodePath.ts"
import { ObjectStoreError, Unavailable } from "../../src/store/ObjectStoreError.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as Preload from "../../src/repository/Preload.ts"
import * as Repository from "../../src/repository/Repository.ts"
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"

const array = (path: string, ...manifests: ReadonlyArray<readonly [id: string, refs: number]>) => ({ path, manifests })

type Arrays = ReadonlyArray<ReturnType<typeof array>>

const snapshot = (arrays: Arrays): Parameters<typeof Preload.plan>[0] => ({
  nodes: arrays.map(({ manifests, path }) => ({
    id: path as never,
    path: path as NodePath,
    userData: new Uint8Array(),
    data: {
      _tag: "Array",
      shape: [],
      dimensionNames: undefined,
      manifests: manifests.map(([id]) => ({ id: id as ManifestId, extents: [] }))
    },
    extra: undefined
  })),
  manifestFiles: [...new Map(arrays.flatMap(({ manifests }) => manifests))].map(([id, numChunkRefs]) => ({
    id: id as ManifestId,
    sizeBytes: 1,
    numChunkRefs,
    extra: undefined
  }))
})

const plan = (arrays: Arrays, settings?: Parameters<typeof Preload.plan>[1]): ReadonlyArray<string> =>
  Preload.plan(snapshot(arrays), settings, (expression, text) => new RegExp(expression).test(text))

describe("the conditions", () => {
  it("by default hold for coordinates with few refs, as in Icechunk", () => {
    const holds = (path: string, refs: number): boolean => plan([array(path, ["m", refs])]).length > 0
    for (const [path, refs, expected] of [
      ["/array", 1, false],
      ["/nottime", 1, false],
      ["/time", 1_000_000, false],
      ["/time", 1001, false],
      ["/time", 1000, true],
      ["/a/b/time", 1, true],
      ["/time/values", 1, false],
      ["/t", 1, true],
      ["/tt", 1, false],
      ["/year2", 1, true],
      ["/lat", 1, true],
      ["/latitude", 1, true],
      ["/nav_lon", 1, true],
      ["/xlon", 1, true],
      ["/longitude_bnds", 1, false],
      ["/height", 1, true],
      ["/hght", 1, true],
      ["/olev", 1, true],
      ["/x", 1, true],
      ["/ni", 1, true],
      ["/y", 1, true],
      ["/temperature", 1, false]
    ] as const) {
      assert.strictEqual(holds(path, refs), expected, `${path} with ${refs}`)
    }
  })

  it.each<readonly [PreloadCondition, ReadonlyArray<string>]>([
    ["true", ["few", "many"]],
    ["false", []],
    [{ or: [] }, []],
    [{ and: [] }, ["few", "many"]],
    [{ path_matches: { regex: "^/a" } }, ["few"]],
    [{ name_matches: { regex: "^a" } }, ["few"]],
    [{ name_matches: { regex: "^/a" } }, []],
    [{ num_refs: { from: { Included: 100 }, to: "Unbounded" } }, ["many"]],
    [{ num_refs: { from: { Excluded: 100 }, to: "Unbounded" } }, []],
    [{ num_refs: { from: "Unbounded", to: { Excluded: 100 } } }, ["few"]],
    [{ and: ["true", { or: ["false", { name_matches: { regex: "b" } }] }] }, ["many"]]
  ])("%j", (preload_if, expected) => {
    assert.deepStrictEqual(plan([array("/a", ["few", 10]), array("/b", ["many", 100])], { preload_if }), expected)
  })

  it("are bounded in refs and arrays, and each manifest counts once", () => {
    const preload_if = "true"
    const arrays = [array("/a", ["m1", 10], ["m2", 20]), array("/b", ["m2", 20], ["m3", 5]), array("/c", ["m4", 1])]
    assert.deepStrictEqual(plan(arrays, { preload_if }), ["m1", "m2", "m3", "m4"])
    assert.deepStrictEqual(plan(arrays, { preload_if, max_total_refs: 35 }), ["m1", "m2", "m3"])
    // One that is too large leaves room for a smaller one.
    assert.deepStrictEqual(plan(arrays, { preload_if, max_total_refs: 16 }), ["m1", "m3", "m4"])
    assert.deepStrictEqual(plan(arrays, { preload_if, max_total_refs: 0 }), [])
    assert.deepStrictEqual(plan(arrays, { preload_if, max_arrays_to_scan: 1 }), ["m1", "m2"])
    assert.deepStrictEqual(plan(arrays, { preload_if, max_arrays_to_scan: 0 }), [])
    const many = Array.from({ length: 60 }, (_, i) => array(`/a${i}`, [`m${i}`, 1]))
    assert.strictEqual(plan(many, { preload_if }).length, 50)
  })

  it("never choose more refs than are allowed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(fc.constantFrom("p", "q", "r", "s"), fc.integer({ min: 0, max: 50 })))),
        fc.integer({ min: 0, max: 100 }),
        (manifests, max_total_refs) => {
          const arrays = manifests.map((some, i) => array(`/a${i}`, ...some))
          const counts = new Map(arrays.flatMap((one) => one.manifests))
          const chosen = plan(arrays, { preload_if: "true", max_total_refs })
          assert.strictEqual(new Set(chosen).size, chosen.length)
          assert.isAtMost(
            chosen.reduce((sum, id) => sum + counts.get(id)!, 0),
            max_total_refs
          )
        }
      )
    )
  })
})

/** A repository with coordinates and data, behind a store that counts the manifests that it is asked for. */
const world = Effect.fnUntraced(function* (config: RepositoryConfig, broken = false) {
  const made = yield* worldInMemory
  yield* inWorld(made)(
    Effect.gen(function* () {
      const repository = yield* Repository.create({ persist: config })
      const session = yield* repository.writableSession("main")
      for (const path of ["/lat", "/lon", "/temperature", "/time"]) {
        yield* session.createArray(path, { shape: [8], chunkShape: [1], dataType: "uint8", fillValue: 0 })
        for (let i = 0; i < (path === "/time" ? 8 : 2); i++) yield* session.setChunk(path, [i], text(`${path}${i}`))
      }
      yield* session.commit("all")
    })
  )
  const asked: Array<string> = []
  const { store } = made
  const remote: ObjectStore.ObjectStoreShape = {
    ...store,
    isLocal: false,
    get: (key, options) => {
      if (!key.startsWith("manifests/")) return store.get(key, options)
      asked.push(key)
      if (!broken) return store.get(key, options)
      const reason = new Unavailable({ detail: "down" })
      return Effect.fail(new ObjectStoreError({ store: store.description, operation: "get", key, reason }))
    }
  }
  const there: World = { ...made, store: remote }
  return { asked, there }
})

/** Long enough for what goes on behind. */
const settled = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 100)))

describe("a session", () => {
  it.live("reads ahead what the configuration says, once, and no more is asked for by its readers", () =>
    Effect.gen(function* () {
      const { asked, there } = yield* world({ manifest: { preload: { max_total_refs: 5 } } })
      yield* inWorld(there)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const session = yield* repository.readonlySession({ branch: "main" })
          yield* settled
          // `time` has too many refs for what is left.
          assert.strictEqual(asked.length, 2)
          assert.strictEqual(new TextDecoder().decode(yield* session.chunk("/lat", [1])), "/lat1")
          yield* session.chunk("/lon", [0])
          assert.strictEqual(asked.length, 2)
          yield* session.chunk("/time", [0])
          assert.strictEqual(asked.length, 3)
          yield* repository.readonlySession({ branch: "main" })
          yield* repository.writableSession("main")
          yield* settled
          assert.strictEqual(asked.length, 3)
        })
      )
    })
  )

  it.live("opens where manifests cannot be read, and where nothing is to be read ahead", () =>
    Effect.gen(function* () {
      const broken = yield* world({}, true)
      yield* inWorld(broken.there)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
          yield* settled
          assert.isAbove(broken.asked.length, 0)
          const error = yield* Effect.flip(session.chunk("/lat", [0]))
          assert.strictEqual(error._tag, "ObjectStoreError")
        })
      )
      for (const preload of [
        { max_total_refs: 0 },
        { preload_if: "false" },
        { preload_if: { path_matches: { regex: "[" } } }
      ] as const) {
        // What others wrote may be no expression; it matches nothing.
        const { asked, there } = yield* world({})
        yield* inWorld(there)(
          Effect.gen(function* () {
            const config = { manifest: { preload } }
            yield* (yield* Repository.open({ config })).readonlySession({ branch: "main" })
            yield* settled
            assert.deepStrictEqual(asked, [])
          })
        )
      }
    })
  )

  it.effect("an expression that is none is refused when it is written", () =>
    Effect.gen(function* () {
      const made = yield* worldInMemory
      const persist: RepositoryConfig = {
        manifest: { preload: { preload_if: { or: [{ name_matches: { regex: "(" } }] } } }
      }
      const error = yield* Effect.flip(inWorld(made)(Repository.create({ persist })))
      assert(error._tag === "InvalidConfig")
      assert.strictEqual(error.field, "manifest.preload.preload_if")
    })
  )
})
