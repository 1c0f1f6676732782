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
export const nodeId: Effect.Effect<ObjectId.NodeId> = /*#__PURE__*/ Effect.map(bytes(8), ObjectId.nodeId)

/**
 * Twelve random bytes as text, to tell one write from another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const writeId: Effect.Effect<string> = /*#__PURE__*/ Effect.map(bytes(12), ObjectId.encode)
