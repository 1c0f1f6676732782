/** What is written is what the builder of the package `flatbuffers` writes. */
import { describe, expect, it } from "@effect/vitest"
import { Builder } from "flatbuffers"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import type { Field } from "../../src/encoding/FlatTable.ts"

const field = (slot: number): Field => ({ slot, name: `field ${slot}` })

/** What both builders are told to write; earlier things are referred to by their number. */
type Step =
  | { readonly write: "string"; readonly text: string }
  | { readonly write: "bytes"; readonly bytes: Uint8Array }
  | { readonly write: "block"; readonly bytes: Uint8Array }
  | { readonly write: "offsets"; readonly to: ReadonlyArray<number> }
  | { readonly write: "u16s"; readonly numbers: ReadonlyArray<number> }
  | { readonly write: "u32s"; readonly numbers: ReadonlyArray<number> }
  | { readonly write: "structs"; readonly structs: ReadonlyArray<Uint8Array>; readonly alignment: number }
  | { readonly write: "table"; readonly size: number; readonly fields: ReadonlyArray<TableField> }

type TableField =
  | { readonly kind: "u8" | "u16" | "u32" | "i32"; readonly slot: number; readonly value: number }
  | { readonly kind: "u64"; readonly slot: number; readonly value: bigint }
  | { readonly kind: "struct"; readonly slot: number; readonly value: Uint8Array }
  | { readonly kind: "offset"; readonly slot: number; readonly to: number }

const ours = (steps: ReadonlyArray<Step>, sizeHint: number): Uint8Array => {
  const builder = new FlatBuilder(sizeHint)
  const written: Array<number> = []
  for (const step of steps) {
    switch (step.write) {
      case "string":
        written.push(builder.string(step.text))
        break
      case "bytes":
        written.push(builder.bytes(step.bytes))
        break
      case "block":
        written.push(builder.block(step.bytes))
        break
      case "offsets":
        written.push(builder.offsets(step.to.map((number) => written[number]!)))
        break
      case "u16s":
        written.push(builder.u16s(step.numbers))
        break
      case "u32s":
        written.push(builder.u32s(step.numbers, 2))
        break
      case "structs":
        written.push(builder.structs(16, step.structs, step.alignment))
        break
      case "table":
        written.push(
          builder.table(step.size, (table) => {
            for (const one of step.fields) {
              if (one.kind === "u64") table.u64(field(one.slot), one.value)
              else if (one.kind === "struct") table.struct(field(one.slot), one.value)
              else if (one.kind === "offset") table.offset(field(one.slot), written[one.to])
              else table[one.kind](field(one.slot), one.value)
            }
          })
        )
    }
  }
  return builder.finish(written.at(-1)!)
}

const theirs = (steps: ReadonlyArray<Step>): Uint8Array => {
  const builder = new Builder(1024)
  const written: Array<number> = []
  const inline = (bytes: Uint8Array): number => {
    builder.prep(1, bytes.length)
    for (const byte of bytes.toReversed()) builder.writeInt8(byte)
    return builder.offset()
  }
  for (const step of steps) {
    switch (step.write) {
      case "string":
        written.push(builder.createString(step.text))
        break
      case "bytes":
        written.push(builder.createByteVector(step.bytes))
        break
      case "block":
        builder.prep(8, step.bytes.length)
        written.push(builder.createByteVector(step.bytes) - 4)
        break
      case "offsets":
        builder.startVector(4, step.to.length, 4)
        for (const number of step.to.toReversed()) builder.addOffset(written[number]!)
        written.push(builder.endVector())
        break
      case "u16s":
        builder.startVector(2, step.numbers.length, 2)
        for (const number of step.numbers.toReversed()) builder.writeInt16(number)
        written.push(builder.endVector())
        break
      case "u32s":
        builder.startVector(8, step.numbers.length / 2, 4)
        for (const number of step.numbers.toReversed()) builder.writeInt32(number)
        written.push(builder.endVector())
        break
      case "structs":
        builder.startVector(16, step.structs.length, step.alignment)
        for (const bytes of step.structs.toReversed()) inline(bytes)
        written.push(builder.endVector())
        break
      case "table":
        builder.startObject(step.size)
        for (const one of step.fields) {
          if (one.kind === "u64") builder.addFieldInt64(one.slot, one.value, 0n)
          else if (one.kind === "struct") builder.addFieldStruct(one.slot, inline(one.value), 0)
          else if (one.kind === "offset") builder.addFieldOffset(one.slot, written[one.to]!, 0)
          else if (one.kind === "u8") builder.addFieldInt8(one.slot, one.value, 0)
          else if (one.kind === "u16") builder.addFieldInt16(one.slot, one.value, 0)
          else builder.addFieldInt32(one.slot, one.value, 0)
        }
        written.push(builder.endObject())
    }
  }
  builder.finish(written.at(-1)!, "Ichk")
  return builder.asUint8Array()
}

/** The same numbers each time. */
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const steps = (seed: number): ReadonlyArray<Step> => {
  const next = random(seed)
  const list = <A>(below: number, make: () => A): ReadonlyArray<A> => Array.from({ length: next(below) }, make)
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => next(256))
  const found: Array<Step> = [{ write: "string", text: "first" }]
  const tableField = (slot: number): TableField => {
    switch (next(7)) {
      case 0:
        return { kind: "u8", slot, value: next(256) }
      case 1:
        return { kind: "u16", slot, value: next(65_536) }
      case 2:
        return { kind: "u32", slot, value: next(2 ** 32) }
      case 3:
        return { kind: "i32", slot, value: next(3) - 1 }
      case 4:
        return { kind: "u64", slot, value: next(2) === 0 ? 0n : BigInt(next(2 ** 32)) << 31n }
      case 5:
        return { kind: "struct", slot, value: bytes(12) }
      default:
        return { kind: "offset", slot, to: next(found.length) }
    }
  }
  const table = (): Step => {
    const size = 1 + next(6)
    const slots = Array.from({ length: size }, (_, slot) => slot).filter(() => next(3) > 0)
    return { write: "table", size, fields: slots.map(tableField) }
  }
  for (let i = next(40); i > 0; i--) {
    switch (next(9)) {
      case 0:
        found.push({ write: "string", text: "grüße 🧊".repeat(next(20)) })
        break
      case 1:
        found.push({ write: "bytes", bytes: bytes(next(100)) })
        break
      case 2:
        found.push({ write: "block", bytes: bytes(next(300)) })
        break
      case 3:
        found.push({ write: "offsets", to: list(9, () => next(found.length)) })
        break
      case 4:
        found.push({ write: "u16s", numbers: list(9, () => next(65_536)) })
        break
      case 5:
        found.push({ write: "u32s", numbers: list(9, () => [next(2 ** 32), next(2 ** 32)]).flat() })
        break
      case 6:
        found.push({ write: "structs", structs: list(5, () => bytes(16)), alignment: [1, 4, 8][next(3)]! })
        break
      default:
        found.push(table())
    }
  }
  return [...found, table()]
}

describe("FlatBuilder", () => {
  it("writes the bytes that the builder of the package `flatbuffers` writes, however large its buffer is first", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const some = steps(seed)
      const expected = theirs(some)
      for (const sizeHint of [0, 100, 1 << 16]) {
        expect(Buffer.compare(ours(some, sizeHint), expected), `seed ${seed}, ${sizeHint} bytes at first`).toBe(0)
      }
    }
  })

  it("writes a text that is shared once", () => {
    const builder = new FlatBuilder()
    expect(builder.sharedString("main")).toBe(builder.sharedString("main"))
    expect(builder.sharedString("other")).not.toBe(builder.sharedString("main"))
  })
})
