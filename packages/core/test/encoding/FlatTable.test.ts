import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import { attempt } from "../../src/encoding/Attempt.ts"
import * as FlatTable from "../../src/encoding/FlatTable.ts"
import type { FormatError } from "../../src/encoding/FormatError.ts"
import * as damage from "../format/damage.ts"

const T = FlatTable.fields(
  "u8",
  "u16",
  "u32",
  "i32",
  "u64",
  "id",
  "text",
  "child",
  "texts",
  "children",
  "bytes",
  "u16s",
  "pairs"
)

const bytes12 = Uint8Array.from({ length: 12 }, (_, i) => i)

const build = (): Uint8Array => {
  const builder = new FlatBuilder()
  const text = builder.string("grüße")
  const child = builder.table(13, (t) => t.u32(T.u32, 7))
  const texts = builder.offsets([builder.string(""), builder.string("b")])
  const children = builder.offsets([child, builder.table(13, (t) => t.u32(T.u32, 8))])
  const bytes = builder.bytes(Uint8Array.of(1, 2, 3))
  const u16s = builder.u16s([1, 65_535])
  const pairs = builder.u32s([1, 2, 3, 0xffff_ffff], 2)
  return builder
    .finish(
      builder.table(13, (t) => {
        t.u8(T.u8, 255)
        t.u16(T.u16, 65_535)
        t.u32(T.u32, 0xffff_ffff)
        t.i32(T.i32, -1)
        t.u64(T.u64, Number.MAX_SAFE_INTEGER)
        t.struct(T.id, bytes12)
        t.offset(T.text, text)
        t.offset(T.child, child)
        t.offset(T.texts, texts)
        t.offset(T.children, children)
        t.offset(T.bytes, bytes)
        t.offset(T.u16s, u16s)
        t.offset(T.pairs, pairs)
      })
    )
    .slice()
}

/** Visits every field. */
const readAll = (payload: Uint8Array) =>
  FlatTable.decode("snapshots/X", payload, (root) => {
    const pairs = root.vector(T.pairs, 8)
    const u16s = root.vector(T.u16s, 2)
    const texts = root.vector(T.texts, 4)
    return {
      scalars: [root.u8(T.u8), root.u16(T.u16), root.u32(T.u32), root.i32(T.i32), root.u64(T.u64)],
      id: root.struct(T.id, 12),
      text: root.string(T.text),
      child: root.table(T.child).u32(T.u32),
      texts: Array.from({ length: texts.length }, (_, i) => texts.string(i)),
      children: root.vector(T.children, 4).mapTables((table) => table.u32(T.u32)),
      bytes: root.bytes(T.bytes),
      u16s: Array.from({ length: u16s.length }, (_, i) => u16s.u16(i)),
      pairs: Array.from({ length: pairs.length }, (_, i) => [pairs.u32(i), pairs.u32(i, 4)])
    }
  })

const failure = (payload: Uint8Array, f: (root: FlatTable.FlatTable) => unknown): FormatError => {
  const result = FlatTable.decode("snapshots/X", payload, f)
  if (Result.isSuccess(result)) throw new Error("it was decoded")
  return result.failure
}

describe("FlatTable", () => {
  it("reads every kind of field", () => {
    expect(Result.getOrThrow(readAll(build()))).toStrictEqual({
      scalars: [255, 65_535, 0xffff_ffff, -1, Number.MAX_SAFE_INTEGER],
      id: bytes12,
      text: "grüße",
      child: 7,
      texts: ["", "b"],
      children: [7, 8],
      bytes: Uint8Array.of(1, 2, 3),
      u16s: [1, 65_535],
      pairs: [
        [1, 2],
        [3, 0xffff_ffff]
      ]
    })
  })

  it("reads a payload that is a part of a larger buffer", () => {
    const payload = build()
    const larger = new Uint8Array(payload.length + 20).fill(0xff)
    larger.set(payload, 7)
    expect(Result.isSuccess(readAll(larger.subarray(7, 7 + payload.length)))).toBe(true)
  })

  it("gives the default or undefined for absent fields", () => {
    const builder = new FlatBuilder()
    const payload = builder.finish(builder.table(13, () => {}))
    const read = FlatTable.decode("f", payload, (root) => [
      root.u8(T.u8, 1),
      root.u64(T.u64),
      root.i32(T.i32, -1),
      root.has(T.u8),
      root.optionalString(T.text),
      root.optionalStruct(T.id, 12),
      root.optionalTable(T.child),
      root.optionalVector(T.texts, 4),
      root.optionalBytes(T.bytes)
    ])
    expect(Result.getOrThrow(read)).toStrictEqual([1, 0, -1, false, ...Array.from({ length: 5 }, () => undefined)])
    for (const get of [
      (root: FlatTable.FlatTable) => root.string(T.text),
      (root: FlatTable.FlatTable) => root.struct(T.text, 12),
      (root: FlatTable.FlatTable) => root.table(T.text),
      (root: FlatTable.FlatTable) => root.bytes(T.text)
    ]) {
      expect(failure(payload, get)).toMatchObject({ field: "text", problem: "the field is required and absent" })
    }
  })

  it("names file and path of the field that is wrong", () => {
    const error = failure(build(), (root) => root.vector(T.children, 4).table(1).string(T.text))
    expect(error).toMatchObject({ _tag: "FormatError", file: "snapshots/X", field: "children[1].text" })
    expect(error.message).toMatch("`children[1].text` of `snapshots/X`")
    expect(error.message).toMatch("restore it from a copy")
    expect(failure(build(), (root) => root.table(T.child).fail(T.id, "no"))).toMatchObject({ field: "child.id" })
    expect(failure(build(), (root) => root.vector(T.texts, 4).fail(1, "no"))).toMatchObject({ field: "texts[1]" })
  })

  it("refuses payloads that are none of Icechunk", () => {
    expect(failure(new Uint8Array(11), () => 0).problem).toMatch("too few")
    expect(failure(new Uint8Array(100), () => 0).problem).toMatch("identifier")
    const far = build()
    new DataView(far.buffer).setUint32(0, 0xffff_fff0, true)
    expect(failure(far, () => 0)).toMatchObject({ field: "payload", problem: "the table reaches beyond the payload" })
  })

  it("refuses numbers beyond 2^53 - 1", () => {
    const builder = new FlatBuilder()
    const payload = builder.finish(builder.table(13, (t) => t.u64(T.u64, 2 ** 53)))
    expect(failure(payload, (root) => root.u64(T.u64))).toMatchObject({ field: "u64" })
  })

  it("refuses vectors that claim more elements than the payload has bytes", () => {
    const payload = build()
    const { position } = Result.getOrThrow(
      FlatTable.decode("f", payload, (root) => ({ position: root.vector(T.pairs, 8).start - 4 }))
    )
    for (const count of [3, 1000, 0x7fff_ffff, 0xffff_ffff]) {
      new DataView(payload.buffer).setUint32(position, count, true)
      if (count > 3) expect(failure(payload, (root) => root.vector(T.pairs, 8)).problem).toMatch("reach beyond")
    }
  })

  it("refuses text that is not UTF-8, short or long", () => {
    for (const length of [1, 1000]) {
      const builder = new FlatBuilder()
      const text = builder.bytes(new Uint8Array(length).fill(0xff))
      const payload = builder.finish(builder.table(13, (t) => t.offset(T.text, text)))
      expect(failure(payload, (root) => root.string(T.text)).problem).toMatch("not UTF-8")
    }
  })

  it("keeps a byte order mark that a text starts with", () => {
    const builder = new FlatBuilder()
    const text = builder.string("\ufeffa")
    const payload = builder.finish(builder.table(13, (t) => t.offset(T.text, text)))
    expect(Result.getOrThrow(FlatTable.decode("f", payload, (root) => root.string(T.text)))).toBe("\ufeffa")
  })

  it("does not unfold parts that many tables share", () => {
    const builder = new FlatBuilder()
    const shared = builder.string("x".repeat(10_000))
    const child = builder.table(13, (t) => t.offset(T.text, shared))
    const children = builder.offsets(Array.from({ length: 10_000 }, () => child))
    const payload = builder.finish(builder.table(13, (t) => t.offset(T.children, children)))
    const lengths = (root: FlatTable.FlatTable) =>
      root.vector(T.children, 4).mapTables((table) => table.string(T.text).length)
    expect(failure(payload, lengths).problem).toMatch("more than its size allows")
    const copies = (root: FlatTable.FlatTable) =>
      root.vector(T.children, 4).mapTables((table) => table.copy(T.text).length)
    expect(failure(payload, copies).problem).toMatch("more than its size allows")
    const views = (root: FlatTable.FlatTable) =>
      root.vector(T.children, 4).mapTables((table) => table.bytes(T.text).length)
    const viewed = FlatTable.decode("f", payload, views)
    expect(Result.getOrThrow(viewed)).toHaveLength(10_000)
  })

  it("builds no more than it is told to, however large the payload", () => {
    const text = (maxHeld: number) => FlatTable.decode("f", build(), (root) => root.string(T.text), { maxHeld })
    expect(Result.isSuccess(text(1000))).toBe(true)
    const bounded = text(150)
    expect(Result.isFailure(bounded) && bounded.failure.problem).toMatch("more than its size allows")
  })

  it("lets what is no FormatError pass: it is a bug", () => {
    expect(() => attempt(() => JSON.parse("{"))).toThrow(SyntaxError)
  })

  it("fails with a FormatError on damaged payloads", () => {
    const payload = build()
    expect(damage.truncations(payload, readAll)).toBeGreaterThan(payload.length - 8)
    expect(damage.flips(payload, 50_000, 3, readAll)).toBeGreaterThan(10_000)
  })
})
