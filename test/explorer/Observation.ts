/**
 * What is in a store, as the model says it, and whether it is whole: the log of operations followed through its
 * pages, the copies in `overwritten/`, every snapshot, and that the repository opens.
 */
import * as Repository from "@effect-icechunk/core/Repository"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as TransactionLog from "../../packages/core/src/format/TransactionLog.ts"
import type { SnapshotId } from "../../packages/core/src/values/ObjectId.ts"
import * as Model from "./Model.ts"
import type * as Objects from "./Objects.ts"
import * as Operation from "./Operation.ts"
import type { World } from "./World.ts"

export interface Observation {
  readonly state: Model.State
  /** Messages of snapshots by their ids. */
  readonly messages: ReadonlyMap<string, string>
  /** Names of the containers that other Icechunk clients see. */
  readonly published: ReadonlyArray<string>
  /** What is not whole. */
  readonly problems: ReadonlyArray<string>
}

export const firstSnapshot = "1CECHNKREP0F1RSTCMT0"

const decoded = new WeakMap<Uint8Array, RepoInfo.RepoInfo>()

/** The payload of a file that a world wrote: after its header, without compression. */
const payload = ({ bytes }: Objects.Entry): Uint8Array => bytes.subarray(IcechunkFile.headerSize)

/** Decodes a repository object once, for copies share its bytes. */
const repoInfo = (key: string, entry: Objects.Entry): RepoInfo.RepoInfo => {
  const known = decoded.get(entry.bytes)
  if (known !== undefined) return known
  const info = Result.getOrThrow(RepoInfo.decode(key, payload(entry)))
  decoded.set(entry.bytes, info)
  return info
}

/** The log of operations, latest first, through all pages. */
const wholeLog = (
  objects: Objects.Image,
  info: RepoInfo.RepoInfo,
  problems: Array<string>
): ReadonlyArray<RepoInfo.UpdateEntry> => {
  const entries: Array<RepoInfo.UpdateEntry> = []
  for (let page: RepoInfo.RepoInfo | undefined = info; page !== undefined;) {
    entries.push(...page.latestUpdates)
    const name: string | undefined = page.repoBeforeUpdates
    if (name === undefined) break
    const copy = objects.get(`overwritten/${name}`)
    if (copy === undefined) problems.push(`the log of operations continues in \`${name}\`, which is not there`)
    page = copy === undefined ? undefined : repoInfo(name, copy)
    if (entries.length > 1000) {
      problems.push("the log of operations does not end")
      break
    }
  }
  for (const [i, { updatedAt }] of entries.entries()) {
    const older = entries[i + 1]
    if (older !== undefined && older.updatedAt >= updatedAt) problems.push("the times of the log do not increase")
  }
  return entries
}

/** Each entry but the latest names the copy of the object that it was the latest of. */
const checkCopies = (objects: Objects.Image, info: RepoInfo.RepoInfo, problems: Array<string>): void => {
  for (const [i, { backupPath, update, updatedAt }] of info.latestUpdates.entries()) {
    if (backupPath === undefined) {
      if (i > 0) problems.push(`the log does not say where the object before ${update._tag} is`)
      continue
    }
    const copy = objects.get(`overwritten/${backupPath}`)
    const latest = copy === undefined ? undefined : repoInfo(backupPath, copy).latestUpdates[0]
    if (latest === undefined || latest.update._tag !== update._tag || latest.updatedAt !== updatedAt) {
      problems.push(`the copy \`${backupPath}\` is not the object that ${update._tag} wrote`)
    }
  }
}

const printEntry = ({ update }: RepoInfo.UpdateEntry, message: (id: string) => string): ReadonlyArray<string> => {
  switch (update._tag) {
    case "ConfigChanged":
    case "GCRan":
      return []
    case "NewCommit":
      return [`NewCommit ${update.branch} ${message(update.newSnapshotId)}`]
    case "CommitAmended":
      return [`CommitAmended ${update.branch} ${message(update.previousSnapshotId)} ${message(update.newSnapshotId)}`]
    case "BranchReset":
    case "BranchDeleted":
    case "TagDeleted":
      return [`${update._tag} ${update.name} ${message(update.previousSnapshotId)}`]
    case "BranchCreated":
    case "TagCreated":
      return [`${update._tag} ${update.name}`]
    default:
      return [update._tag]
  }
}

/** Ids of a snapshot and those before it, each after those that it has replaced, without the first of all. */
const lineage = (
  { snapshots }: RepoInfo.RepoInfo,
  log: ReadonlyArray<RepoInfo.UpdateEntry>,
  id: string
): ReadonlyArray<string> => {
  const replaced = new Map<string, string>(
    log.flatMap(({ update }) =>
      update._tag === "CommitAmended" ? [[update.newSnapshotId, update.previousSnapshotId] as const] : []
    )
  )
  const ids: Array<string> = []
  for (let at: string | undefined = id; at !== undefined && at !== firstSnapshot;) {
    for (let one: string | undefined = at; one !== undefined; one = replaced.get(one)) ids.push(one)
    at = snapshots.get(at as never)?.parentId
  }
  return ids
}

const publishedContainers = (info: RepoInfo.RepoInfo): ReadonlyArray<string> => {
  if (info.config === undefined) return []
  const config = Result.getOrThrow(Flexbuffer.decode("repo", "config", info.config)) as {
    readonly virtual_chunk_containers?: Readonly<Record<string, { readonly name: string }>>
  }
  return Object.values(config.virtual_chunk_containers ?? {})
    .map(({ name }) => name)
    .toSorted()
}

/** Opens the repository as a new program would, and reads the configuration and what each of these snapshots holds. */
const readAll = (ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    const containers = Operation.containerNames(yield* repository.config.persisted)
    const chunks = yield* Effect.forEach(ids, (id) =>
      Effect.flatMap(repository.readonlySession({ snapshotId: id }), Operation.readChunk)
    )
    const marks = yield* Effect.forEach(ids, (id) =>
      Effect.flatMap(repository.readonlySession({ snapshotId: id }), Operation.readMarks)
    )
    return { chunks, marks, containers }
  })

/**
 * Looks at the store of a world. Snapshots of `known` have been looked at, where their files are the same.
 */
export const observe = (world: World, known: Objects.Image): Observation => {
  const { objects } = world
  const entry = objects.get("repo")
  if (entry === undefined) return { state: Model.nothing, messages: new Map(), published: [], problems: [] }
  const problems: Array<string> = []
  const info = repoInfo("repo", entry)
  const messages = new Map([...info.snapshots.values()].map(({ id, message }) => [id as string, message]))
  // The log names snapshots that are gone since.
  const before = known.get("repo")
  const former = before === undefined ? undefined : repoInfo("repo", before).snapshots
  const message = (id: string): string =>
    messages.get(id) ?? former?.get(id as SnapshotId)?.message ?? `unknown snapshot ${id}`
  if (new Set(messages.values()).size !== messages.size) problems.push("two snapshots are of the same commit")

  // Where files were deleted, those may be of any snapshot.
  const isLess = [...known.keys()].some((key) => /^(?:manifests|chunks)\//.test(key) && !objects.has(key))
  const unread = [...messages.keys()].filter((id) => {
    const file = `snapshots/${id}`
    const log = objects.get(`transactions/${id}`)
    if (log === undefined) problems.push(`the snapshot ${message(id)} has no transaction log`)
    else if (Result.isFailure(TransactionLog.decode(id, payload(log))))
      problems.push(`the transaction log of ${message(id)} is damaged`)
    return isLess || known.get(file) === undefined || known.get(file) !== objects.get(file)
  })
  const log = wholeLog(objects, info, problems)
  const read = world.now(world.actors.length - 1, readAll(unread))
  if (Exit.isFailure(read)) problems.push(`it cannot be read: ${Cause.pretty(read.cause).split("\n")[0]}`)
  else {
    for (const [i, chunk] of read.value.chunks.entries()) {
      if (chunk !== message(unread[i]!)) problems.push(`the snapshot ${message(unread[i]!)} has the chunk of ${chunk}`)
    }
    for (const [i, marks] of read.value.marks.entries()) {
      const ids = lineage(info, log, unread[i]!)
      const expected = ids.map(message).toSorted()
      // What has expired is not in the lineage any more, and what it did is there.
      const isWhole = ids.every((id) => (info.snapshots.get(id as never)?.prunedAncestorTxLogs.length ?? 0) === 0)
      const isThere = expected.every((one) => marks.includes(one))
      if (!isThere || (isWhole && marks.length !== expected.length)) {
        problems.push(
          `the snapshot ${message(unread[i]!)} has what \`${marks.join(" ")}\` did, not \`${expected.join(" ")}\``
        )
      }
    }
  }

  checkCopies(objects, info, problems)
  const state: Model.State = {
    exists: true,
    branches: Object.fromEntries([...info.branches].map(([name, id]) => [name, message(id)])),
    tags: Object.fromEntries([...info.tags].map(([name, id]) => [name, message(id)])),
    deletedTags: [...info.deletedTags].toSorted(),
    snapshots: Object.fromEntries(
      [...info.snapshots.values()].map(({ message: text, parentId }) => [
        text,
        parentId === undefined ? "" : message(parentId)
      ])
    ),
    containers: Exit.isSuccess(read) ? read.value.containers : [],
    log: log.flatMap((entry) => printEntry(entry, message)).toReversed()
  }
  return { state, messages, published: publishedContainers(info), problems }
}
