import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as History from "@effect-icechunk/core/History"
import * as Repository from "@effect-icechunk/core/Repository"
import * as RepositoryState from "@effect-icechunk/core/RepositoryState"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import * as FlatTable from "../../src/encoding/FlatTable.ts"
import * as Metadata from "../../src/format/Metadata.ts"
import type * as RepoInfo from "../../src/format/RepoInfo.ts"
import * as FeatureFlags from "../../src/repository/versions/FeatureFlags.ts"
import * as Settings from "../../src/repository/versions/Settings.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import { inWorld, worldInMemory, text } from "./Fixture.ts"
import { array } from "./RepositorySuite.ts"

/** Every object of a store. */
const contents = (store: ObjectStore.ObjectStoreShape) =>
  Effect.gen(function* () {
    const keys = (yield* Stream.runCollect(store.list(""))).map(({ key }) => key).toSorted()
    return yield* Effect.forEach(keys, (key) => Effect.map(store.get(key), ({ bytes }) => [key, bytes] as const))
  })

/** Runs what must fail, and shows that nothing was written. */
const refused = <A, E extends { readonly _tag: string; readonly message: string }>(
  store: ObjectStore.ObjectStoreShape,
  effect: Effect.Effect<A, E>,
  tag: E["_tag"],
  ...says: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const before = yield* contents(store)
    const error = yield* Effect.flip(effect)
    assert.strictEqual(error._tag, tag, error.message)
    for (const part of says) assert.include(error.message, part)
    assert.deepStrictEqual(yield* contents(store), before)
  })

const latest = (repository: Repository.RepositoryShape) =>
  Effect.map(Stream.runCollect(Stream.take(History.operations(repository), 1)), ([one]) => one!.update)

describe("the status of a repository", () => {
  it.effect("is online until it is set, with a reason and the time, and is in the operations log", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const before = yield* RepositoryState.status(repository)
          assert.deepStrictEqual([before.availability, before.reason], ["Online", undefined])
          yield* TestClock.adjust("1 hour")
          yield* RepositoryState.setStatus(repository, "ReadOnly", { reason: "we move" })
          const after = yield* RepositoryState.status(repository)
          assert.deepStrictEqual([after.availability, after.reason], ["ReadOnly", "we move"])
          assert.strictEqual(DateTime.formatIso(after.setAt), "1970-01-01T01:00:00.000Z")
          assert.deepStrictEqual(yield* latest(repository), {
            _tag: "RepoStatusChanged",
            status: { availability: "ReadOnly", reason: "we move", setAt: 3_600_000_000 }
          })
          // Another program sees the same.
          assert.deepStrictEqual(yield* RepositoryState.status(yield* Repository.open()), after)
        })
      )
    })
  )

  for (const availability of ["ReadOnly", "Offline"] as const) {
    it.effect(`${availability} refuses every write, whoever began it when, and can be set back`, () =>
      Effect.gen(function* () {
        const world = yield* worldInMemory
        yield* inWorld(world)(
          Effect.gen(function* () {
            const repository = yield* Repository.create()
            const session = yield* repository.writableSession("main")
            yield* session.createArray("/a", array([4], [1]))
            yield* session.setChunk("/a", [0], text("x"))
            const id = yield* session.commit("one")
            yield* repository.createTag("v1", id)
            yield* repository.createBranch("dev", id)
            yield* session.setChunk("/a", [1], text("y"))
            const open = yield* repository.readonlySession({ branch: "main" })
            yield* RepositoryState.setStatus(yield* Repository.open(), availability, { reason: "we move" })

            const forbidden = <A, E extends { readonly _tag: string; readonly message: string }>(
              effect: Effect.Effect<A, E>
            ) => refused(world.store, effect, "WriteForbidden", "we move")
            yield* forbidden(repository.writableSession("main"))
            yield* forbidden(session.commit("two"))
            yield* forbidden(repository.createBranch("other", id))
            yield* forbidden(repository.resetBranch("dev", ObjectId.initialSnapshotId))
            yield* forbidden(repository.deleteBranch("dev"))
            yield* forbidden(repository.createTag("v2", id))
            yield* forbidden(repository.deleteTag("v1"))
            yield* forbidden(repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 7 })))
            yield* forbidden(repository.config.publish)
            yield* forbidden(RepositoryState.updateMetadata(repository, () => ({ a: 1 })))
            yield* forbidden(RepositoryState.setFeatureFlag(repository, "create_tag", false))

            // What the repository object says can be asked, and what is open stays so.
            assert.strictEqual(yield* History.tag(repository, "v1"), id)
            assert.strictEqual((yield* Stream.runCollect(History.ancestry(repository, { tag: "v1" }))).length, 2)
            assert.strictEqual((yield* Stream.runCollect(History.graph(repository))).length, 2)
            assert.deepStrictEqual(yield* RepositoryState.metadata(repository), {})
            assert.deepStrictEqual(yield* open.chunk("/a", [0]), text("x"))
            const reads: Readonly<Record<string, Effect.Effect<unknown, Error & { readonly _tag: string }>>> = {
              session: repository.readonlySession({ branch: "main" }),
              asOf: repository.readonlySession({ branch: "main", asOf: DateTime.makeUnsafe(1e12) }),
              manifests: History.manifests(repository, { tag: "v1" }),
              diff: History.diff(repository, { tag: "v1" }, { branch: "main" }),
              dependencies: repository.wholeHistory.dependencies,
              locations: Stream.runCollect(repository.wholeHistory.virtualLocations())
            }
            for (const [name, read] of Object.entries(reads)) {
              if (availability === "ReadOnly") yield* read
              else {
                const error = yield* Effect.flip(read)
                assert.strictEqual(error._tag, "RepositoryOffline", name)
                assert.include(error.message, "we move")
              }
            }

            // A new program opens it, and sets it back.
            const administrator = yield* Repository.open()
            assert.strictEqual((yield* RepositoryState.status(administrator)).availability, availability)
            yield* RepositoryState.setStatus(administrator, "Online")
            yield* session.commit("two")
            const after = yield* repository.readonlySession({ branch: "main" })
            assert.deepStrictEqual(yield* after.chunk("/a", [1]), text("y"))
          })
        )
      })
    )
  }

  it.effect("is one of three, and a reason is text", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const set = (status: unknown, reason?: unknown) =>
            RepositoryState.setStatus(repository, status as never, { reason: reason as never })
          yield* refused(world.store, set("readonly"), "InvalidSetting", "`readonly`", "Did you mean `ReadOnly`?")
          yield* refused(world.store, set(undefined), "InvalidSetting", "`Online`, `ReadOnly`, `Offline`")
          yield* refused(world.store, set("ReadOnly", 7), "InvalidSetting", "not well-formed text")
          yield* refused(world.store, set("ReadOnly", "\ud800"), "InvalidSetting", "not well-formed text")
        })
      )
    })
  )
})

describe("the metadata of a repository", () => {
  it.effect("is what updates made of it, one after the other, and belongs to whoever asked", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          assert.deepStrictEqual(yield* RepositoryState.metadata(repository), {})
          const given = { title: "t", list: [1, { deep: null }] }
          const written = yield* RepositoryState.updateMetadata(repository, () => given)
          assert.deepStrictEqual(written, given)
          given.list.push(2)
          ;(written as { title: string }).title = "changed"
          const read = yield* RepositoryState.metadata(repository)
          assert.deepStrictEqual(read, { title: "t", list: [1, { deep: null }] })
          ;(read as { title: string }).title = "changed"
          assert.deepStrictEqual(yield* latest(repository), { _tag: "MetadataChanged" })
          yield* Effect.all(
            Array.from({ length: 8 }, (_, i) =>
              RepositoryState.updateMetadata(repository, (metadata) => ({ ...metadata, [`n${i}`]: i }))
            ),
            { concurrency: 8 }
          )
          yield* RepositoryState.updateMetadata(repository, ({ list: _list, ...others }) => others)
          assert.deepStrictEqual(yield* RepositoryState.metadata(yield* Repository.open()), {
            title: "t",
            ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`n${i}`, i]))
          })
        })
      )
    })
  )

  it.effect("that is not JSON is refused, and nothing changes", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const circle: Record<string, unknown> = {}
          circle["self"] = circle
          for (const wrong of [
            { f: () => 1 },
            { n: Number.NaN },
            { d: new Date() },
            { big: 10n },
            circle,
            [1],
            "text",
            undefined,
            { "a\0b": { "c\0": 1 } }
          ]) {
            yield* refused(
              world.store,
              RepositoryState.updateMetadata(repository, () => wrong as never),
              "InvalidMetadata",
              "`repository`"
            )
          }
        })
      )
    })
  )

  it("keeps the bytes of what an update leaves as it is", () => {
    // 1.0, as other clients write it, is the same number for JavaScript.
    const one = Flexbuffer.encode(1.5)
    const bytes = (metadata: Metadata.Metadata) => Metadata.items(metadata).map(({ name, value }) => [name, value])
    const builder = new FlatBuilder()
    const field = { slot: 0, name: "metadata" }
    const items = builder.offsets(
      (["a", "b"] as const).map((name) => {
        const [text, value] = [
          builder.string(name),
          builder.bytes(name === "a" ? Uint8Array.of(0, 0, 0x80, 0x3f, 14, 4) : one)
        ]
        return builder.table(2, (table) => {
          table.offset({ slot: 0, name: "name" }, text)
          table.offset({ slot: 1, name: "value" }, value)
        })
      })
    )
    const payload = builder.finish(builder.table(1, (table) => table.offset(field, items)))
    const decoded = FlatTable.decode("repo", payload, (root) =>
      Metadata.decode("repo", "metadata", Flexbuffer.decode, root.vector(field, 4))
    )
    assert.strictEqual(decoded._tag, "Success")
    if (decoded._tag !== "Success") return
    const metadata = decoded.success
    const updated = Settings.updateMetadata((before) => ({ ...before, b: 2 }))({ metadata } as RepoInfo.RepoInfo)
    assert.strictEqual(updated._tag, "Success")
    if (updated._tag !== "Success") return
    const after = updated.success.info.metadata
    assert.deepStrictEqual({ ...after }, { a: metadata["a"]!, b: 2 })
    assert.deepStrictEqual(bytes(after), [bytes(metadata)[0]!, ["b", Flexbuffer.encode(2)]])
  })
})

describe("feature flags", () => {
  it("are what was set, turned on before off, or else the default; unknown numbers stay", () => {
    const none = { enabledFeatureFlags: undefined, disabledFeatureFlags: undefined }
    const states = (stored: Parameters<typeof FeatureFlags.all>[0]) =>
      FeatureFlags.all(stored).map(({ enabled, name, setting }) => [name, setting, enabled])
    assert.deepStrictEqual(states(none), [
      ["move_node", undefined, true],
      ["create_tag", undefined, true],
      ["delete_tag", undefined, true]
    ])
    const off = FeatureFlags.set({ ...none, disabledFeatureFlags: [2, 9] }, 4, false)
    assert.deepStrictEqual(off, { enabledFeatureFlags: undefined, disabledFeatureFlags: [2, 4, 9] })
    assert.deepStrictEqual(states(off)[1], ["create_tag", false, false])
    const on = FeatureFlags.set(off, 4, true)
    assert.deepStrictEqual(on, { enabledFeatureFlags: [4], disabledFeatureFlags: [2, 9] })
    assert.deepStrictEqual(FeatureFlags.set(on, 4, undefined), {
      enabledFeatureFlags: [],
      disabledFeatureFlags: [2, 9]
    })
    assert.deepStrictEqual(states({ enabledFeatureFlags: [5], disabledFeatureFlags: [5] })[2], [
      "delete_tag",
      true,
      true
    ])
  })

  it.effect("are set for all clients, with an entry in the log, and forbid what they are for", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const other = yield* Repository.open()
          const id = ObjectId.initialSnapshotId
          yield* repository.createTag("v1", id)
          yield* RepositoryState.setFeatureFlag(repository, "create_tag", false)
          assert.deepStrictEqual(yield* latest(repository), {
            _tag: "FeatureFlagChanged",
            id: 4,
            newValue: false,
            isSet: true
          })
          yield* refused(world.store, other.createTag("v2", id), "RefForbidden", "`create_tag`")
          yield* other.deleteTag("v1")
          yield* RepositoryState.setFeatureFlag(other, "delete_tag", false)
          yield* RepositoryState.setFeatureFlag(other, "create_tag", undefined)
          assert.deepStrictEqual(yield* latest(repository), {
            _tag: "FeatureFlagChanged",
            id: 4,
            newValue: false,
            isSet: false
          })
          yield* repository.createTag("v2", id)
          yield* refused(world.store, repository.deleteTag("v2"), "RefForbidden", "`delete_tag`")
          yield* refused(
            world.store,
            RepositoryState.setFeatureFlag(repository, "createtag" as never, true),
            "InvalidSetting",
            "Did you mean `create_tag`?"
          )
          yield* refused(
            world.store,
            RepositoryState.setFeatureFlag(repository, "create_tag", "off" as never),
            "InvalidSetting",
            "`true`, `false`, or `undefined`"
          )
        })
      )
    })
  )
})
