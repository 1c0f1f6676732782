/**
 * Where the files of a repository are. Source: Icechunk spec 2, "File Layout".
 *
 * @since 0.1.0
 */
import type { ChunkId, ManifestId, SnapshotId } from "../values/ObjectId.ts"

/**
 * The one mutable file of Icechunk.
 *
 * @category keys
 * @since 0.1.0
 */
export const repo = "repo"

/**
 * The configuration. Design, section 5.
 *
 * @category keys
 * @since 0.1.0
 */
export const config = "config.json"

/**
 * Where spec version 1 has its branches and tags, each in a file of its own.
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Refs = "refs/"

/**
 * A branch of spec version 1. Source: Icechunk spec 1, "Reference Files".
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Branch = (name: string): string => `${spec1Refs}branch.${name}/ref.json`

/**
 * A tag of spec version 1.
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Tag = (name: string): string => `${spec1Refs}tag.${name}/ref.json`

/**
 * What says that a tag of spec version 1 was deleted, beside the tag itself.
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Tombstone = (name: string): string => `${spec1Tag(name)}.deleted`

/**
 * The branch `main` of spec version 1, which a repository cannot be without.
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Main: string = spec1Branch("main")

/**
 * The configuration of spec version 1.
 *
 * @category keys
 * @since 0.1.0
 */
export const spec1Config = "config.yaml"

/**
 * A snapshot file.
 *
 * @category keys
 * @since 0.1.0
 */
export const snapshot = (id: SnapshotId): string => `snapshots/${id}`

/**
 * A chunk manifest.
 *
 * @category keys
 * @since 0.1.0
 */
export const manifest = (id: ManifestId): string => `manifests/${id}`

/**
 * The transaction log of a snapshot.
 *
 * @category keys
 * @since 0.1.0
 */
export const transaction = (id: SnapshotId): string => `transactions/${id}`

/**
 * A native chunk.
 *
 * @category keys
 * @since 0.1.0
 */
export const chunk = (id: ChunkId): string => `chunks/${id}`

/**
 * A former repository object, by the name that the operations log gives it.
 *
 * @category keys
 * @since 0.1.0
 */
export const overwritten = (name: string): string => `overwritten/${name}`

/** Milliseconds from 1970 to 3000-01-01T00:00:00Z: later copies get smaller numbers and list first. */
const year3000 = 32_503_680_000_000

/**
 * A name for the copy of the repository object that is replaced at `now`, in milliseconds since 1970.
 *
 * @category keys
 * @since 0.1.0
 */
export const backupName = (now: number, random: string): string => `repo.${year3000 - now}.${random}`
