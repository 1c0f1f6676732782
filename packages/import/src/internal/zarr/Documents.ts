/**
 * The metadata of a hierarchy: one consolidated object, or one of each node.
 *
 * @since 0.1.0
 */
import { ObjectStoreError } from "@effect-icechunk/core"
import { isObject } from "@effect-icechunk/core/values/Json"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Json, JsonObject } from "../../Dataset.ts"
import { DamagedFile, type ImportError, WrongFormat } from "../../ImportError.ts"
import type { SourceFile } from "../../SourceFile.ts"
import * as Values from "../Values.ts"

type Document =
  | { readonly _tag: "Group"; readonly attributes: JsonObject }
  | { readonly _tag: "Array2"; readonly zarray: JsonObject; readonly attributes: JsonObject }
  | { readonly _tag: "Array3"; readonly json: JsonObject }

/** Nodes by their paths, parents first. */
export type Documents = ReadonlyMap<string, Document>

/** Metadata that is read of a node, and of all nodes in one object. */
const maxBytes = 64 * 1024 * 1024

/** A directory, as the beginning of what is in it. */
export const prefixOf = (key: string): string => (key === "" || key.endsWith("/") ? key : `${key}/`)

/** The text that a value was written as. */
interface Source {
  readonly source?: string
}

/** Whether an object is the metadata of an array of integers of 64 bits: others may have a `fill_value` that is anything. */
const isOfLongs = ({ data_type: three, dtype: two, zarr_format: format }: Readonly<Record<string, unknown>>): boolean =>
  format === 3 ? three === "int64" || three === "uint64" : format === 2 && /^[<>][iu]8$/.test(String(two))

/** Fill values of 64 bits that numbers do not hold exactly are `bigint`, of their own digits. */
function reviver(this: Readonly<Record<string, unknown>>, key: string, value: unknown, { source }: Source = {}) {
  return key === "fill_value" && source !== undefined && /^-?\d{16,20}$/.test(source) && isOfLongs(this)
    ? Values.integer(BigInt(source))
    : value
}

const json = (text: string): unknown =>
  /"fill_value"\s*:\s*-?\d{16}/.test(text) ? JSON.parse(text, reviver) : JSON.parse(text)

/** Python writes NaN and infinities, which JSON does not have: they become texts. */
export const parse = (text: string): unknown => {
  try {
    return json(text)
  } catch {
    // Texts of any length: alternatives in a loop would run out of stack.
    const quoted = text.replaceAll(/"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/gs, (part) =>
      part.startsWith('"') ? part : `"${part}"`
    )
    return json(quoted)
  }
}

/** Names of the objects that describe nodes. */
export const files = [".zarray", ".zgroup", ".zattrs", "zarr.json"] as const

/** What an object says, by its key below the root. */
export type Parts = Map<string, JsonObject>

const document3 = (json: JsonObject): Document | undefined => {
  const { attributes } = json
  if (json["node_type"] === "array") return { _tag: "Array3", json }
  return json["node_type"] === "group"
    ? { _tag: "Group", attributes: isObject(attributes) ? attributes : {} }
    : undefined
}

/** Nodes of the parts that describe them. */
export const nodes = (parts: Parts): Documents => {
  const found = new Map<string, Document>()
  for (const [key, json] of parts) {
    const cut = key.lastIndexOf("/")
    const path = `/${key.slice(0, Math.max(0, cut))}`
    const name = key.slice(cut + 1)
    const attributes = parts.get(`${key.slice(0, cut + 1)}.zattrs`) ?? {}
    if (name === "zarr.json") {
      const node = document3(json)
      if (node !== undefined) found.set(path, node)
    } else if (found.has(path)) continue
    else if (name === ".zarray") found.set(path, { _tag: "Array2", zarray: json, attributes })
    else if (name === ".zgroup") found.set(path, { _tag: "Group", attributes })
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const get = (root: SourceFile, key: string): Effect.Effect<JsonObject | undefined, ImportError> => {
  const location = `${prefixOf(root.location)}${key}`
  const damaged = (problem: string) => new DamagedFile({ location, offset: undefined, problem })
  return root.store.get(`${prefixOf(root.key)}${key}`, { maxBytes }).pipe(
    Effect.flatMap(({ bytes }) =>
      Effect.try({
        try: () => parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Json,
        catch: () => damaged("it is not JSON")
      })
    ),
    Effect.flatMap((json) => (isObject(json) ? Effect.succeed(json) : Effect.fail(damaged("it is not a JSON object")))),
    Effect.catchIf(
      (error) => error._tag === "ObjectStoreError" && ObjectStoreError.isNotFound(error),
      () => Effect.succeed(undefined)
    )
  )
}

/** Whether the store lists what it has: one request. */
export const canList = (root: SourceFile): Effect.Effect<boolean, ImportError> =>
  root.store.list(`${prefixOf(root.key)}zarr.json`).pipe(
    Stream.take(1),
    Stream.runDrain,
    Effect.as(true),
    Effect.catchIf(ObjectStoreError.hasReason("Unsupported"), () => Effect.succeed(false))
  )

const listed = Effect.fnUntraced(function* (root: SourceFile) {
  const prefix = prefixOf(root.key)
  const keys = yield* root.store.list(prefix).pipe(
    Stream.map(({ key }) => key.slice(prefix.length)),
    Stream.filter((key) => files.some((name) => key === name || key.endsWith(`/${name}`))),
    Stream.runCollect
  )
  const parts: Parts = new Map()
  yield* Effect.forEach(
    keys,
    (key) => Effect.map(get(root, key), (json) => void (json !== undefined && parts.set(key, json))),
    { concurrency: root.store.maxConcurrentRequests ?? 64, discard: true }
  )
  return parts
})

const wrong = (root: SourceFile, problem: string) =>
  new WrongFormat({ location: root.location, expected: "Zarr", problem })

/** Why there is no Zarr at the root. */
const nothingThere = Effect.fnUntraced(function* (root: SourceFile): Effect.fn.Return<never, ImportError> {
  const prefix = prefixOf(root.key)
  for (const key of ["repo", "refs/branch.main/ref.json"]) {
    const there = yield* root.store.head(`${prefix}${key}`).pipe(
      Effect.as(true),
      Effect.catchIf(ObjectStoreError.isNotFound, () => Effect.succeed(false))
    )
    if (there) {
      return yield* wrong(
        root,
        "it is an Icechunk repository; open it with `Repository`, and copy nodes with `copyFrom`"
      )
    }
  }
  return yield* wrong(root, "there is neither `zarr.json` nor `.zgroup` nor `.zarray`")
})

const consolidated3 = (root: JsonObject): Parts | undefined => {
  const { consolidated_metadata: inside } = root
  const metadata = isObject(inside) ? inside["metadata"] : undefined
  if (!isObject(metadata)) return undefined
  const parts: Parts = new Map([["zarr.json", root]])
  for (const [path, json] of Object.entries(metadata)) {
    if (isObject(json)) parts.set(`${path.replaceAll(/^\/|\/$/g, "")}/zarr.json`, json)
  }
  return parts
}

export const consolidated2 = (root: JsonObject): Parts | undefined => {
  const { metadata } = root
  if (!isObject(metadata)) return undefined
  const parts: Parts = new Map()
  for (const [key, json] of Object.entries(metadata)) if (isObject(json)) parts.set(key, json)
  return parts
}

/** The metadata of a hierarchy, and whether a listing of the store found it. */
interface Found {
  readonly documents: Documents
  readonly isListed: boolean
}

const inObjects = (parts: Parts): Found => ({ documents: nodes(parts), isListed: false })

/** All metadata of a hierarchy. */
export const read = Effect.fnUntraced(function* (root: SourceFile): Effect.fn.Return<Found, ImportError> {
  const three = yield* get(root, "zarr.json")
  if (three !== undefined) {
    if (three["node_type"] === "array") return inObjects(new Map([["zarr.json", three]]))
    const parts = consolidated3(three)
    if (parts !== undefined) return inObjects(parts)
  } else {
    const all = yield* get(root, ".zmetadata")
    const parts = all === undefined ? undefined : consolidated2(all)
    if (parts !== undefined) return inObjects(parts)
    const zarray = yield* get(root, ".zarray")
    if (zarray !== undefined) {
      const zattrs = (yield* get(root, ".zattrs")) ?? {}
      return inObjects(
        new Map([
          [".zarray", zarray],
          [".zattrs", zattrs]
        ])
      )
    }
    if ((yield* get(root, ".zgroup")) === undefined) return yield* nothingThere(root)
  }
  return yield* listed(root).pipe(
    Effect.map((parts) => ({ documents: nodes(parts), isListed: true })),
    Effect.catchIf(
      (error) => error._tag === "ObjectStoreError" && ObjectStoreError.hasReason("Unsupported")(error),
      () => Effect.fail(wrong(root, "its store lists nothing, and it has no consolidated metadata; consolidate it"))
    )
  )
})
