/**
 * Rules that nothing may break unnoticed, each as the edit that takes it out and the tests that must fail then.
 */

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

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "chunk writes wait for a running commit",
    file: `${core}/repository/WritableSession.ts`,
    find: "    alone(\n      Effect.tap(change",
    replace: "    ((effect: Effect.Effect<A, E>) => effect)(\n      Effect.tap(change",
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
    find: "    yield* ensureOnline(store, current.info)\n    const changed",
    replace: "    if (attempt === 1) yield* ensureOnline(store, current.info)\n    const changed",
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
    file: `${core}/repository/Repository.ts`,
    find: "Effect.all([withZstd(RepoObject.prepare(store, check)), flush]",
    replace: "Effect.all([withZstd(RepoObject.prepare(store, check)), Effect.uninterruptible(flush)]",
    tests: [`${repository}/RoundTrips.test.ts`]
  },
  {
    name: "a commit that is known to be refused begins no upload",
    file: `${core}/repository/Repository.ts`,
    find: "{ concurrency: isForeseen ? 2 : 1 }",
    replace: "{ concurrency: 2 }",
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
    find: "kind === Kind.VirtualETag ? this.#etags.position(old.etags[checksum]!) : checksum",
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
    file: `${core}/repository/WritableSession.ts`,
    find: "Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled))",
    replace: "DeferredWrites.settleAll(files)",
    tests: [`${repository}/DeferredCommit.test.ts`]
  },
  {
    name: "a commit settles its files before it is visible",
    file: `${core}/repository/WritableSession.ts`,
    find: "Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled))",
    replace: "NativeChunks.settle(chunks, settled)",
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
  }
]
