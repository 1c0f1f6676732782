/**
 * Where the answers of a file system come from.
 */
import * as Effect from "effect/Effect"
import { NodeCalls } from "./NodeCalls.ts"

/** The numbers that `statfs` has for file systems of one machine, which see at once what others have done. */
const local: Readonly<Partial<Record<NodeJS.Platform, ReadonlySet<number>>>> = {
  linux: new Set([
    0xef53, // ext2, ext3, ext4
    0x58465342, // XFS
    0x9123683e, // Btrfs
    0x2fc12fc1, // ZFS
    0xca451a4e, // bcachefs
    0xf2f52010, // F2FS
    0x3153464a, // JFS
    0x52654973, // ReiserFS
    0x01021994, // tmpfs
    0x858458f6, // ramfs
    0x73717368, // SquashFS
    0xe0f5e1e2, // EROFS
    0x9660, // ISO 9660
    0x15013346, // UDF
    0x4d44, // FAT
    0x2011bab0, // exFAT
    0x7366746e // NTFS
  ]),
  darwin: new Set([
    0x11, // HFS+
    0x1a // APFS
  ])
}

/** And those that see it, too, but may ask another machine. */
const coherent: Readonly<Partial<Record<NodeJS.Platform, ReadonlySet<number>>>> = {
  linux: new Set([
    0x794c7630, // overlayfs, whose layers may be anywhere
    // Of clusters, with locks between the machines.
    0x0bd00bd0, // Lustre
    0x47504653, // GPFS
    0x00c36400, // Ceph
    0x01161970, // GFS2
    0x7461636f // OCFS2
  ])
}

/** Where the answers of a file system come from; `undefined` where they may be old. */
export type Kind = "local" | "coherent" | undefined

const kindOf = (type: number): Kind => {
  if (local[process.platform]?.has(type) === true) return "local"
  return coherent[process.platform]?.has(type) === true ? "coherent" : undefined
}

/** For how many milliseconds a device or a directory counts as what it was; another file system may be mounted meanwhile. */
export const lifetime = 10_000

/** The kind of the file system that a path is on. */
export const at = (path: string): Effect.Effect<Kind> => {
  if (local[process.platform] === undefined) return Effect.undefined
  return Effect.flatMap(NodeCalls, ({ fileSystemType }) => fileSystemType(path)).pipe(
    Effect.map(kindOf),
    Effect.orElseSucceed((): Kind => undefined)
  )
}
