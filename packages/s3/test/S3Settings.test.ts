/** Icechunk's storage settings as options of a store. */
import { describe, expect, it } from "@effect/vitest"
import * as S3Options from "../src/S3Options.ts"
import * as S3Settings from "../src/S3Settings.ts"

const all: S3Settings.StorageSettings = {
  concurrency: { max_concurrent_requests_for_object: 5, ideal_concurrent_request_size: 8 * 1024 ** 2 },
  retries: { max_tries: 4, initial_backoff_ms: 50, max_backoff_ms: 5000 },
  timeouts: {
    connect_timeout_ms: 1000,
    read_timeout_ms: 2000,
    operation_timeout_ms: 3000,
    operation_attempt_timeout_ms: 4000
  },
  unsafe_use_conditional_update: true,
  unsafe_use_conditional_create: true,
  unsafe_use_metadata: true,
  storage_class: "STANDARD_IA",
  minimum_size_for_multipart_upload: 10 * 1024 ** 2
}

describe("storage settings", () => {
  it("leave the store's defaults where nothing is set", () => {
    for (const none of [undefined, null, {}, { retries: null, timeouts: {} }]) {
      expect(S3Settings.toOptions(none)).toEqual({ options: {}, ignored: [] })
    }
  })

  it("are options that a store accepts, and what is left out has a reason", () => {
    const { ignored, options } = S3Settings.toOptions(all)
    expect(options).toEqual({
      connectTimeout: 1000,
      requestTimeout: 2000,
      retry: { times: 3, baseDelay: 50, maxDelay: 5000, budget: 3000 },
      multipartThreshold: 10 * 1024 ** 2,
      partSize: 8 * 1024 ** 2,
      writeHeaders: { "x-amz-storage-class": "STANDARD_IA" }
    })
    expect(S3Options.problem({ bucket: "bucket", ...options })).toBeUndefined()
    expect(ignored.map(({ setting }) => setting)).toEqual([
      "timeouts.operation_attempt_timeout_ms",
      "concurrency.max_concurrent_requests_for_object"
    ])
  })

  it.each<readonly [S3Settings.StorageSettings, S3Settings.Mapped["options"], ReadonlyArray<string>]>([
    [{ unsafe_use_conditional_update: false }, { conditionalPut: false }, []],
    [{ unsafe_use_conditional_create: false }, { conditionalPut: false }, []],
    [{ unsafe_use_metadata: false }, {}, ["unsafe_use_metadata"]],
    [{ metadata_storage_class: "A", chunks_storage_class: "A" }, { writeHeaders: { "x-amz-storage-class": "A" } }, []],
    [
      { storage_class: "A", chunks_storage_class: "B" },
      { writeHeaders: { "x-amz-storage-class": "A" } },
      ["chunks_storage_class"]
    ],
    [{ chunks_storage_class: "B" }, {}, ["chunks_storage_class"]],
    [{ minimum_size_for_multipart_upload: 2 ** 40 }, {}, ["minimum_size_for_multipart_upload"]],
    [{ concurrency: { ideal_concurrent_request_size: 1 } }, {}, ["concurrency.ideal_concurrent_request_size"]],
    [{ retries: { max_tries: 1 } }, { retry: { times: 0 } }, []],
    [{ retries: { max_tries: 65535 } }, { retry: { times: 1000 } }, []]
  ])("%j", (settings, options, ignored) => {
    const mapped = S3Settings.toOptions(settings)
    expect(mapped.options).toEqual(options)
    expect(mapped.ignored.map(({ setting }) => setting)).toEqual(ignored)
    expect(S3Options.problem({ bucket: "bucket", ...mapped.options })).toBeUndefined()
  })
})
