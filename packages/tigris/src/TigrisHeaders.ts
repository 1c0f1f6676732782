/**
 * The headers by which Tigris differs from S3, and which requests carry which of them.
 *
 * Sources: Tigris documentation, "Consistency", "Object regions", "Bucket snapshots and forks"; the design of
 * Tigris support in Icechunk (`design-docs/009-tigris-support.md`); design, section 8. Deleting a bucket with its
 * contents and listing forks are documented by Tigris's own client only (`tigrisdata/storage`).
 *
 * @since 0.1.0
 */

/**
 * Every header of the protocol, by what it is for.
 *
 * @category tables
 * @since 0.1.0
 */
export const names = {
  /** Regions that serve the request. On the creation of a bucket it restricts where all of its data is. */
  regions: "X-Tigris-Regions",
  /** `true`: globally strong consistency, for this request. On the creation of a bucket: for all of its requests. */
  consistent: "X-Tigris-Consistent",
  /** `no-cache`: the answer does not come from the cache of the nearest region. */
  cacheControl: "Cache-Control",
  /** `true` on the creation of a bucket: it can be snapshotted and forked. Also in the answer to a HEAD of it. */
  enableSnapshot: "X-Tigris-Enable-Snapshot",
  /** `true` or `true; name=…` on a creation: a snapshot instead. The bucket's name on a list: its snapshots instead. */
  snapshot: "X-Tigris-Snapshot",
  /** The snapshot to read from, or on the deletion of a bucket the one that is deleted instead; in the answer to the creation of a snapshot, the new one. */
  snapshotVersion: "X-Tigris-Snapshot-Version",
  /** On the creation of a bucket: what it is a fork of. Also in the answer to a HEAD of a fork. */
  forkSourceBucket: "X-Tigris-Fork-Source-Bucket",
  /** The snapshot that a fork starts from; without it, from now. Also in the answer to a HEAD of a fork. */
  forkSourceBucketSnapshot: "X-Tigris-Fork-Source-Bucket-Snapshot",
  /** `true` in the answer to a HEAD of a bucket that has forks. */
  isForkParent: "X-Tigris-Is-Fork-Parent",
  /** The bucket's name on a list of buckets: its forks instead. */
  fork: "X-Tigris-Fork",
  /** On the creation of a bucket that is there: the fork whose objects come into it. */
  mergeSourceBucket: "X-Tigris-Merge-Source-Bucket",
  /** `true` on the creation of a fork that is there: the objects of its source come into it. */
  rebase: "X-Tigris-Rebase",
  /** `true` on the deletion of a bucket: with everything in it. */
  forceDelete: "Tigris-Force-Delete"
} as const

/**
 * Headers of a request, and nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export type Headers = Readonly<Record<string, string>>

/**
 * What every read of objects carries so that it sees the latest write, wherever it is made.
 *
 * @category constructors
 * @since 0.1.0
 */
export const consistentRead = (region: string): Headers => ({
  ...consistentWrite(region),
  [names.cacheControl]: "no-cache"
})

/**
 * What every write of objects carries so that every consistent read sees it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const consistentWrite = (region: string): Headers => ({
  [names.regions]: region,
  [names.consistent]: "true"
})

/**
 * What a read carries of a bucket that is strong everywhere: it is not answered from a cache.
 *
 * @category constructors
 * @since 0.1.0
 */
export const uncachedRead: Headers = { [names.cacheControl]: "no-cache" }

/**
 * What makes the creation of a bucket that is there already a merge of one of its forks, as Tigris does it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const mergeFork = (fork: string): Headers => ({ [names.mergeSourceBucket]: fork })

/**
 * What makes the creation of a fork that is there already a rebase of it on its source, as Tigris does it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rebaseFork: Headers = { [names.rebase]: "true" }

/**
 * What a question about buckets carries. Buckets are in no region: `X-Tigris-Regions` has another meaning for them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bucketRead: Headers = { [names.consistent]: "true", [names.cacheControl]: "no-cache" }

/**
 * What a read of a snapshot carries in addition.
 *
 * @category constructors
 * @since 0.1.0
 */
export const atSnapshot = (version: string): Headers => ({ [names.snapshotVersion]: version })

/**
 * What the creation of a bucket carries.
 *
 * @category constructors
 * @since 0.1.0
 */
export const createBucket = (options: {
  readonly snapshots: boolean
  /** Where all data is kept; without, everywhere. */
  readonly regions?: string | undefined
}): Headers => ({
  ...(options.snapshots ? { [names.enableSnapshot]: "true" } : {}),
  ...(options.regions === undefined ? {} : { [names.regions]: options.regions })
})

/**
 * What the creation of a fork carries.
 *
 * @category constructors
 * @since 0.1.0
 */
export const createFork = (options: {
  readonly source: string
  readonly snapshotVersion?: string | undefined
}): Headers => ({
  [names.forkSourceBucket]: options.source,
  ...(options.snapshotVersion === undefined ? {} : { [names.forkSourceBucketSnapshot]: options.snapshotVersion })
})

/**
 * What makes the creation of a bucket that is there already the creation of a snapshot of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const createSnapshot = (name: string | undefined): Headers => ({
  [names.snapshot]: name === undefined ? "true" : `true; name=${name}`
})

/**
 * What makes a list of buckets a list of the snapshots of one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listSnapshots = (bucket: string): Headers => ({ ...bucketRead, [names.snapshot]: bucket })

/**
 * What makes a list of buckets a list of the forks of one. Older services list all buckets all the same.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listForks = (bucket: string): Headers => ({ ...bucketRead, [names.fork]: bucket })

/**
 * What makes the deletion of a bucket the deletion of one of its snapshots.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deleteSnapshot = (version: string): Headers => ({ [names.snapshotVersion]: version })

/**
 * What the deletion of a bucket carries.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deleteBucket = (options: { readonly contents: boolean }): Headers =>
  options.contents ? { [names.forceDelete]: "true" } : {}

/**
 * A snapshot as it stands in a list: its version, and its name if it has one. `undefined` for what is none.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseSnapshot = (
  text: string
): { readonly version: string; readonly name: string | undefined } | undefined => {
  const found = /^(\d{1,20})(?:; name=(.*))?$/s.exec(text)
  return found === null ? undefined : { version: found[1]!, name: found[2] }
}

/**
 * Whether a text is the version of a snapshot: nanoseconds since 1970.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSnapshotVersion = (text: string): boolean => /^\d{1,20}$/.test(text)
