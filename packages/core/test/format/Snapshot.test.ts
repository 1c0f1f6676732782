import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as assert from "node:assert"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import * as Msgpack from "../../src/encoding/Msgpack.ts"
import * as Snapshot from "../../src/format/Snapshot.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as arbitraries from "./arbitraries.ts"
import * as damage from "./damage.ts"

const decode = (payload: Uint8Array) => Snapshot.decode("snapshots/X", Flexbuffer.decode, payload)

const node = (path: string, n: number, data: Snapshot.NodeData = { _tag: "Group" }): Snapshot.NodeSnapshot => ({
  id: ObjectId.nodeId(new Uint8Array(8).fill(n)),
  path: path as NodePath.NodePath,
  userData: new TextEncoder().encode(`{"n":${n}}`),
  data,
  extra: undefined
})

const manifest = ObjectId.manifestId(new Uint8Array(12).fill(5))

const array: Snapshot.NodeData = {
  _tag: "Array",
  shape: [
    { length: 10, numChunks: 2 },
    { length: 0, numChunks: 0 }
  ],
  dimensionNames: ["x", undefined],
  manifests: [
    {
      id: manifest,
      extents: [
        { from: 0, to: 2 },
        { from: 0, to: 0 }
      ]
    }
  ]
}

const snapshot: Snapshot.Snapshot = {
  id: ObjectId.initialSnapshotId,
  parentId: undefined,
  nodes: [
    node("/", 1),
    node("/a", 2),
    node("/a-b", 3, array),
    node("/a/b", 4, array),
    node("/\uffff", 5),
    node("/\u{10000}", 6)
  ],
  flushedAt: 1_775_664_957_466_162,
  message: "a commit",
  metadata: { author: "Ada" },
  manifestFiles: [{ id: manifest, sizeBytes: 1000, numChunkRefs: 2, extra: undefined }],
  extra: undefined
}

/** A snapshot with one node whose fields are right or wrong as asked, in the layout of spec 1. */
const forged = (options: {
  readonly paths?: ReadonlyArray<string>
  readonly type?: number
  readonly shape?: ReadonlyArray<readonly [bigint, bigint]>
  readonly extents?: ReadonlyArray<number>
}): Uint8Array => {
  const builder = new FlatBuilder()
  const field = (slot: number) => ({ slot, name: "" })
  const shape = builder.structs(
    16,
    (options.shape ?? []).map(([length, chunk]) => new Uint8Array(BigUint64Array.of(length, chunk).buffer)),
    8
  )
  const extents = builder.u32s(options.extents ?? [], 2)
  const ref = builder.table(2, (table) => {
    table.struct(field(0), new Uint8Array(12))
    table.offset(field(1), extents)
  })
  const manifests = builder.offsets([ref])
  const data = builder.table(4, (table) => {
    table.offset(field(0), shape)
    table.offset(field(2), manifests)
  })
  const userData = builder.bytes(Uint8Array.of(1))
  const nodes = builder.offsets(
    (options.paths ?? ["/a"]).map((text) => {
      const path = builder.string(text)
      return builder.table(6, (table) => {
        table.struct(field(0), new Uint8Array(8))
        table.offset(field(1), path)
        table.offset(field(2), userData)
        table.u8(field(3), options.type ?? 1)
        table.offset(field(4), data)
      })
    })
  )
  const metadata = builder.offsets([])
  const message = builder.string("m")
  const info = new Uint8Array(32)
  info.fill(9, 0, 12)
  new DataView(info.buffer).setBigUint64(16, 1234n, true)
  new DataView(info.buffer).setUint32(24, 56, true)
  const files = builder.structs(32, [info], 8)
  return builder.finish(
    builder.table(9, (table) => {
      table.struct(field(0), new Uint8Array(12))
      table.struct(field(1), new Uint8Array(12).fill(1))
      table.offset(field(2), nodes)
      table.offset(field(4), message)
      table.offset(field(5), metadata)
      table.offset(field(6), files)
    })
  )
}

describe("Snapshot", () => {
  it("gives back what it encoded", () => {
    expect(Result.getOrThrow(decode(Snapshot.encode(snapshot)))).toStrictEqual(snapshot)
    fc.assert(
      fc.property(arbitraries.snapshot, (value) =>
        assert.deepStrictEqual(Result.getOrThrow(decode(Snapshot.encode(value))), value)
      ),
      { numRuns: 500 }
    )
  })

  it("sorts nodes by the UTF-8 bytes of their paths and manifests by id", () => {
    const other = { id: ObjectId.manifestId(new Uint8Array(12)), sizeBytes: 1, numChunkRefs: 1, extra: undefined }
    const shuffled = {
      ...snapshot,
      nodes: snapshot.nodes.toReversed(),
      manifestFiles: [...snapshot.manifestFiles, other]
    }
    const back = Result.getOrThrow(decode(Snapshot.encode(shuffled)))
    expect(back.nodes).toStrictEqual(snapshot.nodes)
    expect(back.manifestFiles).toStrictEqual([other, ...snapshot.manifestFiles])
  })

  it("finds nodes by path", () => {
    fc.assert(
      fc.property(arbitraries.snapshot, arbitraries.path, (value, path) => {
        for (const node of value.nodes) expect(Snapshot.find(value, node.path)).toBe(node)
        expect(Snapshot.find(value, path)).toBe(value.nodes.find((node) => node.path === path))
      })
    )
    expect(Snapshot.find({ ...snapshot, nodes: [] }, NodePath.root)).toBe(undefined)
  })

  it("reads the layout of spec 1", () => {
    const payload = forged({
      shape: [
        [10n, 3n],
        [0n, 0n],
        [9n, 3n]
      ],
      extents: [0, 4, 0, 1, 0, 3]
    })
    const back = Result.getOrThrow(Snapshot.decode("snapshots/X", Msgpack.decode, payload))
    expect(back.parentId).toBe(ObjectId.snapshotId(new Uint8Array(12).fill(1)))
    expect(back.manifestFiles).toStrictEqual([
      { id: ObjectId.manifestId(new Uint8Array(12).fill(9)), sizeBytes: 1234, numChunkRefs: 56, extra: undefined }
    ])
    expect(back.nodes[0]!.data).toMatchObject({
      shape: [
        { length: 10, numChunks: 4 },
        { length: 0, numChunks: 0 },
        { length: 9, numChunks: 3 }
      ],
      manifests: [
        {
          extents: [
            { from: 0, to: 4 },
            { from: 0, to: 1 },
            { from: 0, to: 3 }
          ]
        }
      ]
    })
  })

  it("reads a manifest without extents as one for the whole grid, as Icechunk does", () => {
    const payload = forged({
      shape: [
        [10n, 3n],
        [9n, 3n]
      ]
    })
    expect(Result.getOrThrow(decode(payload)).nodes[0]!.data).toMatchObject({
      manifests: [
        {
          extents: [
            { from: 0, to: 4 },
            { from: 0, to: 3 }
          ]
        }
      ]
    })
  })

  it("sorts the nodes of a file that is in another order", () => {
    const back = Result.getOrThrow(decode(forged({ paths: ["/b", "/\u{10000}", "/\uffff", "/a"] })))
    expect(back.nodes.map(({ path }) => path)).toStrictEqual(["/a", "/b", "/\uffff", "/\u{10000}"])
  })

  it.each([
    ["nodes[1].path", { paths: ["/a", "/a/../b"] }, "`..`"],
    ["nodes", { paths: ["/a", "/b", "/a"] }, "two nodes at `/a`"],
    ["nodes[0].node_data_type", { type: 3 }, "code 3"],
    ["nodes[0].node_data_type", { type: 0 }, "code 0"],
    [
      "nodes[0].node_data.shape[1]",
      {
        shape: [
          [0n, 0n],
          [5n, 0n]
        ]
      },
      "length 0"
    ]
  ] as const)("names %s when it is wrong: %o", (field, options, problem) => {
    const result = decode(forged(options))
    expect(Result.isFailure(result) && result.failure).toMatchObject({ file: "snapshots/X", field })
    expect(Result.isFailure(result) && result.failure.problem).toMatch(problem)
  })

  it("reads what another client left odd in one array, and writes it back as it was", () => {
    const twoDimensions: ReadonlyArray<readonly [bigint, bigint]> = [
      [2n ** 60n, 2n ** 55n],
      [4n, 1n]
    ]
    const payload = forged({ paths: ["/a//g", "/b/", "/c/./d"], shape: twoDimensions, extents: [0, 4] })
    const back = Result.getOrThrow(Snapshot.decode("snapshots/X", Msgpack.decode, payload))
    expect(back.nodes.map(({ path }) => path)).toStrictEqual(["/a//g", "/b/", "/c/./d"])
    expect(back.nodes[0]!.data).toMatchObject({
      shape: [
        { length: 2 ** 60, numChunks: 32, exactLength: 2n ** 60n },
        { length: 4, numChunks: 4 }
      ],
      manifests: [{ extents: [{ from: 0, to: 4 }], problem: "it has 1 dimension(s), the array has 2" }]
    })
    expect(Result.getOrThrow(decode(Snapshot.encode(back))).nodes).toStrictEqual(back.nodes)
    const exact = Result.getOrThrow(
      Snapshot.decode("snapshots/X", Msgpack.decode, forged({ shape: [[2n ** 64n - 1n, 2n ** 60n]], extents: [4, 3] }))
    )
    expect(exact.nodes[0]!.data).toMatchObject({
      shape: [{ numChunks: 16, exactLength: 2n ** 64n - 1n }],
      manifests: [{ problem: "it starts at chunk 4 and ends before chunk 3" }]
    })
    expect(Result.getOrThrow(decode(Snapshot.encode(exact))).nodes).toStrictEqual(exact.nodes)
  })

  it("does not unfold nodes that share their manifests", () => {
    const payload = forged({
      paths: Array.from({ length: 5000 }, (_, i) => `/${i}`),
      shape: Array.from({ length: 100_000 }, () => [0n, 0n] as const),
      extents: Array.from({ length: 200_000 }, () => 0)
    })
    const result = decode(payload)
    expect(Result.isFailure(result) && result.failure.problem).toMatch("more than its size allows")
  })

  it("fails with a FormatError on damaged payloads", () => {
    const payload = Snapshot.encode(snapshot).slice()
    expect(damage.truncations(payload, decode)).toBeGreaterThan(payload.length - 8)
    expect(damage.flips(payload, 20_000, 5, decode)).toBeGreaterThan(5000)
    const old = forged({ shape: [[10n, 3n]], extents: [0, 4] }).slice()
    damage.flips(old, 10_000, 6, (bytes) => Snapshot.decode("snapshots/X", Msgpack.decode, bytes))
  })
})
