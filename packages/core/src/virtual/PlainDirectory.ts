/**
 * Directories whose objects need not be looked at one by one: what holds of one object in them holds of all with plain
 * names, whose locations are stored as they are written. Pure.
 *
 * @since 0.1.0
 */
import * as Location from "../values/Location.ts"
import * as Container from "../values/VirtualChunkContainer.ts"
import type { ContainerSet } from "./ContainerMatch.ts"

/**
 * A directory.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainDirectory {
  /** The start of its objects' locations, a slash at the end. */
  readonly start: string
  /** Longest name of an object in it, in bytes. */
  readonly maxName: number
}

/** ASCII characters that neither locations nor files nor containers give a meaning, by their code. */
const plain = new Uint8Array(128)
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!$&'()*+,;=:@") {
  plain[character.charCodeAt(0)] = 1
}

/**
 * The directory of a location that was accepted and is stored as it is written; `undefined` where a neighbour may
 * differ: a container may be for a single object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (location: string, { inOrder }: ContainerSet): PlainDirectory | undefined => {
  // Its path has a slash: an accepted location names an object in a bucket, in a container or on a disk.
  const path = location.indexOf("://") + 3
  const end = location.lastIndexOf("/") + 1
  const directory = location.slice(path, end)
  // Containers' prefixes are compared with what is decoded.
  if (directory.includes("%")) return undefined
  const hasContainers = inOrder.some(({ container }) => {
    const prefix = Container.prefix(container)
    return prefix.slice(0, prefix.lastIndexOf("/") + 1) === directory
  })
  if (hasContainers) return undefined
  const start = location.slice(0, end)
  return { start, maxName: Location.maxBytes - new TextEncoder().encode(start).length }
}

/**
 * Whether a location is that of an object in the directory, with a plain name.
 *
 * @category predicates
 * @since 0.1.0
 */
export const has = ({ maxName, start }: PlainDirectory, location: string): boolean => {
  const { length } = location
  if (length <= start.length || length - start.length > maxName || !location.startsWith(start)) return false
  // `.` and `..` have a meaning.
  if (location.charCodeAt(start.length) === 0x2e) return false
  for (let i = start.length; i < length; i++) {
    const code = location.charCodeAt(i)
    if (code > 127 || plain[code] === 0) return false
  }
  return true
}
