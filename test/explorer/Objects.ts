/**
 * The objects of a store as data, requests as data, and what a request does to them. Pure, but for the map that
 * a world changes in place: the same schedule always has the same effect.
 */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Result from "effect/Result"

export interface Entry {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly lastModified: number
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/** All objects at one moment. Bytes are never changed once they are in it, so that an image is copied by its entries. */
export type Image = ReadonlyMap<string, Entry>

export type Request =
  | { readonly op: "get"; readonly key: string; readonly options?: ObjectStore.GetOptions | undefined }
  | { readonly op: "head"; readonly key: string }
  | { readonly op: "list"; readonly prefix: string }
  | {
      readonly op: "put"
      readonly key: string
      readonly bytes: Uint8Array
      readonly options?: ObjectStore.PutOptions | undefined
    }
  | { readonly op: "delete"; readonly keys: ReadonlyArray<string> }
  | {
      readonly op: "copy"
      readonly from: string
      readonly to: string
      readonly ifMatch?: ObjectStore.Version | undefined
    }

export const description = "explorer://"

/** The key that a request is named after in errors and traces. */
export const keyOf = (request: Request): string => {
  switch (request.op) {
    case "list":
      return request.prefix
    case "delete":
      return request.keys.join(" ")
    case "copy":
      return request.from
    default:
      return request.key
  }
}

export const failure = (request: Request, reason: Errors.Reason): Errors.ObjectStoreError =>
  new Errors.ObjectStoreError({ store: description, operation: request.op, key: keyOf(request), reason })

const sameTag = (a: string | undefined, b: string): boolean =>
  a !== undefined && Checksum.opaqueTag(a) === Checksum.opaqueTag(b)

const metaOf = (key: string, { bytes, etag, lastModified, metadata }: Entry): ObjectStore.ObjectMeta => ({
  key,
  size: bytes.length,
  lastModified,
  version: { etag },
  metadata
})

/** Conditions that this store evaluates. One that it does not know must not be ignored. */
const knownConditions = new Set(["range", "ifMatch", "ifUnmodifiedSince", "ifNoneMatch", "maxBytes"])

const get = (request: Request & { readonly op: "get" }, entry: Entry): Result.Result<unknown, Errors.Reason> => {
  const { bytes, etag, lastModified } = entry
  const options = request.options ?? {}
  const unknown = Object.keys(options).find((name) => !knownConditions.has(name))
  if (unknown !== undefined) throw new Error(`The explorer's store does not know the condition \`${unknown}\`.`)
  if (
    (options.ifMatch !== undefined && !sameTag(options.ifMatch, etag)) ||
    (options.ifUnmodifiedSince !== undefined && lastModified > options.ifUnmodifiedSince)
  ) {
    return Result.fail(new Errors.PreconditionFailed({}))
  }
  if (options.ifNoneMatch !== undefined && sameTag(options.ifNoneMatch, etag)) {
    return Result.fail(new Errors.NotModified({}))
  }
  const span = ByteRange.resolve(options.range, bytes.length)
  if (span === undefined) return Result.fail(new Errors.InvalidRange({ size: bytes.length }))
  const excess = ObjectStore.excess(span.end - span.start, options)
  if (excess !== undefined) return Result.fail(excess)
  return Result.succeed({ bytes: bytes.slice(span.start, span.end), span, meta: metaOf(request.key, entry) })
}

let versions = 0

/** A new ETag: a counter of all worlds, so that no version ever comes back. */
const nextTag = (): string => `"${++versions}"`

const put = (
  objects: Map<string, Entry>,
  request: Request & { readonly op: "put" },
  now: number
): Result.Result<unknown, Errors.Reason> => {
  const current = objects.get(request.key)
  const mode = request.options?.mode
  if (mode?._tag === "Create" && current !== undefined) return Result.fail(new Errors.AlreadyExists({}))
  if (mode?._tag === "Update" && (current === undefined || !sameTag(mode.version.etag, current.etag))) {
    return Result.fail(new Errors.PreconditionFailed({}))
  }
  const etag = nextTag()
  objects.set(request.key, {
    bytes: request.bytes.slice(),
    etag,
    lastModified: now,
    metadata: request.options?.metadata
  })
  return Result.succeed({ etag })
}

const run = (objects: Map<string, Entry>, request: Request, now: number): Result.Result<unknown, Errors.Reason> => {
  switch (request.op) {
    case "get": {
      const entry = objects.get(request.key)
      return entry === undefined ? Result.fail(new Errors.NotFound({})) : get(request, entry)
    }
    case "head": {
      const entry = objects.get(request.key)
      return entry === undefined ? Result.fail(new Errors.NotFound({})) : Result.succeed(metaOf(request.key, entry))
    }
    case "list":
      return Result.succeed(
        [...objects].filter(([key]) => key.startsWith(request.prefix)).map(([key, entry]) => metaOf(key, entry))
      )
    case "put":
      return put(objects, request, now)
    case "delete":
      for (const key of request.keys) objects.delete(key)
      return Result.succeed(undefined)
    case "copy": {
      const entry = objects.get(request.from)
      if (entry === undefined) return Result.fail(new Errors.NotFound({}))
      if (request.ifMatch !== undefined && !sameTag(request.ifMatch.etag, entry.etag)) {
        return Result.fail(new Errors.PreconditionFailed({}))
      }
      objects.set(request.to, { ...entry, etag: nextTag(), lastModified: now })
      return Result.succeed(undefined)
    }
  }
}

/** Lets a request take effect, and gives its answer. */
export const apply = (
  objects: Map<string, Entry>,
  request: Request,
  now: number
): Result.Result<unknown, Errors.ObjectStoreError> =>
  Result.mapError(run(objects, request, now), (reason) => failure(request, reason))

/** What a request reads and writes. */
export interface Footprint {
  readonly reads: ReadonlyArray<string>
  readonly writes: ReadonlyArray<string>
  /** A listing reads whatever starts with it. */
  readonly lists: string | undefined
}

const none: ReadonlyArray<string> = []

export const noFootprint: Footprint = { reads: none, writes: none, lists: undefined }

export const footprint = (request: Request): Footprint => {
  switch (request.op) {
    case "get":
    case "head":
      return { reads: [request.key], writes: none, lists: undefined }
    case "list":
      return { reads: none, writes: none, lists: request.prefix }
    case "put":
      return { reads: none, writes: [request.key], lists: undefined }
    case "delete":
      return { reads: none, writes: request.keys, lists: undefined }
    case "copy":
      return { reads: [request.from], writes: [request.to], lists: undefined }
  }
}

/** What is left of a footprint when the request was refused: it has only looked. */
export const onlyReads = ({ lists, reads, writes }: Footprint): Footprint => ({
  reads: [...reads, ...writes],
  writes: none,
  lists
})

const touches = (writes: ReadonlyArray<string>, other: Footprint): boolean =>
  writes.some(
    (key) =>
      other.reads.includes(key) ||
      other.writes.includes(key) ||
      (other.lists !== undefined && key.startsWith(other.lists))
  )

/** Whether the order of two requests can make a difference. */
export const dependent = (a: Footprint, b: Footprint): boolean => touches(a.writes, b) || touches(b.writes, a)
