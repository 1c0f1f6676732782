/**
 * Two programs that write to one repository, beside a model of what they did: afterwards a third one asks for its history,
 * and each answer is compared with the model's, which knows no transaction logs and no repository object.
 */
import {
  History,
  MemoryObjectStore,
  ObjectStore,
  Platform,
  type ObjectId,
  Repository,
  RepositoryState,
  type WritableSession
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"

interface Node {
  /** Which node it is, whatever is at its path later. */
  readonly node: number
  readonly type: "Group" | "Array"
}

interface Snapshot {
  readonly id: ObjectId.SnapshotId
  readonly parent: Snapshot | undefined
  readonly message: string
  readonly nodes: ReadonlyMap<string, Node>
  /** What its commit changed, by node. */
  readonly updated: ReadonlySet<number>
  readonly chunks: ReadonlyMap<number, ReadonlySet<number>>
}

class Model {
  readonly snapshots: Array<Snapshot> = []
  readonly branches = new Map<string, Snapshot>()
  readonly tags = new Map<string, Snapshot>()
  readonly deletedTags = new Set<string>()
  readonly forbidden = new Set<string>()
  /** Latest last. */
  readonly log: Array<string> = ["RepoInitialized"]
  availability: RepositoryState.Availability = "Online"
  metadata: Readonly<Record<string, number>> = {}
  nodes = 0
}

const pick = <A>(all: Iterable<A>, number: number): A => {
  const list = [...all]
  return list[number % list.length]!
}

const array = (title: number) => ({
  shape: [4],
  chunkShape: [1],
  dataType: "uint8",
  fillValue: 0,
  attributes: { title }
})
const groupJson = (title: number) =>
  new TextEncoder().encode(JSON.stringify({ zarr_format: 3, node_type: "group", attributes: { title } }))

const step = fc.record({
  do: fc.constantFrom("group", "array", "update", "chunk", "chunk", "delete"),
  at: fc.nat(99),
  name: fc.constantFrom("a", "b"),
  chunk: fc.nat(3)
})

const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("commit" as const), at: fc.nat(9), steps: fc.array(step, { maxLength: 6 }) })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("createTag" as const), at: fc.nat(99), name: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deleteTag" as const), name: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("createBranch" as const), at: fc.nat(99), name: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deleteBranch" as const), name: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resetBranch" as const), at: fc.nat(99), name: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("status" as const),
      to: fc.constantFrom("Online", "Online", "Online", "ReadOnly", "Offline")
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("flag" as const),
      name: fc.constantFrom("create_tag", "delete_tag", "move_node"),
      to: fc.constantFrom(true, false, undefined)
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("metadata" as const), name: fc.nat(3), to: fc.nat(9) }) }
)

type Operation = typeof operation extends fc.Arbitrary<infer A> ? A : never

const branchName = (number: number): string => pick(["main", "dev", "é"], number)

/** What a commit changes, in the session and in the model. */
const fill = Effect.fnUntraced(function* (
  model: Model,
  session: WritableSession.WritableSession,
  base: Snapshot,
  steps: ReadonlyArray<typeof step extends fc.Arbitrary<infer A> ? A : never>
) {
  const nodes = new Map(base.nodes)
  const updated = new Set<number>()
  const chunks = new Map<number, Set<number>>()
  for (const { at, chunk, do: what, name } of steps) {
    const count = ++model.nodes
    if (what === "group" || what === "array") {
      const parent =
        pick(
          [...nodes].filter(([, { type }]) => type === "Group"),
          at
        )?.[0] ?? ""
      const path = `${parent === "/" ? "" : parent}/${name}`
      if (nodes.has(path)) continue
      if (what === "group") yield* session.createGroup(path, { title: count })
      else yield* session.createArray(path, array(count))
      nodes.set(path, { node: count, type: what === "group" ? "Group" : "Array" })
      continue
    }
    const [path, node] = pick(nodes, at) ?? []
    if (path === undefined || node === undefined) continue
    if (what === "update" && node.type === "Group") {
      yield* session.setMetadata(path, groupJson(count))
      updated.add(node.node)
    } else if (what === "chunk" && node.type === "Array") {
      yield* session.setChunk(path, [chunk], Uint8Array.of(count % 256))
      chunks.set(node.node, new Set([...(chunks.get(node.node) ?? []), chunk]))
    } else if (what === "delete" && path !== "/") {
      yield* session.deleteNode(path)
      for (const one of nodes.keys()) if (one === path || one.startsWith(`${path}/`)) nodes.delete(one)
    }
  }
  return { nodes, updated, chunks }
})

/** Does it in the repository, and says what the model expects of it. */
const perform = Effect.fnUntraced(function* (model: Model, repository: Repository.RepositoryShape, one: Operation) {
  const outcome = <E extends { readonly _tag: string }>(effect: Effect.Effect<unknown, E>) =>
    Effect.match(effect, { onFailure: ({ _tag }) => _tag, onSuccess: () => "done" })
  /** Compares the outcome, and notes what was done. */
  const expect = (found: string, problem: string | undefined, tag: string, change: () => void): void => {
    const isLimited = model.availability !== "Online" && tag !== "RepoStatusChanged"
    assert.strictEqual(found, isLimited ? "WriteForbidden" : (problem ?? "done"), JSON.stringify(one))
    if (found !== "done") return
    model.log.push(tag)
    change()
  }
  switch (one.do) {
    case "commit": {
      const branch = pick(model.branches.keys(), one.at)
      if (model.availability !== "Online") {
        return expect(yield* outcome(repository.writableSession(branch)), undefined, "NewCommit", () => {})
      }
      const base = model.branches.get(branch)!
      const session = yield* repository.writableSession(branch)
      const filled = yield* fill(model, session, base, one.steps)
      const message = `commit ${model.snapshots.length}`
      const id = yield* session.commit(message, { allowEmpty: true })
      return expect("done", undefined, "NewCommit", () => {
        const snapshot = { id, parent: base, message, ...filled }
        model.snapshots.push(snapshot)
        model.branches.set(branch, snapshot)
      })
    }
    case "createTag": {
      const name = `v${one.name}`
      const at = pick(model.snapshots, one.at)
      const isRefused = model.tags.has(name) || model.deletedTags.has(name) || model.forbidden.has("create_tag")
      const found = yield* outcome(repository.createTag(name, at.id))
      return expect(found, isRefused ? "RefForbidden" : undefined, "TagCreated", () => model.tags.set(name, at))
    }
    case "deleteTag": {
      const name = `v${one.name}`
      const problem = model.tags.has(name)
        ? model.forbidden.has("delete_tag")
          ? "RefForbidden"
          : undefined
        : "RefNotFound"
      return expect(yield* outcome(repository.deleteTag(name)), problem, "TagDeleted", () => {
        model.tags.delete(name)
        model.deletedTags.add(name)
      })
    }
    case "createBranch": {
      const name = branchName(one.name)
      const at = pick(model.snapshots, one.at)
      const problem = model.branches.has(name) ? "RefForbidden" : undefined
      const found = yield* outcome(repository.createBranch(name, at.id))
      return expect(found, problem, "BranchCreated", () => model.branches.set(name, at))
    }
    case "deleteBranch": {
      const name = branchName(one.name)
      const problem = name === "main" ? "RefForbidden" : model.branches.has(name) ? undefined : "RefNotFound"
      return expect(yield* outcome(repository.deleteBranch(name)), problem, "BranchDeleted", () =>
        model.branches.delete(name)
      )
    }
    case "resetBranch": {
      const name = branchName(one.name)
      const at = pick(model.snapshots, one.at)
      const problem = model.branches.has(name) ? undefined : "RefNotFound"
      const found = yield* outcome(repository.resetBranch(name, at.id))
      return expect(found, problem, "BranchReset", () => model.branches.set(name, at))
    }
    case "status": {
      const to = one.to
      const found = yield* outcome(RepositoryState.setStatus(repository, to))
      return expect(found, undefined, "RepoStatusChanged", () => (model.availability = to))
    }
    case "flag": {
      const found = yield* outcome(RepositoryState.setFeatureFlag(repository, one.name as "create_tag", one.to))
      return expect(found, undefined, "FeatureFlagChanged", () =>
        one.to === false ? model.forbidden.add(one.name) : model.forbidden.delete(one.name)
      )
    }
    case "metadata": {
      const change = { [`n${one.name}`]: one.to }
      const found = yield* outcome(RepositoryState.updateMetadata(repository, (old) => ({ ...old, ...change })))
      return expect(found, undefined, "MetadataChanged", () => (model.metadata = { ...model.metadata, ...change }))
    }
  }
})

const ancestry = (snapshot: Snapshot): ReadonlyArray<Snapshot> => {
  const found = [snapshot]
  for (let at = snapshot.parent; at !== undefined; at = at.parent) found.push(at)
  return found
}

const byUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** What is different between two snapshots, in the model. */
const difference = (from: Snapshot, to: Snapshot): unknown => {
  const between = ancestry(to).slice(0, ancestry(to).indexOf(from))
  const [before, after] = [from, to].map(
    ({ nodes }) => new Map([...nodes].map(([path, node]) => [node.node, { path, ...node }]))
  )
  const paths = (
    nodes: ReadonlyMap<number, Node & { readonly path: string }>,
    type: Node["type"],
    isWanted: (node: number) => boolean
  ) =>
    [...nodes.values()]
      .filter((node) => node.type === type && isWanted(node.node))
      .map(({ path }) => path)
      .toSorted(byUtf8)
  const isUpdated = (node: number) => before!.has(node) && between.some(({ updated }) => updated.has(node))
  const chunks = [...after!.values()].flatMap(({ node, path }) => {
    const all = new Set(between.flatMap((one) => Array.from(one.chunks.get(node) ?? [])))
    return all.size === 0 ? [] : [[path, [...all].toSorted((a, b) => a - b).map((index) => [index])] as const]
  })
  return {
    from: from.id,
    to: to.id,
    newGroups: paths(after!, "Group", (node) => !before!.has(node)),
    newArrays: paths(after!, "Array", (node) => !before!.has(node)),
    deletedGroups: paths(before!, "Group", (node) => !after!.has(node)),
    deletedArrays: paths(before!, "Array", (node) => !after!.has(node)),
    updatedGroups: paths(after!, "Group", isUpdated),
    updatedArrays: paths(after!, "Array", isUpdated),
    movedNodes: [],
    missingLogs: [],
    updatedChunks: chunks.toSorted(([a], [b]) => byUtf8(a, b))
  }
}

/** Every answer that a program which has just opened the repository gets. */
const compare = Effect.fnUntraced(function* (model: Model, repository: Repository.RepositoryShape) {
  assert.strictEqual((yield* RepositoryState.status(repository)).availability, model.availability)
  assert.deepStrictEqual(yield* RepositoryState.metadata(repository), model.metadata)
  assert.deepStrictEqual(
    (yield* RepositoryState.featureFlags(repository))
      .flatMap(({ enabled, name }) => (enabled ? [] : [name]))
      .toSorted(),
    [...model.forbidden].toSorted() as never
  )
  const log = yield* Stream.runCollect(History.operations(repository))
  assert.deepStrictEqual(log.map(({ update: { _tag } }) => _tag as string).toReversed(), model.log)

  const graph = yield* Stream.runCollect(History.graph(repository))
  const names = (refs: ReadonlyMap<string, Snapshot>, id: string) =>
    [...refs].flatMap(([name, at]) => (at.id === id ? [name] : [])).toSorted(byUtf8)
  const reachable = new Set([...model.branches.values(), ...model.tags.values()].flatMap(ancestry))
  assert.deepStrictEqual(
    graph
      .map(({ branches, children, id, isReachable, message, parentId, tags }) => ({
        id,
        message,
        parentId,
        isReachable,
        branches,
        tags,
        children: children.toSorted()
      }))
      .toSorted((a, b) => byUtf8(a.id, b.id)),
    model.snapshots
      .map((snapshot) => ({
        id: snapshot.id,
        message: snapshot.message,
        parentId: snapshot.parent?.id,
        isReachable: reachable.has(snapshot),
        branches: names(model.branches, snapshot.id),
        tags: names(model.tags, snapshot.id),
        children: model.snapshots.flatMap(({ id, parent }) => (parent === snapshot ? [id] : [])).toSorted()
      }))
      .toSorted((a, b) => byUtf8(a.id, b.id))
  )
  const times = new Map(graph.map(({ id, writtenAt }) => [id, writtenAt]))

  for (const [branch, tip] of model.branches) {
    const expected = ancestry(tip).map(({ id }) => id)
    const found = yield* Stream.runCollect(History.ancestry(repository, { branch }))
    assert.deepStrictEqual(
      found.map(({ id }) => id),
      expected
    )
    for (const id of expected) {
      // Several may have been written in a millisecond: the newest of them counts.
      const at = times.get(id)!
      const asOf = yield* History.snapshot(repository, { branch, asOf: at })
      const newest = expected.find((one) => DateTime.isLessThanOrEqualTo(times.get(one)!, at))
      assert.strictEqual(asOf.id, newest)
    }
  }
  if (model.availability === "Offline") return
  for (const to of model.snapshots.slice(-4)) {
    for (const from of ancestry(to)) {
      const { updatedChunks, ...diff } = yield* History.diff(repository, { snapshotId: from.id }, { snapshotId: to.id })
      const chunks = yield* Effect.forEach(updatedChunks, ({ indices, path }) =>
        Effect.map(Stream.runCollect(indices), (all) => [String(path), all.map((index) => [...index])] as const)
      )
      assert.deepStrictEqual({ ...diff, updatedChunks: chunks }, difference(from, to))
    }
  }
})

describe("the history of a repository", () => {
  it.live(
    "is what two programs did, whatever it was",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), operation), { minLength: 5, maxLength: 30 }), (operations) =>
            Effect.gen(function* () {
              // Pages of four operations.
              const options = { config: { num_updates_per_repo_info_file: 4 } }
              const first = yield* Repository.create(options)
              const second = yield* Repository.open(options)
              const model = new Model()
              const id = yield* History.branch(first, "main")
              const root: Snapshot = {
                id,
                parent: undefined,
                message: (yield* History.snapshot(first, { branch: "main" })).message,
                nodes: new Map(),
                updated: new Set(),
                chunks: new Map()
              }
              model.snapshots.push(root)
              model.branches.set("main", root)
              for (const [isFirst, one] of operations) yield* perform(model, isFirst ? first : second, one)
              yield* compare(model, yield* Repository.open())
            }).pipe(
              Effect.scoped,
              Effect.provide(
                Layer.mergeAll(
                  Layer.effect(ObjectStore.ObjectStore, MemoryObjectStore.make()),
                  Platform.layer([]),
                  NodeZstd.layer
                )
              ),
              Effect.runPromise
            )
          ),
          { numRuns: 150 }
        )
      ),
    { timeout: 240_000 }
  )
})
