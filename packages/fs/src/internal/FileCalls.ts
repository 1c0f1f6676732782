/**
 * What a read of an open file consists of, with callbacks: for thousands of small reads a second, an Effect for each
 * call is most of the cost. Node's own files and calls are used directly, those of another `FileSystem` through it.
 *
 * No call fails: it says `undefined`, and whoever calls finds out why on the way on which errors have a meaning.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as NodeFs from "node:fs"
import * as FileIdentity from "../FileIdentity.ts"
import { identityOf } from "./FileStats.ts"
import { node, NodeCalls, type NodeCallsShape } from "./NodeCalls.ts"

export interface FileCalls {
  /** Reads a part of a file into `bytes`, from `at` on; how many bytes came. */
  readonly read: (
    file: FileSystem.File,
    bytes: Uint8Array,
    at: number,
    length: number,
    position: number,
    done: (count: number | undefined) => void
  ) => void
  /** The identity of the file at a path, where symbolic links lead. */
  readonly identify: (path: string, done: (identity: FileIdentity.FileIdentity | undefined) => void) => void
  /** Where a path leads. */
  readonly realPath: (path: string, done: (real: string | undefined) => void) => void
  /** Where an open file is, where the system tells. */
  readonly pathOf: (file: FileSystem.File) => string | undefined
}

/**
 * Whether a file is as Node's `FileSystem` makes it: a descriptor and nothing put around it. A test, or a program
 * that counts or limits what is read, has its own `read`.
 */
const isPlain = (file: FileSystem.File): file is FileSystem.File & { readonly fd: number } =>
  Object.hasOwn(file, "fd") && !Object.hasOwn(file, "read") && FileIdentity.descriptor(file) !== undefined

const run = <A, E>(effect: Effect.Effect<A, E>, done: (value: A | undefined) => void): void => {
  const end = (exit: Exit.Exit<A, E>): void => done(Exit.isSuccess(exit) ? exit.value : undefined)
  const fiber = Effect.runFork(effect)
  const exit = fiber.pollUnsafe()
  // Whoever is called back may call again at once, thousands of times.
  if (exit === undefined) fiber.addObserver(end)
  else queueMicrotask(() => end(exit))
}

const from = (calls: NodeCallsShape): FileCalls => ({
  read: (file, bytes, at, length, position, done) =>
    isPlain(file)
      ? NodeFs.read(file.fd, bytes, at, length, position, (error, count) => done(error === null ? count : undefined))
      : run(file.read(bytes.subarray(at, at + length), { position: BigInt(position) }), done),
  identify:
    calls.stat === node.stat
      ? (path, done) =>
          NodeFs.stat(path, { bigint: true }, (error, stats) => done(error === null ? identityOf(stats) : undefined))
      : (path, done) => run(Effect.map(calls.stat(path), identityOf), done),
  realPath: (path, done) => run(calls.realPath(path), done),
  pathOf: (file) => calls.pathOf(FileIdentity.descriptor(file) ?? -1)
})

/** Those of the `FileSystem` that there is. */
export const current: Effect.Effect<FileCalls> = Effect.map(NodeCalls, from)
