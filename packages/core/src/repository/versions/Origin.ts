/**
 * Who created a repository, and with which configuration: what the repository object says of it. Pure.
 *
 * `config.json` and `repo` are two objects, and only the write of `repo` decides who of several creators has
 * made the repository: at that moment `config.json` may be the one of another creator, who lost or was stopped
 * half-way. So each creator has an id, which both objects name, and the repository object has the creator's
 * configuration too. A `config.json` of another creator does not count; what its own creator persisted does, until
 * the first update replaces the file. The id and the configuration are in the metadata of the first snapshot, which
 * stays in the repository object as long as it exists, whatever other clients commit, configure or expire.
 *
 * @since 0.1.0
 */
import type * as Metadata from "../../format/Metadata.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as ObjectId from "../../values/ObjectId.ts"

/**
 * The creation of a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin {
  /** Tells the creator from all others. */
  readonly id: string
  /** What was persisted at the creation, as JSON. */
  readonly persisted: string
}

const field = "effect_icechunk"

/**
 * The metadata of the first snapshot of a repository.
 *
 * @category encoding
 * @since 0.1.0
 */
export const metadata = ({ id, persisted }: Origin): Metadata.Metadata => ({
  __icechunk: { is_root: true },
  [field]: { creation: id, persisted }
})

/**
 * The creation that the repository object tells of; `undefined` when another client created it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const of = (info: RepoInfo): Origin | undefined => {
  const found = info.snapshots.get(ObjectId.initialSnapshotId)?.metadata[field]
  if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined
  const { creation, persisted } = found as Readonly<Record<string, unknown>>
  return typeof creation === "string" && typeof persisted === "string" ? { id: creation, persisted } : undefined
}

/**
 * What tells a repository from others: the id of its creation, or when its first snapshot was written where another client
 * created it. Copies have the same.
 *
 * @category accessors
 * @since 0.1.0
 */
export const identify = (info: RepoInfo): string =>
  of(info)?.id ?? `at ${info.snapshots.get(ObjectId.initialSnapshotId)?.flushedAt ?? "an unknown time"}`
