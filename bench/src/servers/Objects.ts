/**
 * What the servers of the bench store, and how S3 and Google Cloud Storage are asked for it.
 *
 * Only what the two engines need: objects with ETags and generations, ranges, conditions, copies, lists. Signatures
 * are not looked at.
 */
import { randomBytes } from "node:crypto"

export interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly generation: string
  readonly lastModified: number
  readonly contentType: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface Request {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** By bucket and key, `bucket/key`. */
export type Objects = Map<string, Stored>

export const empty = Buffer.alloc(0)

// An ETag only has to be another one each time: a digest would cost the server what it is not measured for.
const run = randomBytes(8).toString("hex")
let generation = Date.now() * 1000

export const put = (
  objects: Objects,
  name: string,
  object: Pick<Stored, "bytes" | "contentType" | "metadata">
): Stored => {
  generation += 1
  const stored = {
    ...object,
    etag: `"${run}${generation.toString(16).padStart(16, "0")}"`,
    generation: String(generation),
    lastModified: Math.floor(Date.now() / 1000) * 1000
  }
  objects.set(name, stored)
  return stored
}

/** The part of an object that a `Range` asks for; `undefined` when there is nothing. */
export const rangeOf = (
  header: string | undefined,
  size: number
): { readonly start: number; readonly end: number; readonly isWhole: boolean } | undefined => {
  const range = /^bytes=(\d*)-(\d*)$/.exec(header ?? "")
  if (range === null) return { start: 0, end: size, isWhole: true }
  const [, first = "", last = ""] = range
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  return start < end ? { start, end, isWhole: false } : undefined
}

export const opaque = (etag: string): string => etag.replace(/^W\//, "").replaceAll('"', "")

/** Names in order, of one bucket and prefix, that come after one of them. */
export const namesOf = (objects: Objects, bucket: string, prefix: string, after: string): ReadonlyArray<string> =>
  Array.from(objects.keys(), (name) => (name.startsWith(`${bucket}/`) ? name.slice(bucket.length + 1) : undefined))
    .filter((key): key is string => key !== undefined && key.startsWith(prefix) && key > after)
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
