/**
 * References of an array as columns of refs, and the bytes of those that have them inside.
 *
 * @since 0.1.0
 */
import type { Checksum } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Chunks, Json } from "../../Dataset.ts"
import type { ImportError } from "../../ImportError.ts"
import type { ReadOptions, SourceFile } from "../../SourceFile.ts"
import * as ByteSource from "../ByteSource.ts"
import * as Pieces from "../Pieces.ts"
import * as Locations from "./Locations.ts"

/** What is asked of objects that are referred to as a whole. */
export interface Whole {
  readonly open: ((location: string) => SourceFile | undefined) | undefined
  readonly checksum: ReadOptions["checksum"]
}

/** The location of a URL as it is written, or why there is none. */
export type Resolve = (written: string | null) => Result.Result<string, string>

const decoder64 = (text: string): Result.Result<Uint8Array, string> =>
  Result.try({
    try: () => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
    catch: () => "its bytes are not base64"
  })

/** Bytes of a text inside of references. */
export const inline = (text: string): Result.Result<Uint8Array, string> =>
  text.startsWith("base64:") ? decoder64(text.slice(7)) : Result.succeed(new TextEncoder().encode(text))

const base64 = new TextEncoder().encode("base64:")

const isLength = (value: Json | undefined): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** The key of a chunk for messages, or how it is made. */
type Key = string | (() => string)

/** Rows of one array, in the order in which they come. */
export class Rows {
  readonly #indices: Array<number> = []
  readonly #offsets: Array<number> = []
  /** 0 for the whole object. */
  readonly #lengths: Array<number> = []
  readonly #ids: Array<number> = []
  readonly #locations: Array<string> = []
  readonly #known = new Map<string | null, Result.Result<number, string>>()
  readonly #bytes: Array<readonly [index: ReadonlyArray<number>, bytes: Uint8Array]> = []
  /** What cannot be used: how many, and the first. */
  readonly problems = new Map<string, { readonly key: string; count: number }>()
  readonly #rank: number
  readonly #resolve: Resolve

  constructor(rank: number, resolve: Resolve) {
    this.#rank = rank
    this.#resolve = resolve
  }

  skip(key: Key, problem: string): void {
    const known = this.problems.get(problem)
    if (known !== undefined) known.count++
    else this.problems.set(problem, { key: typeof key === "string" ? key : key(), count: 1 })
  }

  #idOf(written: string | null): Result.Result<number, string> {
    const known = this.#known.get(written)
    if (known !== undefined) return known
    const name = written === null ? "the target" : `\`${Locations.shown(written)}\``
    const id = Result.mapBoth(this.#resolve(written), {
      onFailure: (problem) => `${name} has no location: ${problem}`,
      onSuccess: (location) => this.#locations.push(location) - 1
    })
    this.#known.set(written, id)
    return id
  }

  /** A range of an object, or all of it where its length is 0. */
  ref(key: Key, index: Uint32Array, url: string | null, offset: number, length: number): void {
    const id = this.#idOf(url)
    if (Result.isFailure(id)) return this.skip(key, id.failure)
    for (let axis = 0; axis < this.#rank; axis++) this.#indices.push(index[axis]!)
    this.#offsets.push(offset)
    this.#lengths.push(length)
    this.#ids.push(id.success)
  }

  bytes(key: Key, index: Uint32Array, bytes: Uint8Array): void {
    const isText = bytes.length >= base64.length && base64.every((byte, i) => bytes[i] === byte)
    const content = isText ? inline(new TextDecoder().decode(bytes)) : Result.succeed(bytes)
    if (Result.isFailure(content)) this.skip(key, content.failure)
    else if (content.success.length === 0) this.skip(key, "it has no bytes")
    else this.#bytes.push([[...index.subarray(0, this.#rank)], content.success])
  }

  /** A reference as JSON has it. */
  json(key: Key, index: Uint32Array, reference: Json): void {
    if (typeof reference === "string") return this.bytes(key, index, new TextEncoder().encode(reference))
    const list = Array.isArray(reference) ? (reference as ReadonlyArray<Json>) : []
    const [url, offset, length] = list
    if ((typeof url !== "string" && url !== null) || (list.length !== 1 && list.length !== 3)) {
      return this.skip(key, "it is neither a text nor `[url]` nor `[url, offset, length]`")
    }
    if (list.length === 1) this.ref(key, index, url, 0, 0)
    else this.range(key, index, url, offset, length)
  }

  /** A range of an object as it is written. */
  range(key: Key, index: Uint32Array, url: string | null, offset: Json | undefined, length: Json | undefined): void {
    if (!isLength(offset) || !isLength(length) || offset + length > Number.MAX_SAFE_INTEGER) {
      return this.skip(key, "its offset and length are not two numbers from 0 on")
    }
    if (length === 0) return this.skip(key, "it has no bytes")
    this.ref(key, index, url, offset, length)
  }

  /** All of them, in batches. Objects that are referred to as a whole are asked for their size. */
  chunks(whole: Whole, onProblem: (key: string, problem: string) => void): Stream.Stream<Chunks, ImportError> {
    const rank = this.#rank
    const indices = Uint32Array.from(this.#indices)
    const offsets = Float64Array.from(this.#offsets)
    const lengths = Float64Array.from(this.#lengths)
    const ids = Uint32Array.from(this.#ids)
    for (const column of [this.#indices, this.#offsets, this.#lengths, this.#ids]) column.length = 0
    const values = this.#locations
    const refs = Pieces.batches(lengths.length).pipe(
      Stream.mapEffect(({ from, to }): Effect.Effect<Chunks, ImportError> => {
        const columns = {
          indices: indices.slice(from * rank, to * rank),
          offsets: offsets.slice(from, to),
          lengths: lengths.slice(from, to),
          locations: { values, ids: ids.slice(from, to) }
        }
        return columns.lengths.includes(0)
          ? sized(whole, rank, columns, onProblem)
          : Effect.succeed({ _tag: "Refs", refs: columns })
      })
    )
    const bytes = Stream.fromIterable(this.#bytes).pipe(
      Stream.map(([index, bytes]): Chunks => ({ _tag: "Bytes", index, bytes: bytes.slice() }))
    )
    return Stream.concat(refs, bytes)
  }
}

interface Columns {
  readonly indices: Uint32Array
  readonly offsets: Float64Array
  readonly lengths: Float64Array
  readonly locations: { readonly values: ReadonlyArray<string>; readonly ids: Uint32Array }
}

/** Rows whose length is 0 get that of their object; those without one are left out. */
const sized = Effect.fnUntraced(function* (
  { checksum, open }: Whole,
  rank: number,
  { indices, lengths, locations: { ids, values }, offsets }: Columns,
  onProblem: (key: string, problem: string) => void
): Effect.fn.Return<Chunks, ImportError> {
  const asked = [...new Set(ids.filter((_, row) => lengths[row] === 0))]
  const sizes = new Map<number, number>()
  const checksums = new Map<number, Checksum.Checksum | undefined>()
  const ask = (id: number) => {
    const location = values[id]!
    const file = open?.(location)
    if (file === undefined) {
      onProblem(
        Locations.shown(location),
        "a whole object is referred to, and nobody says in which store it is; tell by `open`"
      )
      return Effect.void
    }
    return Effect.map(file.store.head(file.key), (meta) => {
      if (meta.size === 0) onProblem(Locations.shown(location), "it is an empty object")
      sizes.set(id, meta.size)
      checksums.set(id, ByteSource.checksumOf(meta, file.store.origin.platform, checksum))
    })
  }
  yield* Effect.forEach(asked, ask, { concurrency: 16, discard: true })
  const filled = lengths.map((length, row) => (length === 0 ? (sizes.get(ids[row]!) ?? 0) : length))
  const kept = [...filled.keys()].filter((row) => filled[row]! > 0)
  const take = (column: Float64Array) => Float64Array.from(kept, (row) => column[row]!)
  // Only locations that are left: the others need no container.
  const used = [...new Set(kept.map((row) => ids[row]!))]
  const places = new Map(used.map((id, place) => [id, place]))
  return {
    _tag: "Refs",
    refs: {
      indices: Uint32Array.from(
        { length: kept.length * rank },
        (_, i) => indices[kept[Math.floor(i / rank)]! * rank + (i % rank)]!
      ),
      offsets: take(offsets),
      lengths: take(filled),
      locations: {
        values: used.map((id) => values[id]!),
        ids: Uint32Array.from(kept, (row) => places.get(ids[row]!)!)
      },
      checksums: used.map((id) => checksums.get(id))
    }
  }
})
