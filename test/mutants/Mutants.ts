/**
 * Rules that nothing may break unnoticed, each as the edit that takes it out and the tests that must fail then.
 */
import { imports } from "./Imports.ts"

/** One rule taken out of the code. */
export interface Mutant {
  /** What no longer holds. */
  readonly name: string
  readonly file: string
  /** Stands in the file once. */
  readonly find: string
  readonly replace: string
  /** Of these test files at least one test fails. */
  readonly tests: ReadonlyArray<string>
}

const core = "packages/core/src"
const repository = "packages/core/test/repository"
const changes = `${core}/repository/changes`

const http = "packages/http/test"

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "chunk writes wait for a running commit",
    file: `${changes}/Uncommitted.ts`,
    find: "      alone(\n        Effect.tap(change",
    replace: "      ((effect: typeof change) => effect)(\n        Effect.tap(change",
    tests: [`${repository}/WritableSessionWaiting.test.ts`]
  },
  {
    name: "after a lost answer a write looks for its own copy (tags, branches, commits)",
    file: `${core}/repository/versions/OwnWrite.ts`,
    find: 'if (backupPath !== undefined && copies.has(backupPath)) return { _tag: "Written" }',
    replace: "",
    tests: [`${repository}/LostAnswers.test.ts`]
  },
  {
    name: "after a lost answer an update of the configuration looks for its own write",
    file: `${core}/repository/config/ConfigFile.ts`,
    find: "if (current.recentWrites.some((id) => ours.has(id))) return current",
    replace: "",
    tests: [`${repository}/ConfigFile.test.ts`]
  },
  {
    name: "the repository's status is checked on every attempt",
    file: `${core}/repository/versions/RepoObject.ts`,
    find: "if (options.whenLimited !== true) yield* ensureOnline(store, current.info)",
    replace: "if (options.whenLimited !== true && attempt === 1) yield* ensureOnline(store, current.info)",
    tests: [`${repository}/LostAnswers.test.ts`, `${repository}/InMemory.test.ts`]
  },
  {
    name: "a commit waits for its files before it is visible",
    file: `${core}/repository/changes/Uploads.ts`,
    find: "Effect.suspend(() => Fiber.joinAll(started))",
    replace: "Effect.void",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a commit whose branch has moved stops writing its files",
    file: `${changes}/BranchWriter.ts`,
    find: "place(branch, known.info, tip, all)],",
    replace: "Effect.uninterruptible(place(branch, known.info, tip, all))],",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a commit that is known to be refused begins no upload",
    file: `${changes}/BranchWriter.ts`,
    find: "const isThere = all.every(",
    replace: "const isThere = true || all.every(",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "the copy of a version that is not the newest is not used",
    file: `${core}/repository/versions/RepoObject.ts`,
    find: "now === before && Option.isSome(early) ? early",
    replace: "Option.isSome(early) ? early",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a session shows the newest snapshot, not the one that was known",
    file: `${core}/repository/Opening.ts`,
    find: "early !== undefined && Option.contains(guess, id)",
    replace: "early !== undefined",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a file is kept only when it was written",
    file: `${core}/repository/AssetWrites.ts`,
    find: "      yield* put(Layout.snapshot(snapshot.id), bytes)\n      yield* assets.keep(snapshot)\n",
    replace: "      yield* assets.keep(snapshot)\n      yield* put(Layout.snapshot(snapshot.id), bytes)\n",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "the first snapshot is kept only when it is this creator's",
    file: `${core}/repository/Creation.ts`,
    find: "snapshot: isOurs ? snapshot : undefined",
    replace: "snapshot",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a new snapshot moves the places of parents behind it",
    file: `${core}/format/SnapshotTable.ts`,
    find: "(parent < place ? parent : parent + 1)",
    replace: "parent",
    tests: ["packages/core/test/format/SnapshotTable.test.ts"]
  },
  {
    name: "the configuration is published along with a commit",
    file: `${core}/repository/Repository.ts`,
    find: "Effect.flatMap(Effect.fromResult(change(info)), config.publishAlong)",
    replace: "Effect.fromResult(change(info))",
    tests: [`${repository}/ConfigControl.test.ts`]
  },
  {
    name: "compaction of columns keeps ETags with their rows",
    file: `${core}/format/manifest/ChunkRefColumns.ts`,
    find: "kind === Kind.VirtualETag ? this.#etags.position(from.etags[checksum]!) : checksum",
    replace: "checksum",
    tests: ["packages/core/test/format/columns.test.ts"]
  },
  {
    name: "deleting an array drops its chunk changes",
    file: `${core}/repository/changes/ChangedSnapshot.ts`,
    find: "      chunks.delete(one.id)\n",
    replace: "",
    tests: [`${repository}/ChangedSnapshot.test.ts`, `${repository}/WritableSessionCommit.test.ts`]
  },
  {
    name: "transaction logs list the chunks of new arrays",
    file: `${core}/repository/changes/ChangeSet.ts`,
    find: "return count === 0 ? []",
    replace: "return count === 0 || changes.created.has(node) ? []",
    tests: [`${repository}/ChangedSnapshot.test.ts`, `${repository}/WritableSessionCommit.test.ts`]
  },
  {
    name: "a native chunk is read from its offset",
    file: `${core}/repository/NativeChunks.ts`,
    find: "range: ByteRange.bounded(offset, length)",
    replace: "range: ByteRange.bounded(0, length)",
    tests: [`${repository}/WritableSessionCommit.test.ts`]
  },
  {
    name: "what a snapshot keeps for others (`extra`) is kept",
    file: `${core}/repository/changes/Commit.ts`,
    find: "extra: base.extra",
    replace: "extra: undefined",
    tests: [`${repository}/WritableSessionCommit.test.ts`]
  },
  {
    name: "a snapshot lists only manifests that are used",
    file: `${core}/repository/changes/Commit.ts`,
    find: "known.filter(({ id }) => used.has(id))",
    replace: "known.filter(({ id }) => used.has(id) || true)",
    tests: [`${repository}/WritableSessionCommit.test.ts`]
  },
  {
    name: "on files: what is written is flushed before it gets its name",
    file: "packages/fs/src/internal/FileWriter.ts",
    find: "(isFlushed ? asWrite(Effect.uninterruptible(flush)) : Effect.void)",
    replace: "Effect.as(Effect.void, flush)",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "on files: what is read of an open file is compared with the file that its path leads to",
    file: "packages/fs/src/internal/FileCalls.ts",
    find: "done(error === null && same(stats, identity))",
    replace: "done(error === null)",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files: an open file is read only while it is where it was when it was checked",
    file: "packages/fs/src/internal/HeldFiles.ts",
    find: "settle(now === real)",
    replace: "settle(now === real || now !== real)",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files of this machine: an open file is read only while it is where it was when it was checked",
    file: "packages/fs/src/internal/TurnChecks.ts",
    find: "whereIs(named) === real)",
    replace: "whereIs(named) !== '')",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files of this machine: what is read of memory is checked as all else is",
    file: "packages/fs/src/internal/HeldFile.ts",
    find: "if (count === length) check(bytes)",
    replace: "if (count === length) finish(Effect.succeed({ bytes, span, meta: checked.meta }))",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files: an open file is not closed while it is read",
    file: "packages/fs/src/internal/HeldFile.ts",
    find: "if (readers === 0) end()",
    replace: "end()",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files: what was read is compared with an answer that was asked for afterwards",
    file: "packages/fs/src/internal/SharedCall.ts",
    find: "      if (waiting.length > 0) next()\n      else isAsked = false\n",
    replace: "      isAsked = false\n      told.push(...waiting)\n      waiting = []\n",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files: none stays open on a file system that other machines change unseen",
    file: "packages/fs/src/internal/HeldFiles.ts",
    find: "if (kind === undefined || isClosed) return",
    replace: "if (isClosed) return",
    tests: ["packages/fs/test/HeldFiles.test.ts"]
  },
  {
    name: "on files: the directory is flushed after a file got its name",
    file: "packages/fs/src/internal/Directories.ts",
    find: "            sync,\n            (error) => unflushable",
    replace: "            sync.pipe(Effect.when(Effect.succeed(false))),\n            (error) => unflushable",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "on files: what replaces an object is flushed before, also when it may be deferred",
    file: "packages/fs/src/internal/FileWriter.ts",
    find: "const settle = asWrite(Effect.uninterruptible(flush)).pipe(",
    replace: "const settle = Effect.void.pipe(",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "on files: a file whose flush was deferred is flushed",
    file: "packages/fs/src/internal/Flushes.ts",
    find: "Effect.uninterruptible(file.flush)",
    replace: "Effect.asVoid(Effect.succeed(file.flush))",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "on files: the directory of a file whose flush was deferred is flushed",
    file: "packages/fs/src/internal/FileWriter.ts",
    find: "      defer(remainderOf(path.dirname(file)))\n",
    replace: "",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "on files: what a put depends on comes before it",
    file: "packages/fs/src/internal/FileWriter.ts",
    find: "Effect.all([whole, after], { concurrency: 2 })",
    replace: "Effect.all([whole, Effect.as(Effect.void, after)], { concurrency: 2 })",
    tests: ["packages/fs/test/PowerLoss.test.ts"]
  },
  {
    name: "a commit settles its chunks before it is visible",
    file: `${changes}/SessionCommits.ts`,
    find: "durable: Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled)),",
    replace: "durable: DeferredWrites.settleAll(files),",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "a commit settles its files before it is visible",
    file: `${changes}/SessionCommits.ts`,
    find: "durable: Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled)),",
    replace: "durable: NativeChunks.settle(chunks, settled),",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "the copy of the repository object is settled before that is replaced",
    file: `${core}/repository/versions/RepoObject.ts`,
    find: "Effect.all([DeferredWrites.settleAll(copying), options.after ?? Effect.void], {",
    replace: "Effect.all([Effect.void, options.after ?? Effect.void], {",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "a deferred write that could not be settled is not forgotten",
    file: `${core}/store/DeferredWrites.ts`,
    find: "              if (Result.isFailure(result)) return",
    replace: "              settled(remainder, entry)\n              if (Result.isFailure(result)) return",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "a session is rebased only over what came after the snapshot that it was opened on",
    file: `${changes}/BranchWriter.ts`,
    find: "if (snapshot === undefined) return undefined",
    replace: "if (snapshot === undefined) return ids",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "of commits that go out together each finds the manifests of those before it",
    file: `${changes}/BranchWriter.ts`,
    find: "all.length === 1 ? assets : (yield* withZstd(AssetWrites.chained))(assets)",
    replace: "assets",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "of commits that go out together each is compared with those before it",
    file: `${changes}/BranchWriter.ts`,
    find: "[...logs, ...together.map(({ flushed }) => flushed.log)]",
    replace: "logs",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "of commits that go out together each goes on from the one before it",
    file: `${changes}/BranchWriter.ts`,
    find: "placed.at(-1)?.flushed.snapshot ?? snapshot",
    replace: "snapshot",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "commits that go out together are all durable before the branch moves",
    file: `${changes}/BranchWriter.ts`,
    find: "Effect.forEach(placed, ({ wanted }) => wanted.durable",
    replace: "Effect.forEach(placed.slice(0, 1), ({ wanted }) => wanted.durable",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "of commits that go out together each session knows that it is in",
    file: `${changes}/BranchWriter.ts`,
    find: "for (const { flushed, wanted } of placed) wanted.onMoved(flushed)",
    replace: "for (const { flushed, wanted } of placed.slice(0, 1)) wanted.onMoved(flushed)",
    tests: ["test/models/branch.test.ts"]
  },
  {
    name: "what one session cannot write is no failure of those that go out with it",
    file: `${changes}/BranchWriter.ts`,
    find: "for (const wanted of open.length === 1 ? [] : open) {",
    replace: "for (const wanted of open) {\n          if (done.set(wanted, Exit.failCause(tried.cause))) continue",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "a commit whose answer was lost is found before it is made again",
    file: `${changes}/BranchWriter.ts`,
    find: "const earlier = committed(info, branch, wanted.tried)",
    replace: "const earlier = undefined as Commit.Flushed | undefined",
    tests: [`${repository}/LostAnswers.test.ts`]
  },
  {
    name: "who gives up a commit does not end those that go out with it",
    file: `${changes}/Batches.ts`,
    find: "batch.includes(mine) && batch.every(({ isLeft }) => isLeft)",
    replace: "batch.includes(mine)",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "the next batch begins also when a fiber is interrupted before it has begun",
    file: `${changes}/Batches.ts`,
    find: "{ uninterruptible: true }",
    replace: "{ uninterruptible: false }",
    tests: [`${repository}/Batches.test.ts`]
  },
  {
    name: "chunks that were copied from a version are committed only while it is listed",
    file: `${changes}/BranchWriter.ts`,
    find: "if (info.snapshots.has(id)) continue",
    replace: "if (info !== undefined) continue",
    tests: [`${repository}/CopiedChunks.test.ts`]
  },
  {
    name: "a manifest of a lost round is used again only when it was stored",
    file: `${changes}/Commit.ts`,
    find: " &&\n    known.written.files.every(({ id }) => known.stored.has(id))\n",
    replace: "\n",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "a manifest of a lost round is used again only for an array that is as it was",
    file: `${changes}/Commit.ts`,
    find: "known?.source === source &&",
    replace: "known !== undefined &&",
    tests: [`${repository}/CommitsTogether.test.ts`, `${repository}/Rebase.test.ts`]
  },
  {
    name: "the logs of others are read where both wrote to an array",
    file: `${changes}/TheirChanges.ts`,
    find: "return asked.some((ids) => [...ids.keys()].some((id) => written.has(id)))",
    replace: "return false && written.size > 0",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "chunks that both wrote are in conflict",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (order === 0) common.add(i)",
    replace: "",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "metadata that both changed is in conflict",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (theirs.updated.has(node) && !Bytes.equals(now.userData, userData)) {",
    replace: "if (theirs.updated.has(node) && Bytes.equals(now.userData, userData)) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "other chunks of an array are in conflict with what others wrote to it",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (written !== undefined && !keepsChunks) {",
    replace: "if (written !== undefined && !keepsChunks && grid.length > 99) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "chunks are in conflict with others' change of how they are encoded",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (!isOwn && !isSameArray(encoded, now.userData, gridOf(now), [ours])) {",
    replace: "if (!isOwn && !isSameArray(now.userData, now.userData, gridOf(now), [ours])) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "chunks that others cut off are in conflict",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (coords[i]! >= grid[i % rank]!) return false",
    replace: "",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a new node is in conflict with one that others put there",
    file: `${changes}/ConflictDetector.ts`,
    find: "const existing = theirsAt(path) ?? (",
    replace: "const existing = undefined ?? (",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a new node is in conflict with an array above it",
    file: `${changes}/ConflictDetector.ts`,
    find: 'if (node?.data._tag === "Array") return { above: one, array: node.id }',
    replace: "",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a new node is in conflict with the deletion of the group that it is in",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (isGone && !changes.deleted.has(was.id)",
    replace: "if (isGone && changes.deleted.has(was.id)",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a deletion is in conflict with what others changed",
    file: `${changes}/ConflictDetector.ts`,
    find: "if (theirs.updated.has(node) || chunks.has(node) || now.path !== path) {",
    replace: "if (now.path !== path) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "the deletion of a group is in conflict with what others put into it",
    file: `${changes}/ConflictDetector.ts`,
    find: 'const created = type === "Group" ? putBelow(now.path) : []',
    replace: "const created: ReadonlyArray<Node> = []",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a node that is kept keeps the groups above it",
    file: `${changes}/RebasePlan.ts`,
    find: "for (const at of [path, ...above(path)]) {",
    replace: "for (const at of [path]) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "where others win, only the chunks that both wrote are given up",
    file: `${changes}/RebasePlan.ts`,
    find: "columns.rowsInOrder().filter((_, i) => !common.has(i))",
    replace: "columns.rowsInOrder().subarray(0, 0)",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a conflict that nothing decides is an error",
    file: `${changes}/Rebasing.ts`,
    find: "if (open.length > 0) {",
    replace: "if (open.length > 99) {",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a chunk that was written to what it was is no conflict of a rebase",
    file: `${changes}/SessionCommits.ts`,
    find: "const changed = yield* Commit.settle(assets, current())\n",
    replace: "const changed = current()\n",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a commit that lost a race and failed is known not to have happened",
    file: `${changes}/SessionCommits.ts`,
    find: "if (isDecided(_tag)) for",
    replace: "if (isDecided(_tag) && before.size > 99) for",
    tests: [`${repository}/CommitsTogether.test.ts`]
  },
  {
    name: "a rebase writes no chunk outside of a grid",
    file: `${changes}/RebasePlan.ts`,
    find: "inside.length === rows.length ? columns",
    replace: "inside.length <= rows.length ? columns",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "chunks that came and went are no conflict",
    file: `${changes}/TheirChanges.ts`,
    find: "      if (!written.has(one.node)) continue\n",
    replace: "",
    tests: [`${repository}/Rebase.test.ts`]
  },
  {
    name: "a copy of columns that is written to has memory of its own",
    file: `${core}/format/manifest/ChunkRefColumns.ts`,
    find: "    this.#keep(this.rowsInOrder())\n",
    replace: "",
    tests: ["packages/core/test/format/columns.test.ts", `${repository}/Rebase.test.ts`]
  },
  {
    name: "a commit on top of others has what they did",
    file: `${changes}/SessionCommits.ts`,
    find: "if (snapshot.id === parent) return settled",
    replace: "return settled",
    tests: ["test/explorer/rebase.test.ts", `${repository}/Rebase.test.ts`]
  },
  {
    name: "garbage is collected only when all is read that the object needs which is written",
    file: `${core}/repository/upkeep/Collection.ts`,
    find: "if (!readSnapshots.has(id)) return Result.fail(new Unread())",
    replace: "",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "before each deletion the repository object is looked at again",
    file: `${core}/repository/upkeep/Collection.ts`,
    find: "if (info !== looked) {",
    replace: "if (info === undefined) {",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "a file that is missing ends a collection where a ref leads to it",
    file: `${core}/repository/upkeep/Collection.ts`,
    find: "if (!isNotFound(error) || reachable.has(id)) return Effect.fail(error)",
    replace: "if (!isNotFound(error)) return Effect.fail(error)",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "files of commits that are under way are too young to be collected",
    file: `${core}/repository/upkeep/Cutoff.ts`,
    find: "if (cutoff > now - minimumAge) {",
    replace: "if (cutoff > now) {",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "nothing is collected that a session of this process has not committed",
    file: `${core}/repository/upkeep/Cutoff.ts`,
    find: "sessions.filter(({ since }) => since <= cutoff)",
    replace: "sessions.filter(() => false)",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "a session is open again while its next chunk is on its way",
    file: `${core}/repository/WritableSession.ts`,
    find: "          open.changed(since)\n          const id",
    replace: "          const id",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "a session is open again with a chunk that was on its way during a commit",
    file: `${core}/repository/WritableSession.ts`,
    find: "            open.changed(since)\n            columns",
    replace: "            columns",
    tests: [`${repository}/upkeep/Collection.test.ts`]
  },
  {
    name: "the logs that a snapshot has taken over are not collected",
    file: `${core}/repository/upkeep/CollectionPlan.ts`,
    find: "for (const pruned of prunedAncestorTxLogs) needed.add(pruned)",
    replace: "",
    tests: [`${repository}/upkeep/Collection.test.ts`, `${repository}/upkeep/Expiration.test.ts`]
  },
  {
    name: "what others have made of the repository meanwhile decides what expires",
    file: `${core}/repository/upkeep/Expiration.ts`,
    find: "    done = planFor(now)\n",
    replace: "",
    tests: [`${repository}/upkeep/Expiration.test.ts`]
  },
  {
    name: "pages of the operations log are not cleaned away",
    file: `${core}/repository/upkeep/Leftovers.ts`,
    find: "if (options.cutLog !== true) {",
    replace: "if (options.cutLog === false) {",
    tests: [`${repository}/upkeep/Upkeep.test.ts`]
  },
  {
    name: "http: a range is the one that was asked for",
    file: "packages/http/src/internal/Judgement.ts",
    find: "span.start !== answered.start || span.end !== answered.end",
    replace: "false",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a compressed range is refused",
    file: "packages/http/src/internal/Judgement.ts",
    find: "  if (isEncoded(head)) {\n    return wrong(",
    replace: "  if (false) {\n    return wrong(",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a web page is not a file",
    file: "packages/http/src/internal/Judgement.ts",
    find: "if (head.status === 200 && isHtml(head) && (asked.refusesHtml || range !== undefined)) return html",
    replace: "",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a hidden range is not believed",
    file: "packages/http/src/internal/Judgement.ts",
    find: "if (!asked.trustsHiddenRanges) {",
    replace: "if (false) {",
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: an ETag that is not there agrees with none",
    file: "packages/http/src/internal/Judgement.ts",
    find: "if (ifMatch !== undefined && etag === undefined) {",
    replace: "if (false) {",
    tests: [`${http}/Answers.test.ts`, `${http}/Cors.test.ts`]
  },
  {
    name: "http: a body is read no further than announced",
    file: "packages/http/src/internal/Exchange.ts",
    find: "if (received + value.length > limit) {",
    replace: "if (false) {",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: an interruption ends the request",
    file: "packages/http/src/internal/Exchange.ts",
    find: "      clearTimeout(timer)\n      controller.abort()\n    })",
    replace: "      clearTimeout(timer)\n    })",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a body that is read as a whole is read once",
    file: "packages/http/src/internal/Store.ts",
    find: "waitsFor = whole.underWay.get(key)",
    replace: "waitsFor = undefined",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: who waits for a body that broke asks again",
    file: "packages/http/src/internal/Store.ts",
    find: "Effect.fail(endedEarly)",
    replace: "Effect.die(exit)",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: what was read as a whole is asked for anew when it changed",
    file: "packages/http/src/internal/Store.ts",
    find: "if (kept !== undefined && isFixed(key)) return",
    replace: "if (kept !== undefined) return",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a large object is not read as a whole",
    file: "packages/http/src/internal/Store.ts",
    find: "(verdict.length ?? 0) > wholeLimit) return undefined",
    replace: "false) return undefined",
    tests: [`${http}/Answers.test.ts`]
  },
  {
    name: "http: a browser does not answer from its cache what may have changed",
    file: "packages/http/src/internal/Store.ts",
    find: 'isPart ? "no-store" : "no-cache"',
    replace: 'isPart ? "force-cache" : "force-cache"',
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: what may be broken in the cache is loaded again",
    file: "packages/http/src/internal/Store.ts",
    find: '(isAgain ? "reload" : "force-cache")',
    replace: '"force-cache"',
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: a page makes no request that its browser asks about first",
    file: "packages/http/src/internal/Store.ts",
    find: "    if (page !== undefined) return range\n",
    replace: "",
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: no secret is sent to another origin",
    file: "packages/http/src/internal/Connection.ts",
    find: "if (originOf(next) !== originOf(at)) secrets = {}",
    replace: "",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: a page with credentials follows no redirect",
    file: "packages/http/src/internal/Connection.ts",
    find: "        if (hasSecrets) {\n",
    replace: "        if (false) {\n",
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: redirects are refused unless allowed",
    file: "packages/http/src/internal/Connection.ts",
    find: 'if (options.redirects !== "follow") {',
    replace: "if (false) {",
    tests: [`${http}/Answers.test.ts`, `${http}/Cors.test.ts`]
  },
  {
    name: "http: no redirect from https to http",
    file: "packages/http/src/internal/Connection.ts",
    find: 'if (from.startsWith("https:") && url.protocol === "http:") {',
    replace: "if (false) {",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: no redirect to cloud metadata",
    file: "packages/http/src/internal/Connection.ts",
    find: "if (isMetadataHost(url.hostname)) {",
    replace: "if (false) {",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: cookies are not sent",
    file: "packages/http/src/internal/Connection.ts",
    find: '{ credentials: "omit", cache }',
    replace: "{ cache }",
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: a public bucket's answer comes from the cloud",
    file: "packages/http/src/internal/Connection.ts",
    find: 'if (mayEndAt !== undefined && head.url !== "" && !mayEndAt(head.url)) {',
    replace: "if (false) {",
    tests: [`${http}/Platform.test.ts`]
  },
  {
    name: "http: credentials that were refused are fetched again",
    file: "packages/http/src/internal/Connection.ts",
    find: "(head.status === 401 && auth.refused(used)) ||",
    replace: "",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: secrets do not travel over plain http",
    file: "packages/http/src/HttpOptions.ts",
    find: "isPlain && !isAnonymous && options.allowHttp !== true",
    replace: "false",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: mixed content is refused early",
    file: "packages/http/src/HttpOptions.ts",
    find: 'isPlain && page?.origin.startsWith("https:") === true',
    replace: "false",
    tests: [`${http}/Cors.test.ts`]
  },
  {
    name: "http: `%2e%2e` leads nowhere else",
    file: "packages/http/src/internal/Url.ts",
    find: "(?:\\.|%2e){1,2}",
    replace: "\\.{1,2}",
    tests: [`${http}/Requests.test.ts`]
  },
  {
    name: "http: containers on cloud metadata are not asked",
    file: "packages/http/src/HttpPlatform.ts",
    find: 'if (isMetadataHost(URL.parse(base.origin)?.hostname ?? "")) return',
    replace: "if (false) return",
    tests: [`${http}/Platform.test.ts`]
  },
  {
    name: "http: the region of a bucket is asked for once",
    file: "packages/http/src/HttpPlatform.ts",
    find: "                region = found\n",
    replace: "",
    tests: [`${http}/Platform.test.ts`]
  },
  {
    name: "http: a bucket that may not be listed lacks what is optional",
    file: "packages/http/src/HttpObjectStore.ts",
    find: 'isOptional(key) || key === "repo"',
    replace: "false",
    tests: [`${http}/Requests.test.ts`, `${http}/Repository.test.ts`]
  },
  {
    name: "http: a host is asked only when an entry names it",
    file: "packages/core/src/virtual/CredentialsPolicy.ts",
    find: "platform.urlOf?.(container, bucket ?? Location.bucketAndKey(prefixOf(container)).bucket)",
    replace: "undefined",
    tests: [`${http}/Platform.test.ts`]
  },
  {
    name: "http: parts that are read together are of one version",
    file: "packages/core/src/virtual/ObjectReads.ts",
    find: "if (isOneVersion === true && etag !== undefined) {",
    replace: "if (false) {",
    tests: [`${http}/Platform.test.ts`]
  },
  ...imports
]
