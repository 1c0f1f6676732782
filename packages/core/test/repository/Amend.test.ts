/**
 * Snapshots that take the place of others, and such that no branch points at.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as Internals from "../../src/repository/Internals.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, pattern, text, type World, worldInMemory } from "./Fixture.ts"
import { array } from "./Sessions.ts"

const inNew = <A, E>(
  f: (repository: Repository.RepositoryShape, session: WritableSession, world: World) => Effect.Effect<A, E>
): Effect.Effect<A, unknown> =>
  Effect.scoped(
    Effect.flatMap(worldInMemory, (world) =>
      inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array())
          yield* session.setChunk("/a", [0], text("first"))
          yield* session.commit("first")
          return yield* f(repository, session, world)
        })
      )
    )
  )

const failure = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

const messages = (repository: Repository.RepositoryShape) =>
  Effect.map(repository.history({ branch: "main" }), (all) => all.map(({ message }) => message))

const updates = (repository: Repository.RepositoryShape) =>
  Effect.map(Internals.writing(repository).readRepo, ({ info }) => info.latestUpdates.map(({ update }) => update))

describe("amend", () => {
  it.effect("puts a snapshot in the place of the tip, with what both did", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const initial = (yield* repository.history({ branch: "main" })).at(-1)!.id
        const old = yield* session.snapshotId
        yield* session.setChunk("/a", [1], pattern(700))
        const id = yield* session.amend("better", { metadata: { by: "us" } })
        assert.deepStrictEqual(yield* messages(repository), ["better", "Repository initialized"])
        const [tip] = yield* repository.history({ branch: "main" })
        assert.strictEqual(tip!.id, id)
        assert.strictEqual(tip!.parentId, initial)
        assert.deepStrictEqual(tip!.metadata, { by: "us" })
        assert.deepStrictEqual((yield* updates(repository))[0], {
          _tag: "CommitAmended",
          branch: "main",
          previousSnapshotId: old,
          newSnapshotId: id
        })
        const log = yield* Internals.writing(repository).assets.transactionLog(id)
        assert.lengthOf(log.newArrays, 1)
        assert.deepStrictEqual([...log.updatedChunks[0]!.coords], [0, 1])
        const reader = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* reader.chunk("/a", [0]), text("first"))
        assert.deepStrictEqual(yield* reader.chunk("/a", [1]), pattern(700))
        // The old one is there until it is collected.
        yield* repository.readonlySession({ snapshotId: old })
        // The session goes on.
        yield* session.setChunk("/a", [2], text("third"))
        yield* session.commit("second")
        assert.deepStrictEqual(yield* messages(repository), ["second", "better", "Repository initialized"])
      })
    )
  )

  it.effect("of the message alone needs no changes", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.amend("said better")
        assert.deepStrictEqual(yield* messages(repository), ["said better", "Repository initialized"])
      })
    )
  )

  it.effect("is refused for the first snapshot, forced or not", () =>
    Effect.scoped(
      Effect.flatMap(worldInMemory, (world) =>
        inWorld(world)(
          Effect.gen(function* () {
            const repository = yield* Repository.create()
            const session = yield* repository.writableSession("main")
            yield* session.createGroup("/g")
            for (const force of [false, true]) {
              const error = yield* Effect.flip(session.amend("no", { force }))
              assert.strictEqual(error._tag, "AmendRefused")
              assert.include(error.message, "first snapshot")
              assert.notInclude(error.message, "force")
            }
            yield* session.commit("on top of it instead")
            assert.deepStrictEqual(yield* messages(repository), ["on top of it instead", "Repository initialized"])
          })
        )
      )
    )
  )

  const users: ReadonlyArray<
    readonly [string, string, (repository: Repository.RepositoryShape, tip: string) => Effect.Effect<unknown, unknown>]
  > = [
    ["a branch", "`dev`", (repository, tip) => repository.createBranch("dev", tip)],
    ["a tag", "`v1`", (repository, tip) => repository.createTag("v1", tip)],
    [
      "a branch that went on",
      "was made on top of it",
      (repository, tip) =>
        Effect.gen(function* () {
          yield* repository.createBranch("dev", tip)
          yield* repository.transact("dev", "more", (session) => session.createGroup("/more"))
        })
    ],
    [
      "a snapshot of no branch",
      "was made on top of it",
      (repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/more")
          yield* session.flush("more")
          yield* session.discard
        })
    ],
    [
      "another session",
      "another session",
      (repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/more")
          held.push(session)
        })
    ],
    [
      "another session that has not begun",
      "another session",
      (repository) => Effect.map(repository.writableSession("main"), (session) => held.push(session))
    ]
  ]
  /** So that nobody forgets them. */
  const held: Array<WritableSession> = []

  it.effect.each(users)("is refused under %s, unless it is forced", ([, named, use]) =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const old = yield* session.snapshotId
        yield* use(repository, old)
        const before = yield* updates(repository)
        yield* session.setChunk("/a", [1], text("more"))
        const error = yield* Effect.flip(session.amend("better"))
        assert.strictEqual(error._tag, "AmendRefused")
        assert.include(error.message, named)
        assert.include(error.message, "force")
        assert.deepStrictEqual(yield* updates(repository), before)
        assert.strictEqual(yield* session.snapshotId, old)
        yield* session.amend("better", { force: true })
        assert.deepStrictEqual(yield* messages(repository), ["better", "Repository initialized"])
      })
    )
  )

  it.effect("does not mind sessions that have committed what they had", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const other = yield* repository.writableSession("main")
        yield* session.setChunk("/a", [1], text("second"))
        yield* session.commit("second")
        yield* other.rebase()
        yield* other.setChunk("/a", [2], text("third"))
        yield* other.commit("third")
        yield* other.amend("third, better")
        // One that has nothing of its own goes where the branch is.
        assert.strictEqual(yield* failure(session.amend("late")), "CommitConflict")
        yield* session.rebase()
        yield* session.setChunk("/a", [3], text("fourth"))
        yield* session.commit("fourth", { rebase: {} })
        assert.deepStrictEqual(yield* messages(repository), [
          "fourth",
          "third, better",
          "second",
          "first",
          "Repository initialized"
        ])
      })
    )
  )

  it.effect("that was forced is said to a session that was on the old one", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const other = yield* repository.writableSession("main")
        yield* other.setChunk("/a", [3], text("other"))
        yield* session.amend("better", { force: true })
        const error = yield* Effect.flip(other.commit("other", { rebase: {} }))
        assert.strictEqual(error._tag, "RebaseImpossible")
        assert.include(error.message, "amended")
        assert.strictEqual(yield* failure(other.commit("other")), "CommitConflict")
        // Without anything of its own it needs to know nothing of what is gone.
        yield* other.discard
        assert.strictEqual(yield* other.rebase(), yield* session.snapshotId)
      })
    )
  )

  it.effect("conflicts when the branch has moved", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.setChunk("/a", [1], text("ours"))
        yield* repository.transact("main", "theirs", (other) => other.setChunk("/a", [2], text("theirs")))
        const error = yield* Effect.flip(session.amend("ours", { force: true }))
        assert.strictEqual(error._tag, "CommitConflict")
        assert.deepStrictEqual(yield* messages(repository), ["theirs", "first", "Repository initialized"])
      })
    )
  )

  it.effect("keeps the logs of ancestors that have expired", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const { change } = Internals.writing(repository)
        const old = yield* session.snapshotId
        const initial = (yield* repository.history({ branch: "main" })).at(-1)!.id
        yield* change((info) => {
          const pruned = { ...info.snapshots.get(old)!, prunedAncestorTxLogs: [initial] }
          const snapshots = new Map([...info.snapshots.keys()].map((id) => [id, info.snapshots.get(id)!]))
          return Result.succeed({
            info: { ...info, snapshots: snapshots.set(old, pruned) },
            update: { _tag: "ExpirationRan" }
          })
        })
        yield* session.amend("better")
        assert.deepStrictEqual((yield* repository.history({ branch: "main" }))[0]!.prunedAncestorTxLogs, [initial])
      })
    )
  )
})

describe("what nodes move in", () => {
  it.effect("is not committed, amended or flushed where the repository forbids it", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.commit("one more", { allowEmpty: true })
        yield* Internals.writing(repository).change((info) =>
          Result.succeed({ info: { ...info, disabledFeatureFlags: [3] }, update: { _tag: "ConfigChanged" } })
        )
        yield* session.move("/a", "/b")
        for (const attempt of ["commit", "amend", "flush"] as const) {
          const error = yield* Effect.flip<unknown, { readonly _tag: string; readonly message: string }, never>(
            session[attempt]("no")
          )
          assert.strictEqual(error._tag, "RefForbidden")
          assert.include(error.message, "move_node")
        }
        yield* session.move("/b", "/a")
        yield* session.setChunk("/a", [2], text("allowed"))
        yield* session.commit("allowed")
      })
    )
  )
})

describe("flush", () => {
  it.effect("makes a snapshot that no branch points at, and the session stays as it is", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const base = yield* session.snapshotId
        yield* session.setChunk("/a", [1], pattern(700))
        yield* session.setChunk("/a", [2], text("small"))
        const id = yield* session.flush("so far", { metadata: { step: 1 } })
        assert.strictEqual(yield* session.snapshotId, base)
        assert.deepStrictEqual((yield* updates(repository))[0], { _tag: "NewDetachedSnapshot", newSnapshotId: id })
        assert.deepStrictEqual(yield* messages(repository), ["first", "Repository initialized"])
        const reader = yield* repository.readonlySession({ snapshotId: id })
        assert.deepStrictEqual(yield* reader.chunk("/a", [1]), pattern(700))
        const history = yield* repository.history({ snapshotId: id })
        assert.deepStrictEqual(
          history.map(({ message }) => message),
          ["so far", "first", "Repository initialized"]
        )
        assert.deepStrictEqual(history[0]!.metadata, { step: 1 })
        yield* session.setChunk("/a", [3], text("later"))
        yield* session.flush("further")
        const committed = yield* session.commit("all of it")
        const [tip] = yield* repository.history({ branch: "main" })
        assert.strictEqual(tip!.parentId, base)
        const log = yield* Internals.writing(repository).assets.transactionLog(committed)
        assert.deepStrictEqual([...log.updatedChunks[0]!.coords], [1, 2, 3])
        const whole = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* Stream.runCollect(whole.chunkIndices("/a")), [[0], [1], [2], [3]])
        // It can become a branch.
        yield* repository.createBranch("from-flush", id)
        yield* repository.transact("from-flush", "on top", (other) => other.setChunk("/a", [0], text("again")))
      })
    )
  )

  it.effect("of nothing is refused", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* failure(session.flush("nothing")), "NothingToCommit")
        yield* session.flush("nothing", { allowEmpty: true })
      })
    )
  )
})

describe("metadata of every commit", () => {
  it.effect("is under what each says itself, of commits, amendments, flushes and transactions", () =>
    Effect.scoped(
      Effect.flatMap(worldInMemory, (world) =>
        inWorld(world)(
          Effect.gen(function* () {
            const repository = yield* Repository.create({ commitMetadata: { by: "us", from: "here" } })
            const theirs = yield* repository.defaultCommitMetadata
            assert.deepStrictEqual(theirs, { by: "us", from: "here" })
            Object.assign(theirs, { by: "nobody" })
            const session = yield* repository.writableSession("main")
            yield* session.createGroup("/g")
            yield* session.commit("one", { metadata: { from: "there" } })
            yield* repository.setDefaultCommitMetadata({ by: "them" })
            yield* session.createGroup("/h")
            yield* session.commit("two")
            yield* session.amend("two", { metadata: { n: 2 } })
            yield* repository.transact("main", "three", (other) => other.createGroup("/i"))
            const history = yield* repository.history({ branch: "main" })
            assert.deepStrictEqual(
              history.slice(0, 3).map(({ metadata }) => metadata),
              [{ by: "them" }, { by: "them", n: 2 }, { by: "us", from: "there" }]
            )
            yield* repository.setDefaultCommitMetadata({ by: { name: "us" } })
            Object.assign((yield* repository.defaultCommitMetadata)["by"] as object, { name: "nobody" })
            assert.deepStrictEqual(yield* repository.defaultCommitMetadata, { by: { name: "us" } })
            const bad = { by: Number.NaN }
            assert.strictEqual(yield* failure(repository.setDefaultCommitMetadata(bad)), "InvalidMetadata")
            const refused = yield* Effect.flip(Repository.open({ commitMetadata: bad }))
            assert.strictEqual(refused._tag, "InvalidConfig")
          })
        )
      )
    )
  )
})

const paths = ["/a", "/g", "/g/b", "/h", "/h/c"] as const
const step = fc.record({
  _tag: fc.constantFrom(
    "group" as const,
    "array" as const,
    "delete" as const,
    "chunk" as const,
    "unchunk" as const,
    "attributes" as const,
    "move" as const
  ),
  path: fc.constantFrom(...paths),
  to: fc.constantFrom(...paths),
  chunk: fc.nat(3)
})
type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

describe("the log of an amended snapshot", () => {
  /** Does what can be done. Every value is new. */
  const perform = (session: WritableSession, steps: ReadonlyArray<Step>, from: number) =>
    Effect.forEach(steps, ({ _tag, chunk, path, to }, i) =>
      Effect.exit(
        Effect.suspend((): Effect.Effect<unknown, unknown> => {
          const n = from + i
          switch (_tag) {
            case "group":
              return session.createGroup(path, { n })
            case "array":
              return session.createArray(path, array(4, { n }))
            case "delete":
              return session.deleteNode(path)
            case "chunk":
              return session.setChunk(path, [chunk], text(`${n}`))
            case "unchunk":
              return session.deleteChunk(path, [chunk])
            case "attributes":
              return session.setAttributes(path, { n })
            case "move":
              return session.move(path, to)
          }
        })
      )
    )

  /** A log with the path of each new node in the place of its id, which nobody can know. */
  const named = Effect.fnUntraced(function* (repository: Repository.RepositoryShape, branch: string, from: string) {
    const reader = yield* repository.readonlySession({ branch })
    const nodes = new Map((yield* reader.nodes()).map(({ id, path }) => [id as string, path as string]))
    const old = new Set((yield* (yield* repository.readonlySession({ snapshotId: from })).nodes()).map(({ id }) => id))
    const log = yield* Internals.writing(repository).assets.transactionLog(yield* reader.snapshotId)
    const name = (id: string): string => (old.has(id as never) ? id : (nodes.get(id) ?? `unknown ${id}`))
    const names = (ids: ReadonlyArray<string>) => ids.map(name).toSorted()
    const {
      deletedArrays,
      deletedGroups,
      movedNodes,
      newArrays,
      newGroups,
      updatedArrays,
      updatedChunks,
      updatedGroups
    } = log
    return {
      nodes: {
        newGroups: names(newGroups),
        newArrays: names(newArrays),
        deletedGroups: names(deletedGroups),
        deletedArrays: names(deletedArrays),
        movedNodes: movedNodes.map(({ from, node, to, type }) => [from, to, type, name(node)])
      },
      updated: [...names(updatedGroups), ...names(updatedArrays)],
      chunks: updatedChunks.flatMap(({ coords, node }) => [...coords].map((i) => `${name(node)} ${i}`)).toSorted()
    }
  })

  it("is that of doing both at once", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 6 }),
        fc.array(step, { maxLength: 8 }),
        fc.array(step, { maxLength: 8 }),
        async (base, first, second) => {
          await Effect.runPromise(
            inNew((repository, session) =>
              Effect.gen(function* () {
                yield* perform(session, base, 0)
                const start = yield* session.commit("base", { allowEmpty: true })
                yield* repository.createBranch("once", start)
                yield* perform(session, first, 100)
                yield* session.commit("one", { allowEmpty: true })
                yield* perform(session, second, 200)
                yield* session.amend("both")
                const once = yield* repository.writableSession("once")
                yield* perform(once, first, 100)
                yield* perform(once, second, 200)
                yield* once.commit("both", { allowEmpty: true })
                const merged = yield* named(repository, "main", start)
                const expected = yield* named(repository, "once", start)
                assert.deepStrictEqual(merged.nodes, expected.nodes)
                // What the second one took back may be there, too, and nothing is left out.
                assert.includeMembers(merged.updated, expected.updated)
                assert.includeMembers(merged.chunks, expected.chunks)
                const writes = [...first, ...second].some(({ _tag }) => _tag === "unchunk")
                if (!writes) assert.deepStrictEqual(merged.chunks, expected.chunks)
                assert.deepStrictEqual(merged.updated, expected.updated)
              })
            )
          )
        }
      ),
      { numRuns: 40 }
    ))
})
