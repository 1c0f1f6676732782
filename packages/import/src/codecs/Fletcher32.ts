/**
 * The codec `numcodecs.fletcher32` for zarrita: chunks of HDF5 and NetCDF-4 files that were compressed after their checksum was put
 * behind them, as netCDF-C does from 4.8 on. The checksum is compared, and dropped.
 *
 * @since 0.1.0
 */
import * as Fletcher32 from "../internal/hdf5/Fletcher32.ts"
import type { ZarritaRegistry } from "../internal/ZarritaRegistry.ts"

/**
 * A chunk whose checksum is another one than that of its bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export class Fletcher32DecodeError extends Error {
  override readonly name = "Fletcher32DecodeError"
}

/**
 * The bytes before the checksum, which is the last four bytes.
 *
 * @throws {Fletcher32DecodeError} where it is another one than that of these bytes.
 * @category decoding
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Uint8Array => {
  const own = Fletcher32.checked(bytes)
  if (typeof own === "string") {
    throw new Fletcher32DecodeError(`The chunk is damaged: ${own}. Compare the file with its source.`)
  }
  return own
}

/**
 * Registers the codec with zarrita: `Fletcher32.register(zarr.registry)`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const register = (registry: ZarritaRegistry): void => {
  const codec = { kind: "bytes_to_bytes", decode, encode: Fletcher32.appended }
  registry.set("numcodecs.fletcher32", () =>
    Promise.resolve({ kind: "bytes_to_bytes", fromConfig: () => codec } as never)
  )
}
