/**
 * What Icechunk's storage settings, which a repository carries in its configuration, are for a store on Google Cloud
 * Storage. Pure.
 *
 * The settings are in the repository, which is read through a store: a program that wants them reads the configuration
 * first, and makes its store with what `toOptions` returns.
 *
 * Source: Icechunk's `storage::Settings`.
 *
 * @since 0.1.0
 */
import type { RepositoryConfig } from "@effect-icechunk/core/RepositoryConfig"
import type * as GcsOptions from "./GcsOptions.ts"

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
  /** As `timeouts.connect_timeout_ms`. */
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
  readonly options: Pick<GcsOptions.GcsOptions, "idleTimeout" | "requestTimeout" | "retry">
  readonly ignored: ReadonlyArray<Ignored>
}

/**
 * The options of a store on Google Cloud Storage with these settings. What is not set is left to the store's own defaults.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toOptions = (settings: StorageSettings | null | undefined): Mapped => {
  const { concurrency, retries, timeouts } = settings ?? {}
  const together =
    "requests are bounded together, by `max_concurrent_requests` of the repository and `concurrency` of the store"
  const always = "the service always enforces conditions on generations"
  const byBucket = "the class of an object is the default class of the bucket, which its owner sets"
  const reasons: ReadonlyArray<readonly [setting: string, value: unknown, because: string]> = [
    [
      "timeouts.connect_timeout_ms",
      timeouts?.connect_timeout_ms,
      "it is part of `idleTimeout`, which `read_timeout_ms` sets"
    ],
    ["timeouts.operation_timeout_ms", timeouts?.operation_timeout_ms, "attempts are bounded in number, by `retries`"],
    ["concurrency.max_concurrent_requests_for_object", concurrency?.max_concurrent_requests_for_object, together],
    ["concurrency.ideal_concurrent_request_size", concurrency?.ideal_concurrent_request_size, together],
    ["unsafe_use_conditional_create", settings?.unsafe_use_conditional_create === false || undefined, always],
    ["unsafe_use_conditional_update", settings?.unsafe_use_conditional_update === false || undefined, always],
    [
      "unsafe_use_metadata",
      settings?.unsafe_use_metadata === false || undefined,
      "a write whose answer was lost is recognised by its metadata"
    ],
    ["storage_class", settings?.storage_class, byBucket],
    ["metadata_storage_class", settings?.metadata_storage_class, byBucket],
    ["chunks_storage_class", settings?.chunks_storage_class, byBucket],
    [
      "minimum_size_for_multipart_upload",
      settings?.minimum_size_for_multipart_upload,
      "large objects are uploaded by resumable uploads, which have no parts"
    ]
  ]
  const retry: GcsOptions.RetryOptions = {
    ...(retries?.max_tries == null ? {} : { times: Math.min(retries.max_tries - 1, 1000) }),
    ...(retries?.initial_backoff_ms == null ? {} : { baseDelay: retries.initial_backoff_ms }),
    ...(retries?.max_backoff_ms == null ? {} : { maxDelay: retries.max_backoff_ms })
  }
  const attempt = timeouts?.operation_attempt_timeout_ms
  return {
    options: {
      ...(timeouts?.read_timeout_ms == null ? {} : { idleTimeout: timeouts.read_timeout_ms }),
      ...(attempt == null ? {} : { requestTimeout: attempt }),
      ...(Object.keys(retry).length === 0 ? {} : { retry })
    },
    ignored: reasons.flatMap(([setting, value, because]) => (value == null ? [] : [{ setting, because }]))
  }
}
