/**
 * References of kerchunk: in JSON, version 0 and 1, and in Parquet.
 *
 * The files that they refer to are not read. Metadata of Zarr 2 becomes that of Zarr 3, its codecs too, URLs become locations, and bytes
 * inside of the references are written into the repository.
 *
 * @since 0.1.0
 */
import { Location, ObjectStoreError } from "@effect-icechunk/core"
import { isObject } from "@effect-icechunk/core/values/Json"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Dataset, Json, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import { type ImportError, WrongFormat } from "./ImportError.ts"
import * as Expression from "./internal/kerchunk/Expression.ts"
import * as Locations from "./internal/kerchunk/Locations.ts"
import * as References from "./internal/kerchunk/References.ts"
import { inline, type Resolve, Rows } from "./internal/kerchunk/Rows.ts"
import * as Stretches from "./internal/kerchunk/Stretches.ts"
import * as Pieces from "./internal/Pieces.ts"
import * as ChunkKeys from "./internal/zarr/ChunkKeys.ts"
import * as Documents from "./internal/zarr/Documents.ts"
import * as Nodes from "./internal/zarr/Nodes.ts"
import type { ReadOptions, SourceFile } from "./SourceFile.ts"

/**
 * How references are imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Templates that count instead of those of the references. */
  readonly templates?: Readonly<Record<string, string>> | undefined
  /** URL of references whose own is `null`. */
  readonly target?: string | undefined
  /** What stands instead of a URL: for relative ones, and for files that have moved. */
  readonly location?: ((url: string) => string) | undefined
  /**
   * Where the object of a location is, for references to whole objects: each is asked once for its size, and its checksum is taken
   * along. Those of other refs come with `capture` of `Import.into`.
   */
  readonly open?: ((location: string) => SourceFile | undefined) | undefined
  /** What refs to whole objects remember of them (default `true`, as of other files). */
  readonly checksum?: ReadOptions["checksum"]
  /** References that generators may make, at most (default 1,000,000). */
  readonly maxGenerated?: number | undefined
  /** Bytes of JSON, or of a file of Parquet also when it is decompressed, at most (default 256 MiB): they are read as a whole. */
  readonly maxBytes?: number | undefined
  /** Data types and codecs that are meant although nobody knows them; arrays with others are skipped. */
  readonly extensions?: ReadonlyArray<string> | undefined
}

const maxBytesOf = ({ maxBytes = 256 * 1024 * 1024 }: Options): number => maxBytes

/** What all of it is read with. */
interface Reading {
  readonly file: SourceFile
  readonly options: Options
  readonly skipped: Array<Skipped>
}

const skip = (
  { file, skipped }: Reading,
  path: string,
  kind: Skipped["kind"],
  { problem, reason }: Nodes.Problem
): void => void skipped.push({ location: Location.shown(file.location), path, kind, reason, problem })

const resolver =
  ({ options }: Reading, fill: (url: string) => string = (url) => url): Resolve =>
  (written) => {
    const url = written ?? options.target
    if (url === undefined) return Result.fail("it has no URL; tell which by the option `target`")
    return Result.flatMap(
      Expression.attempt(() => fill(url)),
      (filled) => Locations.of(options.location?.(filled) ?? filled)
    )
  }

const flush = (reading: Reading, path: string, rows: Rows): void => {
  for (const [problem, { count, key }] of rows.problems) {
    const more = count === 1 ? "" : `, and ${count - 1} more`
    skip(reading, path, "chunk", { reason: "value", problem: `\`${key}\`${more}: ${problem}` })
  }
}

/** Metadata of a key: an object, or a text of one. */
const metadataOf = (reference: Json): Result.Result<JsonObject, string> => {
  if (isObject(reference)) return Result.succeed(reference)
  if (typeof reference !== "string") return Result.fail("it refers to metadata in a file, which is not read")
  const text = Result.map(inline(reference), (bytes) => new TextDecoder().decode(bytes))
  const json = Result.flatMap(text, (text) =>
    Result.try({ try: () => Documents.parse(text) as Json, catch: () => "its metadata is not JSON" })
  )
  return Result.flatMap(json, (json) =>
    isObject(json) ? Result.succeed(json) : Result.fail("its metadata is not a JSON object")
  )
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf("/") + 1)

const isMetadata = (key: string): boolean => Documents.files.some((name) => name === nameOf(key))

/** All metadata of references, and those that are consolidated where there are no others. */
const partsOf = (reading: Reading, entries: References.References["entries"]): Documents.Parts => {
  const parts: Documents.Parts = new Map()
  const consolidated: Documents.Parts = new Map()
  for (const [key, reference] of entries) {
    if (key !== ".zmetadata" && !isMetadata(key)) continue
    const json = metadataOf(reference)
    if (Result.isFailure(json)) {
      skip(reading, `/${key}`, "field", { reason: "format", problem: json.failure })
    } else if (key === ".zmetadata") {
      for (const [key, part] of Documents.consolidated2(json.success) ?? []) consolidated.set(key, part)
    } else parts.set(key, json.success)
  }
  for (const [key, part] of consolidated) if (!parts.has(key)) parts.set(key, part)
  return parts
}

/** An array whose chunks are gathered. */
interface Gathering {
  readonly node: Nodes.ArrayNode
  readonly grid: ReadonlyArray<number>
  readonly rows: Rows
  /** Letters of a chunk's key before its numbers. */
  readonly at: number
}

/** The array that a directory of keys is in; `undefined` for none, `null` for one that is skipped. */
const finder = (arrays: ReadonlyMap<string, Gathering | null>) => {
  const known = new Map<string, Gathering | null | undefined>()
  return (key: string): Gathering | null | undefined => {
    const directory = key.slice(0, Math.max(0, key.lastIndexOf("/")))
    if (known.has(directory)) return known.get(directory)
    let found = arrays.get(directory)
    for (let at = directory.length; found === undefined && at > 0;) {
      at = Math.max(0, directory.lastIndexOf("/", at - 1))
      found = arrays.get(directory.slice(0, at))
    }
    known.set(directory, found)
    return found
  }
}

/** The data set of references in JSON. Pure. */
const ofJson = (reading: Reading, json: JsonObject): Result.Result<Dataset, string> =>
  Result.gen(function* () {
    const { file, options, skipped } = reading
    const { entries, url } = yield* References.read(json, {
      templates: options.templates ?? {},
      maxGenerated: options.maxGenerated ?? 1_000_000
    })
    const documents = Documents.nodes(partsOf(reading, entries))
    if (documents.size === 0) return yield* Result.fail("there is no metadata of Zarr in it")
    const nodes = Nodes.read(documents, options.extensions, (path, kind, problem) => skip(reading, path, kind, problem))
    const resolve = resolver(reading, url)
    const arrays = new Map<string, Gathering | null>()
    for (const [path, { _tag }] of documents) if (_tag !== "Group") arrays.set(path.slice(1), null)
    const gathered: Array<Gathering> = []
    for (const node of nodes.arrays) {
      const directory = node.path.slice(1)
      const rows = new Rows(node.array.shape.length, resolve)
      const one = {
        node,
        grid: Pieces.counts(node.array.shape, node.array.chunkShape),
        rows,
        at: directory === "" ? 0 : directory.length + 1
      }
      arrays.set(directory, one)
      gathered.push(one)
    }
    const find = finder(arrays)
    const index = new Uint32Array(64)
    const strange: Array<string> = []
    let count = 0
    for (const [key, reference] of entries) {
      if (key === ".zmetadata" || isMetadata(key)) continue
      const one = find(key)
      if (one === null) continue
      if (one !== undefined && ChunkKeys.parse(one.node.keys, key, one.at, one.grid, index, 0)) {
        one.rows.json(key, index, reference)
      } else if (count++ < 3) strange.push(`\`${key.slice(0, 100)}\``)
    }
    if (count > 0) {
      const problem = `${count} key(s) are of no chunk of an array, such as ${strange.join(", ")}`
      skip(reading, "/", "chunk", { reason: "name", problem })
    }
    const whole = { open: options.open, checksum: options.checksum }
    return {
      groups: nodes.groups,
      arrays: gathered.map(({ node: { array, path }, rows }): VirtualArray => {
        flush(reading, path, rows)
        const report = (key: string, problem: string) =>
          skipped.push({
            location: Location.shown(file.location),
            path,
            kind: "chunk",
            reason: "value",
            problem: `\`${key}\`: ${problem}`
          })
        return Object.assign({}, array, { path, chunks: rows.chunks(whole, report) })
      }),
      skipped
    }
  })

const decode = (file: SourceFile, bytes: Uint8Array): Effect.Effect<JsonObject, ImportError> => {
  const wrong = (problem: string) => new WrongFormat({ location: file.location, expected: "kerchunk", problem })
  const [first, second] = bytes
  if ((first === 0x28 && second === 0xb5) || (first === 0x1f && second === 0x8b)) {
    return Effect.fail(wrong("it is compressed; decompress it first"))
  }
  return Effect.try({
    try: () => Documents.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Json,
    catch: () => wrong("it is not JSON")
  }).pipe(
    Effect.flatMap((json) => (isObject(json) ? Effect.succeed(json) : Effect.fail(wrong("it is not a JSON object"))))
  )
}

const fromJson = Effect.fnUntraced(function* (reading: Reading): Effect.fn.Return<Dataset, ImportError> {
  const { file, options } = reading
  const { bytes } = yield* file.store.get(file.key, { maxBytes: maxBytesOf(options) })
  const json = yield* decode(file, bytes)
  return yield* Effect.mapError(
    Effect.fromResult(ofJson(reading, json)),
    (problem) => new WrongFormat({ location: file.location, expected: "kerchunk", problem })
  )
})

/** References in a file of Parquet, at most: its columns are held as a whole. */
const maxRecordSize = 10_000_000

/** What is in a directory. */
const below = (directory: SourceFile, name: string): SourceFile => ({
  store: directory.store,
  key: `${Documents.prefixOf(directory.key)}${name}`,
  location: `${Documents.prefixOf(directory.location)}${name}`
})

const fromParquet = Effect.fnUntraced(function* (reading: Reading): Effect.fn.Return<Dataset, ImportError> {
  const { file, options, skipped } = reading
  const metadataFile = below(file, ".zmetadata")
  const { bytes } = yield* file.store.get(metadataFile.key, { maxBytes: maxBytesOf(options) })
  const json = yield* decode(metadataFile, bytes)
  const wrong = (problem: string) => new WrongFormat({ location: metadataFile.location, expected: "kerchunk", problem })
  const { metadata, record_size: recordSize } = json
  if (!isObject(metadata)) return yield* wrong("it has no object `metadata`")
  if (typeof recordSize !== "number" || !Number.isInteger(recordSize) || recordSize < 1 || recordSize > maxRecordSize) {
    return yield* wrong(`its \`record_size\` is not a number of references from 1 to ${maxRecordSize}`)
  }
  const documents = Documents.nodes(partsOf(reading, Object.entries(metadata)))
  if (documents.size === 0) return yield* wrong("there is no metadata of Zarr in it")
  const nodes = Nodes.read(documents, options.extensions, (path, kind, problem) => skip(reading, path, kind, problem))
  return {
    groups: nodes.groups,
    arrays: nodes.arrays.map((node): VirtualArray => {
      const { array, path } = node
      const stretches: Stretches.Stretches = {
        node,
        recordSize,
        directory: below(file, path === "/" ? "" : `${path.slice(1)}/`),
        maxBytes: maxBytesOf(options),
        resolve: resolver(reading),
        whole: { open: options.open, checksum: options.checksum },
        onRows: (rows) => flush(reading, path, rows),
        onProblem: (key, problem) =>
          skip(reading, path, "chunk", { reason: "value", problem: `\`${key}\`: ${problem}` })
      }
      return Object.assign({}, array, { path, chunks: Stretches.chunks(stretches) })
    }),
    skipped
  }
})

/** What has neither references in JSON nor `.zmetadata` below it. */
const orMissing =
  <A>(other: Effect.Effect<A, ImportError>) =>
  (error: ImportError): Effect.Effect<A, ImportError> =>
    isMissing(error) ? Effect.catchIf(other, isMissing, () => Effect.fail(error)) : Effect.fail(error)

const isMissing = (error: ImportError): boolean =>
  error._tag === "ObjectStoreError" && ObjectStoreError.isNotFound(error)

/**
 * The virtual data set of references: of a file of JSON, or of a directory of Parquet files, whose key ends with `/`, `.parq` or
 * `.parquet`, or has `.zmetadata` below it.
 *
 * JSON is read as a whole, with one request. Of a directory `.zmetadata` is, and a file of references when its chunks are taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (file: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "Kerchunk.dataset"
)(function* (file: SourceFile, options: Options = {}) {
  const reading: Reading = { file, options, skipped: [] }
  if (/(?:^|\/|\.parq|\.parquet)$/.test(file.key)) return yield* fromParquet(reading)
  return yield* Effect.catch(fromJson(reading), orMissing(fromParquet(reading)))
})
