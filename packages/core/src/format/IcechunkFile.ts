/**
 * What all of Icechunk's files but chunks have in common: a header of 39 bytes, then a flatbuffer,
 * usually compressed.
 *
 * Source: Icechunk spec 2, "Binary File Format".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import { attempt } from "../encoding/Attempt.ts"
import { FormatError } from "../encoding/FormatError.ts"
import * as Zstd from "../encoding/Zstd.ts"

/**
 * The kinds of file with a header.
 *
 * @category models
 * @since 0.1.0
 */
export type FileType = "Snapshot" | "Manifest" | "TransactionLog" | "RepoInfo"

/**
 * What a header says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Header {
  /** Who wrote the file, such as `ic-2.1.0`. */
  readonly implementation: string
  readonly specVersion: 1 | 2
  readonly fileType: FileType
  readonly compression: "none" | "zstd"
}

/**
 * How the files that we write name their writer.
 *
 * @category constants
 * @since 0.1.0
 */
export const implementation = "ic-effect-0.1.0"

/**
 * Bytes of the header.
 *
 * @category constants
 * @since 0.1.0
 */
export const headerSize = 39

/** How far a file of one kind is believed to unfold. */
interface Bounds {
  /** Largest payload, in bytes after decompression, whatever the file's size. */
  readonly payload: number
  /** How many times as large as its file a payload may be; up to `freePayload` bytes it may be any size. */
  readonly expansion: number
}

/** Below this many bytes a payload may be any number of times as large as its file. */
const freePayload = 32 * 1024 * 1024

/** What a decoded file may hold in memory, in bytes as estimated by `FlatTable`, for each byte of the file, and at any size. */
const heldPerByte = 4096
const freeHeld = 256 * 1024 * 1024

/**
 * A flatbuffer cannot be larger than 2 GiB, and only manifests come near. Each ref, node and snapshot has an id or an index of its
 * own, which does not compress away: refs come to at most 50 times the bytes of their file, inline chunks that are all alike and
 * nodes with large equal attributes to some hundreds, snapshots to at most 100. So a few bytes cannot make us allocate gigabytes.
 */
const bounds: Readonly<Record<FileType, Bounds>> = {
  Manifest: { payload: 2 ** 31 - 1, expansion: 512 },
  Snapshot: { payload: 2 ** 30, expansion: 1024 },
  TransactionLog: { payload: 2 ** 30, expansion: 1024 },
  RepoInfo: { payload: 2 ** 29, expansion: 256 }
}

/**
 * The largest file of a kind that is read, in bytes: what a store is told before it reads one.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxFileBytes = (fileType: FileType): number => headerSize + bounds[fileType].payload

const maxPayload = (fileType: FileType, body: number): number =>
  Math.min(bounds[fileType].payload, Math.max(freePayload, bounds[fileType].expansion * body))

const magic = new TextEncoder().encode("ICE🧊CHUNK")

const implementationAt = magic.length
const specVersionAt = implementationAt + 24
const fileTypeAt = specVersionAt + 1
const compressionAt = fileTypeAt + 1

const fileTypeCodes: Readonly<Record<FileType, number>> = { Snapshot: 1, Manifest: 2, TransactionLog: 4, RepoInfo: 6 }

const fileTypes: ReadonlyMap<number, FileType> = new Map(
  Object.entries(fileTypeCodes).map(([name, code]) => [code, name as FileType])
)

/**
 * The header of a file, from its first 39 bytes or more. `file` is its key, for the error.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeHeader = (file: string, bytes: Uint8Array): Result.Result<Header, FormatError> =>
  attempt(() => {
    const fail = (field: string, problem: string): never => {
      throw new FormatError({ file, field: `header.${field}`, problem })
    }
    if (!magic.every((byte, i) => bytes[i] === byte)) {
      fail("magic", "it does not start with `ICE🧊CHUNK`, so it is not a file of Icechunk")
    }
    if (bytes.length < headerSize) fail("length", `it has ${bytes.length} bytes, a header has ${headerSize}`)
    const specVersion = bytes[specVersionAt]!
    if (specVersion !== 1 && specVersion !== 2) {
      return fail("spec_version", `it follows version ${specVersion} of the specification, not 1 or 2`)
    }
    const code = bytes[fileTypeAt]!
    const fileType = fileTypes.get(code) ?? fail("file_type", `no type of file has the code ${code}`)
    const compression = bytes[compressionAt]!
    if (compression > 1) fail("compression", `no compression has the code ${compression}`)
    return {
      implementation: new TextDecoder().decode(bytes.subarray(implementationAt, specVersionAt)).replace(/[ \0]+$/, ""),
      specVersion,
      fileType,
      compression: compression === 0 ? "none" : "zstd"
    }
  })

/**
 * The version of the specification in a header of the right length, whether it is a known one or not.
 *
 * @category decoding
 * @since 0.1.0
 */
export const specVersionOf = (header: Uint8Array): number => header[specVersionAt]!

/**
 * A file, decoded as far as all types share: its header and its decompressed payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface IcechunkFile {
  readonly header: Header
  /** Without compression, a view into the file. */
  readonly payload: Uint8Array
  /** What may be built from the payload, in bytes; see `FlatTable.root`. */
  readonly maxHeld: number
}

/**
 * Header and payload of a file. Fails with `FormatError` when the header is not that of an `expected`
 * file, and when the payload is damaged or larger than a file of this kind and size can mean.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode: (
  file: string,
  bytes: Uint8Array,
  expected: FileType
) => Effect.Effect<IcechunkFile, FormatError, Zstd.Zstd> = /*#__PURE__*/ Effect.fnUntraced(
  function* (file, bytes, expected) {
    const header = yield* Effect.fromResult(decodeHeader(file, bytes))
    if (header.fileType !== expected) {
      return yield* new FormatError({
        file,
        field: "header.file_type",
        problem: `it is a ${header.fileType} where a ${expected} is expected`
      })
    }
    const body = bytes.subarray(headerSize)
    const maxBytes = maxPayload(expected, body.length)
    const maxHeld = Math.max(freeHeld, heldPerByte * body.length)
    const toFormatError = (problem: string): FormatError => new FormatError({ file, field: "payload", problem })
    if (header.compression === "none") {
      if (body.length > maxBytes) return yield* toFormatError(`it has ${body.length} bytes, more than ${maxBytes}`)
      return { header, payload: body, maxHeld }
    }
    const zstd = yield* Zstd.Zstd
    const payload = yield* Effect.mapError(zstd.decompress(body, maxBytes), (error) => toFormatError(error.problem))
    return { header, payload, maxHeld }
  }
)

/**
 * A file from its payload: zstd of `level` 3 and spec version 2, unless given otherwise. A payload that compresses better than a
 * reader believes is stored as it is.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode: (
  fileType: FileType,
  payload: Uint8Array,
  options?: { readonly level?: number | undefined; readonly specVersion?: 1 | 2 | undefined }
) => Effect.Effect<Uint8Array, never, Zstd.Zstd> = /*#__PURE__*/ Effect.fnUntraced(
  function* (fileType, payload, options) {
    const zstd = yield* Zstd.Zstd
    const compressed = yield* zstd.compress(payload, options?.level ?? 3)
    const isBelievable = payload.length <= maxPayload(fileType, compressed.length)
    const body = isBelievable ? compressed : payload
    const file = new Uint8Array(headerSize + body.length)
    file.set(magic)
    file.set(new TextEncoder().encode(implementation.padEnd(24)), implementationAt)
    file[specVersionAt] = options?.specVersion ?? 2
    file[fileTypeAt] = fileTypeCodes[fileType]
    file[compressionAt] = isBelievable ? 1 : 0
    file.set(body, headerSize)
    return file
  }
)
