/**
 * A file system as on Windows, over a real directory: drive letters, backslashes, names that it refuses, directories
 * that cannot be opened, and no links.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"
import { node, NodeCalls } from "../../src/internal/NodeCalls.ts"
import { failure } from "./Disk.ts"

/** Services of a machine whose drive `C:` is the directory. */
export const layer = (fs: FileSystem.FileSystem, top: string) => {
  const at = (path: string): Effect.Effect<string, PlatformError.PlatformError> => {
    // What Linux tells of processes.
    if (path.startsWith("/proc/") || path.startsWith("/etc/")) return Effect.fail(failure("ENOENT"))
    const [, below] = /^[Cc]:\\([^/]*)$/.exec(path) ?? []
    return below === undefined || /[<>:"|?*]/.test(below)
      ? Effect.fail(failure("EINVAL"))
      : Effect.succeed(below === "" ? top : `${top}/${below.replaceAll("\\", "/")}`)
  }
  const on =
    <Rest extends ReadonlyArray<unknown>, A, R>(
      run: (path: string, ...rest: Rest) => Effect.Effect<A, PlatformError.PlatformError, R>
    ) =>
    (path: string, ...rest: Rest): Effect.Effect<A, PlatformError.PlatformError, R> =>
      Effect.flatMap(at(path), (path) => run(path, ...rest))
  const between =
    (run: (from: string, to: string) => Effect.Effect<void, PlatformError.PlatformError>) =>
    (from: string, to: string): Effect.Effect<void, PlatformError.PlatformError> =>
      Effect.flatMap(Effect.all([at(from), at(to)]), ([from, to]) => run(from, to))
  const refused = (): Effect.Effect<never, PlatformError.PlatformError> => Effect.fail(failure("EPERM"))
  const realPath = on((path) =>
    Effect.map(
      fs.realPath(path),
      (real) => `C:${real.slice(NodeFs.realpathSync(top).length).replaceAll("/", "\\") || "\\"}`
    )
  )
  const fileSystem: FileSystem.FileSystem = {
    ...fs,
    link: refused,
    symlink: refused,
    readLink: refused,
    readFileString: on(fs.readFileString),
    makeDirectory: on(fs.makeDirectory),
    open: on((path, options: Parameters<typeof fs.open>[1]) =>
      NodeFs.existsSync(path) && NodeFs.statSync(path).isDirectory() ? refused() : fs.open(path, options)
    ),
    readDirectory: on(fs.readDirectory),
    readDirectoryEntries: on(fs.readDirectoryEntries),
    realPath,
    remove: on(fs.remove),
    utimes: on(fs.utimes),
    rename: between(fs.rename),
    copyFile: between(fs.copyFile)
  }
  return Layer.mergeAll(
    NodePath.layerWin32,
    Layer.succeed(FileSystem.FileSystem, fileSystem),
    Layer.succeed(NodeCalls, {
      ...node,
      stat: on(node.stat),
      lstat: on(node.lstat),
      rmdir: on(node.rmdir),
      unlink: on(node.unlink),
      realPath,
      pathOf: () => undefined
    })
  )
}
