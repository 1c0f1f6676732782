import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as fs from "node:fs"
import * as path from "node:path"
import * as zlib from "node:zlib"
import { ZstdError } from "../../src/encoding/Zstd.ts"
import * as ZstdDecoder from "../../src/encoding/ZstdDecoder.ts"
import * as damage from "../format/damage.ts"

const compress = (bytes: Uint8Array, level: number, dictionary?: Uint8Array): Uint8Array =>
  new Uint8Array(
    zlib.zstdCompressSync(bytes, {
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
      ...(dictionary === undefined ? {} : { dictionary })
    })
  )

const levels = [-7, 1, 3, 9, 19]

/** Bytes of many kinds: text, numbers, noise, runs, few symbols, repeats near and far. */
const samples = (): ReadonlyArray<Uint8Array> => {
  const next = damage.random(7)
  const below = (n: number) => Math.floor(next() * n)
  const skewed = (length: number, symbols: number) =>
    Uint8Array.from({ length }, () => Math.floor(next() ** 3 * symbols))
  const source = fs.readFileSync(import.meta.filename)
  const records = Array.from(
    { length: 20_000 },
    (_, i) => `{"id":${i * 7},"name":"n${below(1000)}","path":"/a/${i % 97}"}`
  )
  const far = skewed(300_000, 256)
  return [
    new Uint8Array(0),
    Uint8Array.of(1),
    new Uint8Array(1_000_000),
    source,
    Buffer.from(records.join("\n")),
    Buffer.concat([far, far.subarray(1000, 200_000), far]),
    new Uint8Array(Float64Array.from({ length: 20_000 }, (_, i) => Math.sin(i)).buffer),
    ...Array.from({ length: 100 }, () => skewed(below(3000), 1 + below(255))),
    ...Array.from({ length: 3 }, () => skewed(below(400_000), 1 + below(255)))
  ]
}

/** From `zstd --train --maxdict=1000` with 3,000 locations like these. */
const dictionary = new Uint8Array(fs.readFileSync(path.join(import.meta.dirname, "fixtures/locations.dict")))

const location = (i: number): Uint8Array =>
  Buffer.from(`s3://noaa-goes16/ABI-L2-MCMIPF/2019/${i % 366}/OR_ABI-L2-MCMIPF-M6_G16_s${i * 7_919_111}.nc`)

describe("ZstdDecoder", () => {
  it("decompresses what zstd compresses, whatever the content and the level", () => {
    for (const sample of samples()) {
      for (const level of levels) {
        const content = ZstdDecoder.decompress(compress(sample, level), sample.length)
        expect(Buffer.compare(content, sample), `${sample.length} bytes, level ${level}`).toBe(0)
      }
    }
  })

  it("decompresses any bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc
        .array(fc.constantFrom("a", "b", "abc", "hello world "), { maxLength: 300 })
        .map((words) => Buffer.from(words.join("")))
    )
    fc.assert(
      fc.property(bytes, fc.constantFrom(...levels), (content, level) => {
        expect(Buffer.compare(ZstdDecoder.decompress(compress(content, level), content.length), content)).toBe(0)
      }),
      { numRuns: 1000 }
    )
  })

  it("decompresses with a dictionary in zstd's format", () => {
    const decompress = ZstdDecoder.withDictionary(dictionary)
    for (let i = 0; i < 500; i++) {
      for (const level of [1, 3, 19]) {
        const frame = compress(location(i), level, dictionary)
        expect(frame.length).toBeLessThan(location(i).length)
        expect(Buffer.from(decompress(frame, 1024)).toString()).toBe(location(i).toString())
      }
    }
  })

  it("decompresses with a dictionary of raw content", () => {
    const raw = Buffer.concat(Array.from({ length: 20 }, (_, i) => location(i)))
    const decompress = ZstdDecoder.withDictionary(raw)
    for (let i = 0; i < 500; i++) {
      // Also content that is longer than the dictionary, so that matches cross from one to the other.
      const content = Buffer.concat([location(i), raw, location(i + 1), raw.subarray(0, i)])
      expect(Buffer.compare(decompress(compress(content, 1 + (i % 19), raw), 10_000), content)).toBe(0)
    }
  })

  it("refuses another dictionary than the frame's", () => {
    const frame = compress(location(1), 3, dictionary)
    expect(() => ZstdDecoder.decompress(frame, 1024)).toThrow("needs the dictionary 982681865")
    const other = dictionary.slice()
    other[4]! ^= 1
    expect(() => ZstdDecoder.withDictionary(other)(frame, 1024)).toThrow("needs the dictionary")
  })

  it("does not give more than is allowed", () => {
    const frame = compress(new Uint8Array(1000), 3)
    expect(ZstdDecoder.decompress(frame, 1000)).toHaveLength(1000)
    expect(() => ZstdDecoder.decompress(frame, 999)).toThrow("more than the 999 allowed")
    // The same content without its size: a window of 1 MiB, then a block of 1,000 zeros.
    const unknown = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3, 0x43, 0x1f, 0, 0)
    expect(ZstdDecoder.decompress(unknown, 1000)).toHaveLength(1000)
    expect(() => ZstdDecoder.decompress(unknown, 999)).toThrow("more than is allowed")
  })

  it("fails with a ZstdError on damaged frames and dictionaries, or gives at most what is allowed", () => {
    const next = damage.random(11)
    const below = (n: number) => Math.floor(next() * n)
    const flip = (bytes: Uint8Array) => {
      const damaged = bytes.slice()
      for (let i = below(3); i >= 0; i--) damaged[below(damaged.length)] = below(256)
      return damaged
    }
    const survives = (f: () => Uint8Array) => {
      try {
        expect(f().length).toBeLessThanOrEqual(5000)
        return 0
      } catch (error) {
        expect(error).toBeInstanceOf(ZstdError)
        return 1
      }
    }
    let failures = 0
    const contents = samples().filter(({ length }) => length > 100 && length < 3000)
    for (let round = 0; round < 10_000; round++) {
      const content = contents[round % contents.length]!
      const frame = compress(content, levels[round % levels.length]!)
      failures += survives(() => ZstdDecoder.decompress(flip(frame), 5000))
    }
    expect(failures).toBeGreaterThan(2500)
    const frame = compress(location(5), 3, dictionary)
    for (let round = 0; round < 2000; round++) {
      failures += survives(() => ZstdDecoder.withDictionary(flip(dictionary))(frame, 5000))
      failures += survives(() => ZstdDecoder.withDictionary(dictionary)(flip(frame), 5000))
    }
    for (let length = 0; length < dictionary.length; length++) {
      survives(() => ZstdDecoder.withDictionary(dictionary.slice(0, length))(frame, 5000))
    }
    const whole = compress(contents[0]!, 3)
    for (let length = 0; length < whole.length; length++) {
      expect(() => ZstdDecoder.decompress(whole.slice(0, length), 5000)).toThrow(ZstdError)
    }
  })
})
