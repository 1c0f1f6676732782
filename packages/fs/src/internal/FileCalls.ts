/**
 * What a read of an open file consists of, with callbacks: for thousands of small reads a second, an Effect for each
 * call is most of the cost. Node's own files and calls are used directly, those of another `FileSystem` through it.
 *
 * No call fails: it says that there is no answer, and whoever calls finds out why on the way on which errors have a meaning.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as NodeFs from "node:fs"
import * as FileIdentity from "../FileIdentity.ts"
import { identityOf } from "./FileStats.ts"
import { node, NodeCalls, nodeRealPath, type NodeCallsShape } from "./NodeCalls.ts"

/** Reads a part of a file into `bytes`, from `at` on, and says how many bytes came. */
type Read = (
  bytes: Uint8Array,
  at: number,
  length: number,
  position: number,
  done: (count: number | undefined) => void
) => void

export interface FileCalls {
  readonly reads: (file: FileSystem.File) => Read
  /** Whether the file at a path is this one, and nothing of it was changed. */
  readonly isUnchanged: (
    path: string,
    followsLinks: boolean,
    identity: FileIdentity.FileIdentity,
    done: (isUnchanged: boolean) => void
  ) => void
  /** Where a path leads. */
  readonly realPath: (path: string, done: (real: string | undefined) => void) => void
  /** The same of an open file whose file system is on this machine, at once; `undefined` where Node is not asked. */
  readonly local: LocalCalls | undefined
}

export interface LocalCalls {
  readonly isUnchanged: (path: string, identity: FileIdentity.FileIdentity) => boolean
  readonly realPath: (path: string) => string | undefined
  /** Reads a part of a file, of Node's own, into all of `bytes`, and says how many bytes came. */
  readonly read: (fd: number, bytes: Uint8Array, position: number) => number | undefined
  /** The file at a path, which may be a symbolic link. */
  readonly identityAt: (path: string) => FileIdentity.FileIdentity | undefined
}

/**
 * Whether a file is as Node's `FileSystem` makes it: a descriptor and nothing put around it. A test, or a program
 * that counts or limits what is read, has its own `read`.
 */
export const isPlain = (file: FileSystem.File): file is FileSystem.File & { readonly fd: number } =>
  Object.hasOwn(file, "fd") && !Object.hasOwn(file, "read") && FileIdentity.descriptor(file) !== undefined

const run = <A, E>(effect: Effect.Effect<A, E>, done: (value: A | undefined) => void): void => {
  const end = (exit: Exit.Exit<A, E>): void => done(Exit.isSuccess(exit) ? exit.value : undefined)
  const fiber = Effect.runFork(effect)
  const exit = fiber.pollUnsafe()
  // Whoever is called back may call again at once, thousands of times.
  if (exit === undefined) fiber.addObserver(end)
  else queueMicrotask(() => end(exit))
}

const same = (
  stats: NodeFs.BigIntStats,
  { changed, device, inode, modified, size }: FileIdentity.FileIdentity
): boolean =>
  stats.mtimeNs === modified &&
  stats.ctimeNs === changed &&
  BigInt.asUintN(64, stats.ino) === inode &&
  stats.dev === device &&
  Number(stats.size) === size

const statsAtOnce = { bigint: true, throwIfNoEntry: false } as const

const local: LocalCalls = {
  isUnchanged: (path, identity) => {
    try {
      const stats = NodeFs.lstatSync(path, statsAtOnce)
      return stats !== undefined && same(stats, identity)
    } catch {
      return false
    }
  },
  realPath: (path) => {
    try {
      return NodeFs.realpathSync.native(path)
    } catch {
      return undefined
    }
  },
  read: (fd, bytes, position) => {
    try {
      return NodeFs.readSync(fd, bytes, 0, bytes.length, position)
    } catch {
      return undefined
    }
  },
  identityAt: (path) => {
    try {
      const stats = NodeFs.lstatSync(path, statsAtOnce)
      return stats === undefined ? undefined : identityOf(stats)
    } catch {
      return undefined
    }
  }
}

/** Where Node's own calls are used. */
export const localOf = (calls: NodeCallsShape): LocalCalls | undefined =>
  calls.lstat === node.lstat && calls.stat === node.stat && calls.realPath === node.realPath ? local : undefined

const from = (calls: NodeCallsShape): FileCalls => ({
  reads: (file) => {
    if (!isPlain(file)) {
      return (bytes, at, length, position, done) =>
        run(file.read(bytes.subarray(at, at + length), { position: BigInt(position) }), done)
    }
    const { fd } = file
    return (bytes, at, length, position, done) =>
      NodeFs.read(fd, bytes, at, length, position, (error, count) => done(error === null ? count : undefined))
  },
  isUnchanged:
    calls.stat === node.stat && calls.lstat === node.lstat
      ? (path, followsLinks, identity, done) =>
          (followsLinks ? NodeFs.stat : NodeFs.lstat)(path, { bigint: true }, (error, stats) =>
            done(error === null && same(stats, identity))
          )
      : (path, followsLinks, identity, done) =>
          run((followsLinks ? calls.stat : calls.lstat)(path), (stats) =>
            done(stats !== undefined && same(stats, identity))
          ),
  realPath:
    calls.realPath === node.realPath
      ? (path, done) => nodeRealPath(path, (error, real) => done(error === null ? real : undefined))
      : (path, done) => run(calls.realPath(path), done),
  local: localOf(calls)
})

/** Those of the `FileSystem` that there is. */
export const current: Effect.Effect<FileCalls> = Effect.map(NodeCalls, from)
