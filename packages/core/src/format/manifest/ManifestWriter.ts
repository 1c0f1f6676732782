/**
 * Writing chunk manifests, millions of refs at a time.
 *
 * Tables of one shape share a vtable, and equal locations and entity tags share their text. Locations are
 * not compressed one by one, because the file is compressed as a whole; those that another writer compressed
 * are kept as they are, with their dictionary.
 *
 * Source: Icechunk spec 2, "Chunk Manifest Files".
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as ObjectId from "../../values/ObjectId.ts"
import { type ArrayPart, ArrayRefsWriter, maxPayload, SharedParts } from "./ArrayRefsWriter.ts"
import { attempt } from "../../encoding/Attempt.ts"
import { FlatWriter, shape } from "../../encoding/FlatWriter.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import { ArrayManifest, type Extents, Root } from "./Manifest.ts"

/**
 * A manifest that is ready to be compressed and stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoded {
  readonly payload: Uint8Array
  /** Refs in it. */
  readonly count: number
  /** The smallest box around the refs of each array, in the order of `arrays`; `undefined` where none are. */
  readonly extents: ReadonlyArray<Extents | undefined>
}

/**
 * More refs than one manifest can have for every reader of Icechunk. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ManifestTooLarge
  extends /*#__PURE__*/ Data.TaggedError("ManifestTooLarge")<{
    readonly refs: number
    /** Bytes of the manifest before it is compressed. */
    readonly bytes: number
  }>
{
  override get message(): string {
    return `${this.refs} chunk refs make a manifest of ${this.bytes} bytes, more than every Icechunk reader takes. Split the array's manifests with \`manifest.splitting\` in the configuration and commit again.`
  }
}

/** What Icechunk's reader visits of one manifest at most, where a shared text counts for each ref. */
const maxVisited = 2 ** 31

const arrayShape = shape(3, [
  [ArrayManifest.node_id, 8],
  [ArrayManifest.refs, 4],
  [ArrayManifest.extra, 4]
])

const arrayShapeWithoutExtra = shape(3, [
  [ArrayManifest.node_id, 8],
  [ArrayManifest.refs, 4]
])

/** The dictionary that most of the refs need. */
const chooseDictionary = (arrays: ReadonlyArray<ArrayPart>): Uint8Array | undefined => {
  let most = 0
  let chosen: Uint8Array | undefined
  for (const { refs } of arrays) {
    for (const { manifest, rows } of refs.bases) {
      if (manifest.locationDictionary === undefined || rows.count <= most) continue
      most = rows.count
      chosen = manifest.locationDictionary
    }
  }
  return chosen
}

/**
 * The payload of a manifest; `undefined` when there are no refs. Fails about a damaged ref of a manifest that
 * refs are taken from, and with `ManifestTooLarge` when the refs have to be spread over several manifests.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (options: {
  readonly id: ObjectId.ManifestId
  /** Each array once. */
  readonly arrays: ReadonlyArray<ArrayPart>
}): Result.Result<Encoded | undefined, FormatError | ManifestTooLarge> =>
  Result.flatMap(attemptToEncode(options), (encoded) =>
    encoded instanceof ManifestTooLarge ? Result.fail(encoded) : Result.succeed(encoded)
  )

const attemptToEncode = (
  options: Parameters<typeof encode>[0]
): Result.Result<Encoded | undefined | ManifestTooLarge, FormatError> =>
  attempt(() => {
    const onlyChanges = options.arrays.every(({ refs }) => refs.bases.length === 0)
    const distinctTexts =
      options.arrays.length === 1 &&
      onlyChanges &&
      (options.arrays[0]!.refs.changes?.areLocationsDistinct() !== false || "likely")
    const shared = new SharedParts(chooseDictionary(options.arrays), distinctTexts)
    const all = options.arrays.map((part) => new ArrayRefsWriter(shared, part))
    const arrays = all.filter(({ count }) => count > 0).toSorted((a, b) => compareBytes(a.node, b.node))
    if (arrays.length === 0) return undefined
    const count = arrays.reduce((sum, array) => sum + array.count, 0)
    const dictionary = shared.needsDictionary ? shared.dictionary : undefined
    const extra = options.arrays
      .flatMap(({ refs }) => refs.bases.map(({ manifest }) => manifest.extra))
      .find((bytes) => bytes !== undefined)

    const extras = arrays.reduce((sum, array) => sum + (array.extra?.length ?? 0) + 8, 0)
    const refsSize = arrays.reduce((sum, array) => sum + 64 + 4 * array.count + array.size, 0)
    const front = Math.ceil((1024 + refsSize) / 8) * 8
    // Nothing comes behind the texts then, and the pool's buffer can become the payload.
    if (onlyChanges && front <= maxPayload) shared.pool.wantRoom(front)
    for (const array of arrays) array.putTexts()
    const capacity = front + shared.pool.size + extras + (dictionary?.length ?? 0) + (extra?.length ?? 0)
    if (capacity > maxPayload || shared.visited > maxVisited) {
      return new ManifestTooLarge({ refs: count, bytes: capacity })
    }

    const { pool } = shared
    const writer = new FlatWriter(pool.before === 0 ? capacity : pool.whole)
    shared.writeVtables(writer)
    const arrayVtable = writer.vtable(arrayShape)
    const arrayVtableWithoutExtra = writer.vtable(arrayShapeWithoutExtra)
    // An algorithm of 0 has to be said, because the default is 1.
    const rootShape = shape(5, [
      [Root.id, 12],
      [Root.arrays, 4],
      ...(dictionary === undefined ? [] : [[Root.location_dictionary, 4] as const]),
      ...(extra === undefined ? [] : [[Root.extra, 4] as const]),
      [Root.compression_algorithm, 1]
    ])
    const root = writer.table(rootShape, writer.vtable(rootShape))
    writer.bytes.set(ObjectId.bytes12(options.id), root + rootShape.at[Root.id.slot]!)
    writer.bytes[root + rootShape.at[Root.compression_algorithm.slot]!] = dictionary === undefined ? 0 : 1
    const vector = writer.vector(arrays.length, 4)
    writer.refer(root + rootShape.at[Root.arrays.slot]!, vector)
    const tables = arrays.map((array, i) => {
      const hasExtra = array.extra !== undefined
      const own = hasExtra ? arrayShape : arrayShapeWithoutExtra
      const table = writer.table(own, hasExtra ? arrayVtable : arrayVtableWithoutExtra)
      writer.refer(vector + 4 + 4 * i, table)
      writer.bytes.set(array.node, table + own.at[ArrayManifest.node_id.slot]!)
      return table
    })

    // Texts lie behind all refs, for references point forward.
    const texts = pool.before || arrays.reduce((at, array) => array.end(at), writer.at)
    arrays.forEach((array, i) => {
      const refs = array.write(writer, texts)
      writer.refer(tables[i]! + arrayShape.at[ArrayManifest.refs.slot]!, refs)
    })
    if (pool.before === 0) writer.bytes.set(pool.bytes, texts)
    writer.at = texts + pool.size
    arrays.forEach((array, i) => {
      if (array.extra === undefined) return
      writer.refer(tables[i]! + arrayShape.at[ArrayManifest.extra.slot]!, writer.vectorOf(array.extra))
    })
    if (dictionary !== undefined) {
      writer.refer(root + rootShape.at[Root.location_dictionary.slot]!, writer.vectorOf(dictionary))
    }
    if (extra !== undefined) writer.refer(root + rootShape.at[Root.extra.slot]!, writer.vectorOf(extra))
    return {
      payload: writer.finish(root),
      count,
      extents: all.map((array) => (array.count === 0 ? undefined : array.extents))
    }
  })

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? 0 : a[at]! - b[at]!
}
