/**
 * What four sessions on one branch can do, three of them in one program and one in another, done to the real ones and to
 * the model. After each command all look the same.
 */
import {
  type Conflict,
  type ObjectStore,
  Rebase,
  Repository,
  type Session,
  type WritableSession
} from "@effect-icechunk/core"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { inWorld, type World } from "../../packages/core/test/repository/Fixture.ts"
import * as Model from "./BranchModel.ts"

/** What is run beside the model. */
export interface Real {
  readonly programs: ReadonlyArray<Repository.RepositoryShape>
  readonly sessions: Array<WritableSession.WritableSession>
}

export interface Modelled {
  readonly branch: Model.BranchModel
  readonly sessions: Array<Model.SessionModel>
}

/** The program of each session. */
const programOf = [0, 0, 0, 1] as const

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const zarrJson = ({
  attributes,
  codec,
  kind,
  length
}: Pick<Model.Node, "attributes" | "codec" | "kind" | "length">): Uint8Array =>
  encoder.encode(
    JSON.stringify({
      zarr_format: 3,
      node_type: kind,
      attributes: { n: attributes },
      ...(kind === "array"
        ? {
            shape: [length],
            data_type: "uint8",
            chunk_grid: { name: "regular", configuration: { chunk_shape: [1] } },
            chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
            fill_value: 0,
            codecs: [{ name: "bytes" }, ...(codec === 0 ? [] : [{ name: "crc32c" }])]
          }
        : {})
    })
  )

/** What a session shows, or is to show, in text. */
const shown = (
  nodes: Iterable<{ readonly path: string; readonly json: string; readonly chunks: ReadonlyMap<number, string> }>
) =>
  [...nodes]
    .map(({ chunks, json, path }) => `${path} ${json} ${JSON.stringify([...chunks].toSorted(([a], [b]) => a - b))}`)
    .toSorted()

export const shownByModel = (nodes: Model.Nodes): ReadonlyArray<string> =>
  shown(
    [...nodes.values()].map((node) => ({
      path: node.path,
      json: decoder.decode(zarrJson(node)),
      chunks: new Map([...node.chunks].filter(([index]) => index < node.length))
    }))
  )

export const shownBySession = Effect.fnUntraced(function* (session: Session.Session) {
  const found: Array<{ readonly path: string; readonly json: string; readonly chunks: Map<number, string> }> = []
  for (const { data, path, userData } of yield* session.nodes()) {
    const chunks = new Map<number, string>()
    if (data._tag === "Array") {
      for (const [index] of yield* Stream.runCollect(session.chunkIndices(path))) {
        chunks.set(index!, decoder.decode(yield* session.chunk(path, [index!])))
      }
    }
    found.push({ path, json: decoder.decode(userData), chunks })
  }
  return shown(found)
})

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, { onFailure: ({ _tag }): string => _tag, onSuccess: () => undefined })

const paths = ["/g", "/g/a", "/g/b", "/g/h", "/g/h/c", "/d", "/d/a"] as const

const path = fc.constantFrom(...paths)

/** Few values, so that the same are written again, and long ones, which are objects of their own, never twice. */
const chunk = fc.constantFrom("x", "y", "long")

let longs = 0

const edit = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom("group" as const, "array" as const), path, value: fc.nat(2) })
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("attributes" as const), path, value: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("length" as const), path, value: fc.integer({ min: 1, max: 5 }) })
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("codec" as const), path, value: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("delete" as const), path, value: fc.constant(0) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("chunk" as const), path, value: fc.nat(4), chunk }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("no chunk" as const), path, value: fc.nat(4) }) }
)

export type Edit = typeof edit extends fc.Arbitrary<infer A> ? A : never

/** Changes a session and its model, which have to agree on whether it can be done. */
export const perform = Effect.fnUntraced(function* (
  one: Edit,
  real: WritableSession.WritableSession,
  model: Model.SessionModel
) {
  const { op, path, value } = one
  const node = Model.at(model.nodes, path)
  switch (op) {
    case "group":
    case "array": {
      const wanted = model.create(path, op, value)
      const json = zarrJson({ kind: op, attributes: value, length: op === "array" ? 4 : 0, codec: 0 })
      const found = yield* tagOf(
        wanted === undefined
          ? real.setMetadata(path, json)
          : op === "group"
            ? real.createGroup(path)
            : real.createArray(path, { shape: [1], chunkShape: [1], dataType: "uint8", fillValue: 0 })
      )
      return assert.strictEqual(found, wanted)
    }
    case "attributes":
    case "length":
    case "codec": {
      if (node === undefined || (op !== "attributes" && node.kind === "group")) return
      model.update(path, { [op]: value })
      return yield* real.setMetadata(path, zarrJson(Model.at(model.nodes, path)!))
    }
    case "delete":
      return assert.strictEqual(yield* tagOf(real.deleteNode(path)), model.delete(path))
    case "chunk": {
      const text = one.chunk === "long" ? `longer than what is inline: ${++longs}` : one.chunk
      return assert.strictEqual(
        yield* tagOf(real.setChunk(path, [value], encoder.encode(text))),
        model.setChunk(path, value, text)
      )
    }
    case "no chunk":
      return assert.strictEqual(yield* tagOf(real.deleteChunk(path, [value])), model.setChunk(path, value, undefined))
  }
})

const kinds = [
  "NewNodeConflictsWithExistingNode",
  "NewNodeInInvalidGroup",
  "ZarrMetadataDoubleUpdate",
  "ZarrMetadataUpdateOfDeletedArray",
  "ZarrMetadataUpdateOfDeletedGroup",
  "ZarrMetadataUpdateOfWrittenArray",
  "ChunkDoubleUpdate",
  "ChunksUpdatedInDeletedArray",
  "ChunksUpdatedInUpdatedArray",
  "DeleteOfUpdatedArray",
  "DeleteOfUpdatedGroup",
  "DeleteOfGroupWithNewNodes"
] as const satisfies ReadonlyArray<Model.Kind>

type Ways = Readonly<Partial<Record<Model.Kind, "ours" | "theirs" | "fail">>>

/** One way for all kinds of conflicts, or one for each. Where a kind can only end as the others have it, often so. */
export const ways: fc.Arbitrary<Ways> = fc.oneof(
  fc.constant({}),
  ...(["ours", "theirs"] as const).map((way) =>
    fc.constant(Object.fromEntries(kinds.map((kind) => [kind, Model.onlyTheirs.has(kind) ? "theirs" : way])) as Ways)
  ),
  fc.record(
    Object.fromEntries(
      kinds.map((kind) => [kind, fc.constantFrom("ours", "ours", "theirs", "theirs", "fail")])
    ) as never
  ) as fc.Arbitrary<Ways>
)

export const policyOf =
  (ways: Ways): Model.Policy =>
  (kind) =>
    ways[kind] ?? "fail"

export const solverOf =
  (ways: Ways): Rebase.Solve =>
  ({ _tag }) =>
    ways[_tag as Model.Kind] ?? "fail"

const printed = (conflicts: ReadonlyArray<Model.Conflict>): ReadonlyArray<string> =>
  conflicts.map(({ chunks = [], kind, path }) => `${kind} ${path} ${chunks.join()}`).toSorted()

export const printedReal = (conflicts: ReadonlyArray<Conflict.Conflict>): ReadonlyArray<string> =>
  conflicts
    .map((conflict) => {
      const chunks = conflict._tag === "ChunkDoubleUpdate" ? [...conflict.coords] : []
      return `${conflict._tag} ${conflict.path} ${chunks.join()}`
    })
    .toSorted()

/** What a commit on top of a version must come to. */
export const expected = (model: Model.SessionModel, version: Model.Version, ways: Ways): Model.Rebased | "nothing" => {
  if (!model.hasChanges) return "nothing"
  const rebased = model.onto(version, policyOf(ways))
  return rebased._tag === "Rebased" && rebased.isNothing ? "nothing" : rebased
}

type Failure = { readonly _tag: string }

/** Whether a commit has failed as it must. */
export const isSame = (failure: Failure, wanted: Model.Rebased | "nothing"): boolean => {
  if (failure instanceof Rebase.RebaseConflict) {
    return (
      wanted !== "nothing" &&
      wanted._tag === "Conflicts" &&
      printed(wanted.conflicts).join() === printedReal(failure.conflicts).join()
    )
  }
  return failure._tag === "NothingToCommit" && wanted === "nothing"
}

export const describe = (wanted: Model.Rebased | "nothing"): string =>
  wanted === "nothing" ? wanted : wanted._tag === "Conflicts" ? printed(wanted.conflicts).join() : "rebased"

export const describeFailure = (failure: Failure): string =>
  failure instanceof Rebase.RebaseConflict ? printedReal(failure.conflicts).join() : failure._tag

/** Lets the model come to what a commit on the tip came to. */
export const committed = (
  result: Result.Result<string, Failure>,
  session: Model.SessionModel,
  branch: Model.BranchModel,
  ways: Ways
): void => {
  const wanted = expected(session, branch.tip, ways)
  if (Result.isFailure(result)) {
    return assert.isTrue(isSame(result.failure, wanted), `${describeFailure(result.failure)}, not ${describe(wanted)}`)
  }
  if (wanted === "nothing" || wanted._tag === "Conflicts") {
    return assert.fail(`it was committed, in spite of: ${describe(wanted)}`)
  }
  const version = branch.push(result.success, wanted.nodes, wanted.touched)
  session.moveTo(version, version.nodes)
}

/** After each command: what sessions show, and what they are based on. */
const verify = Effect.fnUntraced(function* (model: Modelled, real: Real) {
  for (const [i, session] of real.sessions.entries()) {
    const wanted = model.sessions[i]!
    assert.deepStrictEqual(yield* shownBySession(session), shownByModel(wanted.nodes), `session ${i}`)
    assert.strictEqual(String(yield* session.snapshotId), wanted.base.id)
    const status = yield* session.status
    const isChanged = Object.values(status).some((part) => ("size" in part ? part.size : part.length) > 0)
    assert.strictEqual(isChanged, wanted.hasChanges, `session ${i} has changes`)
  }
})

/** Every version is as it was committed. */
export const verifyVersions = Effect.fnUntraced(function* (
  branch: Model.BranchModel,
  repository: Repository.RepositoryShape
) {
  const history = yield* repository.history({ branch: "main" })
  const ids = history.map(({ id }) => String(id)).toReversed()
  assert.deepStrictEqual(
    ids.slice(-branch.versions.length),
    branch.versions.map(({ id }) => id)
  )
  for (const { id, nodes } of branch.versions) {
    const session = yield* repository.readonlySession({ snapshotId: id })
    assert.deepStrictEqual(yield* shownBySession(session), shownByModel(nodes), id)
  }
})

type Run = (model: Modelled, real: Real) => Effect.Effect<void, unknown>

class Command implements fc.AsyncCommand<Modelled, Real> {
  readonly #name: string
  readonly #args: unknown
  readonly #run: Run

  constructor(name: string, args: unknown, run: Run) {
    this.#name = name
    this.#args = args
    this.#run = run
  }

  check(): boolean {
    return true
  }

  run(model: Modelled, real: Real): Promise<void> {
    return Effect.runPromise(Effect.andThen(this.#run(model, real), verify(model, real)))
  }

  toString(): string {
    return `${this.#name}(${fc.stringify(this.#args)})`
  }
}

const command = <A>(
  name: string,
  args: fc.Arbitrary<A>,
  run: (args: A, model: Modelled, real: Real) => Effect.Effect<void, unknown>
): fc.Arbitrary<Command> => args.map((values) => new Command(name, values, (model, real) => run(values, model, real)))

const which = fc.nat(3)

const edits = fc.array(edit, { minLength: 1, maxLength: 4 })

const commitOf = (
  { ways, which }: { readonly which: number; readonly ways: Ways },
  model: Modelled,
  real: Real
): Effect.Effect<void> =>
  Effect.map(Effect.result(real.sessions[which]!.commit("a commit", { rebase: solverOf(ways) })), (result) =>
    committed(result, model.sessions[which]!, model.branch, ways)
  )

export const commands: Array<fc.Arbitrary<Command>> = [
  ...Array.from({ length: 6 }, () =>
    command("edit", fc.record({ which, edits }), ({ edits, which }, model, real) =>
      Effect.forEach(edits, (one) => perform(one, real.sessions[which]!, model.sessions[which]!), { discard: true })
    )
  ),
  command("commit", fc.record({ which }), ({ which }, { branch, sessions }, real) =>
    Effect.gen(function* () {
      const session = sessions[which]!
      const result = yield* Effect.result(real.sessions[which]!.commit("a commit"))
      if (session.hasChanges && session.base !== branch.tip) {
        assert.isTrue(Result.isFailure(result))
        return assert.strictEqual(Result.isFailure(result) ? result.failure._tag : "", "CommitConflict")
      }
      committed(result, session, branch, {})
    })
  ),
  ...Array.from({ length: 3 }, () => command("commit with rebase", fc.record({ which, ways }), commitOf)),
  ...Array.from({ length: 3 }, () =>
    command("rebase", fc.record({ which, ways }), ({ ways, which }, { branch, sessions }, real) =>
      Effect.gen(function* () {
        const session = sessions[which]!
        const wanted = session.onto(branch.tip, policyOf(ways))
        const result = yield* Effect.result(real.sessions[which]!.rebase(solverOf(ways)))
        if (Result.isFailure(result)) {
          return assert.isTrue(
            isSame(result.failure, wanted),
            `${describeFailure(result.failure)}, not ${describe(wanted)}`
          )
        }
        if (wanted._tag === "Conflicts") return assert.fail(`it was rebased, in spite of: ${describe(wanted)}`)
        session.moveTo(branch.tip, wanted.nodes)
      })
    )
  ),
  command("discard", fc.record({ which }), ({ which }, { sessions }, real) =>
    Effect.tap(real.sessions[which]!.discard, () => Effect.sync(() => sessions[which]!.discard()))
  ),
  command("reopen", fc.record({ which }), ({ which }, { branch, sessions }, real) =>
    Effect.gen(function* () {
      real.sessions[which] = yield* real.programs[programOf[which as 0]]!.writableSession("main")
      sessions[which] = new Model.SessionModel(branch)
    })
  ),
  command("together", fc.tuple(ways, ways, ways, ways), (ways, { branch, sessions }, real) =>
    Effect.gen(function* () {
      const before = branch.tip
      const results = yield* Effect.forEach(
        real.sessions,
        (session, i) => Effect.result(session.commit(`of ${i}`, { rebase: solverOf(ways[i]!) })),
        { concurrency: "unbounded" }
      )
      const history = (yield* real.programs[1]!.history({ branch: "main" })).map(({ id }) => String(id))
      const order = history.slice(0, history.indexOf(before.id)).toReversed()
      const made = results.map((result) => (Result.isSuccess(result) ? String(result.success) : ""))
      assert.deepStrictEqual(order.toSorted(), made.filter((id) => id !== "").toSorted())
      for (const id of order) {
        const i = made.indexOf(id)
        committed(Result.succeed(id), sessions[i]!, branch, ways[i]!)
      }
      // Whoever has failed did so on what the branch was at some time.
      const tips = [before, ...branch.since(before)]
      for (const [i, result] of results.entries()) {
        if (Result.isSuccess(result)) continue
        const wanted = tips.map((tip) => expected(sessions[i]!, tip, ways[i]!))
        assert.isTrue(
          wanted.some((one) => isSame(result.failure, one)),
          `${i}: ${describeFailure(result.failure)}, not ${wanted.map(describe).join(" or ")}`
        )
      }
    })
  ),
  command(
    "transact",
    fc.record({ program: fc.nat(1), ways, edits, meanwhile: fc.option(fc.record({ which, ways })) }),
    ({ edits, meanwhile, program, ways }, model, real) =>
      Effect.gen(function* () {
        const session = new Model.SessionModel(model.branch)
        const result = yield* Effect.result(
          real.programs[program]!.transact(
            "main",
            "a transaction",
            (real_) =>
              Effect.andThen(
                Effect.forEach(edits, (one) => perform(one, real_, session), { discard: true }),
                meanwhile === null ? Effect.void : commitOf(meanwhile, model, real)
              ),
            { rebase: solverOf(ways) }
          ).pipe(Effect.map(({ snapshotId }) => String(snapshotId)))
        )
        committed(
          Result.mapError(result, (error) => error as Failure),
          session,
          model.branch,
          ways
        )
      })
  )
]

/** Runs commands on a new repository in two programs, and at last looks at all of its versions. */
export const runAll = (
  world: World,
  commands: Iterable<fc.AsyncCommand<Modelled, Real>>
): Effect.Effect<void, unknown> => {
  const other: ObjectStore.ObjectStoreShape = { ...world.store }
  return inWorld(world)(
    Effect.gen(function* () {
      const here = yield* Repository.create({ persist: { inline_chunk_threshold_bytes: 8 } })
      yield* inWorld({ ...world, store: other })(
        Effect.gen(function* () {
          const programs = [here, yield* Repository.open()]
          const branch = new Model.BranchModel()
          const first = yield* here.writableSession("main")
          branch.push(String(yield* first.snapshotId), new Map())
          const sessions = yield* Effect.forEach(programOf, (program) => programs[program]!.writableSession("main"))
          const model: Modelled = { branch, sessions: sessions.map(() => new Model.SessionModel(branch)) }
          yield* Effect.promise(() => fc.asyncModelRun(() => ({ model, real: { programs, sessions } }), commands))
          yield* verifyVersions(branch, programs[1]!)
        })
      )
    })
  )
}
