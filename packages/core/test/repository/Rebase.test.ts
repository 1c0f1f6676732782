/**
 * Sessions that commit on top of what others have committed meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import type * as Conflict from "../../src/repository/changes/Conflict.ts"
import type * as Rebase from "../../src/repository/changes/Rebase.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type * as Session from "../../src/repository/Session.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, text, worldInMemory } from "./Fixture.ts"
import {
  array,
  attributed,
  elsewhere,
  begin,
  type NodeState,
  type Operation,
  operation,
  paths,
  perform,
  resized,
  type State,
  stateAt,
  stateOf,
  type Work
} from "./Sessions.ts"

/** One session works, another commits first, and the one commits on top. */
const race = Effect.fnUntraced(function* (ours: Work, theirs: Work, rebase: Rebase.Solver = {}, start: Work = begin) {
  const world = yield* worldInMemory
  return yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const first = yield* repository.writableSession("main")
      yield* start(first)
      yield* first.commit("first", { allowEmpty: true })
      const session = yield* repository.writableSession("main")
      yield* ours(session)
      const before = yield* stateOf(session)
      yield* elsewhere(world, theirs)
      const result = yield* Effect.result(session.commit("ours", { rebase }))
      const after = yield* stateOf(session)
      return { world, session, before, after, result, state: yield* stateAt(world) }
    })
  )
})

const conflictsOf = ({
  result
}: {
  readonly result: Result.Result<unknown, unknown>
}): ReadonlyArray<Conflict.Conflict> => {
  const error = Result.isFailure(result) ? result.failure : undefined
  return error instanceof Error && "conflicts" in error ? (error.conflicts as ReadonlyArray<Conflict.Conflict>) : []
}

describe("sessions that do not touch the same", () => {
  const harmless: ReadonlyArray<readonly [string, Work, Work, unknown]> = [
    [
      "different arrays",
      (s) => s.setChunk("/b", [2], text("ours")),
      (s) => s.setChunk("/g/a", [2], text("theirs")),
      {
        "/b": { attributes: {}, chunks: { 2: "ours" }, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1", 2: "theirs" }, length: 4 }
      }
    ],
    [
      "different chunks of one array",
      (s) => Effect.andThen(s.setChunk("/g/a", [0], text("ours")), s.deleteChunk("/g/a", [1])),
      (s) => s.setChunk("/g/a", [3], text("theirs")),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: {}, chunks: { 0: "ours", 3: "theirs" }, length: 4 }
      }
    ],
    [
      "attributes here and chunks there",
      (s) => attributed(s, "/g/a", { by: "us" }),
      (s) => s.setChunk("/g/a", [0], text("theirs")),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: { by: "us" }, chunks: { 0: "theirs", 1: "base 1" }, length: 4 }
      }
    ],
    [
      "chunks here and attributes there",
      (s) => s.setChunk("/g/a", [0], text("ours")),
      (s) => attributed(s, "/g/a", { by: "them" }),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: { by: "them" }, chunks: { 0: "ours", 1: "base 1" }, length: 4 }
      }
    ],
    [
      "the same deletion",
      (s) => Effect.andThen(s.deleteNode("/b"), s.createGroup("/ours")),
      (s) => s.deleteNode("/b"),
      {
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1" }, length: 4 },
        "/ours": { attributes: {} }
      }
    ],
    [
      "new nodes in one group",
      (s) => s.createGroup("/g/ours"),
      (s) => s.createGroup("/g/theirs"),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1" }, length: 4 },
        "/g/ours": { attributes: {} },
        "/g/theirs": { attributes: {} }
      }
    ],
    [
      "a move here, chunks and attributes there",
      (s) => Effect.andThen(s.setChunk("/g/a", [3], text("ours")), s.move("/g", "/h")),
      (s) => Effect.andThen(s.setChunk("/g/a", [2], text("theirs")), attributed(s, "/g", { by: "them" })),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/h": { attributes: { by: "them" } },
        "/h/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1", 2: "theirs", 3: "ours" }, length: 4 }
      }
    ],
    [
      "chunks and attributes here, a move there",
      (s) => Effect.andThen(s.setChunk("/g/a", [2], text("ours")), attributed(s, "/g", { by: "us" })),
      (s) => Effect.andThen(s.setChunk("/g/a", [3], text("theirs")), s.move("/g", "/h")),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/h": { attributes: { by: "us" } },
        "/h/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1", 2: "ours", 3: "theirs" }, length: 4 }
      }
    ],
    [
      "the same move",
      (s) => Effect.andThen(s.move("/b", "/g/b"), s.createGroup("/ours")),
      (s) => s.move("/b", "/g/b"),
      {
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1" }, length: 4 },
        "/g/b": { attributes: {}, chunks: {}, length: 4 },
        "/ours": { attributes: {} }
      }
    ],
    [
      "moves of different nodes",
      (s) => s.move("/g/a", "/a"),
      (s) => s.move("/b", "/c"),
      {
        "/a": { attributes: {}, chunks: { 0: "base 0", 1: "base 1" }, length: 4 },
        "/c": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } }
      }
    ],
    [
      "a shift here, attributes there",
      (s) => s.shift("/g/a", [2]),
      (s) => attributed(s, "/g/a", { by: "them" }),
      {
        "/b": { attributes: {}, chunks: {}, length: 4 },
        "/g": { attributes: { is: "base" } },
        "/g/a": { attributes: { by: "them" }, chunks: { 2: "base 0", 3: "base 1" }, length: 4 }
      }
    ]
  ]
  it.effect.each(harmless)("both succeed: %s", ([, ours, theirs, expected]) =>
    Effect.gen(function* () {
      const { after, result, state } = yield* race(ours, theirs)
      assert.isTrue(Result.isSuccess(result), String(Result.isFailure(result) && result.failure))
      assert.deepStrictEqual(state, expected as typeof state)
      assert.deepStrictEqual(after, state)
    })
  )
})

interface Case {
  readonly tag: Conflict.Conflict["_tag"]
  readonly what: string
  /** Conflicts in all (default 1). */
  readonly count?: number
  readonly ours: Work
  readonly theirs: Work
  /** What of the state shows who has won: for `ours`, where that can be, and for `theirs`. */
  readonly look: (state: State) => unknown
  readonly wins: { readonly ours?: unknown; readonly theirs: unknown }
}

const cases: ReadonlyArray<Case> = [
  {
    tag: "NewNodeConflictsWithExistingNode",
    what: "two groups",
    ours: (s) => Effect.andThen(s.createGroup("/new", { by: "us" }), s.createGroup("/new/below")),
    theirs: (s) => s.createGroup("/new", { by: "them" }),
    look: (state) => [state["/new"]?.attributes["by"], "/new/below" in state],
    wins: { ours: ["us", true], theirs: ["them", true] }
  },
  {
    tag: "NewNodeConflictsWithExistingNode",
    what: "a group and an array",
    count: 2,
    ours: (s) => Effect.andThen(s.createGroup("/new", { by: "us" }), s.createGroup("/new/below")),
    theirs: (s) => s.createArray("/new", array(4, { by: "them" })),
    look: (state) => [state["/new"]?.attributes["by"], "/new/below" in state],
    wins: { ours: ["us", true], theirs: ["them", false] }
  },
  {
    tag: "NewNodeInInvalidGroup",
    what: "an array above",
    ours: (s) => s.createGroup("/new/below"),
    theirs: (s) => s.createArray("/new", array()),
    look: (state) => ["/new" in state, "/new/below" in state],
    wins: { ours: [false, true], theirs: [true, false] }
  },
  {
    tag: "NewNodeInInvalidGroup",
    what: "the group is deleted",
    ours: (s) => s.createGroup("/g/new"),
    theirs: (s) => s.deleteNode("/g"),
    look: (state) => ["/g" in state, "/g/new" in state],
    wins: { ours: [false, true], theirs: [false, false] }
  },
  {
    tag: "ZarrMetadataDoubleUpdate",
    what: "attributes",
    ours: (s) => attributed(s, "/g", { by: "us" }),
    theirs: (s) => attributed(s, "/g", { by: "them" }),
    look: (state) => state["/g"]?.attributes["by"],
    wins: { ours: "us", theirs: "them" }
  },
  {
    tag: "ZarrMetadataUpdateOfDeletedArray",
    what: "attributes",
    ours: (s) => attributed(s, "/g/a", { by: "us" }),
    theirs: (s) => s.deleteNode("/g/a"),
    look: (state) => "/g/a" in state,
    wins: { theirs: false }
  },
  {
    tag: "ZarrMetadataUpdateOfDeletedGroup",
    what: "attributes",
    ours: (s) => attributed(s, "/g", { by: "us" }),
    theirs: (s) => s.deleteNode("/g"),
    look: (state) => "/g" in state,
    wins: { theirs: false }
  },
  {
    tag: "ZarrMetadataUpdateOfWrittenArray",
    what: "another codec",
    ours: (s) => resized(s, "/g/a", 4, { codecs: [{ name: "bytes" }, { name: "crc32c" }] }),
    theirs: (s) => s.setChunk("/g/a", [2], text("theirs")),
    look: (state) => state["/g/a"]?.chunks,
    wins: {
      ours: { 0: "base 0", 1: "base 1", 2: "theirs" },
      theirs: { 0: "base 0", 1: "base 1", 2: "theirs" }
    }
  },
  {
    tag: "ZarrMetadataUpdateOfWrittenArray",
    what: "a chunk that is cut off",
    ours: (s) => resized(s, "/g/a", 2),
    theirs: (s) => s.setChunk("/g/a", [3], text("theirs")),
    look: (state) => state["/g/a"],
    wins: {
      ours: { attributes: {}, chunks: { 0: "base 0", 1: "base 1" }, length: 2 },
      theirs: { attributes: {}, chunks: { 0: "base 0", 1: "base 1", 3: "theirs" }, length: 4 }
    }
  },
  {
    tag: "ChunkDoubleUpdate",
    what: "one of two",
    ours: (s) => Effect.andThen(s.setChunk("/g/a", [0], text("ours 0")), s.setChunk("/g/a", [2], text("ours 2"))),
    theirs: (s) => Effect.andThen(s.setChunk("/g/a", [0], text("theirs 0")), s.setChunk("/g/a", [3], text("theirs 3"))),
    look: (state) => state["/g/a"]?.chunks,
    wins: {
      ours: { 0: "ours 0", 1: "base 1", 2: "ours 2", 3: "theirs 3" },
      theirs: { 0: "theirs 0", 1: "base 1", 2: "ours 2", 3: "theirs 3" }
    }
  },
  {
    tag: "ChunkDoubleUpdate",
    what: "a deletion",
    ours: (s) => s.deleteChunk("/g/a", [0]),
    theirs: (s) => s.setChunk("/g/a", [0], text("theirs 0")),
    look: (state) => state["/g/a"]?.chunks,
    wins: { ours: { 1: "base 1" }, theirs: { 0: "theirs 0", 1: "base 1" } }
  },
  {
    tag: "ChunksUpdatedInDeletedArray",
    what: "a chunk",
    ours: (s) => s.setChunk("/g/a", [0], text("ours")),
    theirs: (s) => s.deleteNode("/g/a"),
    look: (state) => "/g/a" in state,
    wins: { theirs: false }
  },
  {
    tag: "ChunksUpdatedInUpdatedArray",
    what: "another codec",
    ours: (s) => s.setChunk("/g/a", [0], text("ours")),
    theirs: (s) => resized(s, "/g/a", 4, { codecs: [{ name: "bytes" }, { name: "crc32c" }] }),
    look: (state) => state["/g/a"]?.chunks?.[0],
    wins: { ours: "ours", theirs: "base 0" }
  },
  {
    tag: "ChunksUpdatedInUpdatedArray",
    what: "a chunk that was cut off",
    ours: (s) => s.setChunk("/g/a", [3], text("ours")),
    theirs: (s) => resized(s, "/g/a", 2),
    look: (state) => state["/g/a"]?.chunks,
    wins: { ours: { 0: "base 0", 1: "base 1" }, theirs: { 0: "base 0", 1: "base 1" } }
  },
  {
    tag: "DeleteOfUpdatedArray",
    what: "a chunk",
    ours: (s) => s.deleteNode("/g/a"),
    theirs: (s) => s.setChunk("/g/a", [3], text("theirs")),
    look: (state) => "/g/a" in state,
    wins: { ours: false, theirs: true }
  },
  {
    tag: "DeleteOfUpdatedArray",
    what: "in a group that goes, too",
    ours: (s) => s.deleteNode("/g"),
    theirs: (s) => attributed(s, "/g/a", { by: "them" }),
    look: (state) => ["/g" in state, "/g/a" in state],
    wins: { ours: [false, false], theirs: [true, true] }
  },
  {
    tag: "DeleteOfUpdatedGroup",
    what: "attributes",
    ours: (s) => s.deleteNode("/g"),
    theirs: (s) => attributed(s, "/g", { by: "them" }),
    look: (state) => ["/g" in state, "/g/a" in state],
    wins: { ours: [false, false], theirs: [true, false] }
  },
  {
    tag: "DeleteOfGroupWithNewNodes",
    what: "an array",
    ours: (s) => s.deleteNode("/g"),
    theirs: (s) => s.createArray("/g/new", array()),
    look: (state) => ["/g" in state, "/g/a" in state, "/g/new" in state],
    wins: { ours: [false, false, true], theirs: [true, false, true] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "the node is deleted",
    ours: (s) => s.move("/b", "/c"),
    theirs: (s) => s.deleteNode("/b"),
    look: (state) => ["/b" in state, "/c" in state],
    wins: { theirs: [false, false] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "to two places",
    ours: (s) => s.move("/b", "/ours"),
    theirs: (s) => s.move("/b", "/theirs"),
    look: (state) => ["/b" in state, "/ours" in state, "/theirs" in state],
    wins: { theirs: [false, false, true] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "a group to where others have a node below",
    ours: (s) => Effect.andThen(s.deleteNode("/g/a"), s.move("/g", "/n")),
    theirs: (s) => s.createGroup("/n/below"),
    look: (state) => ["/g" in state, "/n" in state, "/n/below" in state],
    wins: { theirs: [true, false, true] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "to where others have a node",
    ours: (s) => s.move("/b", "/c"),
    theirs: (s) => s.createGroup("/c"),
    look: (state) => [state["/b"] !== undefined, state["/c"]?.chunks],
    wins: { theirs: [true, undefined] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "into a group that is deleted",
    ours: (s) => s.move("/b", "/g/b"),
    theirs: (s) => s.deleteNode("/g"),
    look: (state) => ["/b" in state, "/g" in state, "/g/b" in state],
    wins: { theirs: [true, false, false] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "into a group that is moved",
    ours: (s) => s.move("/b", "/g/b"),
    theirs: (s) => s.move("/g", "/h"),
    look: (state) => ["/b" in state, "/g/b" in state, "/h/a" in state],
    wins: { theirs: [true, false, true] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "of a group that others put something into",
    ours: (s) => s.move("/g", "/h"),
    theirs: (s) => s.createGroup("/g/new"),
    look: (state) => ["/g" in state, "/g/a" in state, "/g/new" in state, "/h" in state],
    wins: { theirs: [true, true, true, false] }
  },
  {
    tag: "MoveOperationCannotBeRebased",
    what: "to where others moved a node",
    ours: (s) => s.move("/b", "/c"),
    theirs: (s) => s.move("/g/a", "/c"),
    look: (state) => ["/b" in state, state["/c"]?.chunks],
    wins: { theirs: [true, { 0: "base 0", 1: "base 1" }] }
  },
  {
    tag: "NewNodeConflictsWithExistingNode",
    what: "a node that was moved there",
    ours: (s) => s.createGroup("/c", { by: "us" }),
    theirs: (s) => s.move("/b", "/c"),
    look: (state) => [state["/c"]?.attributes["by"], "/b" in state],
    wins: { ours: ["us", false], theirs: [undefined, false] }
  },
  {
    tag: "NewNodeInInvalidGroup",
    what: "the group is moved away",
    ours: (s) => s.createGroup("/g/new"),
    theirs: (s) => s.move("/g", "/h"),
    look: (state) => ["/g" in state, "/g/new" in state, "/h/a" in state],
    wins: { ours: [false, true, true], theirs: [false, false, true] }
  },
  {
    tag: "DeleteOfUpdatedArray",
    what: "that was moved",
    ours: (s) => s.deleteNode("/b"),
    theirs: (s) => s.move("/b", "/c"),
    look: (state) => ["/b" in state, "/c" in state],
    wins: { ours: [false, false], theirs: [false, true] }
  },
  {
    tag: "DeleteOfGroupWithNewNodes",
    what: "a node that was moved there",
    ours: (s) => s.deleteNode("/g"),
    theirs: (s) => s.move("/b", "/g/b"),
    look: (state) => ["/g" in state, "/g/a" in state, "/g/b" in state],
    wins: { ours: [false, false, true], theirs: [true, false, true] }
  },
  {
    tag: "ChunkDoubleUpdate",
    what: "of an array that was moved there",
    ours: (s) => s.setChunk("/g/a", [0], text("ours")),
    theirs: (s) => Effect.andThen(s.setChunk("/g/a", [0], text("theirs")), s.move("/g/a", "/a")),
    look: (state) => ["/g/a" in state, state["/a"]?.chunks],
    wins: { ours: [false, { 0: "ours", 1: "base 1" }], theirs: [false, { 0: "theirs", 1: "base 1" }] }
  },
  {
    tag: "ChunkDoubleUpdate",
    what: "of a shift",
    ours: (s) => s.shift("/g/a", [1]),
    theirs: (s) => s.setChunk("/g/a", [1], text("theirs")),
    look: (state) => state["/g/a"]?.chunks,
    wins: { ours: { 1: "base 0", 2: "base 1" }, theirs: { 1: "theirs", 2: "base 1" } }
  }
]

describe("a conflict", () => {
  for (const { count = 1, look, ours, tag, theirs, what, wins } of cases) {
    const also: Work = (session) => Effect.andThen(ours(session), session.createGroup("/also"))
    it.effect(`${tag}, ${what}: is an error that leaves all as it was`, () =>
      Effect.gen(function* () {
        const raced = yield* race(also, theirs)
        const tags = conflictsOf(raced).map(({ _tag }) => _tag)
        assert.include(tags, tag)
        assert.lengthOf(tags, count)
        assert.deepStrictEqual(raced.after, raced.before)
        assert.isFalse("/also" in raced.state)
      })
    )
    for (const winner of ["ours", "theirs"] as const) {
      it.effect(`${tag}, ${what}: ends with what is ${winner}, unless that cannot be`, () =>
        Effect.gen(function* () {
          const raced = yield* race(also, theirs, (): Rebase.Resolution => winner)
          if (winner === "ours" && !("ours" in wins)) return assert.isTrue(Result.isFailure(raced.result))
          assert.isTrue(Result.isSuccess(raced.result), String(Result.isFailure(raced.result) && raced.result.failure))
          assert.deepStrictEqual(look(raced.state), wins[winner])
          assert.isTrue("/also" in raced.state)
        })
      )
    }
  }
})

describe("a solver", () => {
  it.effect("may merge the metadata that both have changed", () =>
    Effect.gen(function* () {
      const decoded = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes))
      const { state } = yield* race(
        (s) => attributed(s, "/g", { is: "base", ours: 1 }),
        (s) => attributed(s, "/g", { is: "base", theirs: 2 }),
        (conflict) => {
          assert.strictEqual(conflict._tag, "ZarrMetadataDoubleUpdate")
          if (conflict._tag !== "ZarrMetadataDoubleUpdate") return "fail"
          assert.deepStrictEqual(decoded(conflict.base).attributes, { is: "base" })
          const attributes = { ...decoded(conflict.theirs).attributes, ...decoded(conflict.ours).attributes }
          return Effect.succeed({ zarrJson: text(JSON.stringify({ ...decoded(conflict.ours), attributes })) })
        }
      )
      assert.deepStrictEqual(state["/g"], { attributes: { is: "base", ours: 1, theirs: 2 } })
    })
  )

  it.effect("owns what it is told: whoever overwrites it changes no version, and not the session", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const first = yield* repository.writableSession("main")
          yield* begin(first)
          const base = yield* first.commit("first")
          const session = yield* repository.writableSession("main")
          yield* attributed(session, "/g", { by: "us" })
          const theirs = yield* elsewhere(world, (s) => attributed(s, "/g", { by: "them" }))
          const versions = Effect.gen(function* () {
            const before = yield* repository.readonlySession({ snapshotId: base })
            const after = yield* repository.readonlySession({ snapshotId: theirs })
            return yield* Effect.forEach([before, after, session], stateOf)
          })
          const before = yield* versions
          yield* Effect.flip(
            session.rebase((conflict) => {
              if (conflict._tag !== "ZarrMetadataDoubleUpdate") return assert.fail(conflict._tag)
              for (const bytes of [conflict.base, conflict.ours, conflict.theirs]) bytes.fill(0)
              return "fail"
            })
          )
          assert.deepStrictEqual(yield* versions, before)
        })
      )
    })
  )

  it.effect("that decides about a node and otherwise about what is below it loses neither", () =>
    Effect.gen(function* () {
      const { state } = yield* race(
        (s) => Effect.andThen(s.createGroup("/new", { by: "us" }), s.createGroup("/new/below")),
        (s) => s.createArray("/new", array()),
        { NewNodeConflictsWithExistingNode: "theirs", NewNodeInInvalidGroup: "ours" }
      )
      assert.isTrue("/new/below" in state)
      assert.isFalse("/new" in state)
    })
  )

  it.effect("that gives metadata of another kind of node is told so", () =>
    Effect.gen(function* () {
      const raced = yield* race(
        (s) => attributed(s, "/g", { by: "us" }),
        (s) => attributed(s, "/g", { by: "them" }),
        () => ({ zarrJson: text("{}") })
      )
      assert.isTrue(Result.isFailure(raced.result))
      if (Result.isFailure(raced.result)) assert.strictEqual(raced.result.failure._tag, "InvalidMetadata")
      assert.deepStrictEqual(raced.after, raced.before)
    })
  )

  it.effect("that lets others win everywhere leaves nothing to commit", () =>
    Effect.gen(function* () {
      const { result } = yield* race(
        (s) => attributed(s, "/g", { by: "us" }),
        (s) => attributed(s, "/g", { by: "them" }),
        { ZarrMetadataDoubleUpdate: "theirs" }
      )
      assert.isTrue(Result.isFailure(result) && result.failure._tag === "NothingToCommit")
    })
  )
})

describe("a rebase", () => {
  it.effect("without a commit puts the session on the new tip", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/ours")
          const theirs = yield* elsewhere(world, (s) => s.createGroup("/theirs"))
          const refused = yield* Effect.flip(session.commit("ours"))
          assert.strictEqual(refused._tag, "CommitConflict")
          assert.strictEqual(yield* session.rebase(), theirs)
          assert.strictEqual(yield* session.snapshotId, theirs)
          assert.deepStrictEqual(Object.keys(yield* stateOf(session)), ["/ours", "/theirs"])
          yield* session.commit("ours")
          assert.deepStrictEqual(Object.keys(yield* stateAt(world)), ["/ours", "/theirs"])
        })
      )
    })
  )

  it.effect("does not count what the session set to what it was", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const first = yield* repository.writableSession("main")
          yield* begin(first)
          yield* first.commit("first")
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/g/a", [0], text("base 0"))
          yield* session.deleteChunk("/g/a", [2])
          const theirs = yield* elsewhere(world, (s) =>
            Effect.andThen(s.setChunk("/g/a", [0], text("theirs 0")), s.setChunk("/g/a", [2], text("theirs 2")))
          )
          assert.strictEqual(yield* session.rebase(), theirs)
          assert.deepStrictEqual(yield* stateOf(session), yield* stateAt(world))
        })
      )
    })
  )

  it.effect("leaves a session that goes on: it keeps what it wrote, and what it gave up does not come back", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const long = (of: string): string => `${of} ${"long ".repeat(200)}`
          const repository = yield* Repository.create()
          const first = yield* repository.writableSession("main")
          yield* begin(first)
          yield* first.commit("first")
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/g/a", [0], text("given up"))
          yield* session.setChunk("/g/a", [1], text("kept"))
          yield* session.setChunk("/g/a", [2], text(long("kept")))
          yield* elsewhere(world, (s) => s.setChunk("/g/a", [0], text("theirs")))
          yield* session.rebase({ ChunkDoubleUpdate: "theirs" })
          yield* session.setChunk("/g/a", [3], text(long("new")))
          yield* session.setChunk("/b", [0], text("new"))
          const wanted = { 0: "theirs", 1: "kept", 2: long("kept"), 3: long("new") }
          assert.deepStrictEqual((yield* stateOf(session))["/g/a"]?.chunks, wanted)
          yield* session.setChunk("/g/a", [3], text("newer"))
          yield* session.commit("ours")
          assert.deepStrictEqual((yield* stateAt(world))["/g/a"]?.chunks, { ...wanted, 3: "newer" })
        })
      )
    })
  )

  it.effect("of chunks that others cut off leaves nothing that could come back", () =>
    Effect.gen(function* () {
      const { result, state } = yield* race(
        (s) => s.setChunk("/g/a", [3], text("ours")),
        (s) => resized(s, "/g/a", 2),
        { ChunksUpdatedInUpdatedArray: "ours" }
      )
      assert.isTrue(Result.isFailure(result) && result.failure._tag === "NothingToCommit")
      assert.strictEqual(state["/g/a"]?.length, 2)
    })
  )

  it.effect("over chunks that came and went is no conflict, whatever else was written", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const first = yield* repository.writableSession("main")
          yield* begin(first)
          yield* first.commit("first")
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/b", [0], text("ours"))
          yield* session.setChunk("/g/a", [0], text("ours"))
          yield* elsewhere(world, (s) =>
            Effect.andThen(s.setChunk("/b", [0], text("theirs")), s.setChunk("/g/a", [1], text("theirs")))
          )
          yield* elsewhere(world, (s) => s.deleteChunk("/b", [0]))
          yield* session.commit("ours", { rebase: {} })
          assert.deepStrictEqual((yield* stateAt(world))["/b"]?.chunks, { 0: "ours" })
        })
      )
    })
  )

  it.effect("over a branch that was reset is refused, and says what to do", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const first = yield* repository.writableSession("main")
          const initial = yield* first.snapshotId
          yield* first.createArray("/a", array())
          yield* first.commit("first")
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/a", [0], text("ours"))
          yield* repository.resetBranch("main", initial)
          yield* elsewhere(world, (s) => s.createGroup("/other"))
          const error = yield* Effect.flip(session.commit("ours", { rebase: (): Rebase.Resolution => "ours" }))
          assert.strictEqual(error._tag, "RebaseImpossible")
          assert.include(error.message, "Open a new session")
        })
      )
    })
  )
})

/** A node, wherever it is. */
interface Placed extends NodeState {
  readonly path: string
}

/** What a reader sees, by node: one that is moved stays the same. */
const nodesOf = Effect.fnUntraced(function* (session: Session.Session) {
  const state = yield* stateOf(session)
  const nodes = new Map<string, Placed>()
  for (const { id, path } of yield* session.nodes()) nodes.set(id, { ...state[path]!, path })
  return nodes
})

const pathOf = (nodes: ReadonlyMap<string, Placed>, wanted: string): string | undefined =>
  [...nodes].find(([, { path }]) => path === wanted)?.[0]

/** A path as one below a node, of which it is told where it is now; without a node as it stands. */
interface Place {
  readonly node: string | undefined
  readonly rest: string
}

const placeOf = (nodes: ReadonlyMap<string, Placed>, path: string): Place => {
  for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const node = pathOf(nodes, at)
    if (node !== undefined) return { node, rest: path.slice(at.length) }
  }
  return { node: undefined, rest: path }
}

/** Something that was done, with its paths as places, and the node that came of it. */
interface Done {
  readonly operation: Operation
  readonly at: Place
  readonly to: Place
  readonly created: string | undefined
}

/** Does what can be done, and says what that was. */
const performAll = Effect.fnUntraced(function* (
  session: WritableSession,
  operations: ReadonlyArray<Operation>,
  by: string
) {
  const done: Array<Done> = []
  for (const operation of operations) {
    const before = yield* nodesOf(session)
    if (Exit.isFailure(yield* Effect.exit(perform(session, operation, by)))) continue
    const { path, value } = operation
    const created = pathOf(yield* nodesOf(session), path)
    done.push({ operation, at: placeOf(before, path), to: placeOf(before, paths[value] ?? "/"), created })
  }
  return done
})

/** The same once more, to the same nodes, where they are now. */
const performAgain = Effect.fnUntraced(function* (session: WritableSession, all: ReadonlyArray<Done>, by: string) {
  // A node that was created has another id the second time.
  const same = new Map<string, string>()
  for (const { at, created, operation, to } of all) {
    const nodes = yield* nodesOf(session)
    const resolve = ({ node, rest }: Place): string | undefined => {
      if (node === undefined) return rest
      const there = nodes.get(same.get(node) ?? node)
      return there === undefined ? undefined : there.path + rest
    }
    /** Where something new goes: to the same path, whatever node is above it now. */
    const placeAgain = (place: Place, path: string): string | undefined =>
      pathOf(nodes, path.slice(0, path.length - place.rest.length)) === undefined ? resolve(place) : path
    const isCreation = operation._tag.startsWith("create")
    const path = isCreation ? placeAgain(at, operation.path) : resolve(at)
    // Others have deleted it, too: else there would be a conflict.
    if (path === undefined) continue
    if (operation._tag === "move") {
      const target = placeAgain(to, paths[operation.value]!) ?? "it is gone"
      // Others may have moved it there, too.
      if (target !== path) yield* session.move(path, target)
    } else yield* perform(session, { ...operation, path: path as Operation["path"] }, by)
    const id = pathOf(yield* nodesOf(session), path)
    if (created !== undefined && id !== undefined && isCreation) same.set(created, id)
  }
})

type States = ReadonlyMap<string, Placed>

/** Nodes and components that differ from the base. */
const changesIn = (base: States, state: States): ReadonlyArray<readonly [string, string]> =>
  [...state.keys()].flatMap((id) => {
    const [was, now] = [base.get(id), state.get(id)]
    if (was === undefined) return [[id, "node"] as const]
    const found: Array<readonly [string, string]> = []
    if (JSON.stringify(was.attributes) !== JSON.stringify(now?.attributes)) found.push([id, "attributes"])
    for (let i = 0; i < 4; i++) if (was.chunks?.[i] !== now?.chunks?.[i]) found.push([id, `chunk ${i}`])
    return found
  })

const component = (state: States, [id, what]: readonly [string, string]): unknown =>
  what === "node"
    ? state.has(id)
    : what === "attributes"
      ? state.get(id)?.attributes
      : state.get(id)?.chunks?.[what.at(-1)!]

const script = fc.array(operation, { minLength: 1, maxLength: 8 })

/** One session works, another commits first, and the one commits on top: what all of them see, by node. */
const raceOf = Effect.fnUntraced(function* (
  base: ReadonlyArray<Operation>,
  ours: ReadonlyArray<Operation>,
  theirs: ReadonlyArray<Operation>,
  rebase: Rebase.Solver
) {
  const world = yield* worldInMemory
  return yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const first = yield* repository.writableSession("main")
      yield* begin(first)
      yield* performAll(first, base, "base")
      yield* first.commit("first")
      const session = yield* repository.writableSession("main")
      const baseState = yield* nodesOf(session)
      const done = yield* performAll(session, ours, "us")
      const before = yield* nodesOf(session)
      // There is always something to commit, and to rebase over.
      const tip = yield* elsewhere(world, (s) =>
        Effect.andThen(performAll(s, theirs, "them"), s.createGroup("/theirs"))
      )
      const alone = yield* nodesOf(yield* repository.readonlySession({ snapshotId: tip }))
      const result = yield* Effect.result(session.commit("ours", { rebase }))
      const reader = yield* repository.readonlySession({ branch: "main" })
      const state = yield* nodesOf(reader)
      assert.deepStrictEqual(yield* nodesOf(session), Result.isSuccess(result) ? state : before)
      // The same on what the others have left, by one who comes after them.
      const replay = Effect.gen(function* () {
        yield* repository.createBranch("after", tip)
        const again = yield* repository.writableSession("after")
        yield* performAgain(again, done, "us")
        return yield* stateOf(again)
      })
      return {
        alone,
        baseState,
        before,
        byPath: yield* stateOf(reader),
        cameAndWent: done.some(({ at: { node }, operation: { _tag, value } }) => {
          if (node === undefined) return false
          const was = baseState.get(node)
          return _tag === "delete" ? was === undefined : _tag === "deleteChunk" && was?.chunks?.[value] === undefined
        }),
        passed: done.some(({ operation: { _tag, path, value } }) => {
          if (_tag !== "move" && !_tag.startsWith("create")) return false
          return pathOf(before, _tag === "move" ? paths[value]! : path) === undefined
        }),
        replay: Result.isSuccess(result) ? yield* Effect.exit(replay) : undefined,
        result,
        state
      }
    })
  )
})

/** `TEST_MODEL_RUNS` says how many races are run (default 60). */
const runs = Number(process.env["TEST_MODEL_RUNS"] ?? 60)

describe("any two sessions", () => {
  const holds = (
    property: (
      base: ReadonlyArray<Operation>,
      ours: ReadonlyArray<Operation>,
      theirs: ReadonlyArray<Operation>
    ) => Effect.Effect<unknown, unknown, Scope.Scope>
  ): Promise<void> =>
    fc.assert(
      fc.asyncProperty(script, script, script, async (base, ours, theirs) => {
        await Effect.runPromise(Effect.scoped(property(base, ours, theirs)))
      }),
      { numRuns: runs }
    )

  it("that do not conflict: the result is that of one after the other", () =>
    holds((base, ours, theirs) =>
      Effect.gen(function* () {
        const { byPath, cameAndWent, passed, replay, result } = yield* raceOf(base, ours, theirs, {})
        // What came and went within the session took nothing of others with it, and where others have a node that it only
        // passed on the way, one after the other is something else.
        if (Result.isFailure(result) || cameAndWent || passed) return
        assert.deepStrictEqual(replay, Exit.succeed(byPath))
      })
    ))

  it("with others winning: what they did is there", () =>
    holds((base, ours, theirs) =>
      Effect.gen(function* () {
        const { alone, baseState, state } = yield* raceOf(base, ours, theirs, () => "theirs")
        for (const change of changesIn(baseState, alone)) {
          assert.deepStrictEqual(component(state, change), component(alone, change), change[1])
        }
        for (const [id, { path }] of baseState) if (!alone.has(id)) assert.isFalse(state.has(id), path)
        for (const [id, { path }] of alone) {
          // What they moved, and the session left where it was, is where they put it.
          const was = baseState.get(id)
          if (was !== undefined && was.path !== path && state.has(id)) assert.strictEqual(state.get(id)!.path, path)
        }
      })
    ))

  it("with the session winning where it can: the result is a tree, and none of its new chunks is lost", () =>
    holds((base, ours, theirs) =>
      Effect.gen(function* () {
        const onlyTheirs = new Set<Conflict.Conflict["_tag"]>([
          "ZarrMetadataUpdateOfDeletedArray",
          "ZarrMetadataUpdateOfDeletedGroup",
          "ChunksUpdatedInDeletedArray",
          "MoveOperationCannotBeRebased"
        ])
        const lost = new Set<string>()
        const replaced: Array<string> = []
        const raced = yield* raceOf(base, ours, theirs, (conflict) => {
          if (onlyTheirs.has(conflict._tag)) lost.add(conflict.node)
          if (conflict._tag === "NewNodeConflictsWithExistingNode") replaced.push(conflict.path)
          if (conflict._tag === "NewNodeInInvalidGroup") replaced.push(conflict.above)
          return onlyTheirs.has(conflict._tag) ? "theirs" : "ours"
        })
        const { alone, baseState, before, byPath, result, state } = raced
        if (Result.isFailure(result)) return assert.strictEqual(result.failure._tag, "NothingToCommit")
        // What others moved to where the session has a new node goes, with what the session did to it.
        for (const [id, { path }] of alone) {
          if (replaced.some((one) => path === one || path.startsWith(`${one}/`))) lost.add(id)
        }
        for (const change of changesIn(baseState, before)) {
          if (!lost.has(change[0])) {
            assert.deepStrictEqual(component(state, change), component(before, change), change[1])
          }
        }
        for (const path of Object.keys(byPath)) {
          for (const above of Object.keys(byPath)) {
            if (path.startsWith(`${above}/`)) assert.isUndefined(byPath[above]?.chunks, `${path} in ${above}`)
          }
        }
      })
    ))
})
