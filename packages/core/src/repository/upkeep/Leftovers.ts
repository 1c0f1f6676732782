/**
 * What writers leave behind beside chunks and metadata: former repository objects, and files that were never finished.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Zstd } from "../../encoding/Zstd.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { AssetError } from "../Assets.ts"
import * as Internals from "../Internals.ts"
import * as Layout from "../Layout.ts"
import type { RepositoryShape } from "../Repository.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as Cutoff from "./Cutoff.ts"
import * as IdTable from "./IdTable.ts"
import * as Progress from "./Progress.ts"
import * as RepositoryFiles from "./RepositoryFiles.ts"

/**
 * Which former repository objects are deleted.
 *
 * @category models
 * @since 0.1.0
 */
export type OverwrittenOptions = Cutoff.Age &
  Progress.ProgressOptions & {
    /**
     * Deletes also those in which the operations log goes on (default `false`): the log then ends with what the repository
     * object itself lists, and what is younger.
     */
    readonly cutLog?: boolean | undefined
    /** What is younger than this is never deleted (default 1 day). */
    readonly minimumAge?: Duration.Input | undefined
    /** Deletes nothing. */
    readonly dryRun?: boolean | undefined
  }

/**
 * What a cleaning deleted, and what is left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cleaned {
  readonly deleted: IdTable.FileCount
  readonly kept: IdTable.FileCount
}

/** A page more than the log of any repository has that is written once a second for a year. */
const maxPages = 100_000

/**
 * Names of the former objects that a repository object leads to by itself: each of them may become the next page of the log.
 *
 * @category accessors
 * @since 0.1.0
 */
export const namedIn = (info: RepoInfo): ReadonlySet<string> =>
  new Set(info.latestUpdates.flatMap(({ backupPath }) => (backupPath === undefined ? [] : [backupPath])))

/**
 * The pages in which the operations log goes on, newest first, each with its name. It ends where a page is gone.
 *
 * @category reading
 * @since 0.1.0
 */
export const pages = (
  store: ObjectStore.ObjectStoreShape,
  info: RepoInfo
): Stream.Stream<{ readonly name: string; readonly info: RepoInfo }, AssetError, Zstd> => {
  const seen = new Set<string>()
  return Stream.unfold(info, (page: RepoInfo) => {
    const name = page.repoBeforeUpdates
    if (name === undefined || name.includes("/") || seen.has(name) || seen.size >= maxPages) {
      return Effect.succeed(undefined)
    }
    seen.add(name)
    return RepositoryFiles.formerRepo(store, name).pipe(
      Effect.map((next) => [{ name, info: next }, next] as const),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )
  })
}

/** What is in `overwritten/` by Icechunk, and by this library. */
const isOurs = (name: string): boolean => /^(repo|config\.yaml|clock)\./.test(name)

const deletedAtOnce = 1000

/**
 * Deletes former repository objects, which every change of a repository leaves in `overwritten/`. Those stay that are younger
 * than the cutoff, that the repository object lists, or in which the operations log goes on.
 *
 * A page of the log that cannot be read ends the cleaning, and nothing is deleted.
 *
 * @category maintenance
 * @since 0.1.0
 */
export const cleanOverwritten = /*#__PURE__*/ Effect.fn("Maintenance.cleanOverwritten")(function* (
  repository: RepositoryShape,
  options: OverwrittenOptions
): Effect.fn.Return<Cleaned, Cutoff.InvalidCutoff | ObjectStore.WriteForbidden | AssetError> {
  const { readRepo, store, withZstd } = Internals.writing(repository)
  const dryRun = options.dryRun === true
  if (!dryRun) yield* ObjectStore.ensureWritable(store)
  const minimumAge = yield* Effect.fromResult(Cutoff.toMillis(options.minimumAge ?? "1 day"))
  const { now } = yield* Cutoff.storeTime(store)
  const before = yield* Effect.fromResult(Cutoff.resolve(options, now))
  yield* Effect.fromResult(Cutoff.check(before, { now, minimumAge, sessions: [] }))
  const { info } = yield* readRepo
  if (!dryRun) yield* RepoObject.ensureOnline(store, info)
  const needed = new Set(namedIn(info))
  if (options.cutLog !== true) {
    yield* withZstd(Stream.runForEach(pages(store, info), ({ name }) => Effect.sync(() => needed.add(name))))
  }
  let deleted = IdTable.noFiles
  let kept = IdTable.noFiles
  const plus = (count: IdTable.FileCount, size: number): IdTable.FileCount => ({
    files: count.files + 1,
    bytes: count.bytes + size
  })
  const prefix = Layout.overwritten("")
  yield* store.list(prefix).pipe(
    Stream.filter(({ key, lastModified, size }) => {
      const name = key.slice(prefix.length)
      const isOld = lastModified !== undefined && lastModified < before && isOurs(name) && !needed.has(name)
      if (isOld) deleted = plus(deleted, size)
      else kept = plus(kept, size)
      return isOld
    }),
    Stream.grouped(deletedAtOnce),
    Stream.runForEach((batch) =>
      Effect.andThen(
        dryRun ? Effect.void : store.delete(batch.map(({ key }) => key)),
        Effect.suspend(() =>
          Progress.tell(options, { phase: "deleting", kind: "overwritten", of: undefined, ...deleted })
        )
      )
    )
  )
  return { deleted, kept }
})

/**
 * Removes what killed writers left in a store and what is not an object, such as temporary files in a directory.
 * What a writer that may live is at work on stays. A store that has no such things says that there were none.
 *
 * @category maintenance
 * @since 0.1.0
 */
export const cleanTemporaryFiles = /*#__PURE__*/ Effect.fn("Maintenance.cleanTemporaryFiles")(function* (
  repository: RepositoryShape
): Effect.fn.Return<IdTable.FileCount, ObjectStore.WriteForbidden | ObjectStoreError> {
  const { store } = Internals.writing(repository)
  yield* ObjectStore.ensureWritable(store)
  return store.removeLeftovers === undefined ? IdTable.noFiles : yield* store.removeLeftovers
})
