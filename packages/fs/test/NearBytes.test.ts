import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as NearBytes from "../src/internal/NearBytes.ts"

const { blockSize, largest, near } = NearBytes

/** A file of `size` bytes, and a clock. */
const world = (size = 100 * blockSize) => {
  const clock = { now: 0 }
  const disk: { reads: number | undefined } = { reads: undefined }
  const bytes = NearBytes.make(
    () => clock.now,
    () => disk.reads
  )
  const plan = bytes.ofFile(size)
  const at = (start: number, length = 16) => plan({ start, end: start + length })
  /** Reads a block twice, the second time as a whole. */
  const bring = (block: number, isRead = true): void => {
    at(block * blockSize)
    const manner = at(block * blockSize)
    if (manner._tag !== "Along") return assert.fail(manner._tag)
    manner.done(isRead)
  }
  return { clock, disk, bytes, at, bring }
}

describe("parts of a file that are in memory", () => {
  it("are those of blocks that were read as a whole, which the second read of a block does", () => {
    const { at } = world()
    assert.strictEqual(at(0)._tag, "Alone")
    const second = at(1000)
    if (second._tag !== "Along") return assert.fail(second._tag)
    assert.deepStrictEqual(second.span, { start: 0, end: blockSize })
    assert.strictEqual(at(0)._tag, "Alone", "it is not there yet")
    second.done(true)
    assert.strictEqual(at(0)._tag, "Here")
    assert.strictEqual(at(blockSize - 16)._tag, "Here")
    assert.strictEqual(at(blockSize)._tag, "Alone", "another block")
    assert.strictEqual(at(2 * blockSize - 8)._tag, "Alone", "two blocks")
    assert.strictEqual(at(0, largest)._tag, "Here")
    assert.strictEqual(at(0, largest + 1)._tag, "Alone")
    assert.strictEqual(at(0, 0)._tag, "Alone")
  })

  it("end with the file", () => {
    const { at } = world(blockSize + 100)
    at(blockSize)
    const manner = at(blockSize + 50)
    assert.deepStrictEqual(manner._tag === "Along" ? manner.span : undefined, {
      start: blockSize,
      end: blockSize + 100
    })
  })

  it("are asked for again when the block could not be read", () => {
    const { at, bring } = world()
    bring(0, false)
    assert.strictEqual(at(0)._tag, "Along")
  })

  it("are not those of other files", () => {
    const { bring, bytes } = world()
    bring(0)
    assert.strictEqual(bytes.ofFile(1000)({ start: 0, end: 10 })._tag, "Alone")
  })

  it("count as such for a second after the last read", () => {
    const { at, bring, clock } = world()
    bring(0)
    clock.now += near
    assert.strictEqual(at(0)._tag, "Here")
    clock.now += near
    assert.strictEqual(at(0)._tag, "Here")
    clock.now += near + 1
    assert.strictEqual(at(0)._tag, "Alone")
    clock.now += near + 1
    assert.strictEqual(at(0)._tag, "Alone", "two reads long after each other bring nothing")
  })

  it("are not read along here and there in a large file", () => {
    const { at, clock } = world(1e12)
    for (let i = 0; i < 10_000; i++) {
      clock.now += 0.01
      assert.strictEqual(at(i * 7 * blockSize)._tag, "Alone")
    }
  })

  it("are left to threads for a while when reading them took long, a twentieth of the time at most", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 200, maxLength: 400 }),
        (reads) => {
          const { at, bring, bytes, clock } = world()
          bring(0)
          let waited = 0
          for (const milliseconds of reads) {
            const manner = at(0)
            if (manner._tag === "Here") {
              clock.now += milliseconds
              bytes.took(milliseconds)
              if (milliseconds > 1) waited += milliseconds
            } else {
              clock.now += 1
              if (manner._tag === "Along") manner.done(true)
            }
            assert.isAtMost(waited, clock.now / 20 + 20 + 30)
          }
        }
      )
    )
    const { at, bring, bytes } = world()
    bring(0)
    for (let i = 0; i < 100; i++) bytes.took(0.9)
    bytes.took(15)
    assert.strictEqual(at(0)._tag, "Here", "one alone may have waited for the processor")
    bytes.took(15)
    assert.strictEqual(at(0)._tag, "Alone")
  })

  it("are not left to threads because of long reads during which no disk was read", () => {
    const { at, bring, bytes, disk } = world()
    bring(0)
    disk.reads = 7
    for (let i = 0; i < 100; i++) bytes.took(15)
    assert.strictEqual(at(0)._tag, "Here")
    disk.reads = 8
    bytes.took(15)
    assert.strictEqual(at(0)._tag, "Alone")
  })

  it("are remembered of so many blocks, and forgotten for others", () => {
    const { at, bring } = world(1e12)
    bring(0)
    for (let block = 1; block < 20_000; block++) at(block * blockSize)
    assert.strictEqual(at(0)._tag, "Alone")
  })
})
