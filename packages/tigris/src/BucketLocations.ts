/**
 * Where all data of a bucket is kept: everywhere, or in named regions only. Pure.
 *
 * Source: `@tigrisdata/storage` 3.21.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as TigrisOptions from "./TigrisOptions.ts"

/**
 * Where the data of a bucket is:
 *
 * - `global`: wherever it is used;
 * - `multi`: in several regions of one part of the world, `usa` or `eur`;
 * - `dual`: in two regions;
 * - `single`: in one region.
 *
 * @category models
 * @since 0.1.0
 */
export type BucketLocations =
  | { readonly type: "global" }
  | { readonly type: "multi"; readonly area: string }
  | { readonly type: "dual"; readonly regions: ReadonlyArray<string> }
  | { readonly type: "single"; readonly region: string }

/**
 * What `multi` can name.
 *
 * @category constants
 * @since 0.1.0
 */
export const areas: ReadonlyArray<string> = ["usa", "eur"]

/**
 * What `single` and `dual` can name.
 *
 * @category constants
 * @since 0.1.0
 */
export const regions: ReadonlyArray<string> = [
  "ams",
  "fra",
  "gru",
  "iad",
  "jnb",
  "lhr",
  "nrt",
  "ord",
  "sin",
  "sjc",
  "syd"
]

const problem = (locations: BucketLocations): string | undefined => {
  const unknown = (name: string, known: ReadonlyArray<string>): string | undefined =>
    known.includes(name) ? undefined : `name \`${name}\`, which is not one of ${known.join(", ")}`
  switch (locations.type) {
    case "global":
      return undefined
    case "multi":
      return unknown(locations.area, areas)
    case "single":
      return unknown(locations.region, regions)
    case "dual":
      return new Set(locations.regions).size === 2 && locations.regions.length === 2
        ? locations.regions.map((name) => unknown(name, regions)).find((found) => found !== undefined)
        : "are `dual` and need two different regions"
    default:
      return "have a `type` other than `global`, `multi`, `dual` and `single`"
  }
}

/**
 * Locations as the creation of a bucket names them; `undefined` for everywhere.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toHeader = (
  locations: BucketLocations
): Result.Result<string | undefined, TigrisOptions.InvalidTigrisOptions> => {
  const found = problem(locations)
  if (found !== undefined) {
    return Result.fail(new TigrisOptions.InvalidTigrisOptions({ option: "locations", problem: found }))
  }
  switch (locations.type) {
    case "global":
      return Result.succeed(undefined)
    case "multi":
      return Result.succeed(locations.area)
    case "single":
      return Result.succeed(locations.region)
    case "dual":
      return Result.succeed(locations.regions.join(","))
  }
}

/**
 * Locations as Tigris tells them of a bucket: names with commas between, or nothing.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): BucketLocations => {
  const [first, ...others] = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")
  if (first === undefined || (first === "global" && others.length === 0)) return { type: "global" }
  if (others.length > 0) return { type: "dual", regions: [first, ...others] }
  return areas.includes(first) ? { type: "multi", area: first } : { type: "single", region: first }
}

/**
 * Whether two say the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const equals = (a: BucketLocations, b: BucketLocations): boolean => {
  const names = (locations: BucketLocations): string => {
    switch (locations.type) {
      case "global":
        return ""
      case "multi":
        return locations.area
      case "single":
        return locations.region
      case "dual":
        return locations.regions.toSorted().join(",")
    }
  }
  return a.type === b.type && names(a) === names(b)
}
