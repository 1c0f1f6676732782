/**
 * A schema of conflicts, for programs that send them elsewhere. Bytes and chunk numbers become base64.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Conflicts from "../repository/changes/Conflict.ts"
import * as NodePath from "../values/NodePath.ts"
import type { NodeId } from "../values/ObjectId.ts"

const path = Schema.String.pipe(
  Schema.refine((text): text is NodePath.NodePath => NodePath.parse(text)._tag === "Success", {
    identifier: "NodePath"
  })
)
const node = Schema.String.pipe(
  Schema.refine((text): text is NodeId => /^[0-9A-HJKMNP-TV-Z]{13}$/.test(text), { identifier: "NodeId" })
)
const bytes = Schema.Uint8ArrayFromBase64

/** Chunk numbers of 32 bits, little-endian. */
const coords = bytes.pipe(
  Schema.decodeTo(
    Schema.instanceOf(Uint32Array<ArrayBufferLike>),
    SchemaTransformation.transform<Uint32Array, Uint8Array>({
      decode: (bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(4 * i, true))
      },
      encode: (numbers) => {
        const bytes = new Uint8Array(4 * numbers.length)
        const view = new DataView(bytes.buffer)
        for (const [i, number] of numbers.entries()) view.setUint32(4 * i, number, true)
        return bytes
      }
    })
  )
)

const about = { path, node }

/**
 * Any conflict.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Conflict: Schema.Codec<Conflicts.Conflict, unknown> = Schema.Union([
  Schema.TaggedStruct("NewNodeConflictsWithExistingNode", { ...about, existing: node }),
  Schema.TaggedStruct("NewNodeInInvalidGroup", { ...about, above: path, array: Schema.optionalKey(node) }),
  Schema.TaggedStruct("ZarrMetadataDoubleUpdate", { ...about, base: bytes, ours: bytes, theirs: bytes }),
  Schema.TaggedStruct("ZarrMetadataUpdateOfDeletedArray", about),
  Schema.TaggedStruct("ZarrMetadataUpdateOfDeletedGroup", about),
  Schema.TaggedStruct("ZarrMetadataUpdateOfWrittenArray", about),
  Schema.TaggedStruct("ChunkDoubleUpdate", { ...about, rank: Schema.Int, count: Schema.Int, coords }),
  Schema.TaggedStruct("ChunksUpdatedInDeletedArray", about),
  Schema.TaggedStruct("ChunksUpdatedInUpdatedArray", about),
  Schema.TaggedStruct("DeleteOfUpdatedArray", about),
  Schema.TaggedStruct("DeleteOfUpdatedGroup", about),
  Schema.TaggedStruct("DeleteOfGroupWithNewNodes", {
    ...about,
    created: Schema.Array(Schema.Struct(about))
  }),
  Schema.TaggedStruct("MoveOperationCannotBeRebased", { ...about, problem: Schema.String })
])
