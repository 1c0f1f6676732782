/**
 * Keys of a Zarr 3 store, and the part of a repository that each names. Pure. Source: Zarr 3 core
 * specification, "Store", and the `default` chunk key encoding with separator `/`: chunks have keys of this form
 * in Icechunk, whatever encoding the metadata of their array names.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import * as NodePath from "../values/NodePath.ts"

/**
 * - `Metadata`: `path/zarr.json`;
 * - `Chunk`: `path/c/0/1`, or `path/c` for a scalar;
 * - `Other`: a well-formed key that names nothing in a Zarr 3 hierarchy, such as `path/.zattrs`.
 *
 * @category models
 * @since 0.1.0
 */
export type ZarrKey = Data.TaggedEnum<{
  readonly Metadata: { readonly path: NodePath.NodePath }
  readonly Chunk: { readonly path: NodePath.NodePath; readonly index: ChunkIndex }
  readonly Other: { readonly key: string }
}>

const Constructors: Data.TaggedEnum.Constructor<ZarrKey> = Data.taggedEnum<ZarrKey>()

/**
 * A text that is not a key of a Zarr store.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidKey
  extends /*#__PURE__*/ Data.TaggedError("InvalidKey")<{
    readonly key: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.key}\` is not a key of a Zarr store: ${this.problem}. Keys are \`path/zarr.json\` and \`path/c/0/1\`.`
  }
}

/**
 * The name of every node's metadata.
 *
 * @category constants
 * @since 0.1.0
 */
export const metadataName = "zarr.json"
const chunkPattern = /^(?:(.*)\/)?c((?:\/(?:0|[1-9][0-9]*))*)$/s

/**
 * Parses a key; one slash at its start is accepted, for zarrita writes keys so.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<ZarrKey, InvalidKey> => {
  const key = text.startsWith("/") ? text.slice(1) : text
  const invalid = (problem: string): Result.Result<never, InvalidKey> =>
    Result.fail(new InvalidKey({ key: text, problem }))
  const at = (path: string, make: (path: NodePath.NodePath) => ZarrKey): Result.Result<ZarrKey, InvalidKey> =>
    Result.map(
      Result.mapError(NodePath.parse(path), (problem) => new InvalidKey({ key: text, problem })),
      make
    )
  if (key === "") return invalid("it is empty")
  if (key === metadataName) return Result.succeed(Constructors.Metadata({ path: NodePath.root }))
  if (key.endsWith(`/${metadataName}`)) {
    const path = key.slice(0, -metadataName.length - 1)
    return path === "" ? invalid("a path has no empty segments") : at(path, (path) => Constructors.Metadata({ path }))
  }
  const chunk = chunkPattern.exec(key)
  if (chunk === null) return Result.succeed(Constructors.Other({ key }))
  const index = chunk[2] === "" ? [] : chunk[2]!.slice(1).split("/").map(Number)
  return at(chunk[1] ?? "", (path) => Constructors.Chunk({ path, index }))
}

const inPath = (path: NodePath.NodePath, name: string): string =>
  path === NodePath.root ? name : `${path.slice(1)}/${name}`

/**
 * The key of a node's `zarr.json`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const metadata = (path: NodePath.NodePath): string => inPath(path, metadataName)

/**
 * The key of a chunk.
 *
 * @category encoding
 * @since 0.1.0
 */
export const chunk = (path: NodePath.NodePath, index: ChunkIndex): string => inPath(path, ["c", ...index].join("/"))

/**
 * Whether a key below an array, without the array's path, is that of a chunk in another chunk key encoding than
 * Icechunk's: `c.0.1`, `0.1` or `0/1`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isForeignChunk = (key: string): boolean => /^(?:c(?:\.[0-9]+)+|[0-9]+(?:[./][0-9]+)*)$/.test(key)

/**
 * Pattern matching over the kinds of keys.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Constructors.$match = Constructors.$match
