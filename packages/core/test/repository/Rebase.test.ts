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
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"

const array = (length = 4, attributes = {}) => ({
  shape: [length],
  chunkShape: [1],
  dataType: "uint8",
  fillValue: 0,
  attributes
})

type Work<E = unknown> = (session: WritableSession) => Effect.Effect<unknown, E>

const resized = (session: WritableSession, path: string, length: number, extra = {}) =>
  Effect.gen(function* () {
    const { userData } = yield* session.node(path)
    const json = { ...JSON.parse(new TextDecoder().decode(userData)), shape: [length], ...extra }
    yield* session.setMetadata(path, text(JSON.stringify(json)))
  })

const attributed = (session: WritableSession, path: string, attributes: object) =>
  Effect.gen(function* () {
    const { userData } = yield* session.node(path)
    const json = { ...JSON.parse(new TextDecoder().decode(userData)), attributes }
    yield* session.setMetadata(path, text(JSON.stringify(json)))
  })

/** Does something in another program and commits it. */
const elsewhere = (world: World, work: Work) =>
  inWorld(world)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open()).writableSession("main")
      yield* work(session)
      return yield* session.commit("theirs")
    })
  )

interface NodeState {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly chunks?: Readonly<Record<string, string>>
  readonly length?: number
}

type State = Record<string, NodeState>

/** What a reader sees: for each node its attributes and chunks. */
const stateOf = Effect.fnUntraced(function* (session: Session.Session) {
  const state: State = {}
  for (const { data, path, userData } of yield* session.nodes()) {
    const { attributes = {} } = JSON.parse(new TextDecoder().decode(userData))
    const chunks: Record<string, string> = {}
    if (data._tag === "Array") {
      for (let i = 0; i < data.shape[0]!.numChunks; i++) {
        const chunk = yield* session.chunk(path, [i])
        if (chunk !== undefined) chunks[i] = new TextDecoder().decode(chunk)
      }
    }
    state[path] = data._tag === "Array" ? { attributes, chunks, length: data.shape[0]!.length } : { attributes }
  }
  return state
})

const stateAt = (world: World) =>
  inWorld(world)(
    Effect.gen(function* () {
      return yield* stateOf(yield* (yield* Repository.open()).readonlySession({ branch: "main" }))
    })
  )

/** What both begin with: a group with an array that has chunks 0 and 1. */
const begin: Work = (session) =>
  Effect.gen(function* () {
    yield* session.createGroup("/g", { is: "base" })
    yield* session.createArray("/g/a", array())
    yield* session.setChunk("/g/a", [0], text("base 0"))
    yield* session.setChunk("/g/a", [1], text("base 1"))
    yield* session.createArray("/b", array())
  })

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

/** What may be done to a small tree, most of which fails. */
const paths = ["/g", "/g/a", "/g/b", "/g/h", "/g/h/c", "/d", "/d/a"] as const
const operation = fc.oneof(
  fc.record({ _tag: fc.constant("createGroup" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("createArray" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("attributes" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("delete" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({
    _tag: fc.constantFrom("setChunk" as const, "setChunk" as const, "deleteChunk" as const),
    path: fc.constantFrom(...paths),
    value: fc.nat(3)
  })
)
type Operation = typeof operation extends fc.Arbitrary<infer A> ? A : never

const perform = (
  session: WritableSession,
  { _tag, path, value }: Operation,
  by: string
): Effect.Effect<unknown, unknown> => {
  switch (_tag) {
    case "createGroup":
      return session.createGroup(path, { by, value })
    case "createArray":
      return session.createArray(path, array(4, { by, value }))
    case "attributes":
      return attributed(session, path, { by, value })
    case "delete":
      return session.deleteNode(path)
    case "setChunk":
      return session.setChunk(path, [value], text(`${by} ${value}`))
    case "deleteChunk":
      return session.deleteChunk(path, [value])
  }
}

/** Does what can be done, and says what that was. */
const performAll = Effect.fnUntraced(function* (
  session: WritableSession,
  operations: ReadonlyArray<Operation>,
  by: string
) {
  const done: Array<Operation> = []
  for (const one of operations) {
    if (Exit.isSuccess(yield* Effect.exit(perform(session, one, by)))) done.push(one)
  }
  return done
})

/** Nodes and components that differ from the base. */
const changesIn = (base: State, state: State): ReadonlyArray<readonly [string, string]> =>
  [...new Set([...Object.keys(base), ...Object.keys(state)])].flatMap((path) => {
    if (!(path in state) || !(path in base)) return path in state ? [[path, "node"] as const] : []
    const [was, now] = [base[path], state[path]]
    const found: Array<readonly [string, string]> = []
    if (JSON.stringify(was?.attributes) !== JSON.stringify(now?.attributes)) found.push([path, "attributes"])
    for (let i = 0; i < 4; i++) if (was?.chunks?.[i] !== now?.chunks?.[i]) found.push([path, `chunk ${i}`])
    return found
  })

const component = (state: State, [path, what]: readonly [string, string]): unknown =>
  what === "node"
    ? path in state
    : what === "attributes"
      ? state[path]?.attributes
      : state[path]?.chunks?.[what.at(-1)!]

const script = fc.array(operation, { minLength: 1, maxLength: 8 })

const raceOf = Effect.fnUntraced(function* (
  base: ReadonlyArray<Operation>,
  ours: ReadonlyArray<Operation>,
  theirs: ReadonlyArray<Operation>,
  solver: Rebase.Solver
) {
  const start: Work = (s) => Effect.andThen(begin(s), performAll(s, base, "base"))
  const done: Array<Operation> = []
  let baseState: State = {}
  const raced = yield* race(
    Effect.fnUntraced(function* (s: WritableSession) {
      baseState = yield* stateOf(s)
      done.push(...(yield* performAll(s, ours, "us")))
    }),
    // There is always something to commit, and to rebase over.
    (s) => Effect.andThen(performAll(s, theirs, "them"), s.createGroup("/theirs")),
    solver,
    start
  )
  return { ...raced, done, baseState }
})

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
      { numRuns: 60 }
    )

  it("that do not conflict: the result is that of one after the other", () =>
    holds((base, ours, theirs) =>
      Effect.gen(function* () {
        const { baseState, done, result, state } = yield* raceOf(base, ours, theirs, {})
        if (Result.isFailure(result)) return
        // What came and went within the session took nothing of others with it.
        if (done.some(({ _tag, path }) => _tag === "delete" && !(path in baseState))) return
        // The same once more, on what the others have left: a second program begins with a repository of its own.
        const expected = yield* replay(base, theirs, done)
        assert.deepStrictEqual(state, expected)
      })
    ))

  it("with others winning: what they did is there", () =>
    holds((base, ours, theirs) =>
      Effect.gen(function* () {
        const { baseState, done, state } = yield* raceOf(base, ours, theirs, () => "theirs")
        const alone = yield* replay(base, theirs, [])
        const deleted = done.filter(({ _tag }) => _tag === "delete").map(({ path }) => path)
        for (const change of changesIn(baseState, alone)) {
          assert.deepStrictEqual(component(state, change), component(alone, change), `${change[0]} ${change[1]}`)
        }
        for (const path of Object.keys(baseState)) {
          if (path in alone || deleted.some((one) => path === one || path.startsWith(`${one}/`))) continue
          assert.isFalse(path in state, path)
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
        const { baseState, before, result, state } = yield* raceOf(base, ours, theirs, ({ _tag, path }) => {
          if (onlyTheirs.has(_tag)) lost.add(path)
          return onlyTheirs.has(_tag) ? "theirs" : "ours"
        })
        if (Result.isFailure(result)) return assert.strictEqual(result.failure._tag, "NothingToCommit")
        for (const change of changesIn(baseState, before)) {
          if (!lost.has(change[0])) {
            assert.deepStrictEqual(component(state, change), component(before, change), `${change[0]} ${change[1]}`)
          }
        }
        for (const path of Object.keys(state)) {
          for (const above of Object.keys(state)) {
            if (path.startsWith(`${above}/`)) assert.isUndefined(state[above]?.chunks, `${path} in ${above}`)
          }
        }
      })
    ))
})

/** What comes of the same base when theirs and then ours is done by one after the other. */
const replay = Effect.fnUntraced(function* (
  base: ReadonlyArray<Operation>,
  theirs: ReadonlyArray<Operation>,
  ours: ReadonlyArray<Operation>
) {
  const world = yield* worldInMemory
  return yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* begin(session)
      yield* performAll(session, base, "base")
      yield* session.commit("first")
      yield* performAll(session, theirs, "them")
      yield* session.createGroup("/theirs")
      yield* session.commit("theirs")
      yield* performAll(session, ours, "us")
      return yield* stateOf(session)
    })
  )
})
