/**
 * The codec `zstd` for zarrita with the decoder that reads this library's own files, in place of that of `numcodecs`, a
 * WebAssembly build of 240 kB that a page loads when it meets the first such array.
 *
 * ```ts
 * import * as ZarritaZstd from "@effect-icechunk/core/browser/ZarritaZstd"
 * import * as zarr from "zarrita"
 *
 * zarr.registry.set("zstd", ZarritaZstd.load)
 * zarr.registry.set("numcodecs.zstd", ZarritaZstd.load)
 * ```
 *
 * @since 0.1.0
 */
import * as ZstdDecoder from "../encoding/ZstdDecoder.ts"

/**
 * What zarrita's registry holds of a codec.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecEntry {
  readonly kind: "bytes_to_bytes"
  readonly fromConfig: (config: unknown) => {
    readonly kind: "bytes_to_bytes"
    readonly encode: (bytes: Uint8Array) => Uint8Array
    readonly decode: (bytes: Uint8Array) => Uint8Array
  }
}

/** The largest chunk that is decompressed, in bytes. */
const maxBytes = 2 ** 30

const codec: CodecEntry = {
  kind: "bytes_to_bytes",
  fromConfig: () => ({
    kind: "bytes_to_bytes",
    decode: (bytes) => ZstdDecoder.decompress(bytes, maxBytes),
    encode: () => {
      throw new TypeError("`ZarritaZstd` only decompresses; leave zarrita's own `zstd` in `zarr.registry` to write.")
    }
  })
}

/**
 * Loads the codec. It decompresses chunks of at most 1 GiB, about 100 MB a second on the calling thread; zarrita fails with
 * `CodecPipelineError` for a larger or damaged one, and when a chunk is written.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (): Promise<CodecEntry> => Promise.resolve(codec)
