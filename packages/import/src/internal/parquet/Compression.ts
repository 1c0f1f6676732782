/**
 * Pages of Parquet as their bytes: not compressed, Snappy, gzip or zstd. A page has as many bytes as its header says, or is damaged:
 * no more are allocated. Source: Apache Parquet, "Compression"; Snappy, "Format description".
 *
 * @since 0.1.0
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import { Zstd } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"

/** Bytes of a page, at most. */
const maxPage = 256 * 1024 * 1024

/** Codecs that are not read, by their numbers. */
const others: Readonly<Record<number, string>> = { 3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4" }

const lengthAt = (bytes: Uint8Array): { readonly length: number; readonly at: number } | undefined => {
  let length = 0
  for (let at = 0; at < 5 && at < bytes.length; at++) {
    length += (bytes[at]! & 0x7f) * 2 ** (7 * at)
    if (bytes[at]! < 0x80) return { length, at: at + 1 }
  }
  return undefined
}

/** What Snappy has made smaller, or `undefined` for what it has not. */
export const snappy = (bytes: Uint8Array, length: number): Uint8Array | undefined => {
  const head = lengthAt(bytes)
  // Three bytes make up to 64.
  if (head?.length !== length || length > 32 * bytes.length) return undefined
  const into = new Uint8Array(length)
  let { at } = head
  let done = 0
  while (at < bytes.length) {
    const tag = bytes[at++]!
    const kind = tag & 3
    if (kind === 0) {
      let size = (tag >> 2) + 1
      if (size > 60) {
        const extra = size - 60
        if (at + extra > bytes.length) return undefined
        size = 1
        for (let i = 0; i < extra; i++) size += bytes[at++]! * 2 ** (8 * i)
      }
      if (size > bytes.length - at || size > length - done) return undefined
      into.set(bytes.subarray(at, at + size), done)
      at += size
      done += size
      continue
    }
    const extra = kind === 3 ? 4 : kind
    if (at + extra > bytes.length) return undefined
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    let distance = kind === 1 ? (tag >> 5) * 256 : 0
    for (let i = 0; i < extra; i++) distance += bytes[at++]! * 2 ** (8 * i)
    if (distance === 0 || distance > done || size > length - done) return undefined
    // It may repeat what it has just written.
    for (let i = 0; i < size; i++) into[done + i] = into[done + i - distance]!
    done += size
  }
  return done === length ? into : undefined
}

/** Content of gzip as it comes, up to `length` bytes. */
const gunzip = async (bytes: Uint8Array, length: number): Promise<Uint8Array> => {
  // Deflate makes a byte of 1,032 at the most.
  if (length > 1032 * bytes.length) throw new RangeError("it claims more than its bytes can hold")
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"))
  const into = new Uint8Array(length)
  let done = 0
  for await (const part of stream as unknown as AsyncIterable<Uint8Array>) {
    if (part.length > length - done) throw new RangeError("it has more bytes than it says")
    into.set(part, done)
    done += part.length
  }
  if (done !== length) throw new RangeError("it has fewer bytes than it says")
  return into
}

/** The `length` bytes of a page, or a sentence that says why there are none. */
export const decompress = (codec: number, bytes: Uint8Array, length: number): Effect.Effect<Uint8Array, string> => {
  const wrong = (name: string) => `a page is not ${length} bytes of ${name}`
  if (length > maxPage) return Effect.fail(`a page has ${length} bytes, more than the ${maxPage} that are read`)
  if (codec === 0) return bytes.length === length ? Effect.succeed(bytes) : Effect.fail(wrong("data"))
  if (codec === 1) {
    const content = snappy(bytes, length)
    return content === undefined ? Effect.fail(wrong("Snappy")) : Effect.succeed(content)
  }
  if (codec === 2) return Effect.tryPromise({ try: () => gunzip(bytes, length), catch: () => wrong("gzip") })
  if (codec === 6) {
    return Effect.flatMap(Zstd.Zstd, (zstd) => zstd.decompress(bytes, length)).pipe(
      Effect.provide(BrowserZstd.layer),
      Effect.mapError(() => wrong("zstd")),
      Effect.filterOrFail(
        (content) => content.length === length,
        () => wrong("zstd")
      )
    )
  }
  const name = others[codec] ?? `codec ${codec}`
  return Effect.fail(`its pages are compressed with ${name}, which is not read; write them with zstd`)
}
