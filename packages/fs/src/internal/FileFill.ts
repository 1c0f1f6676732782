/**
 * Writes the bytes of a new file, and says which file it is then. Of Node's own files this is one chain of callbacks, for
 * of a small file an Effect for each call is most of the cost; those of another `FileSystem` write by themselves.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"
import * as FileIdentity from "../FileIdentity.ts"
import { identityOf } from "./FileStats.ts"
import { node, NodeCalls, platformError } from "./NodeCalls.ts"

/** Between two writes there may be an interruption. */
const largestWrite = 8 * 1024 * 1024

/** Whether a file is as Node's `FileSystem` makes it: a test, or a program that limits what is written, has its own. */
const isPlain = (file: FileSystem.File): file is FileSystem.File & { readonly fd: number } =>
  Object.hasOwn(file, "fd") && !Object.hasOwn(file, "writeAll") && FileIdentity.descriptor(file) !== undefined

const wroteNothing = PlatformError.systemError({
  _tag: "WriteZero",
  module: "FileSystem",
  method: "writeAll",
  description: "the system wrote nothing"
})

/**
 * An interruption waits for the call that is under way: abandoned, it would go on on a descriptor that may be another
 * file by then.
 */
const written = (
  fd: number,
  bytes: Uint8Array,
  isLocal: boolean
): Effect.Effect<FileIdentity.FileIdentity, PlatformError.PlatformError> =>
  Effect.callback((resume) => {
    const { length } = bytes
    let isOver = false
    let onInterrupted: (() => void) | undefined
    const end = (result: Effect.Effect<FileIdentity.FileIdentity, PlatformError.PlatformError>): void => {
      isOver = true
      if (onInterrupted === undefined) resume(result)
      else onInterrupted()
    }
    const identified = (error: NodeJS.ErrnoException | null, stats: NodeFs.BigIntStats): void =>
      end(error === null ? Effect.succeed(identityOf(stats)) : Effect.fail(platformError("fstat", fd, error)))
    const identify = (): void => {
      // An open file has its inode in memory; see `LocalDirectories`.
      const stats = isLocal ? statsOf(fd) : undefined
      if (stats === undefined) NodeFs.fstat(fd, { bigint: true }, identified)
      else identified(null, stats)
    }
    const write = (at: number): void => {
      try {
        NodeFs.write(fd, bytes, at, Math.min(length - at, largestWrite), null, (error, count) => {
          if (error !== null) end(Effect.fail(platformError("writeAll", fd, error)))
          else if (count === 0) end(Effect.fail(wroteNothing))
          else if (onInterrupted !== undefined) end(Effect.interrupt)
          else if (at + count < length) write(at + count)
          else identify()
        })
      } catch (error) {
        // The bytes were taken away meanwhile: their buffer was transferred, or made smaller.
        end(Effect.die(error))
      }
    }
    if (length === 0) identify()
    else write(0)
    return Effect.callback<void>((ended) => {
      if (isOver) ended(Effect.void)
      else onInterrupted = () => ended(Effect.void)
    })
  })

/** `undefined` where it fails: the same call with a callback says why. */
const statsOf = (fd: number): NodeFs.BigIntStats | undefined => {
  try {
    return NodeFs.fstatSync(fd, { bigint: true })
  } catch {
    return undefined
  }
}

/** Writes all bytes of a file, which `isLocal` says to be on a file system of this machine. */
export const fill = (
  file: FileSystem.File,
  bytes: Uint8Array,
  isLocal: boolean
): Effect.Effect<FileIdentity.FileIdentity, PlatformError.PlatformError> =>
  Effect.flatMap(NodeCalls, (calls) =>
    calls.fstat === node.fstat && isPlain(file) ? written(file.fd, bytes, isLocal) : writtenByItself(file, bytes)
  )

const writtenByItself = Effect.fnUntraced(function* (file: FileSystem.File, bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += largestWrite) {
    yield* Effect.uninterruptible(file.writeAll(bytes.subarray(at, at + largestWrite)))
  }
  return yield* FileIdentity.ofHandle(file)
})
