import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Errors from "../../src/Errors.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as ErrorSchema from "../../src/schema/ErrorSchema.ts"
import * as Reasons from "../../src/store/ObjectStoreError.ts"

/** One of each error, with every field that it may have. */
const samples: { readonly [Name in keyof typeof Errors]: InstanceType<(typeof Errors)[Name]> } = {
  FormatError: new Errors.FormatError({ file: "manifests/X", field: "nodes", problem: "it is damaged" }),
  ManifestTooLarge: new Errors.ManifestTooLarge({ refs: 7, bytes: 2 ** 31 }),
  ConfigConflict: new Errors.ConfigConflict({ store: "memory://", attempts: 5 }),
  ConfigOutcomeUnknown: new Errors.ConfigOutcomeUnknown({ store: "memory://", problem: "lost", cause: "gone" }),
  InvalidLocationQuery: new Errors.InvalidLocationQuery({ field: "glob", value: "[", problem: "it is not closed" }),
  InvalidCutoff: new Errors.InvalidCutoff({ cutoff: "`2030`", latest: 7, problem: "it is not a time" }),
  CommitConflict: new Errors.CommitConflict({ branch: "main", expected: "A", actual: "B" }),
  CommitOutcomeUnknown: new Errors.CommitOutcomeUnknown({
    branch: "main",
    snapshotId: "A",
    problem: "lost",
    cause: "gone"
  }),
  AmendRefused: new Errors.AmendRefused({ branch: "main", snapshotId: "A", because: "it is", canBeForced: true }),
  InvalidMove: new Errors.InvalidMove({ from: "/a", to: "/a/b", problem: "it is below" }),
  InvalidReindex: new Errors.InvalidReindex({ path: "/a", from: "[0]", to: "[9]", problem: "it is outside" }),
  OtherRepository: new Errors.OtherRepository({ store: "memory://", other: "s3://b" }),
  UnsupportedChunkGrid: new Errors.UnsupportedChunkGrid({ path: "/a", grid: "rectilinear" }),
  RefForbidden: new Errors.RefForbidden({ kind: "tag", name: "v1", because: "it was deleted" }),
  RefNotFound: new Errors.RefNotFound({ kind: "branch", name: "dev", known: ["main"] }),
  ClockSkew: new Errors.ClockSkew({ store: "memory://", latest: 1.5e15 }),
  ConfigNotPublished: new Errors.ConfigNotPublished({ store: "memory://", problem: "lost", cause: "gone" }),
  OutcomeUnknown: new Errors.OutcomeUnknown({ store: "memory://", problem: "lost", cause: "gone" }),
  RepositoryAlreadyExists: new Errors.RepositoryAlreadyExists({ store: "memory://", found: "repo" }),
  RepositoryBusy: new Errors.RepositoryBusy({ store: "memory://", attempts: 3 }),
  NotARepository: new Errors.NotARepository({ store: "memory://", because: "it is empty" }),
  RepositoryNotFound: new Errors.RepositoryNotFound({ store: "memory://" }),
  NothingToMigrate: new Errors.NothingToMigrate({ store: "memory://" }),
  MigrationDiverged: new Errors.MigrationDiverged({
    store: "memory://",
    branch: "main",
    spec1: "1CECHNKREP0F1RSTCMT0",
    spec2: "VY76P925PRY57WFEK410"
  }),
  RepositoryOffline: new Errors.RepositoryOffline({ store: "memory://", reason: "it is moved" }),
  NoSnapshotAsOf: new Errors.NoSnapshotAsOf({ branch: "main", asOf: 1.5e12, oldest: 1.6e12 }),
  NotAnAncestor: new Errors.NotAnAncestor({ from: "A", to: "B", isDescendant: true }),
  OperationsLogIncomplete: new Errors.OperationsLogIncomplete({ store: "memory://", file: "overwritten/repo.1.A" }),
  InvalidSetting: new Errors.InvalidSetting({ setting: "status", value: "Onlin", problem: "there are others" }),
  NotInspectable: new Errors.NotInspectable({ key: "refs/x", problem: "there are others" }),
  UnsupportedSpecVersion: new Errors.UnsupportedSpecVersion({ store: "memory://", version: 3 }),
  InvalidChunk: new Errors.InvalidChunk({ path: "/a", index: "[0]", problem: "it is empty" }),
  InvalidIndex: new Errors.InvalidIndex({ path: "/a", index: "[9]", problem: "the grid ends before it" }),
  InvalidPath: new Errors.InvalidPath({ path: "a//b", problem: "it has an empty name" }),
  InvalidVirtualRef: new Errors.InvalidVirtualRef({ path: "/a", at: "row 3", problem: "its length is 0" }),
  NodeAlreadyExists: new Errors.NodeAlreadyExists({ path: "/a", found: "group" }),
  NodeNotFound: new Errors.NodeNotFound({ path: "/a", wanted: "array", found: "group" }),
  NothingToCommit: new Errors.NothingToCommit({ branch: "main" }),
  WriteForbidden: new Errors.WriteForbidden({ target: "the session", because: "it is read-only" }),
  ObjectStoreError: new Errors.ObjectStoreError({
    store: "s3://bucket",
    operation: "get",
    key: "repo",
    reason: new Reasons.Unavailable({ detail: "503", cause: "reset", because: "the disk is full", isLasting: true })
  }),
  CredentialsUnavailable: new Errors.CredentialsUnavailable({ problem: "expired", container: "model", cause: "gone" }),
  InvalidLocation: new Errors.InvalidLocation({ location: "nowhere", problem: "it has no protocol" }),
  InvalidConfig: new Errors.InvalidConfig({ source: "config.json", field: "compression", problem: "it is a list" }),
  InvalidMetadata: new Errors.InvalidMetadata({ path: "/a", field: "shape", problem: "it is missing" }),
  ChecksumMismatch: new Errors.ChecksumMismatch({
    location: "s3://b/k",
    container: "s3",
    expected: "etag a",
    observed: "etag b"
  }),
  VirtualObjectNotFound: new Errors.VirtualObjectNotFound({
    location: "s3://b/k",
    container: "s3",
    store: "s3://b"
  }),
  MissingContainer: new Errors.MissingContainer({ location: "x://b/k", wanted: "protocol `x`", known: ["s3"] }),
  UnknownContainer: new Errors.UnknownContainer({ option: "credentials", name: "x", known: ["s3"] }),
  MissingCredentials: new Errors.MissingCredentials({
    container: "x",
    platform: "s3",
    because: "there is no entry",
    remedy: "add one"
  }),
  RebaseConflict: new Errors.RebaseConflict({
    branch: "main",
    expected: "A",
    actual: "B",
    conflicts: [
      {
        _tag: "ChunkDoubleUpdate",
        path: NodePath.root,
        node: ObjectId.nodeId(new Uint8Array(8)),
        rank: 2,
        count: 1,
        coords: Uint32Array.of(1, 2 ** 32 - 1)
      },
      {
        _tag: "NewNodeInInvalidGroup",
        path: NodePath.root,
        node: ObjectId.nodeId(new Uint8Array(8)),
        above: NodePath.root
      }
    ]
  }),
  MergeImpossible: new Errors.MergeImpossible({ into: "a", from: "b", because: "they have nothing in common" }),
  RebaseImpossible: new Errors.RebaseImpossible({
    branch: "main",
    expected: "A",
    actual: "B",
    because: "it was reset"
  }),
  PieceOverlap: new Errors.PieceOverlap({ path: "/a", indices: ["[0, 1]"], count: 3, piece: "P" }),
  PieceMismatch: new Errors.PieceMismatch({ piece: "P", of: "base", because: "the session has committed" }),
  PieceAlreadyMerged: new Errors.PieceAlreadyMerged({ piece: "P" }),
  OutsidePiece: new Errors.OutsidePiece({ piece: "P", path: "/a", index: "[9]" }),
  InvalidPiece: new Errors.InvalidPiece({ field: "into", problem: "there are none", piece: "P" }),
  MissingPlatform: new Errors.MissingPlatform({ container: "x", platform: "ftp", known: ["s3"] }),
  InvalidKey: new Errors.InvalidKey({ key: "a//b", problem: "it has an empty name" }),
  StoreClosed: new Errors.StoreClosed({ key: "/a/c/0" }),
  StoreTooLarge: new Errors.StoreTooLarge({ path: "/a", bytes: 2 ** 33, maxBytes: 2 ** 26 }),
  ZarritaError: new Errors.ZarritaError({ kind: "UnknownCodecError", problem: "Unknown codec: zfp", cause: "gone" })
}

const reasons: ReadonlyArray<Reasons.Reason> = [
  new Reasons.NotFound({ detail: "404" }),
  new Reasons.AlreadyExists({}),
  new Reasons.PreconditionFailed({ cause: "412" }),
  new Reasons.NotModified({}),
  new Reasons.InvalidRange({ size: 7 }),
  new Reasons.Unauthenticated({ because: "the clock is wrong", unavailable: "no file" }),
  new Reasons.PermissionDenied({}),
  new Reasons.RateLimited({ retryAfter: 12_000 }),
  new Reasons.Unavailable({ because: "the disk is full", isLasting: true }),
  new Reasons.InvalidResponse({ isFinal: true }),
  new Reasons.Unsupported({})
]

/** Through text, as a worker or a server would get it. */
const sent = <E extends Error>(schema: Schema.Codec<E, unknown>, error: E): E =>
  Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeUnknownSync(schema)(error))))

const assertSame = (arrived: Error, error: Error): void => {
  assert.strictEqual(arrived.constructor, error.constructor)
  assert.strictEqual(arrived.message, error.message)
  assert.deepStrictEqual({ ...arrived }, { ...error })
  assert.deepStrictEqual(arrived.cause, error.cause)
}

describe("the schema of an error", () => {
  it("there is for each that a caller can meet, and for no other", () => {
    const named = Object.keys(ErrorSchema).filter((name) => name !== "Reason")
    assert.deepStrictEqual(named.toSorted(), Object.keys(Errors).toSorted())
  })

  it.each(Object.keys(samples) as ReadonlyArray<keyof typeof Errors>)(
    "gives back an instance with the same fields and message: %s",
    (name) => {
      const schema = ErrorSchema[name] as unknown as Schema.Codec<Error, unknown>
      assertSame(sent(schema, samples[name]), samples[name])
    }
  )

  it.each(reasons.map((reason) => [reason._tag, reason] as const))(
    "gives back the reason of a failed request: %s",
    (_, reason) => {
      assertSame(sent(ErrorSchema.Reason, reason), reason)
    }
  )

  it("refuses a field of another type, and another error", () => {
    const decode = Schema.decodeUnknownResult(ErrorSchema.NodeNotFound)
    assert.strictEqual(decode({ _tag: "NodeNotFound", path: "/a", wanted: "array" })._tag, "Success")
    assert.strictEqual(decode({ _tag: "NodeNotFound", path: 1, wanted: "array" })._tag, "Failure")
    assert.strictEqual(decode({ _tag: "InvalidPath", path: "/a", wanted: "array" })._tag, "Failure")
  })
})
