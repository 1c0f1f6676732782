/**
 * The superblock: where an HDF5 file begins. Source: HDF5 File Format Specification 3.0, II.A.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type ImportError, WrongFormat } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

export interface Superblock {
  readonly sizes: Sizes
  /** The object header of the root group. */
  readonly root: number
  /** The object header with what concerns the file as a whole. */
  readonly extension: number | undefined
}

const signature = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a] as const

const isSignature = (bytes: Uint8Array): boolean => signature.every((byte, i) => bytes[i] === byte)

const parse = (bytes: Uint8Array, start: number): Superblock => {
  const cursor = new Cursor(bytes, start, { offsetSize: 8, lengthSize: 8, base: 0 })
  cursor.skip(8)
  const version = cursor.version("the superblock", 0, 1, 2, 3)
  if (version < 2) cursor.skip(4)
  const at = cursor.at
  const offsetSize = cursor.u8()
  const lengthSize = cursor.u8()
  if (![2, 4, 8].includes(offsetSize) || ![2, 4, 8].includes(lengthSize)) {
    cursor.fail(`addresses of ${offsetSize} and lengths of ${lengthSize} bytes are not known`, at)
  }
  cursor.skip(version < 2 ? 1 + 2 + 2 + 4 : 1)
  if (version === 1) cursor.skip(4)
  const sized = new Cursor(bytes, start, { offsetSize, lengthSize, base: 0 })
  sized.at = cursor.at
  // A file may begin with something else, and addresses count from here whatever was written, as libhdf5 has it.
  sized.skip(offsetSize)
  const sizes = { offsetSize, lengthSize, base: start }
  const last = new Cursor(bytes, start, sizes)
  last.at = sized.at
  const extension = last.address()
  // The end of the file; what a driver has, and the name of the root.
  last.skip((version < 2 ? 3 : 1) * offsetSize)
  const root = last.place("the root group")
  if (version >= 2) last.checksum()
  return { sizes, root, extension: version < 2 ? undefined : extension }
}

/** Finds the superblock: at the start, or after a user block, whose size is a power of two from 512. */
export const read = Effect.fnUntraced(function* (source: ByteSource): Effect.fn.Return<Superblock, ImportError> {
  for (let start = 0; start + 48 <= source.size; start = start === 0 ? 512 : 2 * start) {
    const bytes = yield* source.read(start, Math.min(source.size - start, 128))
    if (isSignature(bytes)) return yield* parsing(source, () => parse(bytes, start))
    // Larger user blocks are not met, and each costs a request.
    if (start >= 1024 * 1024) break
  }
  const first = yield* source.read(0, Math.min(4, source.size))
  const isNetCdf3 = first[0] === 0x43 && first[1] === 0x44 && first[2] === 0x46
  return yield* new WrongFormat({
    location: source.location,
    expected: "HDF5",
    problem: isNetCdf3 ? "it is NetCDF-3; import it with `NetCdf3`" : "it has no HDF5 signature"
  })
})
