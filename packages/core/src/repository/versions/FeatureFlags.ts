/**
 * Icechunk's feature flags: operations that a repository can forbid. Pure.
 *
 * @since 0.1.0
 */
import type { RepoInfo } from "../../format/RepoInfo.ts"

/**
 * What a repository can forbid: moving nodes, creating tags, deleting tags.
 *
 * @category models
 * @since 0.1.0
 */
export type FeatureName = "move_node" | "create_tag" | "delete_tag"

/**
 * A feature flag of a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface FeatureFlag {
  /** The number by which it is stored. */
  readonly id: number
  readonly name: FeatureName
  readonly defaultEnabled: boolean
  /** What was set in this repository; `undefined` when the default applies. */
  readonly setting: boolean | undefined
  readonly enabled: boolean
}

/** Numbers and defaults, by number. Source: Icechunk 2.2, in which all are on unless turned off. */
const definitions: ReadonlyArray<Pick<FeatureFlag, "id" | "name" | "defaultEnabled">> = [
  { id: 3, name: "move_node", defaultEnabled: true },
  { id: 4, name: "create_tag", defaultEnabled: true },
  { id: 5, name: "delete_tag", defaultEnabled: true }
]

/**
 * The names of all flags.
 *
 * @category constants
 * @since 0.1.0
 */
export const names: ReadonlyArray<FeatureName> = /*#__PURE__*/ definitions.map(({ name }) => name)

/**
 * The number of a flag; `undefined` for a name that no flag has.
 *
 * @category accessors
 * @since 0.1.0
 */
export const idOf = (name: string): number | undefined => definitions.find((flag) => flag.name === name)?.id

type Stored = Pick<RepoInfo, "enabledFeatureFlags" | "disabledFeatureFlags">

const settingOf = ({ disabledFeatureFlags, enabledFeatureFlags }: Stored, id: number): boolean | undefined => {
  if (enabledFeatureFlags?.includes(id) === true) return true
  return disabledFeatureFlags?.includes(id) === true ? false : undefined
}

/**
 * All flags by number, as a repository has them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const all = (info: Stored): ReadonlyArray<FeatureFlag> =>
  definitions.map(({ defaultEnabled, id, name }) => {
    const setting = settingOf(info, id)
    return { id, name, defaultEnabled, setting, enabled: setting ?? defaultEnabled }
  })

/**
 * Why an operation is forbidden, or `undefined` when it is not.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (info: Stored, name: FeatureName): string | undefined =>
  all(info).find((flag) => flag.name === name)?.enabled === false
    ? `the repository's feature flag \`${name}\` is off`
    : undefined

/**
 * The stored numbers after a flag is turned on or off, or left to its default. Numbers that are not known stay.
 *
 * @category changes
 * @since 0.1.0
 */
export const set = (info: Stored, id: number, setting: boolean | undefined): Stored => {
  const others = (flags: ReadonlyArray<number> | undefined) => flags?.filter((other) => other !== id)
  const including = (flags: ReadonlyArray<number> | undefined) =>
    [...(others(flags) ?? []), id].toSorted((a, b) => a - b)
  const { disabledFeatureFlags: disabled, enabledFeatureFlags: enabled } = info
  return {
    enabledFeatureFlags: setting === true ? including(enabled) : others(enabled),
    disabledFeatureFlags: setting === false ? including(disabled) : others(disabled)
  }
}
