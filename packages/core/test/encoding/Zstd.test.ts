import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as zlib from "node:zlib"
import * as Zstd from "../../src/encoding/Zstd.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as damage from "../format/damage.ts"

const compressed = (bytes: Uint8Array, options?: zlib.ZstdOptions): Uint8Array =>
  new Uint8Array(zlib.zstdCompressSync(bytes, options))

/** As a writer that does not know how much will come. */
const streamed = (bytes: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    const stream = zlib.createZstdCompress()
    const chunks: Array<Uint8Array> = []
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk))
    stream.on("end", () => resume(Effect.succeed(new Uint8Array(Buffer.concat(chunks)))))
    stream.write(bytes, () => stream.end())
  })

/** A frame of 12 bytes that says it holds `size`. */
const liar = (size: bigint): Uint8Array => {
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)
  new DataView(frame.buffer).setBigUint64(5, size, true)
  return frame
}

describe("frameHeader", () => {
  it("knows content sizes of every width", () => {
    for (const size of [0, 1, 255, 256, 257, 65_791, 65_792, 3_000_000]) {
      expect(Zstd.frameHeader(compressed(new Uint8Array(size)))).toMatchObject({ contentSize: size })
    }
    expect(Zstd.frameHeader(liar(2n ** 40n))).toStrictEqual({
      size: 13,
      dictionaryId: 0,
      contentSize: 2 ** 40,
      windowSize: 2 ** 40
    })
  })

  it.effect("knows the window when there is no size", () =>
    Effect.gen(function* () {
      const header = Zstd.frameHeader(yield* streamed(new Uint8Array(10_000)))
      expect(header).toMatchObject({ contentSize: undefined, windowSize: 2 * 1024 * 1024 })
    })
  )

  it("refuses what is no frame", () => {
    expect(() => Zstd.frameHeader(Uint8Array.of(1, 2, 3))).toThrow("too few")
    expect(() => Zstd.frameHeader(new Uint8Array(20))).toThrow("not a zstd frame")
    expect(() => Zstd.frameHeader(liar(1n).subarray(0, 8))).toThrow("cut off")
  })
})

describe("NodeZstd", () => {
  const layer = it.layer(NodeZstd.layer)

  layer((it) => {
    it.effect("gives back what was compressed, whatever the level", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        for (const size of [0, 1, 100, 1_000_000]) {
          const bytes = Uint8Array.from({ length: size }, (_, i) => (i * i) % 251)
          for (const level of [1, 3, 19]) {
            const frame = yield* zstd.compress(bytes, level)
            expect(Zstd.frameHeader(frame).contentSize).toBe(size)
            const back = yield* zstd.decompress(frame, size)
            expect(back).toStrictEqual(bytes)
            expect(back.constructor).toBe(Uint8Array)
          }
        }
      })
    )

    it.effect("refuses content beyond the limit before it decompresses", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const frame = yield* zstd.compress(new Uint8Array(1000), 3)
        expect((yield* Effect.flip(zstd.decompress(frame, 999))).problem).toMatch("holds 1000 bytes, more than the 999")
        const huge = yield* Effect.flip(zstd.decompress(liar(2n ** 62n), 2 ** 53))
        expect(huge.problem).toMatch("more than the")
        const lie = yield* Effect.flip(zstd.decompress(liar(2n ** 30n), 2 ** 31))
        expect(lie.problem).toMatch("more than its blocks can hold")
      })
    )

    it.effect("refuses content beyond the limit when the frame does not say its size", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const frame = yield* streamed(new Uint8Array(100_000))
        expect(yield* zstd.decompress(frame, 100_000)).toHaveLength(100_000)
        expect((yield* Effect.flip(zstd.decompress(frame, 99_999))).problem).toMatch("more than is allowed")
      })
    )

    it.effect("refuses a window beyond the limit when the frame does not say its size", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        // Window of 128 MiB, then an empty last block.
        const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0)
        expect((yield* Effect.flip(zstd.decompress(frame, 1024))).problem).toMatch("window")
        expect(yield* zstd.decompress(frame, 2 ** 27)).toHaveLength(0)
      })
    )

    it.effect("decompresses what expands more than a first buffer holds", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const frame = yield* zstd.compress(new Uint8Array(50_000_000), 3)
        expect(yield* zstd.decompress(frame, 50_000_000)).toHaveLength(50_000_000)
      })
    )

    it.effect("decompresses with a dictionary", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const dictionary = Buffer.from("s3://bucket/prefix/of/many/files/".repeat(8))
        const decompress = zstd.dictionary(dictionary)
        fc.assert(
          fc.property(fc.string(), (name) => {
            const text = Buffer.from(`s3://bucket/prefix/of/many/files/${name}`)
            const frame = compressed(text, { dictionary })
            expect(Buffer.from(decompress(frame, 1024)).toString()).toBe(text.toString())
            expect(() => decompress(frame, text.length - 1)).toThrow(Zstd.ZstdError)
            expect(() => zstd.dictionary(Buffer.from("x".repeat(300)))(Buffer.from("no frame"), 1024)).toThrow(
              Zstd.ZstdError
            )
          }),
          { numRuns: 50 }
        )
      })
    )

    it.effect("fails with a ZstdError on damaged frames", () =>
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) % 97)
        const frame = yield* zstd.compress(bytes, 3)
        const next = damage.random(1)
        for (let length = 0; length < frame.length; length++) {
          expect(yield* Effect.flip(zstd.decompress(frame.slice(0, length), 5000))).toBeInstanceOf(Zstd.ZstdError)
        }
        for (let round = 0; round < 2000; round++) {
          const damaged = frame.slice()
          damaged[Math.floor(next() * damaged.length)]! ^= 1 << Math.floor(next() * 8)
          const result = yield* Effect.result(zstd.decompress(damaged, 5000))
          if (result._tag === "Success") expect(result.success.length).toBeLessThanOrEqual(5000)
        }
      })
    )
  })
})
