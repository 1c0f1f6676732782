/**
 * What Icechunk's storage settings, which a repository carries in its configuration, are for a store on S3. Pure.
 *
 * The settings are in the repository, which is read through a store: a program that wants them reads the configuration
 * first, and makes its store with what `toOptions` returns.
 *
 * Source: Icechunk's `storage::Settings`.
 *
 * @since 0.1.0
 */
import type { RepositoryConfig } from "@effect-icechunk/core/RepositoryConfig"
import type * as S3Options from "./S3Options.ts"

/**
 * The settings.
 *
 * @category models
 * @since 0.1.0
 */
export type StorageSettings = NonNullable<RepositoryConfig["storage"]>

/**
 * A setting that changes nothing here, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ignored {
  /** As `timeouts.operation_timeout_ms`. */
  readonly setting: string
  readonly because: string
}

/**
 * Options of a store, and the settings that have no part in them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mapped {
  readonly options: Pick<
    S3Options.S3Options,
    | "connectTimeout"
    | "requestTimeout"
    | "retry"
    | "multipartThreshold"
    | "partSize"
    | "writeHeaders"
    | "conditionalPut"
  >
  readonly ignored: ReadonlyArray<Ignored>
}

/** S3's limits for the parts of an upload, but for the last one. */
const parts = { least: 5 * 1024 ** 2, most: 5 * 1024 ** 3 }

/**
 * The options of a store on S3, or Tigris, with these settings. What is not set is left to the store's own defaults.
 *
 * Settings that say that the service does not enforce conditions on writes make a store that refuses such writes: without
 * them writers would lose each other's commits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toOptions = (settings: StorageSettings | null | undefined): Mapped => {
  const {
    concurrency,
    metadata_storage_class: metadataClass,
    chunks_storage_class: chunksClass,
    minimum_size_for_multipart_upload: multipart,
    retries,
    storage_class: storageClass,
    timeouts,
    unsafe_use_conditional_create: conditionalCreate,
    unsafe_use_conditional_update: conditionalUpdate,
    unsafe_use_metadata: metadata
  } = settings ?? {}
  const ignored: Array<Ignored> = []
  const ignore = (setting: string, value: unknown, because: string): void => {
    if (value !== undefined && value !== null) ignored.push({ setting, because })
  }
  ignore(
    "timeouts.operation_attempt_timeout_ms",
    timeouts?.operation_attempt_timeout_ms,
    "an object may take as long as it keeps coming; `read_timeout_ms` bounds the time in which nothing comes"
  )
  ignore(
    "concurrency.max_concurrent_requests_for_object",
    concurrency?.max_concurrent_requests_for_object,
    "requests are bounded together, by `max_concurrent_requests` of the repository and `concurrency` of the store"
  )
  const partSize = concurrency?.ideal_concurrent_request_size ?? undefined
  const isPart = partSize !== undefined && partSize >= parts.least && partSize <= parts.most
  if (!isPart) {
    ignore("concurrency.ideal_concurrent_request_size", partSize, "parts of uploads have 5 MiB to 5 GiB")
  }
  const isThreshold = typeof multipart === "number" && multipart >= 1 && multipart <= parts.most
  if (!isThreshold) {
    ignore("minimum_size_for_multipart_upload", multipart, "an upload that is not in parts has at most 5 GiB")
  }
  if (metadata === false) {
    ignore("unsafe_use_metadata", metadata, "a write whose answer was lost is recognised by its metadata")
  }
  const [metadataIn, chunksIn] = [metadataClass ?? storageClass, chunksClass ?? storageClass]
  const isOneClass = metadataIn === chunksIn
  if (!isOneClass) {
    const because = "all objects of a store have one class; give both the same, or let rules of the bucket move chunks"
    ignore("metadata_storage_class", metadataClass, because)
    ignore("chunks_storage_class", chunksClass, because)
  }
  const written = isOneClass ? metadataIn : storageClass
  const retry: S3Options.RetryOptions = {
    ...(retries?.max_tries == null ? {} : { times: Math.min(retries.max_tries - 1, 1000) }),
    ...(retries?.initial_backoff_ms == null ? {} : { baseDelay: retries.initial_backoff_ms }),
    ...(retries?.max_backoff_ms == null ? {} : { maxDelay: retries.max_backoff_ms }),
    ...(timeouts?.operation_timeout_ms == null ? {} : { budget: timeouts.operation_timeout_ms })
  }
  return {
    options: {
      ...(timeouts?.connect_timeout_ms == null ? {} : { connectTimeout: timeouts.connect_timeout_ms }),
      ...(timeouts?.read_timeout_ms == null ? {} : { requestTimeout: timeouts.read_timeout_ms }),
      ...(Object.keys(retry).length === 0 ? {} : { retry }),
      ...(isThreshold ? { multipartThreshold: multipart } : {}),
      ...(isPart ? { partSize } : {}),
      ...(written == null ? {} : { writeHeaders: { "x-amz-storage-class": written } }),
      ...(conditionalCreate === false || conditionalUpdate === false ? { conditionalPut: false } : {})
    },
    ignored
  }
}
