/**
 * Mutated files: bytes and words replaced, parts cut off, repeated and moved. A parser has to end on each, with a data set or
 * with an error of its own, within bounds of what it asks for and of what it yields.
 */
import type { ImportError, Dataset, SourceFile } from "@effect-icechunk/import"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Files from "./Files.ts"

/** xorshift32: the same sequence for the same seed. */
export const random = (seed: number): ((below: number) => number) => {
  let state = (seed ^ 0x9e37_79b9) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

const odd = [0, 1, 0x7f, 0x80, 0xff] as const
const words = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff] as const

/** One mutation of a file. `within` is where its structure is: half of the changes go there. */
export const mutate = (content: Uint8Array, seed: number, within: number = content.length): Uint8Array => {
  const next = random(seed)
  let bytes = content.slice()
  const changes = 1 + next(8)
  for (let i = 0; i < changes; i++) {
    const at = next(next(2) === 0 ? Math.min(within, bytes.length) || 1 : bytes.length || 1)
    const kind = next(12)
    if (kind < 5) bytes[at] = next(2) === 0 ? odd[next(odd.length)]! : next(256)
    else if (kind < 8) bytes[at] = bytes[at]! ^ (1 << next(8))
    else if (kind < 10) {
      const word = words[next(words.length)]!
      const view = new DataView(bytes.buffer)
      if (at + 4 <= bytes.length) view.setUint32(at, word, next(2) === 0)
    } else if (kind === 10) {
      const from = next(bytes.length || 1)
      const length = Math.min(1 + next(64), bytes.length - from, bytes.length - at)
      bytes.copyWithin(at, from, from + length)
    } else if (next(4) === 0) bytes = bytes.slice(0, at)
  }
  return bytes
}

/** Chunks that a mutated file may claim, before whoever reads them has had enough. */
const enough = 100_000

/**
 * Imports mutations of a file, all chunks included. Anything but a data set or a typed error is a failure, and so is a parser
 * that asks for more than `requests` or `bytes`.
 */
export const run = (options: {
  readonly content: Uint8Array
  readonly within?: number
  readonly runs: number
  readonly seed: number
  readonly importer: (file: SourceFile.SourceFile) => Effect.Effect<Dataset.Dataset, ImportError.ImportError>
  /** Requests for one file, at most (default 5,000). */
  readonly requests?: number
  /** Bytes for one file, at most (default 64 MiB). */
  readonly bytes?: number
}): Effect.Effect<{ readonly read: number; readonly refused: number }> =>
  Effect.gen(function* () {
    const { bytes = 64 * 1024 * 1024, content, importer, requests = 5000, runs, seed, within } = options
    let read = 0
    let refused = 0
    for (let i = 0; i < runs; i++) {
      const { count, file } = yield* Files.inMemory(mutate(content, seed + i, within))
      const exit = yield* Effect.exit(
        Effect.gen(function* () {
          const dataset = yield* importer(file)
          for (const array of dataset.arrays) {
            yield* array.chunks.pipe(
              Stream.map((chunks) => (chunks._tag === "Refs" ? chunks.refs.offsets.length : 1)),
              Stream.scan(
                () => 0,
                (sum: number, rows) => sum + rows
              ),
              Stream.takeWhile((sum) => sum < enough),
              Stream.runDrain
            )
          }
        })
      )
      if (Exit.isSuccess(exit)) read++
      else {
        const error = Cause.findError(exit.cause)
        assert.isTrue(Result.isSuccess(error), `seed ${seed + i}: ${Cause.pretty(exit.cause)}`)
        refused++
      }
      assert.isBelow(count.requests, requests, `seed ${seed + i} asks too often`)
      assert.isBelow(count.bytes, bytes, `seed ${seed + i} reads too much`)
    }
    return { read, refused }
  })
