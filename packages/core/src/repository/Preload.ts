/**
 * Which manifests are read ahead when a session is opened, by the conditions of Icechunk. Pure, but for compiling what the
 * configuration says.
 *
 * Source: Icechunk's `ManifestPreloadConfig`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Snapshot from "../format/Snapshot.ts"
import type { PreloadCondition } from "../values/IcechunkSettings.ts"
import type { NodePath } from "../values/NodePath.ts"
import type { ManifestId } from "../values/ObjectId.ts"
import type * as Config from "../values/RepositoryConfig.ts"
import type { Assets } from "./Assets.ts"

/**
 * What Icechunk preloads unless it is configured: coordinates, by the names that they have under the CF conventions, in
 * small manifests.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultCondition: PreloadCondition = {
  and: [
    {
      or: [
        "^\\bt\\b$|^(time|min|hour|day|week|month|year)[0-9]*$",
        "^(z|nav_lev|gdep|lv_|[o]*lev|bottom_top|sigma|h(ei)?ght|altitude|depth|isobaric|pres|isotherm)[a-z_]*[0-9]*$",
        "^(y|j|nlat|rlat|nj)$",
        "^y?(nav_lat|lat|gphi)[a-z0-9]*$",
        "^x?(nav_lon|lon|glam)[a-z0-9]*$",
        "^(x|i|nlon|rlon|ni)$"
      ].map((regex) => ({ name_matches: { regex } }))
    },
    { num_refs: { from: "Unbounded", to: { Included: 1000 } } }
  ]
}

/** Refs of preloaded manifests together, and arrays that are looked at, unless configured. */
const defaults = { maxTotalRefs: 10_000, maxArraysToScan: 50 }

/** Whether an expression occurs in a text. */
type Occurs = (expression: string, text: string) => boolean

/** Those of the default condition mean the same to the engine of the language, and none of them takes long. */
const known = new Map<string, RegExp>()

const occursByDefault: Occurs = (expression, text) => {
  const compiled = known.get(expression) ?? new RegExp(expression)
  known.set(expression, compiled)
  return compiled.test(text)
}

type Bounds = Extract<PreloadCondition, { readonly num_refs: unknown }>["num_refs"]

const isBetween = (count: number, { from, to }: Bounds): boolean =>
  (from === "Unbounded" || ("Included" in from ? count >= from.Included : count > from.Excluded)) &&
  (to === "Unbounded" || ("Included" in to ? count <= to.Included : count < to.Excluded))

/**
 * Whether a condition holds for a manifest of an array. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const holds = (
  condition: PreloadCondition,
  array: { readonly path: NodePath; readonly numChunkRefs: number },
  occurs: Occurs
): boolean => {
  if (condition === "true") return true
  if (condition === "false") return false
  if ("or" in condition) return condition.or.some((one) => holds(one, array, occurs))
  if ("and" in condition) return condition.and.every((one) => holds(one, array, occurs))
  if ("path_matches" in condition) return occurs(condition.path_matches.regex, array.path)
  if ("name_matches" in condition) {
    const name = array.path.slice(array.path.lastIndexOf("/") + 1)
    // The root has no name.
    return name !== "" && occurs(condition.name_matches.regex, name)
  }
  return isBetween(array.numChunkRefs, condition.num_refs)
}

/**
 * The expressions in a condition of preloading.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* expressionsIn(condition: PreloadCondition): Generator<string> {
  if (typeof condition === "string" || "num_refs" in condition) return
  if ("path_matches" in condition) yield condition.path_matches.regex
  else if ("name_matches" in condition) yield condition.name_matches.regex
  else for (const one of "or" in condition ? condition.or : condition.and) yield* expressionsIn(one)
}

type Settings = NonNullable<NonNullable<Config.RepositoryConfig["manifest"]>["preload"]>

/**
 * The manifests of a snapshot that are to be read ahead, each once, in the order of the paths of their arrays: of the first
 * arrays, those for which the condition holds, as long as all of their refs are few enough. Pure.
 *
 * @category decisions
 * @since 0.1.0
 */
export const plan = (
  snapshot: Pick<Snapshot.Snapshot, "nodes" | "manifestFiles">,
  settings: Settings | null | undefined,
  occurs: Occurs = occursByDefault
): ReadonlyArray<ManifestId> => {
  const condition = settings?.preload_if ?? defaultCondition
  const maxTotalRefs = settings?.max_total_refs ?? defaults.maxTotalRefs
  let arrays = settings?.max_arrays_to_scan ?? defaults.maxArraysToScan
  if (maxTotalRefs === 0 || condition === "false") return []
  const counts = new Map(snapshot.manifestFiles.map(({ id, numChunkRefs }) => [id, numChunkRefs]))
  const chosen = new Set<ManifestId>()
  let total = 0
  for (const { data, path } of snapshot.nodes) {
    if (data._tag !== "Array") continue
    if (arrays-- <= 0) break
    for (const { id } of data.manifests) {
      const numChunkRefs = counts.get(id)
      if (numChunkRefs === undefined || chosen.has(id) || total + numChunkRefs > maxTotalRefs) continue
      if (!holds(condition, { path, numChunkRefs }, occurs)) continue
      chosen.add(id)
      total += numChunkRefs
    }
  }
  return [...chosen]
}

/** The expressions of a condition. One that cannot be compiled occurs in no text. */
const occursAs = Effect.fnUntraced(function* (condition: PreloadCondition): Effect.fn.Return<Occurs> {
  const expressions = new Set(expressionsIn(condition))
  if (expressions.size === 0) return () => false
  const { compile } = yield* Effect.promise(() => import("./Expressions.ts"))
  const compiled = yield* compile(expressions)
  return (expression, text) => {
    const one = compiled.get(expression)
    return one !== undefined && typeof one !== "string" && one.find(text)
  }
})

/** Manifests that are read at once. */
const concurrency = 4

/**
 * Reads ahead what the configuration says, into the cache of manifests. What cannot be read is left to whoever needs it.
 *
 * @category reading
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function* (
  assets: Assets,
  snapshot: Snapshot.Snapshot,
  config: Config.RepositoryConfig
): Effect.fn.Return<void> {
  const settings = config.manifest?.preload
  const condition = settings?.preload_if ?? undefined
  const occurs = condition === undefined ? occursByDefault : yield* occursAs(condition)
  yield* Effect.forEach(
    plan(snapshot, settings, occurs).filter((id) => assets.cachedManifest(id) === undefined),
    (id) => Effect.ignore(assets.manifest(id)),
    { concurrency, discard: true }
  )
})
