/**
 * How the refs of an array are spread over manifests. Pure. Source: Icechunk's `ManifestSplittingConfig`.
 *
 * The chunk grid is cut into boxes of a size that the configuration gives; a manifest that this engine
 * writes holds refs of one box.
 *
 * @since 0.1.0
 */
import type { ManifestRef } from "../../format/Snapshot.ts"
import type { ManifestId } from "../../values/ObjectId.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { RepositoryConfig, SplitCondition, SplitDimension } from "../../values/RepositoryConfig.ts"
import type { Expressions } from "../SplitExpressions.ts"
import * as BoxIndex from "./BoxIndex.ts"

/**
 * Chunk numbers of one dimension: `from` inclusive, `to` exclusive.
 *
 * @category models
 * @since 0.1.0
 */
export interface Extent {
  readonly from: number
  readonly to: number
}

/**
 * One extent a dimension; none for a scalar.
 *
 * @category models
 * @since 0.1.0
 */
export type Box = ReadonlyArray<Extent>

const holds = (condition: SplitCondition, path: NodePath.NodePath, { occurs }: Expressions): boolean => {
  if (condition === "any_array") return true
  if ("or" in condition) return condition.or.some((one) => holds(one, path, { occurs }))
  if ("and" in condition) return condition.and.every((one) => holds(one, path, { occurs }))
  if ("path_matches" in condition) return occurs(condition.path_matches.regex, path)
  // The root has no name.
  return path !== NodePath.root && occurs(condition.name_matches.regex, NodePath.name(path))
}

const appliesTo = (
  { condition }: SplitDimension,
  axis: number,
  name: string | undefined,
  { occurs }: Expressions
): boolean =>
  condition === "Any" ||
  ("Axis" in condition ? condition.Axis === axis : name !== undefined && occurs(condition.DimensionName, name))

/**
 * The size of a box in chunks, per dimension, for an array: from the first part that is for the dimension, of
 * the rules that are for the array; a dimension that none is for is not cut.
 *
 * @category combinators
 * @since 0.1.0
 */
export const boxSizes = (
  config: RepositoryConfig,
  expressions: Expressions,
  array: {
    readonly path: NodePath.NodePath
    readonly gridShape: ReadonlyArray<number>
    readonly dimensionNames: ReadonlyArray<string | undefined> | undefined
  }
): ReadonlyArray<number> => {
  const rules = config.manifest?.splitting?.split_sizes ?? []
  const dimensions = rules
    .filter(([condition]) => holds(condition, array.path, expressions))
    .flatMap(([, dimensions]) => dimensions)
  return array.gridShape.map((chunks, axis) => {
    const name = array.dimensionNames?.[axis]
    const size = dimensions.find((one) => appliesTo(one, axis, name, expressions))?.num_chunks
    return Math.max(1, Math.min(size ?? chunks, chunks))
  })
}

/**
 * What a commit does to the manifests of an array: some stay as they are; the refs of `replaced` and the changes
 * are written anew, those of each box of `sizes` chunks into a manifest.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan {
  /** In their order, as are those that are replaced: where manifests overlap, the first one counts. */
  readonly kept: ReadonlyArray<ManifestRef>
  readonly replaced: ReadonlyArray<ManifestRef>
  readonly sizes: ReadonlyArray<number>
  /** Whether there is anything to write. */
  readonly writes: boolean
}

/**
 * What is planned for.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanOptions {
  readonly manifests: ReadonlyArray<ManifestRef>
  readonly gridShape: ReadonlyArray<number>
  readonly sizes: ReadonlyArray<number>
  /** Manifests that cannot stay as they are. */
  readonly merged?: ReadonlySet<ManifestId> | undefined
  /** How many chunks changed, and their indices, row-major. */
  readonly changed: { readonly count: number; readonly indices: Uint32Array }
}

/** Chunks or manifests that are looked at between two steps. */
const stepSize = 1 << 14

/**
 * Boxes that a manifest lies in, as far as they are in the grid; the last one is before the first one when
 * there are none.
 */
const boxRanges = ({ gridShape, manifests, sizes }: PlanOptions): BoxIndex.Boxes => {
  const rank = gridShape.length
  const first = new Float64Array(manifests.length * rank)
  const last = new Float64Array(manifests.length * rank)
  for (const [n, { extents, problem }] of manifests.entries()) {
    if (problem !== undefined) continue
    for (const [axis, { from, to }] of extents.entries()) {
      first[n * rank + axis] = Math.floor(from / sizes[axis]!)
      last[n * rank + axis] =
        from < gridShape[axis]! ? Math.floor((Math.min(to, gridShape[axis]!) - 1) / sizes[axis]!) : -1
    }
  }
  return { rank, first, last }
}

/**
 * Only the boxes that hold a change are written, and those of manifests that do not fit into one box or
 * reach out of the grid. A manifest whose refs have no place in the grid stays for as long as nothing is changed,
 * and is left out then, as Icechunk does. A step now and then, where whoever runs it may stop: it costs as much as there are
 * changes and manifests, never as much as the grid could hold.
 *
 * @category combinators
 * @since 0.1.0
 */
export function* planSteps(options: PlanOptions): Generator<void, Plan> {
  const { gridShape, manifests, sizes } = options
  const { count, indices } = options.changed
  const rank = gridShape.length
  const ranges = boxRanges(options)
  const isEmpty = (n: number): boolean => {
    for (let at = n * rank; at < (n + 1) * rank; at++) if (ranges.first[at]! > ranges.last[at]!) return true
    return false
  }
  const replaced = new Uint8Array(manifests.length)
  // A replaced manifest gives all its boxes up, and those may be shared with further manifests.
  const pending: Array<number> = []
  const replace = (n: number): void => {
    replaced[n] = 1
    pending.push(n)
  }
  const inGrid: Array<number> = []
  for (const [n, { extents, id, problem }] of manifests.entries()) {
    if (problem !== undefined) continue
    if (options.merged?.has(id) === true || extents.some(({ to }, axis) => to > gridShape[axis]!)) replace(n)
    else if (!isEmpty(n)) inGrid.push(n)
  }
  const index = yield* BoxIndex.build(ranges, inGrid)
  let touched = false
  if (count > 0 && sizes.every((size, axis) => size >= gridShape[axis]!)) {
    touched = true
    const only = new Float64Array(rank)
    index.take(only, only, 0, replace)
  } else {
    const box = new Float64Array(rank).fill(-1)
    for (let row = 0; row < count; row++) {
      if (row % stepSize === stepSize - 1) yield
      const at = row * rank
      // Chunks that were set before the array shrank are gone with their part of the grid.
      if (gridShape.some((chunks, axis) => indices[at + axis]! >= chunks)) continue
      let moved = false
      for (let axis = 0; axis < rank; axis++) {
        const number = Math.floor(indices[at + axis]! / sizes[axis]!)
        if (number === box[axis]) continue
        box[axis] = number
        moved = true
      }
      if (!moved) continue
      touched = true
      index.take(box, box, 0, replace)
    }
  }
  for (let done = 0; done < pending.length; done++) {
    if (done % stepSize === stepSize - 1) yield
    const n = pending[done]!
    if (!isEmpty(n)) index.take(ranges.first, ranges.last, n * rank, replace)
  }
  return {
    kept: manifests.filter(({ problem }, n) => replaced[n] === 0 && (problem === undefined || count === 0)),
    replaced: manifests.filter((_, n) => replaced[n] === 1),
    sizes,
    writes: touched || pending.length > 0
  }
}

/**
 * `planSteps` in one go.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (options: PlanOptions): Plan => {
  const steps = planSteps(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * What a rewrite does to the manifests of an array that nobody changes: `all` are written anew, or those that are `unfit`,
 * which lie in several boxes or share one with others, or reach out of the grid.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rewritePlan = (options: Omit<PlanOptions, "changed">, rewrite: "all" | "unfit"): Plan => {
  const { gridShape, manifests, sizes } = options
  const rank = gridShape.length
  const { first, last } = boxRanges({ ...options, changed: { count: 0, indices: new Uint32Array(0) } })
  const boxOf = (n: number): string => first.subarray(n * rank, (n + 1) * rank).join()
  const isOne = (n: number): boolean => {
    for (let at = n * rank; at < (n + 1) * rank; at++) if (first[at] !== last[at]) return false
    return true
  }
  const isOutside = ({ extents }: ManifestRef): boolean => extents.some(({ to }, axis) => to > gridShape[axis]!)
  const places = manifests.flatMap(({ problem }, n) => (problem === undefined ? [n] : []))
  const wide = rewrite === "all" ? places : places.filter((n) => isOutside(manifests[n]!) || !isOne(n))
  const replaced = new Set(wide)
  const perBox = new Map<string, number>()
  const narrow = places.filter((n) => !replaced.has(n))
  for (const n of narrow) perBox.set(boxOf(n), (perBox.get(boxOf(n)) ?? 0) + 1)
  const meets = (n: number, other: number): boolean => {
    for (let axis = 0; axis < rank; axis++) {
      const box = first[n * rank + axis]!
      if (box < first[other * rank + axis]! || box > last[other * rank + axis]!) return false
    }
    return true
  }
  for (const n of narrow) {
    if (perBox.get(boxOf(n))! > 1 || wide.some((other) => meets(n, other))) replaced.add(n)
  }
  return {
    kept: manifests.filter((_, n) => !replaced.has(n)),
    replaced: manifests.filter((_, n) => replaced.has(n)),
    sizes,
    writes: replaced.size > 0
  }
}
