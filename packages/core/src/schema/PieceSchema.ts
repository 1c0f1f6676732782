/**
 * Schemas of the pieces of a session and of what they are filled with, for programs that send them to other machines. Both
 * become JSON, in which columns and bytes are base64; as values they are plain data, which `structuredClone` copies, so that
 * threads need no schema.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Pieces from "../repository/changes/Pieces.ts"
import * as NodePaths from "../values/NodePath.ts"
import type { ManifestId, NodeId, SnapshotId } from "../values/ObjectId.ts"
import { RepositoryConfig } from "./ConfigSchema.ts"

const path = Schema.String.pipe(
  Schema.refine((text): text is NodePaths.NodePath => NodePaths.parse(text)._tag === "Success", {
    identifier: "NodePath"
  })
)
const node = Schema.String.pipe(
  Schema.refine((text): text is NodeId => /^[0-9A-HJKMNP-TV-Z]{13}$/.test(text), { identifier: "NodeId" })
)
const isId = (text: string): boolean => /^[0-9A-HJKMNP-TV-Z]{20}$/.test(text)
const snapshot = Schema.String.pipe(
  Schema.refine((text): text is SnapshotId => isId(text), { identifier: "SnapshotId" })
)
const manifest = Schema.String.pipe(
  Schema.refine((text): text is ManifestId => isId(text), { identifier: "ManifestId" })
)
const bytes = Schema.Uint8ArrayFromBase64

type Column = Uint32Array | Float64Array

/** Numbers, little-endian. */
const column = <A extends Column>(
  make: new (count: number) => A,
  read: (view: DataView, at: number) => number,
  write: (view: DataView, at: number, value: number) => void
) =>
  bytes.pipe(
    Schema.decodeTo(
      Schema.instanceOf(make as unknown as new () => Column) as unknown as Schema.Codec<A>,
      SchemaTransformation.transform<A, Uint8Array>({
        decode: (bytes) => {
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
          const size = (make as unknown as { readonly BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT
          const numbers = new make(Math.floor(bytes.length / size))
          for (let i = 0; i < numbers.length; i++) numbers[i] = read(view, size * i)
          return numbers
        },
        encode: (numbers) => {
          const size = numbers.BYTES_PER_ELEMENT
          const bytes = new Uint8Array(size * numbers.length)
          const view = new DataView(bytes.buffer)
          for (let i = 0; i < numbers.length; i++) write(view, size * i, numbers[i]!)
          return bytes
        }
      })
    )
  )

const whole = column<Uint32Array>(
  Uint32Array,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true)
)
const double = column<Float64Array>(
  Float64Array,
  (view, at) => view.getFloat64(at, true),
  (view, at, value) => view.setFloat64(at, value, true)
)

const extents = Schema.Array(Schema.Struct({ from: Schema.Int, to: Schema.Int }))
const type = Schema.Literals(["Group", "Array"])
const metadata = Schema.Union([
  Schema.TaggedStruct("Group", {}),
  Schema.TaggedStruct("Array", {
    shape: Schema.Array(Schema.Struct({ length: Schema.Number, numChunks: Schema.Int })),
    dimensionNames: Schema.UndefinedOr(Schema.Array(Schema.UndefinedOr(Schema.String)))
  })
])

/**
 * A piece of a session.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Piece: Schema.Codec<Pieces.Piece, unknown> = Schema.toCodecJson(
  Schema.TaggedStruct("Piece", {
    id: Schema.String,
    session: Schema.String,
    repositoryId: Schema.String,
    branch: Schema.String,
    base: snapshot,
    regions: Schema.UndefinedOr(Schema.Array(Schema.Struct({ node, path, extents }))),
    nodes: Schema.Struct({
      created: Schema.Array(Schema.Struct({ node, path, zarrJson: bytes, metadata })),
      updated: Schema.Array(Schema.Struct({ node, zarrJson: bytes, metadata })),
      moved: Schema.Array(Schema.Struct({ node, from: path, to: path, type })),
      deleted: Schema.Array(Schema.Struct({ node, path, type }))
    }),
    config: RepositoryConfig
  })
) as Schema.Codec<Pieces.Piece, unknown>

const refs = Schema.Struct({
  rank: Schema.Int,
  indices: whole,
  kinds: bytes,
  offsets: double,
  lengths: double,
  targets: whole,
  checksums: whole,
  locations: Schema.Array(Schema.String),
  etags: Schema.Array(Schema.String),
  inline: bytes,
  ids: bytes
})

/**
 * A piece that a worker has filled.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Filled: Schema.Codec<Pieces.Filled, unknown> = Schema.toCodecJson(
  Schema.TaggedStruct("Filled", {
    piece: Schema.String,
    session: Schema.String,
    base: snapshot,
    arrays: Schema.Array(
      Schema.Struct({
        node,
        path,
        refs: Schema.UndefinedOr(refs),
        manifests: Schema.Array(Schema.Struct({ id: manifest, extents, refs: Schema.Int, sizeBytes: Schema.Int }))
      })
    )
  })
) as Schema.Codec<Pieces.Filled, unknown>
