/**
 * The chunk files of a repository.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as ChunkRef from "../format/manifest/ChunkRef.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type { Lane } from "../store/RequestGate.ts"
import * as ByteRange from "../values/ByteRange.ts"
import { Lately } from "../values/Lately.ts"
import type { ChunkId } from "../values/ObjectId.ts"
import type { ObjectReads, Target, Wanted } from "../virtual/ObjectReads.ts"
import type { VirtualReadError } from "../virtual/VirtualReadError.ts"
import * as Layout from "./Layout.ts"

type Native = Extract<ChunkRef.ChunkRef, { readonly _tag: "Native" }>

/** Chunk files of which parts are read at the same time. */
const maxTargets = 1024

/**
 * Reads chunk files. A whole chunk is a request of its own; parts that are wanted at the same time, as those of a shard are,
 * are read together.
 *
 * @category models
 * @since 0.1.0
 */
export class NativeChunks {
  readonly #store: ObjectStoreShape
  readonly reads: ObjectReads
  readonly #lane: Lane
  readonly #targets = new Lately<Target>(maxTargets)

  constructor(store: ObjectStoreShape, reads: ObjectReads) {
    this.#store = store
    this.reads = reads
    this.#lane = reads.gate.lane(store)
  }

  /** The bytes of a chunk from `start` to before `end`. */
  read({ id, length, offset }: Native, { end, start }: ByteRange.Span): Effect.Effect<Uint8Array, VirtualReadError> {
    if (end - start < length) return this.reads.read(this.#target(id), "", offset + start, offset + end)
    const get = this.#store.get(Layout.chunk(id), { range: ByteRange.bounded(offset, length) })
    return this.reads.gate.through(this.#lane, length, Effect.map(get, bytesOf))
  }

  /** The text of a chunk's place, the same for the same bytes, where these may be kept. */
  cacheKey({ id, length, offset }: Native): string | undefined {
    const { description, isLocal, origin } = this.#store
    if (isLocal === true) return undefined
    return `${origin.platform}\n${origin.endpoint ?? ""}\n${description}\n${Layout.chunk(id)}\n${offset} ${length}`
  }

  /** A whole chunk, for those who read many at once. */
  wanted({ id, length, offset }: Native): Wanted {
    return { target: this.#target(id), location: "", start: offset, end: offset + length }
  }

  /** A chunk file as something that many parts are read of. */
  #target(id: ChunkId): Target {
    let target = this.#targets.get(id)
    if (target === undefined) {
      target = {
        place: this.#lane,
        key: Layout.chunk(id),
        conditions: undefined,
        failure: (error) => error,
        mismatch: undefined,
        warns: false,
        batch: undefined
      }
      this.#targets.set(id, target)
    }
    return target
  }
}

const bytesOf = ({ bytes }: { readonly bytes: Uint8Array }): Uint8Array => bytes
