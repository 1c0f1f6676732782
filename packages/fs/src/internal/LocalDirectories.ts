/**
 * Directories of a store that are on a file system of this machine.
 *
 * What such a file system has in memory it is asked for at once, on the program's own thread: that takes some microseconds,
 * the way to another thread and back ten times as long. In memory are the inode of an open file, the entry and the inode
 * of a name that was just made or found to be taken, and the entries on the path of a directory that is written to. The
 * worst that can happen is that a directory has to be read from a disk of this machine again. Whatever changes a
 * directory or a file may wait for a disk, and so goes to another thread; file systems that may ask another machine are
 * asked there for everything.
 */
import * as Effect from "effect/Effect"
import * as FileCalls from "./FileCalls.ts"
import * as FileSystemKind from "./FileSystemKind.ts"
import type { NodeCallsShape } from "./NodeCalls.ts"

export interface LocalDirectories {
  /** Finds out where a directory is, unless that is known. */
  readonly learn: (directory: string) => Effect.Effect<void>
  /** What can be asked at once about the names in a directory; `undefined` unless it is known to be on this machine. */
  readonly of: (directory: string, calls: NodeCallsShape) => FileCalls.LocalCalls | undefined
}

/** Directories that are known. */
const most = 1000

export const make = (): LocalDirectories => {
  const known = new Map<string, { readonly isLocal: boolean; readonly until: number }>()
  const fresh = (directory: string): boolean | undefined => {
    const found = known.get(directory)
    return found !== undefined && performance.now() < found.until ? found.isLocal : undefined
  }
  return {
    learn: (directory) =>
      Effect.suspend(() =>
        fresh(directory) !== undefined
          ? Effect.void
          : Effect.map(FileSystemKind.at(directory), (kind) => {
              if (known.size >= most) known.clear()
              const until = performance.now() + FileSystemKind.lifetime
              known.set(directory, { isLocal: kind === "local", until })
            })
      ),
    of: (directory, calls) => (fresh(directory) === true ? FileCalls.localOf(calls) : undefined)
  }
}
