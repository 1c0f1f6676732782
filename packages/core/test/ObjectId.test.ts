import { assert, describe, it } from "@effect/vitest"
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })

/** Crockford base 32 by big integers, as unlike the implementation as can be. */
const reference = (bytes: Uint8Array): string => {
  const digits = Math.ceil((bytes.length * 8) / 5)
  let value = BigInt(`0x${Buffer.from(bytes).toString("hex")}`) << BigInt(digits * 5 - bytes.length * 8)
  let text = ""
  for (let i = 0; i < digits; i++, value >>= 5n) text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number(value & 31n)] + text
  return text
}

describe("ObjectId", () => {
  it("is Crockford base 32: 20 characters for 12 bytes, 13 for 8", () => {
    fc.assert(fc.property(bytesOf(12), (bytes) => assert.strictEqual(ObjectId.snapshotId(bytes), reference(bytes))))
    fc.assert(fc.property(bytesOf(8), (bytes) => assert.strictEqual(ObjectId.nodeId(bytes), reference(bytes))))
  })

  it("is read where it lies among other bytes", () => {
    fc.assert(
      fc.property(bytesOf(12), fc.uint8Array({ maxLength: 9 }), (bytes, before) =>
        assert.strictEqual(
          ObjectId.snapshotIdAt(Uint8Array.of(...before, ...bytes, 255), before.length),
          reference(bytes)
        )
      )
    )
  })

  it("is Crockford base 32 for any number of bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) =>
        assert.strictEqual(ObjectId.encode(bytes), reference(bytes))
      )
    )
  })

  it("gives its bytes back", () => {
    fc.assert(
      fc.property(bytesOf(12), bytesOf(8), (twelve, eight) => {
        assert.deepStrictEqual(ObjectId.bytes12(ObjectId.chunkId(twelve)), twelve)
        assert.deepStrictEqual(ObjectId.bytes8(ObjectId.nodeId(eight)), eight)
        const written = new Uint8Array(24)
        ObjectId.write(ObjectId.chunkId(twelve), written, 1)
        ObjectId.write(ObjectId.nodeId(eight), written, 14)
        assert.deepStrictEqual(written, Uint8Array.of(0, ...twelve, 0, ...eight, 0, 0))
      })
    )
  })

  it("sorts as its bytes sort", () => {
    fc.assert(
      fc.property(bytesOf(12), bytesOf(12), (a, b) => {
        const order = ObjectId.compare(ObjectId.manifestId(a), ObjectId.manifestId(b))
        assert.strictEqual(Math.sign(order), Math.sign(Buffer.compare(a, b)))
      })
    )
  })

  it("accepts exactly the texts that it writes", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 18, maxLength: 22, unit: fc.constantFrom(..."0129AZKMW") }), (text) => {
        const parsed = ObjectId.parseSnapshotId(text)
        if (Result.isSuccess(parsed)) assert.strictEqual(ObjectId.snapshotId(ObjectId.bytes12(parsed.success)), text)
        else assert.isTrue(text.length !== 20 || !"0G".includes(text.at(-1)!), `\`${text}\`: ${parsed.failure}`)
      })
    )
  })

  it("reads an id in lower case, and letters that are not in the alphabet as the digits they look like", () => {
    fc.assert(
      fc.property(bytesOf(12), (bytes) => {
        const id = ObjectId.snapshotId(bytes)
        const looksLike = id.toLowerCase().replaceAll("0", "o").replace("1", "i").replaceAll("1", "L")
        assert.deepStrictEqual(ObjectId.parseSnapshotId(id.toLowerCase()), Result.succeed(id))
        assert.deepStrictEqual(ObjectId.parseSnapshotId(looksLike), Result.succeed(id))
      })
    )
  })

  it("refuses other lengths, other letters and stray bits, and says why", () => {
    const problem = (text: string): string => {
      const parsed = ObjectId.parseSnapshotId(text)
      return Result.isFailure(parsed) ? parsed.failure : "none"
    }
    assert.include(problem(""), "20 characters, this one has 0")
    assert.include(problem("1CECHNKREP0F1RSTCMT"), "this one has 19")
    assert.include(problem("1CECHNKREP0F1RSTCMT0/"), "this one has 21")
    for (const letter of ["U", "u", "/", "\u00e9", "-"]) {
      assert.include(problem(`1CECHNKREP0F1RSTCM${letter}0`), `\`${letter}\``)
    }
    assert.include(problem("1CECHNKREP0F1RSTCMT1"), "bits beyond")
    assert.strictEqual(problem(ObjectId.initialSnapshotId), "none")
  })
})
