/**
 * A file system that remembers what would be left of a directory after a loss of power: of files only what was
 * flushed, of directories only the names that were there when they were flushed. A flush of a file that fails loses what it was to flush. All of it also happens in a real
 * directory. Every call has a number and may fail, before or after it was done, and is recorded.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"
import { basename, dirname, join, relative } from "node:path"
import { node, NodeCalls } from "../../src/internal/NodeCalls.ts"

type Inode = File | Directory
class File {
  written = new Uint8Array()
  /** What was flushed. */
  durable = new Uint8Array()
  /** A flush has failed: the system has dropped what was written until then, and later flushes succeed without it. */
  isLost = false

  write(bytes: Uint8Array): void {
    this.written = new Uint8Array([...this.written, ...bytes])
  }
  flush(): void {
    if (!this.isLost) this.durable = this.written
  }
}
class Directory {
  readonly names = new Map<string, Inode>()
  durable = new Map<string, Inode>()
}

export const failure = (code: string): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(`${code}: as the test says`), { code })
  })

export interface Fault {
  /** Whether this call fails: its number, what it is, as in `rename`, and its path below the directory. */
  readonly fails: (call: number, what: string, path: string) => boolean
  readonly when: "before" | "after"
  readonly code: string
}

export const make = (fs: FileSystem.FileSystem, root: string) => {
  const load = (path: string): Inode => {
    if (!NodeFs.statSync(path).isDirectory()) {
      const file = new File()
      file.write(NodeFs.readFileSync(path))
      file.flush()
      return file
    }
    const directory = new Directory()
    for (const name of NodeFs.readdirSync(path)) directory.names.set(name, load(join(path, name)))
    directory.durable = new Map(directory.names)
    return directory
  }
  const disk = load(root) as Directory
  const calls: Array<string> = []
  let fault: Fault | undefined
  let count = 0

  const isOurs = (path: string): boolean => path === root || path.startsWith(`${root}/`)
  const at = (path: string): Inode | undefined => {
    let here: Inode | undefined = disk
    for (const name of relative(root, path)
      .split("/")
      .filter((name) => name !== "")) {
      here = here instanceof Directory ? here.names.get(name) : undefined
    }
    return here
  }
  const names = (path: string): Map<string, Inode> => (at(dirname(path)) as Directory).names
  const give = (path: string, inode: Inode): void => void names(path).set(basename(path), inode)
  const take = (path: string): void => void names(path).delete(basename(path))

  const call = <A, R>(
    what: string,
    path: string,
    run: Effect.Effect<A, PlatformError.PlatformError, R>,
    done: (value: A) => void = () => undefined,
    failed: () => void = () => undefined
  ): Effect.Effect<A, PlatformError.PlatformError, R> =>
    Effect.suspend(() => {
      if (!isOurs(path)) return run
      const name = relative(root, path)
      const number = ++count
      const failing = fault?.fails(number, what, name) === true ? fault : undefined
      if (failing?.when === "before") {
        failed()
        return Effect.fail(failure(failing.code))
      }
      return Effect.tap(run, (value) => {
        done(value)
        calls.push(`${what} ${name}`)
        return failing === undefined ? Effect.void : Effect.fail(failure(failing.code))
      })
    })

  const fileSystem: FileSystem.FileSystem = {
    ...fs,
    makeDirectory: (path, options) =>
      call("makeDirectory", path, fs.makeDirectory(path, options), () => give(path, new Directory())),
    rename: (from, to) =>
      call("rename", to, fs.rename(from, to), () => {
        give(to, at(from)!)
        take(from)
      }),
    link: (from, to) => call("link", to, fs.link(from, to), () => give(to, at(from)!)),
    remove: (path, options) =>
      call("remove", path, fs.remove(path, options), () => at(dirname(path)) !== undefined && take(path)),
    copyFile: (from, to) =>
      call("copyFile", to, fs.copyFile(from, to), () => {
        const file = new File()
        file.write(NodeFs.readFileSync(to))
        give(to, file)
      }),
    utimes: (path, atime, mtime) => call("utimes", path, fs.utimes(path, atime, mtime)),
    readDirectory: (path, options) => call("readDirectory", path, fs.readDirectory(path, options)),
    realPath: (path) => call("realPath", path, fs.realPath(path)),
    open: (path, options) =>
      Effect.map(
        call("open", path, fs.open(path, options), () => options?.flag === "wx" && give(path, new File())),
        (handle) => {
          const inode = isOurs(path) ? at(path) : undefined
          const replaced: Pick<FileSystem.File, "read" | "writeAll" | "sync"> = {
            read: (buffer, options) => call("read", path, handle.read(buffer, options)),
            writeAll: (bytes) =>
              call("write", path, handle.writeAll(bytes), () => inode instanceof File && inode.write(bytes)),
            // What is flushed is remembered, so the real disk need not work for it.
            sync: call(
              "flush",
              path,
              Effect.void,
              () => {
                if (inode instanceof File) inode.flush()
                else if (inode !== undefined) inode.durable = new Map(inode.names)
              },
              () => {
                if (inode instanceof File && inode.durable !== inode.written) inode.isLost = true
              }
            )
          }
          return Object.create(handle, Object.getOwnPropertyDescriptors(replaced)) as FileSystem.File
        }
      )
  }
  const nodeCalls: typeof node = {
    ...node,
    stat: (path) => call("stat", path, node.stat(path)),
    lstat: (path) => call("lstat", path, node.lstat(path)),
    rmdir: (path) => call("rmdir", path, node.rmdir(path), () => take(path)),
    realPath: (path) => call("realPath", path, node.realPath(path)),
    unlink: (path) => call("unlink", path, node.unlink(path), () => take(path))
  }

  const write = (inode: Inode, path: string): void => {
    if (inode instanceof File) return NodeFs.writeFileSync(path, inode.durable)
    NodeFs.mkdirSync(path, { recursive: true })
    for (const [name, below] of inode.durable) write(below, join(path, name))
  }

  return {
    layer: Layer.merge(Layer.succeed(FileSystem.FileSystem, fileSystem), Layer.succeed(NodeCalls, nodeCalls)),
    calls,
    /** Starts to count and to record, with a fault. */
    begin: (next?: Fault): void => {
      fault = next
      count = 0
      calls.length = 0
    },
    /** How many calls there were. */
    count: (): number => count,
    /** Puts what a loss of power would leave now into another directory. */
    afterPowerLoss: (directory: string): void => write(disk, directory)
  }
}
