/**
 * "Is this write mine?" Pure.
 *
 * A conditional put may succeed and its answer be lost; the next attempt then meets the object that the
 * first one wrote, and looks like a conflict. So every conditional put carries a fresh id in its metadata,
 * and before anything is called a conflict the object is read back (a HEAD) and judged here. Design,
 * section 7; Icechunk does the same (`icechunk-storage/src/readback.rs`), with the same metadata key.
 *
 * @since 0.1.0
 */
import * as Checksum from "../values/Checksum.ts"
import type { ObjectMeta, PutMode, Version } from "./ObjectStore.ts"

/**
 * The key of the user metadata that holds the write id.
 *
 * @category constants
 * @since 0.1.0
 */
export const metadataKey = "icechunk_write_id"

/**
 * - `Ours`: the object is the one that we wrote; the put succeeded and this is its version;
 * - `Unwritten`: our write is not there, and its condition still holds: it may be tried again;
 * - `Lost`: our write is not there and its condition no longer holds. (Unless it was replaced by somebody
 *   who read it, which cannot be told from here: who retries after a conflict must look in what is stored
 *   now for a trace of the own work.)
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | { readonly _tag: "Ours"; readonly version: Version }
  | { readonly _tag: "Unwritten" }
  | { readonly _tag: "Lost"; readonly reason: "AlreadyExists" | "PreconditionFailed" }

/**
 * The write id of an object, if it carries one. Some servers (Ceph) turn `_` in metadata keys into `-`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const writeIdOf = (metadata: Readonly<Record<string, string>> | undefined): string | undefined => {
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (key.toLowerCase().replaceAll("-", "_") === metadataKey) return value
  }
  return undefined
}

/**
 * Whether an object is this version: by generation where both sides have one, else by ETag without quotes.
 * A version that says nothing matches nothing.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isVersion = (version: Version, meta: Pick<ObjectMeta, "version" | "alternateEtags">): boolean => {
  if (version.generation !== undefined && meta.version.generation !== undefined) {
    return version.generation === meta.version.generation
  }
  return (
    version.etag !== undefined &&
    Checksum.agrees(Checksum.etag(version.etag), {
      etag: meta.version.etag,
      alternateEtags: meta.alternateEtags,
      lastModified: undefined
    })
  )
}

/**
 * What the object that is stored now (`undefined`: none) says of a put with this id and mode, whose outcome
 * is not known or that was refused.
 *
 * @category combinators
 * @since 0.1.0
 */
export const judge = (writeId: string, mode: PutMode, stored: ObjectMeta | undefined): Verdict => {
  if (stored !== undefined && writeIdOf(stored.metadata) === writeId) return { _tag: "Ours", version: stored.version }
  if (mode._tag === "Overwrite") return { _tag: "Unwritten" }
  if (mode._tag === "Create") {
    return stored === undefined ? { _tag: "Unwritten" } : { _tag: "Lost", reason: "AlreadyExists" }
  }
  return stored !== undefined && isVersion(mode.version, stored)
    ? { _tag: "Unwritten" }
    : { _tag: "Lost", reason: "PreconditionFailed" }
}
