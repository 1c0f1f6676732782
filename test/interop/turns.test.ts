/**
 * A session of ours and one of the official engine take turns on one branch, each with rebase on top of what the other has
 * committed, beside a model that says what each must see. `TEST_MODEL_RUNS` says how many sequences are run (default 40).
 *
 * Where our detector is finer than the engine's, by intention, the model has both: see `officialFindsConflict`.
 */
import type icechunk from "@earthmover/icechunk"
import { MemoryObjectStore } from "@effect-icechunk/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Commands from "../models/BranchCommands.ts"
import * as Model from "../models/BranchModel.ts"
import { inRepository, placeOn } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const numRuns = Number(process.env["TEST_MODEL_RUNS"] ?? 40)

const groups = ["/g", "/g/h", "/k"] as const
const isGroup = (path: string): boolean => (groups as ReadonlyArray<string>).includes(path)

const arrays = ["/g/a", "/g/b", "/g/h/c", "/k/c", "/d"] as const

/** What either of them does to its session. Values are never written twice, because the engine counts those as changes. */
const edit = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("create" as const), path: fc.constantFrom(...groups, ...arrays) })
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("attributes" as const), path: fc.constantFrom(...groups, ...arrays) })
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("delete" as const), path: fc.constantFrom(...groups, ...arrays) })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constantFrom("chunk" as const, "chunk" as const, "no chunk" as const),
      path: fc.constantFrom(...arrays),
      index: fc.nat(3)
    })
  }
)

type Edit = typeof edit extends fc.Arbitrary<infer A> ? A : never

const edits = fc.array(edit, { minLength: 1, maxLength: 4 })

const turn = fc.oneof(
  { weight: 4, arbitrary: fc.record({ turn: fc.constant("ours edits" as const), edits }) },
  { weight: 4, arbitrary: fc.record({ turn: fc.constant("theirs edits" as const), edits }) },
  { weight: 4, arbitrary: fc.record({ turn: fc.constant("ours commits" as const), ways: Commands.ways }) },
  { weight: 1, arbitrary: fc.record({ turn: fc.constant("ours rebases" as const), ways: Commands.ways }) },
  { weight: 4, arbitrary: fc.record({ turn: fc.constant("theirs commits" as const) }) },
  { weight: 1, arbitrary: fc.record({ turn: fc.constant("theirs amends" as const), edits }) },
  {
    weight: 1,
    arbitrary: fc.record({
      turn: fc.constant("theirs moves" as const),
      from: fc.constantFrom("/g/a", "/g/b", "/g/h", "/d"),
      to: fc.constantFrom("/g/a", "/g/b", "/k", "/d")
    })
  }
)

type Turn = typeof turn extends fc.Arbitrary<infer A> ? A : never

let values = 0

/** What a session of the engine shows, as `shownBySession` has it. */
const shownByOfficial = async (store: icechunk.Store): Promise<ReadonlyArray<string>> => {
  const chunks = new Map<string, Map<number, string>>()
  const jsons = new Map<string, string>()
  for (const key of await store.list()) {
    const text = Buffer.from((await store.get(key))!).toString()
    const metadata = /^(?:(.*)\/)?zarr\.json$/.exec(key)
    if (metadata !== null) jsons.set(`/${metadata[1] ?? ""}`, text)
    const chunk = /^(.*)\/c\/(\d+)$/.exec(key)
    if (chunk !== null) {
      const path = `/${chunk[1]}`
      chunks.set(path, (chunks.get(path) ?? new Map()).set(Number(chunk[2]), text))
    }
  }
  return [...jsons]
    .map(([path, json]) => {
      const own = [...(chunks.get(path) ?? [])].toSorted(([a], [b]) => a - b)
      return `${path} ${json} ${JSON.stringify(own)}`
    })
    .toSorted()
}

/** Does something to both sessions of one of the two: the real one through `real`, where the model can. */
const editOne = async (
  one: Edit,
  model: Model.SessionModel,
  real: {
    readonly metadata: (path: string, json: Uint8Array) => Promise<unknown>
    readonly delete: (path: string) => Promise<unknown>
    readonly chunk: (path: string, index: number, text: string | undefined) => Promise<unknown>
  }
): Promise<void> => {
  const { op, path } = one
  const node = Model.at(model.nodes, path)
  const isNew = node !== undefined && !model.base.nodes.has(node.identity)
  switch (op) {
    case "create": {
      if (model.create(path, isGroup(path) ? "group" : "array", ++values) !== undefined) return
      await real.metadata(path, Commands.zarrJson(Model.at(model.nodes, path)!))
      return
    }
    case "attributes": {
      if (node === undefined) return
      model.update(path, { attributes: ++values })
      await real.metadata(path, Commands.zarrJson(Model.at(model.nodes, path)!))
      return
    }
    case "delete": {
      if (model.delete(path) === undefined) await real.delete(path)
      return
    }
    default: {
      if (node === undefined) return
      // For the engine a chunk that came and went was changed.
      if (op === "no chunk" && (isNew || model.base.nodes.get(node.identity)?.chunks.has(one.index) !== true)) return
      const text = op === "chunk" ? `${++values}` : undefined
      model.setChunk(path, one.index, text)
      await real.chunk(path, one.index, text)
    }
  }
}

const onOfficial = ({ store }: icechunk.Session) => ({
  metadata: (path: string, json: Uint8Array) => store.set(`${path.slice(1)}/zarr.json`, Buffer.from(json)),
  delete: (path: string) => store.deleteDir(path.slice(1)),
  chunk: (path: string, index: number, text: string | undefined) => {
    const key = `${path.slice(1)}/c/${index}`
    return text === undefined ? store.delete(key) : store.set(key, Buffer.from(text))
  }
})

const rejected = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => String(error)
  )

const takeTurns = (turns: ReadonlyArray<Turn>) =>
  Effect.gen(function* () {
    const place = placeOn(yield* MemoryObjectStore.make())
    yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const branch = new Model.BranchModel()
        const first = yield* repository.writableSession("main")
        branch.push(String(yield* first.snapshotId), new Map())
        const official = yield* Effect.promise(async () => Engine.Repository.open(await place.storage()))
        const begun = new Model.SessionModel(branch)
        for (const path of ["/", "/g", "/g/a", "/g/b", "/g/h", "/g/h/c", "/d"] as const) {
          begun.create(path, path === "/" || isGroup(path) ? "group" : "array", 0)
          yield* first.setMetadata(path, Commands.zarrJson(Model.at(begun.nodes, path)!))
          if (begun.setChunk(path, 0, "begun") === undefined) yield* first.setChunk(path, [0], Buffer.from("begun"))
        }
        branch.push(yield* first.commit("begun"), begun.nodes)
        let ours = yield* repository.writableSession("main")
        let ourModel = new Model.SessionModel(branch)
        let theirs = yield* Effect.promise(() => official.writableSession("main"))
        let theirModel = new Model.SessionModel(branch)
        const reopenTheirs = Effect.promise(async () => {
          theirs = await official.writableSession("main")
          theirModel = new Model.SessionModel(branch)
        })
        const onOurs = {
          metadata: (path: string, json: Uint8Array) => Effect.runPromise(ours.setMetadata(path, json)),
          delete: (path: string) => Effect.runPromise(ours.deleteNode(path)),
          chunk: (path: string, index: number, text: string | undefined) =>
            Effect.runPromise<void, unknown>(
              text === undefined ? ours.deleteChunk(path, [index]) : ours.setChunk(path, [index], Buffer.from(text))
            )
        }

        for (const one of turns) {
          switch (one.turn) {
            case "ours edits":
              for (const edit of one.edits) yield* Effect.promise(() => editOne(edit, ourModel, onOurs))
              break
            case "theirs edits":
              for (const edit of one.edits) yield* Effect.promise(() => editOne(edit, theirModel, onOfficial(theirs)))
              break
            case "ours commits":
            case "ours rebases": {
              const isCommit = one.turn === "ours commits"
              const solver = Commands.solverOf(one.ways)
              const result = yield* Effect.result<string, { readonly _tag: string }, never>(
                isCommit ? ours.commit("ours", { rebase: solver }) : ours.rebase(solver)
              )
              if (!branch.versions.includes(ourModel.base) && ourModel.hasChanges) {
                assert.isTrue(Result.isFailure(result) && result.failure._tag === "RebaseImpossible")
                ours = yield* repository.writableSession("main")
                ourModel = new Model.SessionModel(branch)
              } else if (isCommit) Commands.committed(result, ourModel, branch, one.ways)
              else {
                const wanted = ourModel.onto(branch.tip, Commands.policyOf(one.ways))
                if (Result.isFailure(result)) {
                  assert.isTrue(Commands.isSame(result.failure, wanted), Commands.describe(wanted))
                } else {
                  assert.strictEqual(wanted._tag, "Rebased")
                  if (wanted._tag === "Rebased") ourModel.moveTo(branch.tip, wanted.nodes)
                }
              }
              break
            }
            case "theirs commits": {
              if (!theirModel.hasChanges) break
              if (theirModel.base !== branch.tip) {
                assert.isDefined(yield* Effect.promise(() => rejected(theirs.commit("too early"))))
                const between = branch.since(theirModel.base)
                const isConflict =
                  !branch.versions.includes(theirModel.base) ||
                  Model.officialFindsConflict(theirModel.base, between, theirModel.nodes)
                const error = yield* Effect.promise(() => rejected(theirs.rebase()))
                if (branch.versions.includes(theirModel.base)) {
                  assert.strictEqual(error !== undefined, isConflict, error ?? "it was rebased")
                }
                if (isConflict) {
                  yield* reopenTheirs
                  break
                }
                theirModel.moveTo(branch.tip, Model.officialRebase(theirModel.base, branch.tip, theirModel.nodes))
              }
              const id = yield* Effect.promise(() => theirs.commit("theirs"))
              branch.push(id, theirModel.nodes)
              yield* reopenTheirs
              break
            }
            case "theirs amends": {
              // The engine amends no commit that moves a node.
              if (branch.versions.length < 3 || branch.tip.moved.size > 0) break
              const amending = yield* Effect.promise(() => official.writableSession("main"))
              const model = new Model.SessionModel(branch)
              for (const edit of one.edits) yield* Effect.promise(() => editOne(edit, model, onOfficial(amending)))
              if (!model.hasChanges) break
              const id = yield* Effect.promise(() => amending.amend("amended"))
              branch.push(id, model.nodes, undefined, branch.tip)
              if (!branch.versions.includes(theirModel.base)) yield* reopenTheirs
              break
            }
            case "theirs moves": {
              const { from, to } = one
              const { nodes } = branch.tip
              const isFree = [...nodes.values()].every(({ path }) => path !== to && !Model.isBelow(path, to))
              const group = to.slice(0, to.lastIndexOf("/"))
              // The engine moves nothing to where no group is.
              const hasGroup = group === "" || Model.at(nodes, group)?.kind === "group"
              if (Model.at(nodes, from) === undefined || !isFree || !hasGroup || isGroup(from) !== isGroup(to)) break
              const moving = yield* Effect.promise(() => official.rearrangeSession("main"))
              yield* Effect.promise(() => moving.moveNode(from, to))
              const id = yield* Effect.promise(() => moving.commit("moved"))
              const model = new Model.SessionModel(branch)
              model.move(from, to)
              branch.push(id, model.nodes)
            }
          }
          assert.deepStrictEqual(yield* Commands.shownBySession(ours), Commands.shownByModel(ourModel.nodes), "ours")
          assert.deepStrictEqual(
            yield* Effect.promise(() => shownByOfficial(theirs.store)),
            Commands.shownByModel(theirModel.nodes),
            "theirs"
          )
        }
        // Every version is the same for both.
        for (const { id, nodes } of branch.versions) {
          const session = yield* repository.readonlySession({ snapshotId: id })
          assert.deepStrictEqual(yield* Commands.shownBySession(session), Commands.shownByModel(nodes), id)
          const { store } = yield* Effect.promise(() => official.readonlySession({ snapshotId: id }))
          assert.deepStrictEqual(yield* Effect.promise(() => shownByOfficial(store)), Commands.shownByModel(nodes), id)
        }
      })
    )
  })

it.live(
  `both engines in turns do as the model does, in ${numRuns} sequences`,
  () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(turn, { maxLength: 24, size: "max" }), (turns) =>
          Effect.runPromise(Effect.scoped(takeTurns(turns)))
        ),
        { numRuns }
      )
    ),
  3_600_000
)
