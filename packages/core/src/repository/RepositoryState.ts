/**
 * What a repository says of itself, beside its data: whether it may be read and written, its metadata, and which operations
 * it forbids.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Metadata from "../format/Metadata.ts"
import type * as RepoInfo from "../format/RepoInfo.ts"
import type * as RepoStatus from "../format/RepoStatus.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { AssetError } from "./Assets.ts"
import * as Internals from "./Internals.ts"
import type { ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import type { RepositoryShape } from "./Repository.ts"
import * as FeatureFlags from "./versions/FeatureFlags.ts"
import type * as RepoObject from "./versions/RepoObject.ts"
import * as Settings from "./versions/Settings.ts"
import * as Time from "./versions/Time.ts"

/**
 * `Online`; `ReadOnly`: nothing is written; `Offline`: nothing is read either, but what the repository object itself says.
 *
 * @category models
 * @since 0.1.0
 */
export type Availability = RepoStatus.Availability

/**
 * Whether a repository may be read and written, since when, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly availability: Availability
  readonly reason: string | undefined
  readonly setAt: DateTime.Utc
}

const infoOf = (repository: ReadonlyRepositoryShape): Effect.Effect<RepoInfo.RepoInfo, AssetError> =>
  Effect.suspend(() => Effect.map(Internals.reading(repository).readRepo, ({ info }) => info))

/**
 * The status.
 *
 * @category reading
 * @since 0.1.0
 */
export const status = (repository: ReadonlyRepositoryShape): Effect.Effect<Status, AssetError> =>
  Effect.map(infoOf(repository), ({ status: { availability, reason, setAt } }) => ({
    availability,
    reason,
    setAt: Time.ofMicros(setAt)
  }))

/**
 * Sets the status, whatever it was. From then on no client that knows Icechunk's specification writes to a `ReadOnly`
 * repository: no commits, branches, tags or settings. Sessions that are open stay so, and fail when they commit.
 *
 * `Offline` is kept by this library alone: others, among them Icechunk itself up to 2.2, take it for `Online`, and what they
 * write next says so.
 *
 * @category changes
 * @since 0.1.0
 */
export const setStatus: (
  repository: RepositoryShape,
  availability: Availability,
  options?: { readonly reason?: string | undefined }
) => Effect.Effect<void, Settings.InvalidSetting | RepoObject.UpdateError> = /*#__PURE__*/ Effect.fn(
  "RepositoryState.setStatus"
)(function* (repository, availability, options) {
  const now = yield* Clock.currentTimeMillis
  const status = yield* Effect.fromResult(Settings.status(availability, options?.reason, now * 1000))
  yield* Internals.writing(repository).change(Settings.setStatus(status), { whenLimited: true })
})

/**
 * The metadata of the repository as a whole; each snapshot has its own.
 *
 * @category reading
 * @since 0.1.0
 */
export const metadata = (repository: ReadonlyRepositoryShape): Effect.Effect<Metadata.Metadata, AssetError> =>
  Effect.map(infoOf(repository), (info) => structuredClone(info.metadata))

/**
 * Replaces the metadata by what `f` makes of it, and returns that. `f` may run several times; fields that it leaves out are
 * removed. Fails with `InvalidMetadata`, and changes nothing, when the result is not JSON.
 *
 * @category changes
 * @since 0.1.0
 */
export const updateMetadata: (
  repository: RepositoryShape,
  f: (metadata: Metadata.Metadata) => Metadata.Metadata
) => Effect.Effect<Metadata.Metadata, InvalidMetadata | RepoObject.UpdateError> = /*#__PURE__*/ Effect.fn(
  "RepositoryState.updateMetadata"
)(function* (repository, f) {
  const change = Settings.updateMetadata(f)
  let written: Metadata.Metadata = {}
  yield* Internals.writing(repository).change((info) => {
    const changed = change(info)
    if (changed._tag === "Success") written = changed.success.info.metadata
    return changed
  })
  return structuredClone(written)
})

/**
 * All feature flags, by number.
 *
 * @category reading
 * @since 0.1.0
 */
export const featureFlags = (
  repository: ReadonlyRepositoryShape
): Effect.Effect<ReadonlyArray<FeatureFlags.FeatureFlag>, AssetError> =>
  Effect.map(infoOf(repository), FeatureFlags.all)

/**
 * Turns an operation on or off for all clients, or leaves it to Icechunk's default with `undefined`.
 *
 * @category changes
 * @since 0.1.0
 */
export const setFeatureFlag: (
  repository: RepositoryShape,
  name: FeatureFlags.FeatureName,
  setting: boolean | undefined
) => Effect.Effect<void, Settings.InvalidSetting | RepoObject.UpdateError> = /*#__PURE__*/ Effect.fn(
  "RepositoryState.setFeatureFlag"
)(function* (repository, name, setting) {
  const id = yield* Effect.fromResult(Settings.featureFlag(name, setting))
  yield* Internals.writing(repository).change(Settings.setFeatureFlag(id, setting))
})
