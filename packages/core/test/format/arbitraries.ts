/** Random values of the format, for the tests of this directory. */
import * as fc from "fast-check"
import type { Metadata } from "../../src/format/Metadata.ts"
import type { RepoInfo, SnapshotInfo } from "../../src/format/RepoInfo.ts"
import type { RepoStatus } from "../../src/format/RepoStatus.ts"
import { Update, type UpdateEntry } from "../../src/format/RepoUpdate.ts"
import type { NodeSnapshot, Snapshot } from "../../src/format/Snapshot.ts"
import type { Json } from "../../src/values/Json.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"

/** Plain objects, as decoders return. */
const record = <A>(fields: { readonly [K in keyof A]: fc.Arbitrary<A[K]> }): fc.Arbitrary<A> =>
  fc.record(fields, { noNullPrototype: true })

/** Well-formed text of all planes. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 100 })
)

/** Text without U+0000, which keys of flexbuffers cannot have. */
export const key: fc.Arbitrary<string> = fc.oneof(
  text.map((name) => name.replaceAll("\0", "")),
  fc.constantFrom("__proto__", "constructor", "0", "", "\uffff", "\u{10000}")
)

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc.constantFrom(0, -0, 127, 128, 255, 256, -128, -129, 65535, 65536, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 53, 1e300)
)

export const json: fc.Arbitrary<Json> = fc.letrec<{ readonly json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    number,
    text,
    fc.array(tie("json"), { maxLength: 8 }),
    fc.array(fc.tuple(key, tie("json")), { maxLength: 8 }).map((entries): Json => Object.fromEntries(entries))
  )
})).json

export const metadata: fc.Arbitrary<Metadata> = fc
  .array(fc.tuple(text, json), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries))

export const bytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 40 })

const optional = <A>(arbitrary: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> =>
  fc.option(arbitrary, { nil: undefined })

const id = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })

const snapshotId = id(12).map(ObjectId.snapshotId)
const manifestId = id(12).map(ObjectId.manifestId)
const nodeId = id(8).map(ObjectId.nodeId)

const time = fc.maxSafeInteger().map(Math.abs)
const u32 = fc.nat(0xffff_ffff)
const u16 = fc.nat(0xffff)

const byUtf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const status: fc.Arbitrary<RepoStatus> = record({
  availability: fc.constantFrom("Online" as const, "ReadOnly" as const, "Offline" as const),
  setAt: time,
  reason: optional(text)
})

const update: fc.Arbitrary<Update> = fc.oneof(
  fc.constantFrom(
    Update.RepoInitialized(),
    Update.ConfigChanged(),
    Update.MetadataChanged(),
    Update.GCRan(),
    Update.ExpirationRan()
  ),
  record({ fromVersion: fc.nat(255), toVersion: fc.nat(255) }).map(Update.RepoMigrated),
  record({ status }).map(Update.RepoStatusChanged),
  record({ name: text }).map(Update.TagCreated),
  record({ name: text }).map(Update.BranchCreated),
  record({ name: text, previousSnapshotId: snapshotId }).map(Update.TagDeleted),
  record({ name: text, previousSnapshotId: snapshotId }).map(Update.BranchDeleted),
  record({ name: text, previousSnapshotId: snapshotId }).map(Update.BranchReset),
  record({ branch: text, newSnapshotId: snapshotId }).map(Update.NewCommit),
  record({ branch: text, previousSnapshotId: snapshotId, newSnapshotId: snapshotId }).map(Update.CommitAmended),
  record({ newSnapshotId: snapshotId }).map(Update.NewDetachedSnapshot),
  record({ id: u16, newValue: fc.boolean(), isSet: fc.boolean() }).map(Update.FeatureFlagChanged)
)

const entry: fc.Arbitrary<UpdateEntry> = record({ update, updatedAt: time, backupPath: optional(text) })

/** Each snapshot descends from one before it. */
const snapshotInfos: fc.Arbitrary<ReadonlyMap<ObjectId.SnapshotId, SnapshotInfo>> = fc
  .array(
    fc.tuple(
      record({
        id: snapshotId,
        flushedAt: time,
        message: text,
        metadata,
        prunedAncestorTxLogs: fc.array(snapshotId, { maxLength: 3 })
      }),
      fc.nat()
    ),
    { minLength: 1, maxLength: 12 }
  )
  .map((drafts) => {
    const infos = new Map<ObjectId.SnapshotId, SnapshotInfo>()
    for (const [draft, pick] of drafts) {
      const ancestors = Array.from(infos.keys())
      if (!infos.has(draft.id)) infos.set(draft.id, { ...draft, parentId: ancestors[pick % (ancestors.length + 1)] })
    }
    return new Map(Array.from(infos).toSorted(([a], [b]) => ObjectId.compare(a, b)))
  })

const flags = optional(fc.uniqueArray(u16, { maxLength: 5 }).map((ids) => ids.toSorted((a, b) => a - b)))

/** In the order in which they are written, so that a round trip gives an equal value. */
export const repoInfo: fc.Arbitrary<RepoInfo> = snapshotInfos.chain((snapshots) => {
  const refs = fc
    .uniqueArray(fc.tuple(text, fc.constantFrom(...snapshots.keys())), { selector: ([name]) => name, maxLength: 6 })
    .map((entries) => new Map(entries.toSorted(([a], [b]) => byUtf8(a, b))))
  return record({
    specVersion: fc.constantFrom(1, 2),
    tags: refs,
    branches: refs,
    deletedTags: fc.uniqueArray(text, { maxLength: 5 }).map((names) => new Set(names.toSorted(byUtf8))),
    snapshots: fc.constant(snapshots),
    status,
    metadata,
    latestUpdates: fc.array(entry, { maxLength: 8 }),
    repoBeforeUpdates: optional(text),
    config: optional(bytes),
    enabledFeatureFlags: flags,
    disabledFeatureFlags: flags,
    extra: optional(bytes)
  })
})

const segment = fc
  .oneof(text, fc.constantFrom("a", "a-b", "\u{10ffff}", "\uffff", "ab", "b"))
  .map((name) => name.replaceAll("/", ""))
  .filter((name) => name !== "" && name !== "." && name !== "..")

export const path: fc.Arbitrary<NodePath.NodePath> = fc
  .array(segment, { maxLength: 4 })
  .map((segments) => segments.reduce(NodePath.child, NodePath.root))

const range = fc.tuple(u32, u32).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))

const extents = (rank: number) => fc.array(range, { minLength: rank, maxLength: rank })

const arrayData = fc.array(record({ length: time, numChunks: u32 }), { maxLength: 4 }).chain((shape) =>
  record({
    _tag: fc.constant("Array" as const),
    shape: fc.constant(shape),
    dimensionNames: optional(fc.array(optional(text.filter((name) => name !== "")), { maxLength: 4 })),
    manifests: fc.array(record({ id: manifestId, extents: extents(shape.length) }), { maxLength: 4 })
  })
)

const node: fc.Arbitrary<NodeSnapshot> = record({
  id: nodeId,
  path,
  userData: bytes,
  data: fc.oneof(fc.constant({ _tag: "Group" as const }), arrayData),
  extra: optional(bytes)
})

/** In the order in which they are written, so that a round trip gives an equal value. */
export const snapshot: fc.Arbitrary<Snapshot> = record({
  id: snapshotId,
  parentId: fc.constant(undefined),
  nodes: fc
    .uniqueArray(node, { selector: ({ path }) => path, maxLength: 12 })
    .map((nodes) => nodes.toSorted((a, b) => byUtf8(a.path, b.path))),
  flushedAt: time,
  message: text,
  metadata,
  manifestFiles: fc
    .uniqueArray(record({ id: manifestId, sizeBytes: time, numChunkRefs: u32, extra: optional(bytes) }), {
      selector: ({ id }) => id,
      maxLength: 5
    })
    .map((files) => files.toSorted((a, b) => ObjectId.compare(a.id, b.id))),
  extra: optional(bytes)
})
