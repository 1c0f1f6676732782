/**
 * Named JSON values: what a commit, or the repository as a whole, carries along.
 *
 * Source: Icechunk spec 2, `MetadataItem`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { canonical, type Json } from "../values/Json.ts"
import * as NodePath from "../values/NodePath.ts"
import type { FormatError } from "../encoding/FormatError.ts"
import type { FlatBuilder } from "../encoding/FlatBuilder.ts"
import { fields, type FlatVector, text } from "../encoding/FlatTable.ts"
import { type FlatWriter, shape, type Shape } from "../encoding/FlatWriter.ts"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"

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
 * Decodes one value: `Flexbuffer.decode`, or in files of spec 1 `Msgpack.decode`.
 *
 * @category models
 * @since 0.1.0
 */
export type DecodeValue = (file: string, field: string, bytes: Uint8Array) => Result.Result<Json, FormatError>

/**
 * Metadata from a vector of items. Throws a `FormatError`, as the methods of `FlatTable` do.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, field: string, decodeValue: DecodeValue, items: FlatVector): Metadata => {
  const bytes = new Map<string, Uint8Array>()
  items.mapTables((item) => {
    const name = item.string(Item.name)
    if (bytes.has(name)) item.fail(Item.name, "another item has the same name")
    bytes.set(name, item.copy(Item.value))
  })
  return of(file, field, decodeValue, bytes)
}

const of = (
  file: string,
  field: string,
  decodeValue: DecodeValue,
  bytes: ReadonlyMap<string, Uint8Array>
): Metadata => {
  const metadata: Metadata = Object.fromEntries(
    Array.from(bytes, ([name, value], index) => [
      name,
      Result.getOrThrow(decodeValue(file, `${field}[${index}].value`, value))
    ])
  )
  if (decodeValue === Flexbuffer.decode) origins.set(metadata, bytes)
  return metadata
}

/**
 * Metadata that was made from other metadata: what is the same in both is written back as it was.
 *
 * @category combinators
 * @since 0.1.0
 */
export const keepingOrigin = (before: Metadata, after: Metadata): Metadata => {
  const origin = origins.get(before)
  if (origin === undefined) return after
  const same = Array.from(origin).filter(
    ([name]) => Object.hasOwn(after, name) && canonical(after[name]) === canonical(before[name])
  )
  const copy = { ...after }
  origins.set(copy, new Map(same))
  return copy
}

/**
 * Metadata that `write` has written at a position of these bytes, which must not change.
 *
 * @category decoding
 * @since 0.1.0
 */
export const at = (written: Uint8Array, position: number): Metadata => {
  const view = new DataView(written.buffer, written.byteOffset, written.byteLength)
  const follow = (from: number): number => from + view.getUint32(from, true)
  const bytesAt = (vector: number): Uint8Array => {
    const start = vector + 4
    return written.subarray(start, start + view.getUint32(vector, true))
  }
  const bytes = new Map<string, Uint8Array>()
  for (let i = 0; i < view.getUint32(position, true); i++) {
    const table = follow(position + 4 + 4 * i)
    const name = text(bytesAt(follow(table + itemShape.at[Item.name.slot]!)))
    bytes.set(name, bytesAt(follow(table + itemShape.at[Item.value.slot]!)))
  }
  return of("", "metadata", Flexbuffer.decode, bytes)
}

/**
 * The same metadata with one more value, or with another in the place of one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const including = (metadata: Metadata, name: string, value: Json): Metadata => {
  const all: Metadata = { ...metadata, [name]: value }
  const origin = new Map(origins.get(metadata))
  origin.delete(name)
  origins.set(all, origin)
  return all
}

/**
 * A named value, as it is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item {
  readonly name: string
  /** As a flexbuffer. */
  readonly value: Uint8Array
}

/**
 * The items that metadata was decoded from, in the order of their names.
 *
 * @category decoding
 * @since 0.1.0
 */
export const origin = (metadata: Metadata): ReadonlyArray<Item> =>
  Array.from(origins.get(metadata) ?? [], ([name, value]) => ({ name, value })).toSorted((a, b) =>
    NodePath.compare(a.name, b.name)
  )

/**
 * Metadata as items, in the order of their names; fields that are `undefined` are left out.
 *
 * @category encoding
 * @since 0.1.0
 */
export const items = (metadata: Metadata): ReadonlyArray<Item> => {
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
 * The shape of an item's table.
 *
 * @category constants
 * @since 0.1.0
 */
export const itemShape: Shape = /*#__PURE__*/ shape(2, [
  [Item.name, 4],
  [Item.value, 4]
])

/**
 * Writes items as `encode` does, and returns the position of the vector; `vtable` is that of `itemShape`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (writer: FlatWriter, vtable: number, items: ReadonlyArray<Item>): number => {
  const vector = writer.vector(items.length, 4)
  for (const [i, { name, value }] of items.entries()) {
    const table = writer.table(itemShape, vtable)
    writer.refer(vector + 4 + 4 * i, table)
    writer.refer(table + itemShape.at[Item.name.slot]!, writer.text(name))
    writer.refer(table + itemShape.at[Item.value.slot]!, writer.vectorOf(value))
  }
  return vector
}

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
