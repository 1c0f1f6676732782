/**
 * How the refs of an array are spread over manifests. Pure. Source: Icechunk's `ManifestSplittingConfig`.
 *
 * The chunk grid is cut into boxes of a size that the configuration gives; a manifest that this engine
 * writes holds refs of one box.
 *
 * @since 0.1.0
 */
import type { ManifestRef } from "../../format/Snapshot.ts"
import * as NodePath from "../../values/NodePath.ts"
import {
  type RepositoryConfig,
  ruleExpression,
  type SplitCondition,
  type SplitDimension
} from "../../values/RepositoryConfig.ts"

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

const holds = (condition: SplitCondition, path: NodePath.NodePath): boolean => {
  if (condition === "any_array") return true
  if ("or" in condition) return condition.or.some((one) => holds(one, path))
  if ("and" in condition) return condition.and.every((one) => holds(one, path))
  const [regex, subject] =
    "path_matches" in condition
      ? [condition.path_matches.regex, path]
      : [condition.name_matches.regex, NodePath.name(path)]
  return ruleExpression(regex)?.test(subject) ?? false
}

const appliesTo = ({ condition }: SplitDimension, axis: number, name: string | undefined): boolean =>
  condition === "Any" || ("Axis" in condition ? condition.Axis === axis : condition.DimensionName === name)

/**
 * The size of a box in chunks, per dimension, for an array: from the first rule that is for it; a dimension
 * that no part of the rule is for is not cut.
 *
 * @category combinators
 * @since 0.1.0
 */
export const boxSizes = (
  config: RepositoryConfig,
  array: {
    readonly path: NodePath.NodePath
    readonly gridShape: ReadonlyArray<number>
    readonly dimensionNames: ReadonlyArray<string | undefined> | undefined
  }
): ReadonlyArray<number> => {
  const rules = config.manifest?.splitting?.split_sizes ?? []
  const dimensions = rules.find(([condition]) => holds(condition, array.path))?.[1] ?? []
  return array.gridShape.map((chunks, axis) => {
    const size = dimensions.find((one) => appliesTo(one, axis, array.dimensionNames?.[axis]))?.num_chunks
    return Math.max(1, Math.min(size ?? chunks, chunks))
  })
}

const intersects = (a: Box, b: Box): boolean => a.every(({ from, to }, i) => from < b[i]!.to && b[i]!.from < to)

/** The box with these numbers along each dimension. */
const boxAt = (numbers: ReadonlyArray<number>, sizes: ReadonlyArray<number>, gridShape: ReadonlyArray<number>): Box =>
  numbers.map((n, i) => ({ from: n * sizes[i]!, to: Math.min((n + 1) * sizes[i]!, gridShape[i]!) }))

/**
 * What a commit does to the manifests of an array: some stay as they are, and the refs of each of `boxes`
 * are written anew, from the changes and from `replaced`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan {
  readonly kept: ReadonlyArray<ManifestRef>
  readonly replaced: ReadonlyArray<ManifestRef>
  /** Numbers of the boxes along each dimension, in chunks divided by `sizes`. */
  readonly boxes: ReadonlyArray<ReadonlyArray<number>>
  readonly sizes: ReadonlyArray<number>
}

/**
 * Only the boxes that hold a change are written, and those of manifests that do not fit into one box or
 * reach out of the grid.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (options: {
  readonly manifests: ReadonlyArray<ManifestRef>
  readonly gridShape: ReadonlyArray<number>
  readonly sizes: ReadonlyArray<number>
  /** How many chunks changed, and their indices, row-major. */
  readonly changed: { readonly count: number; readonly indices: Uint32Array }
}): Plan => {
  const { gridShape, manifests, sizes } = options
  const { count, indices } = options.changed
  const rank = gridShape.length
  const touched = new Map<string, { readonly numbers: ReadonlyArray<number>; readonly box: Box }>()
  const touch = (numbers: ReadonlyArray<number>): boolean => {
    const key = numbers.join()
    if (touched.has(key)) return false
    touched.set(key, { numbers, box: boxAt(numbers, sizes, gridShape) })
    return true
  }
  if (count > 0 && sizes.every((size, i) => size >= gridShape[i]!)) {
    touch(Array<number>(rank).fill(0))
  } else {
    const last = new Array<number>(rank).fill(-1)
    for (let at = 0; at < count * rank; at += rank) {
      let moved = false
      // Chunks that were set before the array shrank are gone with their part of the grid.
      if (gridShape.some((chunks, i) => indices[at + i]! >= chunks)) continue
      for (let i = 0; i < rank; i++) {
        const number = Math.floor(indices[at + i]! / sizes[i]!)
        if (number !== last[i]) {
          last[i] = number
          moved = true
        }
      }
      if (moved) touch([...last])
    }
  }
  const replaced = new Set<ManifestRef>()
  // A replaced manifest gives all its boxes up, and those may be shared with further manifests.
  for (let grew = true; grew;) {
    grew = false
    const boxes = [...touched.values()]
    for (const manifest of manifests) {
      if (replaced.has(manifest)) continue
      const outside = manifest.extents.some(({ to }, i) => to > gridShape[i]!)
      if (!outside && !boxes.some(({ box }) => intersects(box, manifest.extents))) continue
      replaced.add(manifest)
      for (const numbers of boxNumbers(manifest.extents, sizes, gridShape)) grew = touch(numbers) || grew
    }
  }
  return {
    kept: manifests.filter((manifest) => !replaced.has(manifest)),
    replaced: [...replaced],
    boxes: [...touched.values()].map(({ numbers }) => numbers),
    sizes
  }
}

/** Numbers of the boxes that an extent lies in, as far as they are in the grid. */
function* boxNumbers(
  extents: Box,
  sizes: ReadonlyArray<number>,
  gridShape: ReadonlyArray<number>
): Generator<ReadonlyArray<number>> {
  const ranges = extents.map(({ from, to }, i) => ({
    first: Math.floor(from / sizes[i]!),
    last: from < gridShape[i]! ? Math.floor((Math.min(to, gridShape[i]!) - 1) / sizes[i]!) : -1
  }))
  if (ranges.some(({ first, last }) => last < first)) return
  const numbers = ranges.map(({ first }) => first)
  for (;;) {
    yield [...numbers]
    let axis = numbers.length - 1
    while (axis >= 0 && numbers[axis] === ranges[axis]!.last) {
      numbers[axis] = ranges[axis]!.first
      axis--
    }
    if (axis < 0) return
    numbers[axis]!++
  }
}
