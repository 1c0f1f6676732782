import { CRC32C } from "@google-cloud/storage"
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Crc32c from "../src/internal/Crc32c.ts"

describe("CRC32C", () => {
  it("is that of the standard", () => {
    expect(Crc32c.of(new TextEncoder().encode("123456789"))).toBe(0xe3069283)
    expect(Crc32c.of(new Uint8Array(0))).toBe(0)
    expect(Crc32c.of(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  })

  it("is Google's own, of any bytes at any place of their buffer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 9 }), fc.nat({ max: 3 }), (bytes, before, after) => {
        const around = new Uint8Array(before + bytes.length + after).fill(1)
        around.set(bytes, before)
        const theirs = new CRC32C()
        theirs.update(Buffer.from(bytes))
        expect(Crc32c.base64(around.subarray(before, before + bytes.length))).toBe(theirs.toString())
      })
    )
  })
})
