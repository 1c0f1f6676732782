/** Icechunk's storage settings as options of a store. */
import { describe, expect, it } from "@effect/vitest"
import * as GcsOptions from "../src/GcsOptions.ts"
import * as GcsSettings from "../src/GcsSettings.ts"

describe("storage settings", () => {
  it("leave the store's defaults where nothing is set", () => {
    for (const none of [undefined, null, {}, { retries: null, unsafe_use_metadata: true }]) {
      expect(GcsSettings.toOptions(none)).toEqual({ options: {}, ignored: [] })
    }
  })

  it("are options that a store accepts, and what is left out has a reason", () => {
    const { ignored, options } = GcsSettings.toOptions({
      concurrency: { max_concurrent_requests_for_object: 5, ideal_concurrent_request_size: 8 },
      retries: { max_tries: 4, initial_backoff_ms: 50, max_backoff_ms: 5000 },
      timeouts: {
        connect_timeout_ms: 1000,
        read_timeout_ms: 2000,
        operation_timeout_ms: 3000,
        operation_attempt_timeout_ms: 4000
      },
      unsafe_use_conditional_update: false,
      unsafe_use_conditional_create: false,
      unsafe_use_metadata: false,
      storage_class: "A",
      metadata_storage_class: "B",
      chunks_storage_class: "C",
      minimum_size_for_multipart_upload: 10
    })
    expect(options).toEqual({
      idleTimeout: 2000,
      requestTimeout: 4000,
      retry: { times: 3, baseDelay: 50, maxDelay: 5000 }
    })
    expect(GcsOptions.problem({ bucket: "bucket", ...options })).toBeUndefined()
    expect(ignored).toHaveLength(11)
    expect(ignored.every(({ because }) => because.length > 10)).toBe(true)
  })
})
