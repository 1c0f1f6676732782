/**
 * JSON values in MessagePack: snapshot metadata of spec version 1. Read only, for we write version 2.
 *
 * Own code and not a library, for libraries allocate arrays of the length that the bytes claim.
 *
 * Source: the MessagePack specification, "Formats".
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type { Json, JsonObject } from "../values/Json.ts"
import { attempt } from "./Attempt.ts"
import { FormatError } from "./FormatError.ts"

const maxDepth = 128

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

class Reader {
  private readonly file: string
  private readonly field: string
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private position = 0

  constructor(file: string, field: string, bytes: Uint8Array) {
    this.file = file
    this.field = field
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  private fail(problem: string): never {
    throw new FormatError({ file: this.file, field: this.field, problem: `as MessagePack, ${problem}` })
  }

  /** Moves over `size` bytes and gives their position. */
  private take(size: number): number {
    const start = this.position
    if (size > this.bytes.length - start) this.fail("it ends in the middle of a value")
    this.position += size
    return start
  }

  /** An unsigned number of 1, 2, 4 or 8 bytes, rounded beyond 2^53. */
  private uint(size: number): number {
    const at = this.take(size)
    if (size === 1) return this.bytes[at]!
    if (size === 2) return this.view.getUint16(at)
    return size === 4 ? this.view.getUint32(at) : Number(this.view.getBigUint64(at))
  }

  private int(size: number): number {
    const at = this.take(size)
    if (size === 1) return this.view.getInt8(at)
    if (size === 2) return this.view.getInt16(at)
    return size === 4 ? this.view.getInt32(at) : Number(this.view.getBigInt64(at))
  }

  private string(length: number): string {
    const start = this.take(length)
    try {
      return utf8.decode(this.bytes.subarray(start, start + length))
    } catch {
      return this.fail("a text is not UTF-8")
    }
  }

  private array(length: number, depth: number): Json {
    const items: Array<Json> = []
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1))
    return items
  }

  private map(length: number, depth: number): JsonObject {
    const entries: Array<[string, Json]> = []
    for (let i = 0; i < length; i++) {
      const name = this.value(depth + 1)
      if (typeof name !== "string") return this.fail("a key is not text")
      entries.push([name, this.value(depth + 1)])
    }
    return Object.fromEntries(entries)
  }

  private value(depth: number): Json {
    if (depth > maxDepth) this.fail(`values are nested deeper than ${maxDepth}`)
    const code = this.uint(1)
    if (code <= 0x7f) return code
    if (code <= 0x8f) return this.map(code & 0x0f, depth)
    if (code <= 0x9f) return this.array(code & 0x0f, depth)
    if (code <= 0xbf) return this.string(code & 0x1f)
    if (code >= 0xe0) return code - 0x100
    switch (code) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.view.getFloat32(this.take(4))
      case 0xcb:
        return this.view.getFloat64(this.take(8))
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.uint(2 ** (code - 0xcc))
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.int(2 ** (code - 0xd0))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.string(this.uint(2 ** (code - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.array(this.uint(2 ** (code - 0xdb)), depth)
      case 0xde:
      case 0xdf:
        return this.map(this.uint(2 ** (code - 0xdd)), depth)
      default:
        return this.fail(`it has a value of type 0x${code.toString(16)}, which is not JSON`)
    }
  }

  root(): Json {
    const value = this.value(0)
    if (this.position !== this.bytes.length) this.fail("there are bytes after its value")
    return value
  }
}

/**
 * The JSON value in `bytes`. `file` and `field` are where they come from, for the error.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, field: string, bytes: Uint8Array): Result.Result<Json, FormatError> =>
  attempt(() => new Reader(file, field, bytes).root())
