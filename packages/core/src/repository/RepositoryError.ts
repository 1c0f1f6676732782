/**
 * Why a repository cannot be created, opened or configured.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * There is no repository in a store.
 *
 * @category errors
 * @since 0.1.0
 */
export class RepositoryNotFound
  extends /*#__PURE__*/ Data.TaggedError("RepositoryNotFound")<{
    readonly store: string
  }>
{
  override get message(): string {
    return `There is no Icechunk repository in \`${this.store}\`: it has no object \`repo\`. Check bucket, prefix or directory, or create one.`
  }
}

/**
 * A repository, or something else, is where one should be created. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class RepositoryAlreadyExists
  extends /*#__PURE__*/ Data.TaggedError("RepositoryAlreadyExists")<{
    readonly store: string
    /** A key that is there. */
    readonly found: string
  }>
{
  override get message(): string {
    return this.found === "repo" || this.found === "refs/branch.main/ref.json"
      ? `There is an Icechunk repository in \`${this.store}\` already. Open it, or choose another place.`
      : `\`${this.store}\` is not empty: it has \`${this.found}\`. Choose an empty place for a new repository.`
  }
}

/**
 * A repository is written in a version of the format that this library does not open.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedSpecVersion
  extends /*#__PURE__*/ Data.TaggedError("UnsupportedSpecVersion")<{
    readonly store: string
    readonly version: number
  }>
{
  override get message(): string {
    const what =
      this.version < 2
        ? "Repositories of version 1 have no object `repo`, so it is damaged: restore it from its newest copy in `overwritten/`."
        : "A newer version of this library may open it."
    return `The repository in \`${this.store}\` has Icechunk spec version ${this.version}; this library opens versions 1 and 2. ${what}`
  }
}

/**
 * A repository is of spec version 2 already, and nothing is left of version 1. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class NothingToMigrate
  extends /*#__PURE__*/ Data.TaggedError("NothingToMigrate")<{
    readonly store: string
  }>
{
  override get message(): string {
    return `The repository in \`${this.store}\` has Icechunk spec version 2 already: there is nothing to migrate. Open it.`
  }
}

/**
 * A repository has been set offline, so that nothing of it is read.
 *
 * @category errors
 * @since 0.1.0
 */
export class RepositoryOffline
  extends /*#__PURE__*/ Data.TaggedError("RepositoryOffline")<{
    readonly store: string
    /** What was said when it was set offline. */
    readonly reason?: string | undefined
  }>
{
  override get message(): string {
    const reason = this.reason === undefined ? "" : ` (${this.reason})`
    return `The repository in \`${this.store}\` was set offline${reason}, and is not read. Set it online again with \`RepositoryState.setStatus\`.`
  }
}

/**
 * Others changed the repository object at each attempt to write it. Nothing of the change was made.
 *
 * @category errors
 * @since 0.1.0
 */
export class RepositoryBusy
  extends /*#__PURE__*/ Data.TaggedError("RepositoryBusy")<{
    readonly store: string
    readonly attempts: number
  }>
{
  override get message(): string {
    return `The repository in \`${this.store}\` has too many writers at once: others changed it during each of ${this.attempts} attempts to write. Nothing was changed. Try again when fewer writers are at work, or let fewer of them write at the same time.`
  }
}

/**
 * It is not known whether a change of the repository was made: the store did not answer, and what is there now
 * could not be read. A commit has `CommitOutcomeUnknown` instead.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutcomeUnknown
  extends /*#__PURE__*/ Data.TaggedError("OutcomeUnknown")<{
    readonly store: string
    readonly problem: string
    readonly cause: unknown
  }>
{
  override get message(): string {
    return `It is not known whether the change of the repository in \`${this.store}\` was made: the answer of the store was lost, and what is there now could not be found out (${this.problem}). Look at the repository again before you repeat the change.`
  }
}

/**
 * No later time can be given to a change, because an earlier one is dated in the far future. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClockSkew
  extends /*#__PURE__*/ Data.TaggedError("ClockSkew")<{
    readonly store: string
    /** Time of the latest change, in microseconds since 1970. */
    readonly latest: number
  }>
{
  override get message(): string {
    return `The latest change of the repository in \`${this.store}\` is dated ${new Date(this.latest / 1000).toISOString()}, and no change after it can be dated: the clock of whoever made it was wrong. Set that clock right, and replace \`repo\` by its newest copy in \`overwritten/\` that is dated correctly.`
  }
}

/**
 * `config.json` was updated, but the repository object, where other Icechunk clients look, was not.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigNotPublished
  extends /*#__PURE__*/ Data.TaggedError("ConfigNotPublished")<{
    readonly store: string
    readonly problem: string
    readonly cause: unknown
  }>
{
  override get message(): string {
    return `The update of \`config.json\` in \`${this.store}\` is saved, but other Icechunk clients do not see it yet, because it could not be published into the repository object: ${this.problem}. Run \`config.publish\` to try again; the next commit, or any other change of a branch or tag, publishes it in any case.`
  }
}
