/**
 * A chunk manifest. It stays in its bytes: looking up a chunk is a binary search over the buffer, and nothing
 * is built per ref.
 *
 * Source: Icechunk spec 2, "Chunk Manifest Files"; spec 1 has the same tables with fewer fields.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as ObjectId from "../../values/ObjectId.ts"
import type { ManifestId, NodeId } from "../../values/ObjectId.ts"
import type { ChunkRef } from "./ChunkRef.ts"
import { attempt } from "../../encoding/Attempt.ts"
import * as FlatTable from "../../encoding/FlatTable.ts"
import { FormatError } from "../../encoding/FormatError.ts"
import { ManifestRows, type Refs, type Source } from "./ManifestRows.ts"

/**
 * The fields of a manifest in the schema.
 *
 * @category constants
 * @since 0.1.0
 */
export const Root = FlatTable.fields("id", "arrays", "location_dictionary", "compression_algorithm", "extra")

/**
 * The fields of an array's part of a manifest in the schema.
 *
 * @category constants
 * @since 0.1.0
 */
export const ArrayManifest = FlatTable.fields("node_id", "refs", "extra")

/**
 * Makes a decompressor for many small frames that share a dictionary, as the service `Zstd` does.
 *
 * @category models
 * @since 0.1.0
 */
export type Dictionary = (dictionary: Uint8Array) => (bytes: Uint8Array, maxBytes: number) => Uint8Array

/**
 * Chunk numbers for each dimension, `to` exclusive.
 *
 * @category models
 * @since 0.1.0
 */
export type Extents = ReadonlyArray<{ readonly from: number; readonly to: number }>

/** zstd with a dictionary: the default, and the only algorithm there is besides none. */
const zstdAlgorithm = 1

/** The part of a manifest that is about one array. */
interface ArrayPart {
  readonly node: NodeId
  readonly refs: Refs
  readonly extra: Uint8Array | undefined
}

/**
 * A manifest and its payload, of which only the top level has been checked: a damaged ref fails when it is
 * looked at.
 *
 * @category models
 * @since 0.1.0
 */
export class Manifest {
  /** The key of the file. */
  readonly file: string
  readonly id: ManifestId
  /** The arrays that have refs here and how many, by id. */
  readonly nodes: ReadonlyArray<{ readonly node: NodeId; readonly count: number }>
  /** All refs. */
  readonly count: number
  /** Bytes that the manifest keeps in memory. */
  readonly byteLength: number
  /** The zstd dictionary of compressed locations, if there is one. */
  readonly locationDictionary: Uint8Array | undefined
  /** Kept for versions that know what it is. */
  readonly extra: Uint8Array | undefined
  readonly #source: Source
  readonly #parts: ReadonlyMap<NodeId, ArrayPart>
  /** For `get`, which needs a cursor for a moment. */
  readonly #cursors = new Map<NodeId, Cursor>()

  constructor(file: string, payload: Uint8Array, root: FlatTable.FlatTable, dictionary: Dictionary) {
    this.file = file
    this.byteLength = payload.byteLength
    this.id = ObjectId.manifestId(root.struct(Root.id, 12))
    const algorithm = root.u8(Root.compression_algorithm, zstdAlgorithm)
    this.locationDictionary = algorithm > zstdAlgorithm ? undefined : root.optionalBytes(Root.location_dictionary)
    this.extra = root.optionalBytes(Root.extra)
    const parts = root
      .vector(Root.arrays, 4)
      .mapTables(arrayPart)
      .toSorted((a, b) => ObjectId.compare(a.node, b.node))
    this.#parts = new Map(parts.map((part) => [part.node, part]))
    if (this.#parts.size < parts.length) root.fail(Root.arrays, "an array occurs twice")
    this.nodes = parts.map(({ node, refs }) => ({ node, count: refs.count }))
    this.count = parts.reduce((count, { refs }) => count + refs.count, 0)
    this.#source = {
      file,
      bytes: payload,
      view: new DataView(payload.buffer, payload.byteOffset, payload.byteLength),
      decompress: lazyDecompressor(file, this.locationDictionary, algorithm, dictionary)
    }
  }

  /** A cursor over the refs of an array by ascending index; `undefined` when the array has none here. */
  rows(node: NodeId): ManifestRows | undefined {
    const part = this.#parts.get(node)
    return part === undefined ? undefined : new ManifestRows(this.#source, part.refs)
  }

  /** What the manifest keeps with an array for versions that know what it is. */
  arrayExtra(node: NodeId): Uint8Array | undefined {
    return this.#parts.get(node)?.extra
  }

  /** The ref at an index of an array; `undefined` when there is none here. Inline bytes are a view. */
  get(node: NodeId, index: ReadonlyArray<number>): Result.Result<ChunkRef | undefined, FormatError> {
    let cursor = this.#cursors.get(node)
    if (cursor === undefined) {
      const rows = this.rows(node)
      if (rows === undefined) return Result.succeed(undefined)
      cursor = { rows, guess: guessing(rows) }
      this.#cursors.set(node, cursor)
    }
    const { guess, rows } = cursor
    return attempt(() => find(rows, index, guess))
  }
}

const arrayPart = (table: FlatTable.FlatTable, number: number): ArrayPart => {
  const refs = table.vector(ArrayManifest.refs, 4)
  return {
    node: ObjectId.nodeId(table.struct(ArrayManifest.node_id, 8)),
    refs: { number, start: refs.start, count: refs.length },
    extra: table.optionalBytes(ArrayManifest.extra)
  }
}

const lazyDecompressor = (
  file: string,
  dictionaryBytes: Uint8Array | undefined,
  algorithm: number,
  dictionary: Dictionary
): Source["decompress"] => {
  let decompress: Source["decompress"] | undefined
  return (bytes, maxBytes) => {
    if (decompress === undefined) {
      // Writers have left the algorithm out and set it without need; a dictionary says enough.
      if (algorithm > zstdAlgorithm) {
        const problem = `no compression of locations has the code ${algorithm}`
        throw new FormatError({ file, field: Root.compression_algorithm.name, problem })
      }
      if (dictionaryBytes === undefined) {
        const problem = "locations are compressed, but their dictionary is absent"
        throw new FormatError({ file, field: Root.location_dictionary.name, problem })
      }
      decompress = dictionary(dictionaryBytes)
    }
    return decompress(bytes, maxBytes)
  }
}

/** Where an index may be among the rows. */
type Guess = (index: ReadonlyArray<number>) => number

interface Cursor {
  readonly rows: ManifestRows
  readonly guess: Guess
}

const inTheMiddle =
  ({ count }: ManifestRows): Guess =>
  () =>
    count >>> 1

/**
 * Where an index is when the refs fill the box between the first and the last one, and about where it is when they are
 * evenly spread over it. To look there first is cheap, and halving a large manifest reads all over its memory.
 */
const guessing = (rows: ManifestRows): Guess => {
  const { count } = rows
  if (count < 16) return inTheMiddle(rows)
  const indexOf = (row: number): ReadonlyArray<number> => {
    rows.seek(row)
    return Array.from({ length: rows.rank }, (_, axis) => rows.coordinate(axis))
  }
  // A damaged row is the error of who looks for it, not of others.
  const ends = attempt(() => [indexOf(0), indexOf(count - 1)] as const)
  if (Result.isFailure(ends)) return inTheMiddle(rows)
  const [first, last] = ends.success
  const steps: Array<number> = Array.from({ length: first.length })
  let size = 1
  for (let axis = first.length - 1; axis >= 0; axis--) {
    steps[axis] = size
    size *= (last[axis] ?? 0) - first[axis]! + 1
  }
  if (last.length !== first.length || !(size >= count)) return inTheMiddle(rows)
  const share = size === count ? 1 : count / size
  return (index) => {
    if (index.length !== steps.length) return count >>> 1
    let at = 0
    for (let axis = 0; axis < steps.length; axis++) at += (index[axis]! - first[axis]!) * steps[axis]!
    return Math.min(count - 1, Math.max(0, Math.floor(at * share)))
  }
}

const find = (rows: ManifestRows, index: ReadonlyArray<number>, guess: Guess): ChunkRef | undefined => {
  let low = 0
  let high = rows.count
  let middle = guess(index)
  while (low < high) {
    rows.seek(middle)
    const order = rows.compare(index)
    if (order === 0) return rows.ref()
    if (order < 0) low = middle + 1
    else high = middle
    middle = (low + high) >>> 1
  }
  return undefined
}

/**
 * The manifest in a payload, which must not change afterwards. `file` is its key, for errors; `dictionary`
 * makes decompressors.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  file: string,
  payload: Uint8Array,
  dictionary: Dictionary,
  bounds?: FlatTable.Bounds
): Result.Result<Manifest, FormatError> =>
  FlatTable.decode(file, payload, (root) => new Manifest(file, payload, root, dictionary), bounds)
