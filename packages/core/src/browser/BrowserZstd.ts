/**
 * zstd without Node and without WebAssembly.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Zstd from "../encoding/Zstd.ts"
import * as ZstdDecoder from "../encoding/ZstdDecoder.ts"

/** Content of a block, in bytes. */
const blockSize = 128 * 1024

/** Content size in four bytes, then a window of 1 MiB, which every decoder has. */
const descriptor = 0x80
const window = 10 << 3

/**
 * A frame that holds `bytes`, at most 4 GiB, as they are: 14 bytes longer, and 3 more for each 128 KiB.
 *
 * @category encoding
 * @since 0.1.0
 */
export const storedFrame = (bytes: Uint8Array): Uint8Array => {
  const blocks = Math.max(1, Math.ceil(bytes.length / blockSize))
  const frame = new Uint8Array(10 + 3 * blocks + bytes.length)
  frame.set([0x28, 0xb5, 0x2f, 0xfd, descriptor, window])
  new DataView(frame.buffer).setUint32(6, bytes.length, true)
  let at = 10
  for (let block = 0; block < blocks; block++) {
    const content = bytes.subarray(block * blockSize, (block + 1) * blockSize)
    const header = (content.length << 3) | (block === blocks - 1 ? 1 : 0)
    frame.set([header & 0xff, (header >> 8) & 0xff, header >> 16], at)
    frame.set(content, at + 3)
    at += 3 + content.length
  }
  return frame
}

/**
 * Decompresses with `ZstdDecoder`, about 100 MB a second on the calling thread, and compresses with what is
 * given, such as `compress` of `@bokuweb/zstd-wasm`. A compressor that throws or rejects is a defect.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  compress: (bytes: Uint8Array, level: number) => Uint8Array | PromiseLike<Uint8Array>
): Layer.Layer<Zstd.Zstd> =>
  Layer.succeed(Zstd.Zstd, {
    compress: (bytes, level) => Effect.promise(() => Promise.resolve(compress(bytes, level))),
    decompress: (bytes, maxBytes) =>
      Effect.suspend(() => {
        try {
          return Effect.succeed(ZstdDecoder.decompress(bytes, maxBytes))
        } catch (error) {
          if (error instanceof Zstd.ZstdError) return Effect.fail(error)
          throw error
        }
      }),
    dictionary: ZstdDecoder.withDictionary
  })

/**
 * As `layerWith`, without compression: files that are written are larger, and every reader of zstd reads
 * them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Zstd.Zstd> = layerWith(storedFrame)
