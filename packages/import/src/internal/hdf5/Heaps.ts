/**
 * Heaps: local ones with the names of old groups, global ones with texts of any length. Source: HDF5 File Format Specification 3.0,
 * III.D and III.E.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

/** The data of a local heap: texts at offsets, each up to its NUL. */
export const readLocal = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  address: number
): Effect.fn.Return<Cursor, ImportError> {
  const bytes = yield* source.read(address, 8 + 2 * sizes.lengthSize + sizes.offsetSize)
  const { at, size } = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, address, sizes)
    cursor.signature("HEAP")
    cursor.version("a local heap", 0)
    cursor.skip(3)
    const size = cursor.length()
    cursor.skip(sizes.lengthSize)
    return { size, at: cursor.place("the data of a local heap") }
  })
  return new Cursor(yield* source.read(at, size), at, sizes)
})

/** The bytes at an offset of a local heap. */
export const localText = (heap: Cursor, offset: number): Uint8Array => {
  if (offset >= heap.bytes.length) heap.fail(`a name is at ${offset} of a heap of ${heap.bytes.length} bytes`, 0)
  const end = heap.bytes.indexOf(0, offset)
  return heap.bytes.subarray(offset, end < 0 ? undefined : end)
}

/** Where something is in a global heap. */
export interface GlobalId {
  readonly address: number
  readonly index: number
}

/** What is in a heap under an id. */
export type Lookup = (id: GlobalId) => Uint8Array | undefined

/** Heads of collections and of their objects take whole words of eight bytes, whatever size lengths have. */
const headBytes = ({ lengthSize }: Sizes): number => Math.ceil((8 + lengthSize) / 8) * 8

const parseCollection = (cursor: Cursor, end: number): ReadonlyMap<number, Uint8Array> => {
  const objects = new Map<number, Uint8Array>()
  const head = headBytes(cursor.sizes)
  while (cursor.at + head <= end) {
    const { at } = cursor
    const index = cursor.u16()
    cursor.skip(6)
    const size = cursor.length()
    // What is left is free.
    if (index === 0) break
    cursor.skip(at + head - cursor.at)
    objects.set(index, cursor.take(size))
    cursor.skip(Math.min(cursor.left, (8 - (size % 8)) % 8))
  }
  return objects
}

interface Collection {
  readonly bytes: number
  readonly objects: ReadonlyMap<number, Uint8Array>
}

/** Bytes of collections that are held for who asks next. */
const heldBytes = 16 * 1024 * 1024

/** Global heaps of a file. Each collection is read once for all that need it at a time, and held for a while. */
export class GlobalHeaps {
  readonly #source: ByteSource
  readonly #sizes: Sizes
  /** The one that was used last is at the end. */
  readonly #held = new Map<number, Collection>()

  constructor(source: ByteSource, sizes: Sizes) {
    this.#source = source
    this.#sizes = sizes
  }

  #hold(used: ReadonlyMap<number, Collection>): void {
    for (const [address, collection] of used) {
      this.#held.delete(address)
      this.#held.set(address, collection)
    }
    let total = 0
    for (const { bytes } of this.#held.values()) total += bytes
    for (const [address, { bytes }] of this.#held) {
      if (total <= heldBytes) return
      this.#held.delete(address)
      total -= bytes
    }
  }

  /** Fetches the collections that the ids are in. */
  load(ids: ReadonlyArray<GlobalId>): Effect.Effect<Lookup, ImportError> {
    const [source, sizes, held] = [this.#source, this.#sizes, this.#held]
    const hold = (used: ReadonlyMap<number, Collection>) => this.#hold(used)
    return Effect.gen(function* () {
      const used = new Map<number, Collection>()
      const missing: Array<number> = []
      for (const address of new Set(ids.map((id) => id.address))) {
        const collection = held.get(address)
        if (collection === undefined) missing.push(address)
        else used.set(address, collection)
      }
      const prefix = headBytes(sizes)
      const heads = yield* source.readMany(missing.map((start) => ({ start, end: start + prefix })))
      const lengths = yield* parsing(source, () =>
        heads.map((bytes, i) => {
          const cursor = new Cursor(bytes, missing[i]!, sizes)
          cursor.signature("GCOL")
          cursor.version("a global heap", 1)
          cursor.skip(3)
          return Math.max(prefix, cursor.length())
        })
      )
      const whole = yield* source.readMany(missing.map((start, i) => ({ start, end: start + lengths[i]! })))
      yield* parsing(source, () => {
        for (const [i, bytes] of whole.entries()) {
          const cursor = new Cursor(bytes, missing[i]!, sizes)
          cursor.skip(prefix)
          used.set(missing[i]!, { bytes: bytes.length, objects: parseCollection(cursor, bytes.length) })
        }
      })
      hold(used)
      return ({ address, index }: GlobalId) => used.get(address)?.objects.get(index)
    })
  }
}
