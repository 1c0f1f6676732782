/**
 * Which parts of open files the system has in memory, because they were read a moment ago. To read a small one of those
 * takes a microsecond or two; to hand it to another thread takes ten times as long, or more.
 *
 * No bytes are kept, so that nothing can be out of date: each read asks the system, and its bytes are checked as all others
 * are. What may be wrong is only the guess that no disk is waited for. It holds for a second, which is short for a system that
 * forgets first what was not used for longest, and a program that waited for disks after all makes no such guess for a while.
 *
 * Files are looked at in blocks. The second read of a block within a second reads all of it, and further ones find it in memory: of
 * a file that is read here and there, which seldom touches a block twice, nothing is read that nobody wants.
 */
import type * as ByteRange from "@effect-icechunk/core/ByteRange"

/** Bytes of a block. */
export const blockSize: number = 64 * 1024

/** Larger parts take so long to copy that another thread does it as well. */
export const largest: number = 16 * 1024

/** How many blocks are known; others take their places. */
const slots = 4096

/** For how many milliseconds a block that was read counts as being in memory. */
export const near = 1000

/** A read of so many milliseconds waited for a disk, or for the processor. */
const long = 1

/** No more than one part in so many of the time is waited so, in the long run. */
const share = 20

/** So many milliseconds in a row may be, for one such read says little: it may have been the processor. */
const allowance = 20

/** How a part of a file is best read. */
type Manner =
  /** At once, on the program's own thread. */
  | { readonly _tag: "Here" }
  /** With all of its block, by another thread; `done` is told whether the block was read. */
  | { readonly _tag: "Along"; readonly span: ByteRange.Span; readonly done: (isRead: boolean) => void }
  /** By itself, by another thread. */
  | { readonly _tag: "Alone" }

const here: Manner = { _tag: "Here" }
const alone: Manner = { _tag: "Alone" }

export interface NearBytes {
  /** The parts of one open file of a size. */
  readonly ofFile: (size: number) => (span: ByteRange.Span) => Manner
  /** A part that was read here took so many milliseconds. */
  readonly took: (milliseconds: number) => void
}

/** What is known of a block. */
const unknown = 0
const touched = 1
const comes = 2
const isThere = 3

/**
 * `diskReads` is how often the process has read from a disk, where the system counts that: a long read without one waited
 * for the processor, and would have in another thread.
 */
export const make = (now: () => number, diskReads: () => number | undefined): NearBytes => {
  let diskReadsBefore: number | undefined
  let files = 0
  /** When what was waited for will be made up for. */
  let paidAt = Number.NEGATIVE_INFINITY
  // Where a block stands follows from its file and number; the one that was touched last has the place.
  let table:
    | {
        readonly files: Float64Array
        readonly blocks: Float64Array
        readonly times: Float64Array
        readonly states: Uint8Array
      }
    | undefined

  const ofFile: NearBytes["ofFile"] = (size) => {
    const file = ++files
    return ({ end, start }) => {
      if (end - start > largest || end === start) return alone
      const block = Math.floor(start / blockSize)
      if (Math.floor((end - 1) / blockSize) !== block) return alone
      const time = now()
      if (paidAt - time > share * allowance) return alone
      if (table === undefined) {
        diskReadsBefore = diskReads()
        table = {
          files: new Float64Array(slots),
          blocks: new Float64Array(slots),
          times: new Float64Array(slots),
          states: new Uint8Array(slots)
        }
      }
      const { blocks, files, states, times } = table
      const slot = (Math.imul(file, 0x9e3779b1) + block) & (slots - 1)
      const isKnown = files[slot] === file && blocks[slot] === block && time - times[slot]! <= near
      const state = isKnown ? states[slot]! : unknown
      if (state === isThere) {
        times[slot] = time
        return here
      }
      if (state === comes) return alone
      files[slot] = file
      blocks[slot] = block
      times[slot] = time
      if (state === unknown) {
        states[slot] = touched
        return alone
      }
      states[slot] = comes
      const from = block * blockSize
      return {
        _tag: "Along",
        span: { start: from, end: Math.min(from + blockSize, size) },
        done: (isRead) => {
          if (files[slot] !== file || blocks[slot] !== block || states[slot] !== comes) return
          states[slot] = isRead ? isThere : touched
          times[slot] = now()
        }
      }
    }
  }

  return {
    ofFile,
    took: (milliseconds) => {
      if (milliseconds <= long) return
      const reads = diskReads()
      if (reads === undefined || reads !== diskReadsBefore) paidAt = Math.max(paidAt, now()) + share * milliseconds
      diskReadsBefore = reads
    }
  }
}
