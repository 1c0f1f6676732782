import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { inWorld, text } from "./Fixture.ts"

const failed = (operation: Errors.Operation, key: string): Errors.ObjectStoreError =>
  new Errors.ObjectStoreError({ store: "memory://", operation, key, reason: new Errors.Unavailable({}) })

/** A store that runs something before or after one of its requests, which may then fail. */
const hooked = (
  inner: ObjectStore.ObjectStoreShape,
  hook: (call: string, when: "before" | "after") => Effect.Effect<void, Errors.ObjectStoreError>
): ObjectStore.ObjectStoreShape => {
  const around = <A, E>(call: string, request: Effect.Effect<A, E>) =>
    Effect.andThen(
      Effect.suspend(() => hook(call, "before")),
      Effect.tap(request, () => hook(call, "after"))
    )
  return {
    ...inner,
    get: (key, options) => around(`get ${key}`, inner.get(key, options)),
    head: (key) => around(`head ${key}`, inner.head(key)),
    put: (key, bytes, options) => around(`put ${key}`, inner.put(key, bytes, options)),
    list: (prefix) =>
      Stream.unwrap(
        Effect.map(around(`list ${prefix}`, Stream.runCollect(inner.list(prefix))), (all) => Stream.fromIterable(all))
      )
  }
}

const none = Effect.void
const first = "1CECHNKREP0F1RSTCMT0"
const puts = ["config.json", `snapshots/${first}`, `transactions/${first}`, "repo"].map((key) => `put ${key}`)

const persist = (max_concurrent_requests: number) => ({ persist: { max_concurrent_requests } })
const create = (store: ObjectStore.ObjectStoreShape, value: number) =>
  inWorld({ store, objects: store })(Repository.create(persist(value)))
/** What is in force for whoever opens the repository now. */
const inForce = (store: ObjectStore.ObjectStoreShape) =>
  inWorld({ store, objects: store })(
    Effect.flatMap(Repository.open(), ({ config }) =>
      Effect.all([
        Effect.map(config.effective, (now) => now.max_concurrent_requests),
        Effect.map(config.persisted, (now) => now.max_concurrent_requests)
      ])
    )
  )
const update = (store: ObjectStore.ObjectStoreShape, value: number) =>
  inWorld({ store, objects: store })(
    Effect.flatMap(Repository.open(), ({ config }) =>
      config.update((now) => ({ ...now, max_concurrent_requests: value }))
    )
  )

describe("creating a repository", () => {
  it.effect("takes three rounds of requests, the configuration before `repo`, and reads nothing back", () =>
    Effect.gen(function* () {
      const inner = yield* MemoryObjectStore.make()
      const calls: Array<string> = []
      let running = 0
      let rounds = 0
      const store = hooked(inner, (call, when) =>
        Effect.gen(function* () {
          if (when === "after") return void running--
          if (running++ === 0) rounds++
          calls.push(call)
          // Whatever is sent at the same time is of the same round.
          yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        })
      )
      yield* create(store, 1)
      assert.deepStrictEqual(calls.slice(1, -1).toSorted(), puts.slice(0, 3))
      assert.deepStrictEqual([calls[0], calls.at(-1)], ["list ", "put repo"])
      assert.strictEqual(rounds, 3)
    })
  )

  it.effect.each(puts.flatMap((put) => [`${put} before`, `${put} after`]))(
    "leaves no repository, or a whole one, when it ends at: %s",
    (end) =>
      Effect.gen(function* () {
        const inner = yield* MemoryObjectStore.make()
        const at = end.slice(0, end.lastIndexOf(" "))
        const when = end.endsWith("before") ? "before" : "after"
        let isDead = false
        const dying = hooked(inner, (call, now) =>
          Effect.suspend(() => {
            if (call === at && now === when) isDead = true
            return isDead ? Effect.interrupt : none
          })
        )
        yield* Effect.exit(create(dying, 1))
        const isThere = end === "put repo after"
        if (isThere) {
          assert.deepStrictEqual(yield* inForce(inner), [1, 1])
          assert.strictEqual((yield* Effect.flip(create(inner, 2)))._tag, "RepositoryAlreadyExists")
        } else {
          yield* create(inner, 2)
          assert.deepStrictEqual(yield* inForce(inner), [2, 2])
          // Now the file is the repository's, whoever wrote it first.
          yield* update(inner, 3)
          assert.deepStrictEqual(yield* inForce(inner), [3, 3])
          // And no obstacle where the repository is gone.
          const left = yield* Stream.runCollect(inner.list(""))
          yield* inner.delete(left.map(({ key }) => key).filter((key) => /^repo$|^overwritten/.test(key)))
          yield* create(inner, 4)
          assert.deepStrictEqual(yield* inForce(inner), [4, 4])
        }
      })
  )

  it.effect.each(["list ", ...puts].flatMap((call) => [`${call}|before`, `${call}|after`]))(
    "keeps the winner's configuration and what others were told is saved, when another creator comes: %s",
    (place) =>
      Effect.gen(function* () {
        const inner = yield* MemoryObjectStore.make()
        const [at, when] = place.split("|")
        let armed = true
        const store = hooked(inner, (call, now) =>
          Effect.suspend(() => {
            if (!armed || call !== at || now !== when) return none
            armed = false
            return Effect.ignore(Effect.andThen(create(inner, 2), update(inner, 3)))
          })
        )
        const ours = yield* Effect.result(create(store, 1))
        if (place === "put repo|after") {
          assert.strictEqual(ours._tag, "Success")
          assert.deepStrictEqual(yield* inForce(inner), [1, 1])
        } else {
          assert.strictEqual(ours._tag, "Failure")
          if (ours._tag === "Failure") assert.strictEqual(ours.failure._tag, "RepositoryAlreadyExists")
          assert.deepStrictEqual(yield* inForce(inner), [3, 3])
        }
      })
  )

  it.effect("has a snapshot that is the winner's or one like it, never overwritten", () =>
    Effect.gen(function* () {
      const inner = yield* MemoryObjectStore.make()
      const modes: Array<string | undefined> = []
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        put: (key, bytes, options) => {
          modes.push(options?.mode?._tag)
          return inner.put(key, bytes, options)
        }
      }
      yield* create(store, 1)
      assert.deepStrictEqual(new Set(modes), new Set(["Create"]))
    })
  )

  it.effect("is known for its own after updates that pushed its entry out of a short log", () =>
    Effect.gen(function* () {
      const inner = yield* MemoryObjectStore.make()
      const others = inWorld({ store: inner, objects: inner })(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          for (const tag of ["a", "b", "c"]) {
            yield* repository.createTag(tag, (yield* repository.branches).get("main")!)
          }
        })
      )
      const store = hooked(inner, (call, when) =>
        call === "put repo" && when === "after"
          ? Effect.andThen(Effect.orDie(others), Effect.fail(failed("put", "repo")))
          : none
      )
      const tags = yield* inWorld({ store, objects: store })(
        Effect.flatMap(
          Repository.create({ persist: { num_updates_per_repo_info_file: 1 } }),
          (repository) => repository.tags
        )
      )
      assert.strictEqual(tags.size, 3)
    })
  )

  it.effect("says that the outcome is unknown when it is", () =>
    Effect.gen(function* () {
      const inner = yield* MemoryObjectStore.make()
      const denied = new Errors.ObjectStoreError({
        store: "memory://",
        operation: "get",
        key: "repo",
        reason: new Errors.PermissionDenied({})
      })
      const store = hooked(inner, (call, when) =>
        call === "put repo" && when === "after"
          ? Effect.fail(failed("put", "repo"))
          : call === "get repo"
            ? Effect.fail(denied)
            : none
      )
      assert.strictEqual((yield* Effect.flip(create(store, 1)))._tag, "OutcomeUnknown")
    })
  )

  it.effect("leaves a `config.json` alone that somebody wrote by hand", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* store.put("config.json", text("{}"))
      for (const creating of [create(store, 1), inWorld({ store, objects: store })(Repository.create())]) {
        const error = yield* Effect.flip(creating)
        assert.strictEqual(error._tag, "RepositoryAlreadyExists")
        assert.include(error, { found: "config.json" })
      }
    })
  )

  it.effect("leaves a file in force that somebody writes by hand afterwards", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* create(store, 1)
      yield* store.put("config.json", text(`{ "max_concurrent_requests": 7 }`))
      assert.deepStrictEqual(yield* inForce(store), [7, 7])
    })
  )
})

describe("a repository of spec version 1", () => {
  it.effect("is no place for another one, nor written into", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const files = [
        ["refs/branch.main/ref.json", `{"snapshot":"${first}"}`],
        ["config.yaml", "inline_chunk_threshold_bytes: 7"],
        [`snapshots/${first}`, "a snapshot"]
      ] as const
      for (const [key, content] of files) yield* store.put(key, text(content))
      const within = inWorld({ store, objects: store })
      const error = yield* Effect.flip(within(Repository.create()))
      assert.deepInclude(error, { _tag: "RepositoryAlreadyExists", found: "refs/branch.main/ref.json" })
      assert.include(error.message, "Open it")
      assert.isTrue(yield* within(Repository.exists))
      for (const use of [Repository.open(), Repository.openOrCreate()]) {
        const effective = yield* within(Effect.flatMap(use, ({ config }) => config.effective))
        assert.strictEqual(effective.inline_chunk_threshold_bytes, 7)
      }
      const keys = yield* Stream.runCollect(store.list(""))
      assert.deepStrictEqual(keys.map(({ key }) => key).toSorted(), files.map(([key]) => key).toSorted())
    })
  )
})
