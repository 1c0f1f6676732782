import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import type * as Snapshot from "../../src/format/Snapshot.ts"
import { ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import { ChangedSnapshot } from "../../src/repository/changes/ChangedSnapshot.ts"
import * as ChangeSet from "../../src/repository/changes/ChangeSet.ts"
import * as SnapshotView from "../../src/repository/SnapshotView.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import type { ZarrMetadata } from "../../src/values/ZarrMetadata.ts"
import { text } from "./Fixture.ts"

const group: ZarrMetadata = { _tag: "Group" }

const nodeId = (n: number): ObjectId.NodeId => ObjectId.nodeId(Uint8Array.of(0, 0, 0, 0, 0, n >> 16, n >> 8, n))

const snapshot = (paths: ReadonlyArray<string>): Snapshot.Snapshot => ({
  id: ObjectId.initialSnapshotId,
  parentId: undefined,
  nodes: paths.toSorted(NodePath.compare).map((path, i) => ({
    id: nodeId(i),
    path: path as NodePath.NodePath,
    userData: text("base"),
    data: { _tag: "Group" },
    extra: undefined
  })),
  flushedAt: 0,
  message: "",
  metadata: {},
  manifestFiles: [],
  extra: undefined
})

// Names that sort before, between and after `/`.
const path = fc
  .array(fc.constantFrom("a", "a-", "b", "\u{ffee}", "𝄞"), { minLength: 1, maxLength: 3 })
  .map((names) => `/${names.join("/")}` as NodePath.NodePath)

const step = fc.oneof(
  fc.record({ what: fc.constant("create" as const), path }),
  fc.record({ what: fc.constant("update" as const), path, as: fc.constantFrom("one", "two") }),
  fc.record({ what: fc.constant("delete" as const), path }),
  fc.record({ what: fc.constant("move" as const), path, to: path })
)

/** Nodes by path in a plain map. */
type Model = Map<string, { readonly id: ObjectId.NodeId; readonly userData: string }>

const within = (model: Model, path: string): ReadonlyArray<string> =>
  [...model.keys()].filter((one) => one === path || one.startsWith(path === "/" ? "/" : `${path}/`))

const apply = (view: ChangedSnapshot, model: Model, step: StepOf, id: ObjectId.NodeId): void => {
  const node = view.node(step.path)
  if (step.what === "create") {
    if (node !== undefined) return
    view.create(step.path, id, text("new"), group)
    model.set(step.path, { id, userData: "new" })
    return
  }
  if (node === undefined) return
  if (step.what === "update") {
    view.setMetadata(node, text(step.as), group)
    model.set(step.path, { id: node.id, userData: step.as })
    return
  }
  if (step.what === "delete") {
    view.delete(node)
    for (const gone of within(model, step.path)) model.delete(gone)
    return
  }
  if (within(model, step.to).length > 0 || NodePath.isBelow(step.to, step.path)) return
  view.move(node, step.to)
  for (const from of within(model, step.path)) {
    model.set(step.to + from.slice(step.path.length), model.get(from)!)
    model.delete(from)
  }
}

type StepOf = typeof step extends fc.Arbitrary<infer A> ? A : never

const seen = (nodes: ReadonlyArray<Snapshot.NodeSnapshot>) =>
  nodes.map(({ id, path, userData }) => ({ path: String(path), id, userData: new TextDecoder().decode(userData) }))

const expectSame = (view: ChangedSnapshot, model: Model, looks: ReadonlyArray<NodePath.NodePath>): void => {
  for (const below of [NodePath.root, ...looks]) {
    const expected = within(model, below).toSorted(NodePath.compare)
    expect(seen(view.nodes(below))).toStrictEqual(expected.map((path) => ({ path, ...model.get(path) })))
    expect(view.node(below)?.id).toBe(model.get(below)?.id)
    expect(view.hasBelow(below)).toBe(expected.some((path) => path !== below))
    const start = below === "/" ? 1 : below.length + 1
    const names = expected.filter((path) => path !== below).map((path) => path.slice(start).split("/")[0]!)
    expect(view.names(below)).toStrictEqual([...new Set(names)].toSorted(NodePath.compare))
  }
}

describe("ChangedSnapshot", () => {
  it("shows the nodes of its base with the changes applied, and so does a new view of the same changes", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 8 }), fc.array(step, { maxLength: 30 }), (paths, steps) => {
        const base = snapshot([...new Set(paths)])
        const view = new ChangedSnapshot(base)
        const model: Model = new Map(base.nodes.map(({ id, path }) => [path, { id, userData: "base" }]))
        steps.forEach((one, i) => {
          apply(view, model, one, nodeId(1000 + i))
          expectSame(view, model, [one.path])
        })
        const again = new ChangedSnapshot(base, view.changes)
        expectSame(again, model, paths)
        expect(again.status()).toStrictEqual(view.status())
      }),
      { numRuns: 300 }
    )
  })

  it("shows what a version shows that nobody changes", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
        const base = snapshot([...new Set(paths)])
        const unchanged = SnapshotView.unchanged(base)
        const view = new ChangedSnapshot(base)
        for (const below of [NodePath.root, ...paths, ...paths.flatMap((one) => NodePath.parent(one) ?? [])]) {
          expect(unchanged.names(below)).toStrictEqual(view.names(below))
          expect(unchanged.nodes(below)).toStrictEqual(view.nodes(below))
          expect(unchanged.node(below)).toStrictEqual(view.node(below))
        }
      }),
      { numRuns: 300 }
    )
  })

  it("keeps the changes of a node that moves, and knows where it came from", () => {
    const base = snapshot(["/a", "/a/b"])
    const view = new ChangedSnapshot(base)
    const [, inner] = base.nodes
    view.chunksForWriting(inner!.id, () => new ChunkRefColumns(1)).setDeleted([3])
    view.setMetadata(inner!, text("changed"), group)
    view.move(view.node("/a" as NodePath.NodePath)!, "/c" as NodePath.NodePath)
    view.move(view.node("/c/b" as NodePath.NodePath)!, "/d" as NodePath.NodePath)
    expect(view.chunks(view.node("/d" as NodePath.NodePath)!.id)?.get([3])).toBe("Deleted")
    expect(view.status().updatedGroups).toStrictEqual(["/d"])
    const log = ChangeSet.transactionLog(ObjectId.initialSnapshotId, view.changes)
    expect(log.movedNodes).toStrictEqual([
      { node: nodeId(0), type: "Group", from: "/a", to: "/c" },
      { node: nodeId(1), type: "Group", from: "/a/b", to: "/d" }
    ])
    view.delete(view.node("/d" as NodePath.NodePath)!)
    expect(view.status().deletedGroups).toStrictEqual(["/a/b"])
    expect(view.chunks(inner!.id)).toBeUndefined()
  })

  it("takes a step for a name, however much is below it", () => {
    let looks = 0
    const base = snapshot(Array.from({ length: 60_000 }, (_, i) => `/group ${i % 30}/array ${i}`))
    const nodes = base.nodes.map((node) => ({
      ...node,
      get path() {
        looks++
        return node.path
      }
    }))
    const view = new ChangedSnapshot({ ...base, nodes })
    expect(view.names(NodePath.root)).toHaveLength(30)
    expect(looks).toBeLessThan(30 * 2 * Math.log2(60_000))
    looks = 0
    expect(view.names("/group 7" as NodePath.NodePath)).toHaveLength(2000)
    expect(looks).toBeLessThan(6 * 2000)
  })

  it("takes a step for a node, however many there are", () => {
    const view = new ChangedSnapshot(snapshot([]))
    let segments = 0
    for (let i = 0; i < 60_000; i++) {
      const path = `/group ${i % 300}/array ${i}` as NodePath.NodePath
      // As the session asks before it creates.
      if (view.node(path) !== undefined || view.hasBelow(path)) segments++
      view.create(path, nodeId(i), text("{}"), group)
    }
    expect(segments).toBe(0)
    expect(view.nodes("/group 7" as NodePath.NodePath)).toHaveLength(200)
    expect(view.nodes()).toHaveLength(60_000)
  })
})
