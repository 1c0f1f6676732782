/**
 * A file as bytes at positions: blocks of it are fetched as they are needed, neighbours together, and held for a while.
 *
 * All of them are of one version: the first answer says which, later requests ask for it, and an answer of another one is
 * `FileChanged`.
 *
 * @since 0.1.0
 */
import { ByteRange, Checksum, type ObjectStore } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import { DamagedFile, FileChanged, type ImportError } from "../ImportError.ts"
import type { ReadOptions, SourceFile } from "../SourceFile.ts"

/** From `start` to before `end`, in bytes of the file. */
export type Span = ByteRange.Span

/** A file that is read. */
export interface ByteSource {
  readonly location: string
  /** Bytes in the file. */
  readonly size: number
  /** What refs remember of it. */
  readonly checksum: Checksum.Checksum | undefined
  /** `length` bytes; not to be changed, they may be a view of what is held. Fails with `DamagedFile` past the end. */
  readonly read: (start: number, length: number) => Effect.Effect<Uint8Array, ImportError>
  /** Many at once, with as few requests as there are stretches of blocks that are not held. */
  readonly readMany: (spans: ReadonlyArray<Span>) => Effect.Effect<ReadonlyArray<Uint8Array>, ImportError>
  /** A file that is not as its format demands. */
  readonly damaged: (offset: number | undefined, problem: string) => DamagedFile
}

const mebibyte = 1024 * 1024

/** Spans that are read at once are cut into groups of so many bytes, so that a group fits what is held. */
const groupBytes = 8 * mebibyte

/** What refs remember of an object. */
export const checksumOf = (
  { lastModified, version }: ObjectStore.ObjectMeta,
  platform: string,
  how: ReadOptions["checksum"]
): Checksum.Checksum | undefined =>
  how === false
    ? undefined
    : Checksum.capture(
        { etag: version.etag, lastModified },
        how === true || how === undefined ? Checksum.defaultCapture(platform) : how
      )

const isSame = (a: ObjectStore.ObjectMeta, b: ObjectStore.ObjectMeta): boolean =>
  a.size === b.size &&
  (a.version.etag === b.version.etag || a.version.etag === undefined || b.version.etag === undefined) &&
  (a.lastModified === b.lastModified || a.lastModified === undefined || b.lastModified === undefined)

/** Opens a file: one request for what the store says of it, and one for its first bytes. */
export const open = Effect.fn("Import.open")(function* (
  { key, location, store }: SourceFile,
  options: ReadOptions = {}
): Effect.fn.Return<ByteSource, ImportError> {
  const { blockSize = 64 * 1024, cacheBytes = 32 * mebibyte, wholeBelow = mebibyte } = options
  const meta = yield* store.head(key)
  const { size } = meta
  const ifMatch = meta.version.etag
  const changed = new FileChanged({ location })
  const damaged = (offset: number | undefined, problem: string) => new DamagedFile({ location, offset, problem })

  const get = (start: number, end: number): Effect.Effect<Uint8Array, ImportError> =>
    store.get(key, { range: ByteRange.bounded(start, end - start), ifMatch }).pipe(
      Effect.mapError((error) =>
        error.reason._tag === "PreconditionFailed" || error.reason._tag === "InvalidRange" ? changed : error
      ),
      Effect.flatMap((answer) => (isSame(meta, answer.meta) ? Effect.succeed(answer.bytes) : Effect.fail(changed)))
    )

  const block = size <= wholeBelow ? Math.max(size, 1) : Math.max(512, Math.floor(blockSize))
  /** Blocks by their numbers, the one that was used last at the end. */
  const blocks = new Map<number, Uint8Array>()
  const maxBlocks = Math.max(4, Math.ceil(cacheBytes / block))

  /** Blocks that are not held, those beside each other with one request. */
  const fetch = (missing: ReadonlyArray<number>, into: Map<number, Uint8Array>) => {
    const stretches: Array<{ from: number; to: number }> = []
    for (const number of missing) {
      const last = stretches.at(-1)
      if (last !== undefined && last.to === number) last.to++
      else stretches.push({ from: number, to: number + 1 })
    }
    return Effect.forEach(
      stretches,
      ({ from, to }) =>
        Effect.map(get(from * block, Math.min(size, to * block)), (bytes) => {
          for (let number = from; number < to; number++) {
            const one = bytes.subarray((number - from) * block, (number - from + 1) * block)
            // A block of a long answer is held without the rest of it.
            into.set(number, to - from > 1 ? one.slice() : one)
          }
        }),
      { concurrency: store.maxConcurrentRequests ?? 64, discard: true }
    )
  }

  const hold = (used: ReadonlyMap<number, Uint8Array>): void => {
    for (const [number, bytes] of used) {
      blocks.delete(number)
      blocks.set(number, bytes)
    }
    for (const number of blocks.keys()) {
      if (blocks.size <= maxBlocks) return
      blocks.delete(number)
    }
  }

  const cut = ({ end, start }: Span, bytes: ReadonlyMap<number, Uint8Array>): Uint8Array => {
    if (start === end) return new Uint8Array(0)
    const first = Math.floor(start / block)
    if (end <= (first + 1) * block) return bytes.get(first)!.subarray(start - first * block, end - first * block)
    const whole = new Uint8Array(end - start)
    for (let number = first; number * block < end; number++) {
      const at = number * block
      whole.set(bytes.get(number)!.subarray(Math.max(0, start - at), end - at), Math.max(0, at - start))
    }
    return whole
  }

  const numbersOf = ({ end, start }: Span): ReadonlyArray<number> => {
    const first = Math.floor(start / block)
    return start === end ? [] : Array.from({ length: Math.ceil(end / block) - first }, (_, i) => first + i)
  }

  const group = (spans: ReadonlyArray<Span>): Effect.Effect<ReadonlyArray<Uint8Array>, ImportError> =>
    Effect.suspend(() => {
      const wanted = [...new Set(spans.flatMap(numbersOf))].toSorted((a, b) => a - b)
      const used = new Map<number, Uint8Array>()
      for (const number of wanted) {
        const held = blocks.get(number)
        if (held !== undefined) used.set(number, held)
      }
      const missing = wanted.filter((number) => !used.has(number))
      const answer = (): ReadonlyArray<Uint8Array> => {
        hold(used)
        return spans.map((span) => cut(span, used))
      }
      return missing.length === 0 ? Effect.sync(answer) : Effect.map(fetch(missing, used), answer)
    })

  const problemOf = ({ end, start }: Span): DamagedFile | undefined =>
    !Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start
      ? damaged(undefined, `it points to bytes ${start} to ${end}, which cannot be`)
      : end > size
        ? damaged(start, `${end - start} bytes are expected there, and the file ends at ${size}`)
        : undefined

  const readMany = (spans: ReadonlyArray<Span>): Effect.Effect<ReadonlyArray<Uint8Array>, ImportError> => {
    const groups: Array<Array<Span>> = [[]]
    let bytes = 0
    for (const span of spans) {
      const problem = problemOf(span)
      if (problem !== undefined) return Effect.fail(problem)
      if (bytes > 0 && bytes + span.end - span.start + block > groupBytes) {
        groups.push([])
        bytes = 0
      }
      groups.at(-1)!.push(span)
      bytes += span.end - span.start + block
    }
    return groups.length === 1 ? group(spans) : Effect.map(Effect.forEach(groups, group), (all) => all.flat())
  }

  return {
    location,
    size,
    checksum: checksumOf(meta, store.origin.platform, options.checksum),
    damaged,
    read: (start, length) => Effect.map(readMany([{ start, end: start + length }]), ([bytes]) => bytes!),
    readMany
  }
})
