/**
 * Changes of what a repository says of itself: its status, its metadata, its feature flags. Pure.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Metadata from "../../format/Metadata.ts"
import * as RepoStatus from "../../format/RepoStatus.ts"
import { nearestName } from "../../values/NearestName.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import * as FeatureFlags from "./FeatureFlags.ts"
import type { Change } from "./RepoChange.ts"

/**
 * A status or feature flag that there is not. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSetting
  extends /*#__PURE__*/ Data.TaggedError("InvalidSetting")<{
    readonly setting: "status" | "reason" | "feature flag" | "value of a feature flag"
    readonly value: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.value}\` cannot be the ${this.setting} of a repository: ${this.problem}`
  }
}

const quoted = (names: ReadonlyArray<string>): string => names.map((name) => `\`${name}\``).join(", ")

const unknown = (
  setting: InvalidSetting["setting"],
  value: unknown,
  known: ReadonlyArray<string>
): Result.Result<never, InvalidSetting> => {
  const text = String(value)
  const nearest = nearestName(text, known)
  const meant = nearest === undefined ? "." : `. Did you mean \`${nearest}\`?`
  return Result.fail(new InvalidSetting({ setting, value: text, problem: `there are ${quoted(known)}${meant}` }))
}

/**
 * A status as it is stored: `setAt` in microseconds since 1970.
 *
 * @category decoding
 * @since 0.1.0
 */
export const status = (
  availability: RepoStatus.Availability,
  reason: string | undefined,
  setAt: number
): Result.Result<RepoStatus.RepoStatus, InvalidSetting> => {
  if (!RepoStatus.availabilities.includes(availability)) {
    return unknown("status", availability, RepoStatus.availabilities)
  }
  if (reason !== undefined && !(typeof reason === "string" && reason.isWellFormed())) {
    const problem = "it is not well-formed text."
    return Result.fail(new InvalidSetting({ setting: "reason", value: JSON.stringify(reason), problem }))
  }
  return Result.succeed({ availability, reason, setAt })
}

/**
 * Replaces the status.
 *
 * @category changes
 * @since 0.1.0
 */
export const setStatus =
  (status: RepoStatus.RepoStatus): Change<never> =>
  (info) =>
    Result.succeed({ info: { ...info, status }, update: { _tag: "RepoStatusChanged", status } })

/**
 * Replaces the metadata by what `f` makes of it. What stays the same is written back byte for byte.
 *
 * @category changes
 * @since 0.1.0
 */
export const updateMetadata =
  (f: (metadata: Metadata.Metadata) => Metadata.Metadata): Change<ZarrMetadata.InvalidMetadata> =>
  (info) => {
    // A copy, so that whatever `f` does to it, the repository object that is known stays as it is.
    const before = structuredClone(info.metadata)
    return Result.map(ZarrMetadata.ofRepository(f(before)), (after) => ({
      info: { ...info, metadata: Metadata.keepingOrigin(info.metadata, after) },
      update: { _tag: "MetadataChanged" }
    }))
  }

/**
 * The number of a feature flag, and that `setting` is one.
 *
 * @category decoding
 * @since 0.1.0
 */
export const featureFlag = (
  name: FeatureFlags.FeatureName,
  setting: boolean | undefined
): Result.Result<number, InvalidSetting> => {
  const id = FeatureFlags.idOf(name)
  if (id === undefined) return unknown("feature flag", name, FeatureFlags.names)
  if (setting !== undefined && typeof setting !== "boolean") {
    const problem = "it is `true`, `false`, or `undefined` for the default."
    return Result.fail(new InvalidSetting({ setting: "value of a feature flag", value: String(setting), problem }))
  }
  return Result.succeed(id)
}

/**
 * Turns a feature flag on or off, or leaves it to its default again.
 *
 * @category changes
 * @since 0.1.0
 */
export const setFeatureFlag =
  (id: number, setting: boolean | undefined): Change<never> =>
  (info) =>
    Result.succeed({
      info: { ...info, ...FeatureFlags.set(info, id, setting) },
      update: { _tag: "FeatureFlagChanged", id, newValue: setting === true, isSet: setting !== undefined }
    })
