/**
 * What Node says of a file, as an identity. Pure.
 */
import type * as FileSystem from "effect/FileSystem"
import type { BigIntStats } from "node:fs"
import type { FileIdentity } from "../FileIdentity.ts"

export const identityOf = (stats: BigIntStats): FileIdentity => ({
  type: typeOf(stats),
  device: stats.dev,
  inode: BigInt.asUintN(64, stats.ino),
  size: Number(stats.size),
  modified: stats.mtimeNs,
  changed: stats.ctimeNs
})

const typeOf = (stats: BigIntStats): FileSystem.File.Type => {
  if (stats.isFile()) return "File"
  if (stats.isDirectory()) return "Directory"
  if (stats.isSymbolicLink()) return "SymbolicLink"
  if (stats.isFIFO()) return "FIFO"
  if (stats.isSocket()) return "Socket"
  if (stats.isBlockDevice()) return "BlockDevice"
  return stats.isCharacterDevice() ? "CharacterDevice" : "Unknown"
}
