/**
 * Manifests and transaction logs read with the official package `flatbuffers`, in the manner of generated
 * code: a reader that shares nothing with ours. It checks what Icechunk's verifier checks too: that
 * everything is aligned, and that texts end with a zero byte.
 */
import { ByteBuffer } from "flatbuffers"
import { expect } from "vitest"

interface Table {
  readonly buffer: ByteBuffer
  readonly at: number
}

const align = (position: number, to: number): number => {
  if (position % to !== 0) expect.fail(`position ${position} is not aligned to ${to} bytes`)
  return position
}

const open = (buffer: ByteBuffer, at: number): Table => {
  const vtable = align(align(at, 4) - buffer.readInt32(at), 2)
  const size = align(buffer.readUint16(vtable), 2)
  expect(vtable).toBeGreaterThanOrEqual(8)
  expect(vtable + size).toBeLessThanOrEqual(buffer.capacity())
  expect(at + buffer.readUint16(vtable + 2)).toBeLessThanOrEqual(buffer.capacity())
  return { buffer, at }
}

const root = (payload: Uint8Array): Table => {
  const buffer = new ByteBuffer(payload.slice())
  expect(buffer.getBufferIdentifier()).toBe("Ichk")
  return open(buffer, buffer.readUint32(0))
}

/** Position of a field, 0 when it is absent. */
const field = ({ at, buffer }: Table, slot: number): number => {
  const offset = buffer.__offset(at, 4 + 2 * slot)
  return offset === 0 ? 0 : at + offset
}

const has = (table: Table, slot: number): boolean => field(table, slot) !== 0

const u8 = (table: Table, slot: number, absent: number): number =>
  has(table, slot) ? table.buffer.readUint8(field(table, slot)) : absent

const u32 = (table: Table, slot: number): number =>
  has(table, slot) ? table.buffer.readUint32(align(field(table, slot), 4)) : 0

const u64 = (table: Table, slot: number): bigint =>
  has(table, slot) ? table.buffer.readUint64(align(field(table, slot), 8)) : 0n

const bytesAt = ({ buffer }: Table, at: number, size: number): Uint8Array => buffer.bytes().slice(at, at + size)

const struct = (table: Table, slot: number, size: number): Uint8Array => bytesAt(table, field(table, slot), size)

/** Start and length of a vector. */
const vector = (table: Table, slot: number): { readonly start: number; readonly length: number } => {
  const target = align(table.buffer.__indirect(align(field(table, slot), 4)), 4)
  return { start: target + 4, length: table.buffer.readUint32(target) }
}

const bytes = (table: Table, slot: number): Uint8Array | undefined => {
  if (!has(table, slot)) return undefined
  const { length, start } = vector(table, slot)
  return bytesAt(table, start, length)
}

const string = (table: Table, slot: number): string | undefined => {
  if (!has(table, slot)) return undefined
  const { length, start } = vector(table, slot)
  expect(table.buffer.readUint8(start + length)).toBe(0)
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesAt(table, start, length))
}

const tables = (table: Table, slot: number): ReadonlyArray<Table> => {
  const { length, start } = vector(table, slot)
  return Array.from({ length }, (_, i) => open(table.buffer, table.buffer.__indirect(start + 4 * i)))
}

const u32s = (table: Table, slot: number): ReadonlyArray<number> => {
  const { length, start } = vector(table, slot)
  return Array.from({ length }, (_, i) => table.buffer.readUint32(start + 4 * i))
}

export const readManifest = (payload: Uint8Array) => {
  const manifest = root(payload)
  return {
    id: struct(manifest, 0, 12),
    dictionary: bytes(manifest, 2),
    algorithm: u8(manifest, 3, 1),
    extra: bytes(manifest, 4),
    arrays: tables(manifest, 1).map((array) => ({
      node: struct(array, 0, 8),
      extra: bytes(array, 2),
      refs: tables(array, 1).map((ref) => ({
        index: u32s(ref, 0),
        inline: bytes(ref, 1),
        offset: u64(ref, 2),
        length: u64(ref, 3),
        chunkId: has(ref, 4) ? struct(ref, 4, 12) : undefined,
        location: string(ref, 5),
        etag: string(ref, 6),
        lastModified: u32(ref, 7),
        compressedLocation: bytes(ref, 8),
        extra: bytes(ref, 9)
      }))
    }))
  }
}

const nodeIds = (table: Table, slot: number): ReadonlyArray<Uint8Array> => {
  const { length, start } = vector(table, slot)
  return Array.from({ length }, (_, i) => bytesAt(table, start + 8 * i, 8))
}

export const readTransactionLog = (payload: Uint8Array) => {
  const log = root(payload)
  return {
    id: struct(log, 0, 12),
    newGroups: nodeIds(log, 1),
    newArrays: nodeIds(log, 2),
    deletedGroups: nodeIds(log, 3),
    deletedArrays: nodeIds(log, 4),
    updatedArrays: nodeIds(log, 5),
    updatedGroups: nodeIds(log, 6),
    updatedChunks: tables(log, 7).map((array) => ({
      node: struct(array, 0, 8),
      chunks: tables(array, 1).map((chunk) => u32s(chunk, 0))
    })),
    movedNodes: tables(log, 8).map((move) => ({
      from: string(move, 0),
      to: string(move, 1),
      node: struct(move, 2, 8),
      type: u8(move, 3, 0)
    })),
    extra: bytes(log, 9)
  }
}
