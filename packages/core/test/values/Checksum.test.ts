import { assert, describe, it } from "@effect/vitest"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as fc from "fast-check"

/** What stands between the quotes of an entity tag (RFC 9110, section 8.8.3). */
const tag = fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom(..."0123456789abcdefABCDEFW/-+=_.") })
/** Without the one ambiguity: `W/` before an unquoted tag is a weakness mark. */
const unmarked = tag.filter((text) => !text.startsWith("W/"))
const spelling = fc.constantFrom(
  (tag: string) => tag,
  (tag: string) => `"${tag}"`,
  (tag: string) => `W/"${tag}"`
)
const seen = (etag: string | undefined, lastModified?: number): Checksum.Observed => ({ etag, lastModified })

/** Largest time of unsigned 32-bit seconds, in milliseconds. */
const end = 0xffff_ffff * 1000

describe("Checksum by ETag", () => {
  it("compares without quotes and without the mark of weak tags", () => {
    fc.assert(
      fc.property(unmarked, spelling, spelling, (tag, a, b) => {
        assert.isTrue(Checksum.agrees(Checksum.etag(a(tag)), seen(b(tag))))
      })
    )
  })

  it("tells different tags apart, however they are spelled", () => {
    fc.assert(
      fc.property(unmarked, unmarked, spelling, spelling, (x, y, a, b) => {
        fc.pre(x !== y)
        assert.isFalse(Checksum.agrees(Checksum.etag(a(x)), seen(b(y))))
      })
    )
    assert.isFalse(Checksum.agrees(Checksum.etag("abc"), seen("ABC")), "tags are case-sensitive")
    assert.isFalse(Checksum.agrees(Checksum.etag("abc-2"), seen("abc")), "a multipart tag is opaque")
  })

  it("finds the same opaque tag when it is looked for twice", () => {
    fc.assert(
      fc.property(unmarked, spelling, (tag, spell) => {
        assert.strictEqual(Checksum.opaqueTag(spell(tag)), tag)
        assert.strictEqual(Checksum.opaqueTag(Checksum.opaqueTag(spell(tag))), Checksum.opaqueTag(spell(tag)))
      })
    )
    fc.assert(fc.property(tag, (tag) => assert.strictEqual(Checksum.opaqueTag(`"${tag}"`), tag)))
    assert.strictEqual(Checksum.opaqueTag('"'), '"')
    assert.strictEqual(Checksum.opaqueTag('""'), "")
    assert.strictEqual(Checksum.opaqueTag('w/"a"'), 'w/"a"', "the mark is upper-case")
  })

  it("accepts any of the tags that the store's APIs give the same version", () => {
    const observed = { etag: "CLuJ", alternateEtags: ['"d41d8cd98f00b204"'], lastModified: 0 }
    assert.isTrue(Checksum.agrees(Checksum.etag("CLuJ"), observed))
    assert.isTrue(Checksum.agrees(Checksum.etag("d41d8cd98f00b204"), observed))
    assert.isFalse(Checksum.agrees(Checksum.etag("other"), observed))
    assert.isTrue(Checksum.agrees(Checksum.etag("d4"), { etag: undefined, alternateEtags: ["d4"], lastModified: 0 }))
  })

  it("does not agree with a response that has no ETag", () => {
    fc.assert(fc.property(tag, (tag) => assert.isFalse(Checksum.agrees(Checksum.etag(tag), seen(undefined, 0)))))
    assert.isFalse(Checksum.agrees(Checksum.etag(""), seen(undefined)))
  })

  it("keeps the tag as the store reported it", () => {
    fc.assert(
      fc.property(tag, spelling, (tag, spell) => {
        assert.deepStrictEqual({ ...Checksum.etag(spell(tag)) }, { _tag: "ETag", etag: spell(tag) })
      })
    )
  })
})

describe("Checksum by time of change", () => {
  const time = fc.oneof(
    fc.integer({ min: 0, max: end }),
    // Files have fractions of milliseconds.
    fc.integer({ min: 0, max: end * 1024 }).map((n) => n / 1024),
    fc.integer({ min: 0, max: 0xffff_ffff }).map((seconds) => seconds * 1000)
  )

  it("agrees with the object whose time was taken, fractions of milliseconds included", () => {
    fc.assert(
      fc.property(time, (t) => {
        assert.isTrue(Checksum.agrees(Checksum.lastModified(t), seen(undefined, t)))
      })
    )
  })

  it("agrees with the same object seen through a store that reports whole seconds", () => {
    fc.assert(
      fc.property(time, (t) => {
        assert.isTrue(Checksum.agrees(Checksum.lastModified(t), seen(undefined, Math.floor(t / 1000) * 1000)))
      })
    )
  })

  it("agrees with older objects, and not with one that is newer by a second", () => {
    fc.assert(
      fc.property(time, fc.nat(), (t, age) => {
        const checksum = Checksum.lastModified(t)
        assert.isTrue(Checksum.agrees(checksum, seen(undefined, t - age)))
        if (t > 0) assert.isFalse(Checksum.agrees(checksum, seen(undefined, t + 1000)))
      })
    )
  })

  it("is a whole number of seconds, rounded up, that fits 32 bits and is never zero, which means none", () => {
    const secondsOf = (milliseconds: number): number =>
      Checksum.match(Checksum.lastModified(milliseconds), {
        ETag: () => Number.NaN,
        LastModified: ({ seconds }) => seconds
      })
    fc.assert(
      fc.property(fc.oneof(time, fc.double({ noNaN: true }).map(Math.round)), (t) => {
        const seconds = secondsOf(t)
        assert.isTrue(Number.isInteger(seconds) && seconds >= 1 && seconds <= 0xffff_ffff)
        if (t > 0 && t <= end) assert.isTrue(seconds * 1000 >= t && seconds * 1000 < t + 1000)
      })
    )
    assert.strictEqual(secondsOf(10_400), 11)
    assert.strictEqual(secondsOf(11_000), 11)
    assert.strictEqual(secondsOf(0), 1)
    assert.strictEqual(secondsOf(-5), 1)
    assert.strictEqual(secondsOf(end + 1), 0xffff_ffff)
  })

  it("does not agree with a response that has no time of change, whatever its ETag", () => {
    fc.assert(
      fc.property(time, (t) => assert.isFalse(Checksum.agrees(Checksum.lastModified(t), seen('"a"', undefined))))
    )
  })

  it("reads well in messages", () => {
    assert.strictEqual(Checksum.format(Checksum.etag('"abc"')), 'ETag `"abc"`')
    assert.strictEqual(
      Checksum.format(Checksum.lastModified(1_600_000_000_001)),
      "not modified since 2020-09-13T12:26:41.000Z"
    )
    assert.strictEqual(
      Checksum.format(Checksum.lastModified(Number.POSITIVE_INFINITY)),
      "not modified since 2106-02-07T06:28:15.000Z"
    )
  })
})
