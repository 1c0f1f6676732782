/**
 * What tells one version of a file from another.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { identityOf } from "./internal/FileStats.ts"
import { NodeCalls } from "./internal/NodeCalls.ts"

/**
 * A file as its inode describes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileIdentity {
  readonly type: FileSystem.File.Type
  readonly device: bigint
  readonly inode: bigint
  /** Bytes. */
  readonly size: number
  /** Nanoseconds since 1970. */
  readonly modified: bigint
  /**
   * When anything of the file was last changed, its permissions and names too, which no program sets: nanoseconds
   * since 1970.
   */
  readonly changed: bigint
}

/**
 * The ETag that Rust's `object_store` gives to local files, and therefore Icechunk on Python: inode, time of
 * the last change in microseconds, and size, in lower-case hexadecimal (`object_store`, `local.rs`,
 * `get_etag`). The inode counts as 0 where there is none to compare (Windows), a time before 1970 as 0.
 *
 * @category combinators
 * @since 0.1.0
 */
export const etag = ({ inode, modified, size }: Pick<FileIdentity, "inode" | "modified" | "size">): string =>
  `${(process.platform === "win32" ? 0n : inode).toString(16)}-${microseconds({ modified }).toString(16)}-${size.toString(16)}`

/**
 * The time of the last change as the ETag has it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const microseconds = ({ modified }: Pick<FileIdentity, "modified">): bigint =>
  modified < 0n ? 0n : modified / 1000n

/**
 * The time of the last change in milliseconds since 1970, with a fraction.
 *
 * @category combinators
 * @since 0.1.0
 */
export const milliseconds = ({ modified }: Pick<FileIdentity, "modified">): number => Number(modified) / 1e6

/**
 * Whether both are the same file with the same content, as far as a file system can tell.
 *
 * @category predicates
 * @since 0.1.0
 */
export const equals = (a: FileIdentity, b: FileIdentity): boolean =>
  a.device === b.device && a.inode === b.inode && a.modified === b.modified && a.size === b.size

/**
 * The identity of the file at a path, where symbolic links lead.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofPath = (path: string): Effect.Effect<FileIdentity, PlatformError.PlatformError> =>
  identified(Effect.flatMap(NodeCalls, ({ stat }) => stat(path)))

/**
 * The identity of the file at a path, which may itself be a symbolic link.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofPathNoFollow = (path: string): Effect.Effect<FileIdentity, PlatformError.PlatformError> =>
  identified(Effect.flatMap(NodeCalls, ({ lstat }) => lstat(path)))

/**
 * The identity of an open file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofHandle = (file: FileSystem.File): Effect.Effect<FileIdentity, PlatformError.PlatformError> => {
  const fd = descriptor(file)
  return fd === undefined
    ? Effect.fail(
        PlatformError.badArgument({
          module: "FileSystem",
          method: "fstat",
          description: "files need a descriptor; provide the FileSystem of `@effect/platform-node`"
        })
      )
    : identified(Effect.flatMap(NodeCalls, ({ fstat }) => fstat(fd)))
}

/**
 * The descriptor of an open file. Effect's `File` does not promise one, those of Node and Bun have it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const descriptor = (file: FileSystem.File): number | undefined =>
  Predicate.hasProperty(file, "fd") && Predicate.isNumber(file.fd) ? file.fd : undefined

const identified = Effect.map(identityOf)
