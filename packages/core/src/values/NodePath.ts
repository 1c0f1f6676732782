/**
 * Paths of groups and arrays: absolute, `/` for the root, no empty, `.` or `..` segments.
 *
 * Source: Icechunk spec 2, "Node Paths".
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Result from "effect/Result"

/**
 * A node's absolute path, such as `/`, `/ocean` or `/ocean/temperature`.
 *
 * @category models
 * @since 0.1.0
 */
export type NodePath = string & Brand.Brand<"NodePath">

/**
 * The path of the root group.
 *
 * @category constants
 * @since 0.1.0
 */
export const root: NodePath = "/" as NodePath

/**
 * A node path from text, or a sentence that says what is wrong with it. A missing first `/` is
 * accepted, for `ocean/temperature` is how Zarr keys name the same node.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<NodePath, string> => {
  if (text === "" || text === "/") return Result.succeed(root)
  const path = text.startsWith("/") ? text : `/${text}`
  if (path.endsWith("/")) return Result.fail("a path does not end with `/`")
  if (!path.isWellFormed()) return Result.fail("a path is well-formed Unicode, this one has an unpaired surrogate")
  for (const segment of path.slice(1).split("/")) {
    if (segment === "") return Result.fail("a path has no empty segments")
    if (segment === "." || segment === "..") return Result.fail(`a path has no \`${segment}\` segments`)
  }
  return Result.succeed(path as NodePath)
}

/**
 * The names from the root down; none for the root.
 *
 * @category accessors
 * @since 0.1.0
 */
export const segments = (path: NodePath): ReadonlyArray<string> => (path === root ? [] : path.slice(1).split("/"))

/**
 * The last name of the path; empty for the root.
 *
 * @category accessors
 * @since 0.1.0
 */
export const name = (path: NodePath): string => path.slice(path.lastIndexOf("/") + 1)

/**
 * The path of the group that holds this node, `undefined` for the root.
 *
 * @category accessors
 * @since 0.1.0
 */
export const parent = (path: NodePath): NodePath | undefined => {
  if (path === root) return undefined
  const slash = path.lastIndexOf("/")
  return slash === 0 ? root : (path.slice(0, slash) as NodePath)
}

/**
 * The path of a child by its name, which must be a valid segment.
 *
 * @category combinators
 * @since 0.1.0
 */
export const child = (path: NodePath, name: string): NodePath =>
  (path === root ? `/${name}` : `${path}/${name}`) as NodePath

/**
 * Whether `path` lies below `ancestor`; a path does not lie below itself.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isBelow = (path: NodePath, ancestor: NodePath): boolean =>
  path !== ancestor && (ancestor === root || path.startsWith(`${ancestor}/`))

/**
 * The order of nodes in a snapshot: by the raw UTF-8 bytes of the path. JavaScript compares UTF-16
 * units, which puts characters beyond U+FFFF before U+E000..U+FFFF; UTF-8 order is code point order.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compare = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

// Surrogates (U+D800..U+DFFF) stand for code points above every other 16-bit unit.
const codePointRank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

/**
 * The order of moved nodes in a transaction log: segment by segment, a shorter path first, so that a
 * node is followed by all that lies below it.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compareSegments = (a: NodePath, b: NodePath): number => {
  const left = segments(a)
  const right = segments(b)
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) {
    const order = compare(left[i]!, right[i]!)
    if (order !== 0) return order
  }
  return left.length - right.length
}
