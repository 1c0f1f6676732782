/**
 * Named JSON values: what a commit, or the repository as a whole, carries along.
 *
 * Source: Icechunk spec 2, `MetadataItem`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json } from "../values/Json.ts"
import * as NodePath from "../values/NodePath.ts"
import type { FlatBuilder } from "../encoding/FlatBuilder.ts"
import { fields, type FlatVector } from "../encoding/FlatTable.ts"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"
import * as Msgpack from "../encoding/Msgpack.ts"

/**
 * JSON values by name.
 *
 * @category models
 * @since 0.1.0
 */
export type Metadata = Readonly<Record<string, Json>>

/**
 * The bytes that metadata was decoded from. What nobody changed is written back as it was, so that
 * integers beyond 2^53 and the difference of 1 and 1.0, which JSON in JavaScript loses, survive.
 */
const origins = new WeakMap<Metadata, ReadonlyMap<string, Uint8Array>>()

/**
 * Metadata from a vector of items: MessagePack in spec 1, flexbuffers in spec 2. Throws a `FormatError`,
 * as the methods of `FlatTable` do.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, field: string, specVersion: number, items: FlatVector): Metadata => {
  // Not the modules as values, which would keep their writers in the bundle of a program that only reads.
  const decodeValue = specVersion === 1 ? Msgpack.decode : Flexbuffer.decode
  const values = new Map<string, Json>()
  const bytes = new Map<string, Uint8Array>()
  items.mapTables((item, index) => {
    const name = item.string(Item.name)
    if (values.has(name)) item.fail(Item.name, "another item has the same name")
    const value = item.copy(Item.value)
    values.set(name, Result.getOrThrow(decodeValue(file, `${field}[${index}].value`, value)))
    bytes.set(name, value)
  })
  const metadata: Metadata = Object.fromEntries(values)
  if (specVersion !== 1) origins.set(metadata, bytes)
  return metadata
}

/**
 * Metadata as items, in the order of their names; fields that are `undefined` are left out.
 *
 * @category encoding
 * @since 0.1.0
 */
export const items = (metadata: Metadata): ReadonlyArray<{ readonly name: string; readonly value: Uint8Array }> => {
  const origin = origins.get(metadata)
  return Object.keys(metadata)
    .filter((name) => metadata[name] !== undefined)
    .toSorted(NodePath.compare)
    .map((name) => ({ name, value: origin?.get(name) ?? Flexbuffer.encode(metadata[name]!) }))
}

/**
 * The fields of an item in the schema.
 *
 * @category constants
 * @since 0.1.0
 */
export const Item = fields("name", "value")

/**
 * Writes metadata as a vector of items.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (builder: FlatBuilder, metadata: Metadata): number =>
  builder.offsets(
    items(metadata).map((item) => {
      const name = builder.sharedString(item.name)
      const value = builder.bytes(item.value)
      return builder.table(2, (table) => {
        table.offset(Item.name, name)
        table.offset(Item.value, value)
      })
    })
  )
