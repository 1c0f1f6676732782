/**
 * What is needed of the operating system and Effect's `FileSystem` does not have: times as the file system keeps
 * them (those of `File.Info` are whole milliseconds), `rmdir`, `unlink`, where an open file is, and which kind of file
 * system it is on. A test may replace them together with the `FileSystem`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"

export interface NodeCallsShape {
  readonly stat: (path: string) => Effect.Effect<NodeFs.BigIntStats, PlatformError.PlatformError>
  readonly lstat: (path: string) => Effect.Effect<NodeFs.BigIntStats, PlatformError.PlatformError>
  readonly fstat: (descriptor: number) => Effect.Effect<NodeFs.BigIntStats, PlatformError.PlatformError>
  /** Removes a directory that is empty; another one fails. */
  readonly rmdir: (path: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** Removes the name of a file, without a look at it first. */
  readonly unlink: (path: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** Where a path leads. The system does this in one call; Node's own way, as in the `FileSystem`, in one a segment. */
  readonly realPath: (path: string) => Effect.Effect<string, PlatformError.PlatformError>
  /** The number of the kind of file system that a path is on, as `statfs` has it. */
  readonly fileSystemType: (path: string) => Effect.Effect<number, PlatformError.PlatformError>
  /** The path of an open file, which symbolic links have no part in; `undefined` where the system does not tell. */
  readonly pathOf: (descriptor: number) => string | undefined
}

/** What Node says went wrong, as the `FileSystem` says it. */
export const platformError = (
  method: string,
  pathOrDescriptor: string | number,
  cause: NodeJS.ErrnoException
): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: cause.code === "ENOENT" ? "NotFound" : "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor,
    syscall: cause.syscall,
    cause
  })

const call = <A>(
  method: string,
  pathOrDescriptor: string | number,
  run: (callback: (error: NodeJS.ErrnoException | null | undefined, value: A) => void) => void
): Effect.Effect<A, PlatformError.PlatformError> =>
  Effect.callback((resume) =>
    // Deno says that `rmdir` and `unlink` are done without an argument.
    run((cause, value) =>
      resume(cause ? Effect.fail(platformError(method, pathOrDescriptor, cause)) : Effect.succeed(value))
    )
  )

/** On Windows the system has no such call for some kinds of drives. */
export const nodeRealPath: (
  path: string,
  callback: (error: NodeJS.ErrnoException | null, real: string) => void
) => void = process.platform === "win32" ? NodeFs.realpath : NodeFs.realpath.native

export const node: NodeCallsShape = {
  stat: (path) => call("stat", path, (callback) => NodeFs.stat(path, { bigint: true }, callback)),
  lstat: (path) => call("lstat", path, (callback) => NodeFs.lstat(path, { bigint: true }, callback)),
  fstat: (descriptor) => call("fstat", descriptor, (callback) => NodeFs.fstat(descriptor, { bigint: true }, callback)),
  rmdir: (path) => call<void>("rmdir", path, (callback) => NodeFs.rmdir(path, (error) => callback(error, undefined))),
  unlink: (path) =>
    call<void>("unlink", path, (callback) => NodeFs.unlink(path, (error) => callback(error, undefined))),
  realPath: (path) => call("realPath", path, (callback) => nodeRealPath(path, callback)),
  fileSystemType: (path) =>
    Effect.map(
      call<NodeFs.StatsFs>("statfs", path, (callback) => NodeFs.statfs(path, callback)),
      ({ type }) => type
    ),
  pathOf: (descriptor) => {
    if (process.platform !== "linux") return undefined
    try {
      // The kernel answers this from memory: a thread for it would take longer than the answer.
      return NodeFs.readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return undefined
    }
  }
}

export const NodeCalls: Context.Reference<NodeCallsShape> = Context.Reference<NodeCallsShape>(
  "@effect-icechunk/fs/NodeCalls",
  { defaultValue: () => node }
)
