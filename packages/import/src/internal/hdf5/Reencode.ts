/**
 * Chunks whose filters are others than those of their array, encoded as the array's other chunks: such as a chunk that did not
 * become smaller, of which the writer left the compression out, or one at the edge of the array.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Filters from "./Filters.ts"
import * as Fletcher32 from "./Fletcher32.ts"

/** What a step does, or `undefined` where nothing here can do it. */
interface Coder {
  readonly decode?: (bytes: Uint8Array, most: number, values: ReadonlyArray<number>) => Promise<Uint8Array>
  readonly encode?: (bytes: Uint8Array, values: ReadonlyArray<number>) => Promise<Uint8Array>
}

/** Everything that a transformation yields; `undefined` when it is more than expected. */
const through = async (
  bytes: Uint8Array,
  {
    readable,
    writable
  }: { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<BufferSource> },
  most: number
): Promise<Uint8Array> => {
  const writer = writable.getWriter()
  const written = Promise.all([writer.write(bytes.slice()), writer.close()])
  // A reader that fails says why.
  written.catch(() => undefined)
  const parts: Array<Uint8Array> = []
  let length = 0
  const reader = readable.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > most) {
      await reader.cancel()
      throw new Error(`it has more than ${most} bytes`)
    }
    parts.push(value)
  }
  await written
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const transposed = (bytes: Uint8Array, size: number, isEncoding: boolean): Uint8Array => {
  const count = Math.floor(bytes.length / size)
  const out = bytes.slice()
  for (let i = 0; i < count; i++) {
    for (let byte = 0; byte < size; byte++) {
      if (isEncoding) out[byte * count + i] = bytes[i * size + byte]!
      else out[i * size + byte] = bytes[byte * count + i]!
    }
  }
  return out
}

/** A frame of blocks that are stored as they are. Source: RFC 8878. */
const zstdFrame = (bytes: Uint8Array): Uint8Array => {
  const largest = 128 * 1024
  const blocks = Math.max(1, Math.ceil(bytes.length / largest))
  const out = new Uint8Array(4 + 1 + 8 + blocks * 3 + bytes.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, 0xfd2f_b528, true)
  // One segment, whose size follows in 8 bytes.
  out[4] = 0xe0
  view.setBigUint64(5, BigInt(bytes.length), true)
  let at = 13
  for (let block = 0; block < blocks; block++) {
    const part = bytes.subarray(block * largest, (block + 1) * largest)
    const head = (part.length << 3) | (block === blocks - 1 ? 1 : 0)
    out.set([head & 0xff, (head >> 8) & 0xff, (head >> 16) & 0xff], at)
    out.set(part, at + 3)
    at += 3 + part.length
  }
  return out
}

/** Bytes that Blosc holds as they are. Source: Blosc chunk format, version 2. */
const bloscChunk = (bytes: Uint8Array, typeSize: number): Uint8Array => {
  const out = new Uint8Array(16 + bytes.length)
  const view = new DataView(out.buffer)
  out.set([2, 1, 2, Math.min(255, Math.max(1, typeSize))])
  view.setUint32(4, bytes.length, true)
  view.setUint32(8, Math.max(1, bytes.length), true)
  view.setUint32(12, out.length, true)
  out.set(bytes, 16)
  return out
}

const coders: Readonly<Record<number, Coder>> = {
  [Filters.shuffle]: {
    decode: (bytes, _, [size = 1]) => Promise.resolve(transposed(bytes, size, false)),
    encode: (bytes, [size = 1]) => Promise.resolve(transposed(bytes, size, true))
  },
  [Filters.deflate]: {
    decode: (bytes, most) => through(bytes, new DecompressionStream("deflate"), most),
    encode: (bytes) => through(bytes, new CompressionStream("deflate"), Number.POSITIVE_INFINITY)
  },
  [Filters.fletcher32]: {
    decode: (bytes) => {
      const own = Fletcher32.checked(bytes)
      return typeof own === "string" ? Promise.reject(new Error(own)) : Promise.resolve(own)
    },
    encode: (bytes) => Promise.resolve(Fletcher32.appended(bytes))
  },
  [Filters.zstd]: { encode: (bytes) => Promise.resolve(zstdFrame(bytes)) },
  [Filters.blosc]: { encode: (bytes, values) => Promise.resolve(bloscChunk(bytes, values[2] ?? 1)) }
}

/** Whether all steps can be undone here. */
export const isDecodable = ({ steps }: Filters.Plan): boolean =>
  steps.every(({ filter }) => coders[filter.id]?.decode !== undefined)

/**
 * A chunk as the array's mask wants it. The steps from the first that differs on are undone, and done again; fails with the sentence
 * that says why where one of them can only be done elsewhere.
 */
export const chunk = (
  stored: Uint8Array,
  { steps }: Filters.Plan,
  masks: { readonly chunk: number; readonly array: number },
  chunkBytes: number
): Effect.Effect<Uint8Array, string> => {
  const first = steps.findIndex(({ bit }) => (masks.chunk & bit) !== (masks.array & bit))
  if (first < 0) return Effect.sync(() => stored.slice())
  const work = async (): Promise<Uint8Array> => {
    let bytes = stored
    // What the steps before the first yield; of the array's own bytes when it is the first.
    const most = 2 * chunkBytes + 4096
    for (let i = steps.length - 1; i >= first; i--) {
      const { bit, filter } = steps[i]!
      if ((masks.chunk & bit) !== 0) continue
      const { decode } = coders[filter.id] ?? {}
      if (decode === undefined) throw new Error(`the filter ${filter.id} cannot be undone here`)
      bytes = await decode(bytes, most, filter.values)
    }
    if (first === 0 && bytes.length !== chunkBytes) {
      throw new Error(`it has ${bytes.length} bytes, and chunks have ${chunkBytes}`)
    }
    for (const { bit, filter } of steps.slice(first)) {
      if ((masks.array & bit) !== 0) continue
      const { encode } = coders[filter.id] ?? {}
      if (encode === undefined) throw new Error(`the filter ${filter.id} cannot be done here`)
      bytes = await encode(bytes, filter.values)
    }
    // What is stored belongs to the cache of the file, and what is taken off it is a part of it.
    return bytes.buffer === stored.buffer ? bytes.slice() : bytes
  }
  return Effect.tryPromise({ try: work, catch: (cause) => (cause instanceof Error ? cause.message : String(cause)) })
}
