/**
 * zstd of Node, 22.19 or newer.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zlib from "node:zlib"
import * as Zstd from "../encoding/Zstd.ts"
import * as ZstdDecoder from "../encoding/ZstdDecoder.ts"

/** Bytes that take less time than the way to the thread pool does: they are compressed and decompressed at once. */
const small = 16 * 1024

const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)

/**
 * One buffer for the whole content where its size is known, with room to spare so that the decoder sees the
 * end of it. A frame that claims to be 64 times its length or more gets its memory as it goes.
 */
const chunkSize = (bytes: Uint8Array, header: Zstd.FrameHeader, maxBytes: number): number =>
  64 + Math.min(header.contentSize ?? maxBytes, 64 * bytes.length + 1024)

/**
 * Each buffer that is filled takes a turn of the loop and of the thread pool, and most content compresses to less than a
 * quarter.
 */
const compressedChunkSize = ({ length }: Uint8Array): number =>
  Math.min(Math.max(length >>> 2, 16 * 1024), 16 * 1024 * 1024)

const decompressOptions = (bytes: Uint8Array, maxBytes: number): zlib.ZstdOptions => ({
  chunkSize: chunkSize(bytes, Zstd.checkFrame(bytes, maxBytes), maxBytes),
  maxOutputLength: Math.max(1, maxBytes)
})

const toZstdError = (error: unknown): Zstd.ZstdError => {
  if (error instanceof Zstd.ZstdError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new Zstd.ZstdError({
    problem:
      code === "ERR_BUFFER_TOO_LARGE"
        ? "the zstd frame holds more than is allowed"
        : `the zstd frame is damaged (${message})`
  })
}

/**
 * zstd on Node's thread pool, and at once where there is little to do; with a dictionary, `ZstdDecoder`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Zstd.Zstd> = Layer.succeed(Zstd.Zstd, {
  compress: (bytes, level) => {
    const options = {
      // With a checksum, a damaged file is noticed and not read as something else.
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level, [zlib.constants.ZSTD_c_checksumFlag]: 1 },
      pledgedSrcSize: bytes.length,
      chunkSize: compressedChunkSize(bytes)
    }
    if (bytes.length <= small) return Effect.sync(() => plain(zlib.zstdCompressSync(bytes, options)))
    return Effect.callback((resume) => {
      zlib.zstdCompress(bytes, options, (error, result) =>
        resume(error === null ? Effect.succeed(plain(result)) : Effect.die(error))
      )
    })
  },
  decompress: (bytes, maxBytes) =>
    Effect.suspend(() => {
      let options: zlib.ZstdOptions
      try {
        options = decompressOptions(bytes, maxBytes)
        if (options.chunkSize! <= small) return Effect.succeed(plain(zlib.zstdDecompressSync(bytes, options)))
      } catch (error) {
        return Effect.fail(toZstdError(error))
      }
      return Effect.callback<Uint8Array, Zstd.ZstdError>((resume) =>
        zlib.zstdDecompress(bytes, options, (error, result) =>
          resume(error === null ? Effect.succeed(plain(result)) : Effect.fail(toZstdError(error)))
        )
      )
    }),
  // Node sets up a decoder for each call, which takes several times longer than decoding a location does.
  dictionary: ZstdDecoder.withDictionary
})
