import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as zlib from "node:zlib"
import * as BrowserZstd from "../../src/browser/BrowserZstd.ts"
import * as Zstd from "../../src/encoding/Zstd.ts"

const sizes = [0, 1, 1000, 131_071, 131_072, 131_073, 1_000_000]

const content = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * i) % 251)

const expectContent = (bytes: Uint8Array, size: number) =>
  expect(Buffer.compare(bytes, content(size)), `${size}`).toBe(0)

describe("BrowserZstd", () => {
  it("stores content in frames that others read", () => {
    for (const size of sizes) {
      const frame = BrowserZstd.storedFrame(content(size))
      expect(Zstd.frameHeader(frame).contentSize).toBe(size)
      expectContent(zlib.zstdDecompressSync(frame), size)
    }
  })

  it.effect("gives back what it compressed, and what zstd compressed", () =>
    Effect.gen(function* () {
      const zstd = yield* Zstd.Zstd
      for (const size of sizes) {
        expectContent(yield* zstd.decompress(yield* zstd.compress(content(size), 3), size), size)
        const frame = new Uint8Array(zlib.zstdCompressSync(content(size)))
        expectContent(yield* zstd.decompress(frame, size), size)
        if (size > 0) expect(yield* Effect.flip(zstd.decompress(frame, size - 1))).toBeInstanceOf(Zstd.ZstdError)
      }
    }).pipe(Effect.provide(BrowserZstd.layer))
  )

  it.effect("compresses with what it is given", () =>
    Effect.gen(function* () {
      const zstd = yield* Zstd.Zstd
      const frame = yield* zstd.compress(content(10_000), 3)
      expect(frame.length).toBeLessThan(5000)
      expect(yield* zstd.decompress(frame, 10_000)).toStrictEqual(content(10_000))
    }).pipe(Effect.provide(BrowserZstd.layerWith((bytes) => Promise.resolve(zlib.zstdCompressSync(bytes)))))
  )
})
