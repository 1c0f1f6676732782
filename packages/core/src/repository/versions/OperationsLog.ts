/**
 * The operations log of a repository over all its pages: the repository object has the latest entries, and names the copy
 * of an older one that has those before them, and so on. A page at a time is in memory.
 *
 * Source: Icechunk spec 2, "Updates to the repo info file".
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { FormatError } from "../../encoding/FormatError.ts"
import type { RepoInfo, Update } from "../../format/RepoInfo.ts"
import { isNotFound } from "../../store/ObjectStoreError.ts"
import type { AssetError } from "../Assets.ts"
import * as Layout from "../Layout.ts"
import * as Time from "./Time.ts"

/**
 * The operations log goes on in a file that is not there: another client has removed it, or it was not copied along. What
 * the log says up to there was passed on.
 *
 * @category errors
 * @since 0.1.0
 */
export class OperationsLogIncomplete
  extends /*#__PURE__*/ Data.TaggedError("OperationsLogIncomplete")<{
    readonly store: string
    /** The key of the file. */
    readonly file: string
  }>
{
  override get message(): string {
    return `The operations log of the repository in \`${this.store}\` goes on in \`${this.file}\`, which is not there: whoever cleaned or copied the repository left it out. The operations before those that were found are lost, unless the file can be restored; nothing else depends on it.`
  }
}

/**
 * One operation on a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operation {
  readonly at: DateTime.Utc
  /** The same time exactly, in microseconds since 1970. */
  readonly updatedAt: number
  readonly update: Update
  /**
   * The key of the repository object as this operation left it: `repo` for the latest, a copy in `overwritten/` for others.
   * Unknown where a migration noted what had happened before it.
   */
  readonly file: string | undefined
}

/**
 * What a page says: its operations, latest first, and the key of the page before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly operations: ReadonlyArray<Operation>
  readonly before: string | undefined
}

/**
 * A page of the log. Pure. `file` is where it was found; `seen` has the keys of the pages after it, and `since` is the time
 * of the earliest operation in those: a page that does not come before them is refused, so that no file leads round in a
 * circle.
 *
 * @category decoding
 * @since 0.1.0
 */
export const page = (
  { latestUpdates, repoBeforeUpdates }: Pick<RepoInfo, "latestUpdates" | "repoBeforeUpdates">,
  file: string,
  seen: ReadonlySet<string>,
  since: number
): Result.Result<Page, FormatError> => {
  const damaged = (field: string, problem: string): Result.Result<never, FormatError> =>
    Result.fail(new FormatError({ file, field, problem }))
  if ((latestUpdates[0]?.updatedAt ?? 0) > since) {
    return damaged("latest_updates[0].updated_at", "it is later than the operations that it should come before")
  }
  const operations = latestUpdates.map(({ backupPath, update, updatedAt }, i): Operation => ({
    at: Time.ofMicros(updatedAt),
    updatedAt,
    update,
    file: backupPath === undefined ? (i === 0 ? file : undefined) : Layout.overwritten(backupPath)
  }))
  if (repoBeforeUpdates === undefined) return Result.succeed({ operations, before: undefined })
  const before = Layout.overwritten(repoBeforeUpdates)
  if (repoBeforeUpdates.includes("/") || repoBeforeUpdates === "") {
    return damaged("repo_before_updates", `\`${repoBeforeUpdates}\` is not the name of a file`)
  }
  if (before === file || seen.has(before)) {
    return damaged("repo_before_updates", `it leads to \`${before}\`, which comes after it`)
  }
  return Result.succeed({ operations, before })
}

/**
 * All operations, latest first. `read` reads the repository object, or a copy of an older one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const operations = (
  store: string,
  read: (file: string) => Effect.Effect<RepoInfo, AssetError>
): Stream.Stream<Operation, OperationsLogIncomplete | AssetError> =>
  Stream.suspend(() => {
    const seen = new Set<string>()
    let since = Infinity
    return Stream.paginate(
      Layout.repo,
      Effect.fnUntraced(function* (
        file: string
      ): Effect.fn.Return<
        readonly [ReadonlyArray<Operation>, Option.Option<string>],
        OperationsLogIncomplete | AssetError
      > {
        const info = yield* Effect.catchIf(
          read(file),
          (error) => file !== Layout.repo && error._tag === "ObjectStoreError" && isNotFound(error),
          () => Effect.fail(new OperationsLogIncomplete({ store, file }))
        )
        const { before, operations } = yield* Effect.fromResult(page(info, file, seen, since))
        seen.add(file)
        since = operations.at(-1)?.updatedAt ?? since
        return [operations, Option.fromUndefinedOr(before)]
      })
    )
  })
