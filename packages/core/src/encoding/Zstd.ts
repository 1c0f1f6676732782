/**
 * Compression, as a service: Node has zstd built in, a browser needs WebAssembly.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * Bytes that cannot be decompressed: no zstd frame, a damaged one, or one that is larger than allowed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ZstdError
  extends /*#__PURE__*/ Data.TaggedError("ZstdError")<{
    readonly problem: string
  }>
{
  override get message(): string {
    return `The bytes cannot be decompressed: ${this.problem}`
  }
}

/**
 * zstd (RFC 8878), one frame at a time.
 *
 * Sizes are bytes. Decompression fails with `ZstdError` before it holds more than about `maxBytes`, or 8 MiB
 * where that is more, whatever the frame says of its own size.
 *
 * @category services
 * @since 0.1.0
 */
export class Zstd extends Context.Service<
  Zstd,
  {
    /** Levels are those of zstd, 1 to 22; the frame carries its content size. */
    readonly compress: (bytes: Uint8Array, level: number) => Effect.Effect<Uint8Array>
    readonly decompress: (bytes: Uint8Array, maxBytes: number) => Effect.Effect<Uint8Array, ZstdError>
    /**
     * A decompressor for many small frames that share a dictionary, in zstd's format or raw content. It is
     * synchronous, and throws a `ZstdError`.
     */
    readonly dictionary: (dictionary: Uint8Array) => (bytes: Uint8Array, maxBytes: number) => Uint8Array
  }
>()("@effect-icechunk/core/Zstd") {}

/**
 * What the header of a frame says.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameHeader {
  /** Bytes of the header. */
  readonly size: number
  /** 0 when the frame does not say. */
  readonly dictionaryId: number
  /** Bytes of the content, unless the frame does not say. */
  readonly contentSize: number | undefined
  /** Bytes that a decoder keeps while it decodes. */
  readonly windowSize: number
}

const fail = (problem: string): never => {
  throw new ZstdError({ problem })
}

/** Size of the dictionary id by the flag in the descriptor. */
const dictionaryIdSizes = [0, 1, 2, 4]

/**
 * The header of the frame that `bytes` start with (RFC 8878, section 3.1.1.1). Throws a `ZstdError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const frameHeader = (bytes: Uint8Array): FrameHeader => {
  if (bytes.length < 6) fail(`${bytes.length} bytes are too few for a zstd frame`)
  if (bytes[0] !== 0x28 || bytes[1] !== 0xb5 || bytes[2] !== 0x2f || bytes[3] !== 0xfd)
    fail("they are not a zstd frame")
  const descriptor = bytes[4]!
  if ((descriptor & 8) !== 0) fail("the zstd frame has reserved bits set")
  const singleSegment = (descriptor & 0x20) !== 0
  const sizeFlag = descriptor >> 6
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag
  const dictionaryAt = 5 + (singleSegment ? 0 : 1)
  const sizeAt = dictionaryAt + dictionaryIdSizes[descriptor & 3]!
  if (bytes.length < sizeAt + sizeBytes) fail("the header of the zstd frame is cut off")
  let dictionaryId = 0
  for (let i = sizeAt - 1; i >= dictionaryAt; i--) dictionaryId = dictionaryId * 256 + bytes[i]!
  let contentSize: number | undefined
  if (sizeBytes > 0) {
    contentSize = 0
    for (let i = sizeBytes - 1; i >= 0; i--) contentSize = contentSize * 256 + bytes[sizeAt + i]!
    if (sizeBytes === 2) contentSize += 256
  }
  const window = bytes[5]!
  const base = 2 ** (10 + (window >> 3))
  return {
    size: sizeAt + sizeBytes,
    dictionaryId,
    contentSize,
    windowSize: singleSegment ? contentSize! : base + (base / 8) * (window & 7)
  }
}

/** What every decoder of zstd is expected to have for its window (RFC 8878, section 3.1.1.1.2). */
const commonWindow = 8 * 1024 * 1024

/** A block takes four bytes at least and holds 128 KiB at most. */
const maxExpansion = (128 * 1024) / 4

/**
 * Refuses a frame whose header claims more than `maxBytes`, or more than a frame of its length can hold;
 * gives the header otherwise. Throws a `ZstdError`. For implementations of the service.
 *
 * @category decoding
 * @since 0.1.0
 */
export const checkFrame = (bytes: Uint8Array, maxBytes: number): FrameHeader => {
  const header = frameHeader(bytes)
  if (header.contentSize === undefined) {
    if (header.windowSize > Math.max(maxBytes, commonWindow)) {
      fail(`the zstd frame needs a window of ${header.windowSize} bytes, more than the ${maxBytes} allowed`)
    }
    return header
  }
  if (header.contentSize > maxBytes) {
    fail(`the zstd frame holds ${header.contentSize} bytes, more than the ${maxBytes} allowed`)
  }
  if (header.contentSize > bytes.length * maxExpansion) fail("the zstd frame claims more than its blocks can hold")
  return header
}
