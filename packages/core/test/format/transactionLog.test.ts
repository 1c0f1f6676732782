import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as fs from "node:fs"
import * as path from "node:path"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as TransactionLog from "../../src/format/TransactionLog.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as ChunkIndex from "../../src/values/ChunkIndex.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as arbitraries from "./arbitraries.ts"
import * as chunkRefs from "./chunkRefs.ts"
import * as damage from "./damage.ts"
import { readTransactionLog } from "./officialFlatbuffers.ts"

const decode = (payload: Uint8Array) => TransactionLog.decode("transactions/T", payload)

const id = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })
const nodeId = id(8).map(ObjectId.nodeId)
const nodeIds = fc.uniqueArray(nodeId, { maxLength: 6 }).map((ids) => ids.toSorted(ObjectId.compare))

/** Chunks of a small grid or of a huge one. */
const chunks = chunkRefs.grid.chain((grid) =>
  fc
    .record({
      indices: fc.uniqueArray(chunkRefs.index(grid), { selector: (index) => index.join(), maxLength: 12 }),
      factor: fc.constantFrom(1, 1_000_000_000),
      node: nodeId
    })
    .map(({ factor, indices, node }) => ({
      node,
      rank: indices.length === 0 ? 0 : grid.length,
      count: indices.length,
      coords: Uint32Array.from(indices.toSorted(ChunkIndex.compare).flat(), (at) => Math.min(at * factor, 0xffff_ffff))
    }))
)

const log: fc.Arbitrary<TransactionLog.TransactionLog> = fc.record(
  {
    id: id(12).map(ObjectId.snapshotId),
    newGroups: nodeIds,
    newArrays: nodeIds,
    deletedGroups: nodeIds,
    deletedArrays: nodeIds,
    updatedArrays: nodeIds,
    updatedGroups: nodeIds,
    updatedChunks: fc
      .uniqueArray(chunks, { selector: ({ node }) => node, maxLength: 5 })
      .map((arrays) => arrays.toSorted((a, b) => ObjectId.compare(a.node, b.node))),
    movedNodes: fc
      .uniqueArray(
        fc.record(
          {
            from: arbitraries.path,
            to: arbitraries.path,
            node: nodeId,
            type: fc.constantFrom("Group" as const, "Array" as const)
          },
          { noNullPrototype: true }
        ),
        { selector: ({ to }) => to, maxLength: 6 }
      )
      .map((moves) => moves.toSorted((a, b) => NodePath.compareSegments(a.to, b.to))),
    extra: fc.option(arbitraries.bytes, { nil: undefined })
  },
  { noNullPrototype: true }
)

const sample: TransactionLog.TransactionLog = {
  ...TransactionLog.empty(ObjectId.initialSnapshotId),
  newArrays: [ObjectId.nodeId(new Uint8Array(8).fill(1))],
  updatedChunks: [
    { node: ObjectId.nodeId(new Uint8Array(8).fill(1)), rank: 0, count: 1, coords: new Uint32Array(0) },
    { node: ObjectId.nodeId(new Uint8Array(8).fill(2)), rank: 2, count: 3, coords: Uint32Array.of(0, 1, 5, 0, 5, 7) }
  ],
  movedNodes: [
    {
      from: "/a" as NodePath.NodePath,
      to: "/b/c" as NodePath.NodePath,
      node: ObjectId.nodeId(new Uint8Array(8).fill(3)),
      type: "Array"
    }
  ],
  extra: Uint8Array.of(1)
}

describe("TransactionLog", () => {
  it("gives back what it encoded, to us and to the official reader of flatbuffers", () => {
    fc.assert(
      fc.property(log, (value) => {
        const payload = TransactionLog.encode(value)
        expect(Result.getOrThrow(decode(payload))).toStrictEqual(value)
        const official = readTransactionLog(payload)
        const ids = (list: ReadonlyArray<Uint8Array>) => list.map(ObjectId.nodeId)
        expect({
          ...official,
          id: ObjectId.snapshotId(official.id),
          newGroups: ids(official.newGroups),
          newArrays: ids(official.newArrays),
          deletedGroups: ids(official.deletedGroups),
          deletedArrays: ids(official.deletedArrays),
          updatedArrays: ids(official.updatedArrays),
          updatedGroups: ids(official.updatedGroups),
          updatedChunks: official.updatedChunks.map(({ chunks, node }) => ({
            node: ObjectId.nodeId(node),
            rank: chunks[0]?.length ?? 0,
            count: chunks.length,
            coords: Uint32Array.from(chunks.flat())
          })),
          movedNodes: official.movedNodes.map(({ from, node, to, type }) => ({
            from,
            to,
            node: ObjectId.nodeId(node),
            type: type === 0 ? "Group" : "Array"
          }))
        }).toStrictEqual(value)
      }),
      { numRuns: 500 }
    )
  })

  it("of a commit without changes has nothing in it", () => {
    const empty = TransactionLog.empty(ObjectId.initialSnapshotId)
    expect(Result.getOrThrow(decode(TransactionLog.encode(empty)))).toStrictEqual(empty)
  })

  it("puts moved nodes in the order of their new paths, each before what is below it", () => {
    const paths = ["/b", "/ab", "/aa", "/a-b", "/a/b", "/a"] as Array<NodePath.NodePath>
    const movedNodes = paths.map((to, i) => ({
      from: `/old${to}` as NodePath.NodePath,
      to,
      node: ObjectId.nodeId(new Uint8Array(8).fill(i)),
      type: "Group" as const
    }))
    const payload = TransactionLog.encode({ ...sample, movedNodes })
    const moved = readTransactionLog(payload).movedNodes.map(({ to }) => to)
    expect(moved).toStrictEqual(["/a", "/a/b", "/a-b", "/aa", "/ab", "/b"])
  })

  it("of a spec 1 repository, without moved nodes, and out of order, is read in order", () => {
    const builder = new FlatBuilder()
    const field = (slot: number) => ({ slot, name: "" })
    const ids = builder.structs(8, [new Uint8Array(8).fill(5), new Uint8Array(8).fill(4)])
    const none = builder.structs(8, [])
    const chunksOf = (...indices: ReadonlyArray<ReadonlyArray<number>>) =>
      builder.offsets(
        indices.map((index) => {
          const coords = builder.u32s(index)
          return builder.table(1, (table) => table.offset(field(0), coords))
        })
      )
    const arrays = [2, 1].map((n) => {
      const vector = chunksOf([n, 1], [0, 7], [n, 0], [0, 7])
      return builder.table(2, (table) => {
        table.struct(field(0), new Uint8Array(8).fill(n))
        table.offset(field(1), vector)
      })
    })
    const updated = builder.offsets(arrays)
    const payload = builder.finish(
      builder.table(10, (table) => {
        table.struct(field(0), new Uint8Array(12))
        table.offset(field(1), ids)
        for (let slot = 2; slot < 7; slot++) table.offset(field(slot), none)
        table.offset(field(7), updated)
      })
    )
    const log = Result.getOrThrow(decode(payload))
    expect(log.newGroups).toStrictEqual([4, 5].map((n) => ObjectId.nodeId(new Uint8Array(8).fill(n))))
    expect(log.movedNodes).toStrictEqual([])
    expect(log.extra).toBeUndefined()
    expect(log.updatedChunks.map(({ count }) => count)).toStrictEqual([3, 3])
    expect(log.updatedChunks.map(({ coords }) => coords)).toStrictEqual([
      Uint32Array.of(0, 7, 1, 0, 1, 1),
      Uint32Array.of(0, 7, 2, 0, 2, 1)
    ])
  })

  it("that is damaged fails with a FormatError or gives another log", () => {
    const payload = TransactionLog.encode(sample)
    expect(Result.getOrThrow(decode(payload))).toStrictEqual(sample)
    expect(damage.truncations(payload, decode)).toBeGreaterThan(0.9 * payload.length)
    expect(damage.flips(payload, 20_000, 1, decode)).toBeGreaterThan(8000)
  })

  it("that says more than its bytes can hold fails before it takes memory", () => {
    const builder = new FlatBuilder()
    const field = (slot: number) => ({ slot, name: "" })
    const coords = builder.u32s(new Array<number>(10_000).fill(1))
    const chunk = builder.table(1, (table) => table.offset(field(0), coords))
    const vector = builder.offsets(new Array<number>(100_000).fill(chunk))
    const array = builder.table(2, (table) => {
      table.struct(field(0), new Uint8Array(8))
      table.offset(field(1), vector)
    })
    const none = builder.structs(8, [])
    const updated = builder.offsets([array])
    const payload = builder.finish(
      builder.table(10, (table) => {
        table.struct(field(0), new Uint8Array(12))
        for (let slot = 1; slot < 7; slot++) table.offset(field(slot), none)
        table.offset(field(7), updated)
      })
    )
    expect(decode(payload)).toMatchObject({
      failure: { file: "transactions/T", field: "updated_chunks[0].chunks" }
    })
  })
})

const workspace = path.resolve(import.meta.dirname, "../../../..")
const directory = path.resolve(workspace, "../shared/data/icechunk-repositories")
const present = fs.existsSync(directory)

describe.skipIf(!present)(`transaction logs in ${path.relative(workspace, directory)}`, () => {
  it.layer(NodeZstd.layer)((it) => {
    it.effect("are read and written again", () =>
      Effect.gen(function* () {
        let chunks = 0
        for (const repository of ["split-repo-v2", "test-repo-v1", "test-repo-v2"]) {
          for (const name of fs.readdirSync(path.join(directory, repository, "transactions"))) {
            const file = `${repository}/transactions/${name}`
            const bytes = new Uint8Array(fs.readFileSync(path.join(directory, file)))
            const { payload } = yield* IcechunkFile.decode(file, bytes, "TransactionLog")
            const log = Result.getOrThrow(TransactionLog.decode(file, payload))
            expect(log.id).toBe(name)
            chunks += log.updatedChunks.reduce((sum, { count }) => sum + count, 0)
            expect(Result.getOrThrow(decode(TransactionLog.encode(log)))).toStrictEqual(log)
          }
        }
        expect(chunks).toBeGreaterThan(10)
      })
    )
  })
})
