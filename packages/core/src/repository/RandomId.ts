/**
 * New identifiers, from the platform's cryptographic random numbers: two writers that never heard of each
 * other must not meet.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ObjectId from "../values/ObjectId.ts"

const bytes = (length: number): Effect.Effect<Uint8Array> =>
  Effect.sync(() => globalThis.crypto.getRandomValues(new Uint8Array(length)))

/** Random bytes for nodes that are left of a larger draw: asking for them takes longer than all else that makes a node. */
const drawn = new Uint8Array(1024)
let used = drawn.length
let drawnAt = 0

/** Milliseconds after which what is left is forgotten, so that no two copies of a machine's memory go on with it. */
const lifetime = 20

/** Each byte of a draw is given away once. */
const take = (length: number): Uint8Array => {
  const now = Date.now()
  if (used + length > drawn.length || Math.abs(now - drawnAt) > lifetime) {
    globalThis.crypto.getRandomValues(drawn)
    drawnAt = now
    used = 0
  }
  used += length
  return drawn.slice(used - length, used)
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const snapshotId: Effect.Effect<ObjectId.SnapshotId> = /*#__PURE__*/ Effect.map(bytes(12), ObjectId.snapshotId)

/**
 * @category constructors
 * @since 0.1.0
 */
export const manifestId: Effect.Effect<ObjectId.ManifestId> = /*#__PURE__*/ Effect.map(bytes(12), ObjectId.manifestId)

/**
 * @category constructors
 * @since 0.1.0
 */
export const chunkId: Effect.Effect<ObjectId.ChunkId> = /*#__PURE__*/ Effect.map(bytes(12), ObjectId.chunkId)

/**
 * @category constructors
 * @since 0.1.0
 */
export const nodeId: Effect.Effect<ObjectId.NodeId> = /*#__PURE__*/ Effect.map(
  /*#__PURE__*/ Effect.sync(() => take(8)),
  ObjectId.nodeId
)

/**
 * Twelve random bytes as text, to tell one write from another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const writeId: Effect.Effect<string> = /*#__PURE__*/ Effect.map(bytes(12), ObjectId.encode)
