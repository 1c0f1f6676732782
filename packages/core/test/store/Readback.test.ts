import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { ObjectMeta } from "../../src/store/ObjectStore.ts"
import * as ObjectStoreError from "../../src/store/ObjectStoreError.ts"
import * as Readback from "../../src/store/Readback.ts"

const failure = (reason: ObjectStoreError.Reason): ObjectStoreError.ObjectStoreError =>
  new ObjectStoreError.ObjectStoreError({ store: "memory://", operation: "put", key: "repo", reason })

const found = (metadata: ObjectMeta["metadata"]): ObjectMeta => ({
  key: "repo",
  size: 1,
  lastModified: undefined,
  version: { etag: '"e2"', generation: "2" },
  metadata
})

const conflict = failure(new ObjectStoreError.PreconditionFailed({}))

describe("Readback", () => {
  it("takes an object with our write id for our write, and its version for the result", () => {
    const decided = Readback.decide("mine", conflict, found({ [Readback.metadataKey]: "mine" }))
    expect(decided).toEqual(Result.succeed({ etag: '"e2"', generation: "2" }))
  })

  it.each([
    ["another writer's object", found({ [Readback.metadataKey]: "theirs" })],
    ["an object without a write id", found({})],
    ["an object without metadata", found(undefined)],
    ["no object", undefined]
  ])("leaves the failure as it is for %s", (_, there) => {
    expect(Readback.decide("mine", conflict, there)).toEqual(Result.fail(conflict))
  })

  it.each([
    [new ObjectStoreError.PreconditionFailed({}), true],
    [new ObjectStoreError.AlreadyExists({}), true],
    [new ObjectStoreError.Unavailable({}), true],
    [new ObjectStoreError.InvalidResponse({}), true],
    [new ObjectStoreError.RateLimited({}), true],
    [new ObjectStoreError.PermissionDenied({}), false],
    [new ObjectStoreError.Unauthenticated({}), false],
    [new ObjectStoreError.NotFound({}), false],
    [new ObjectStoreError.Unsupported({}), false]
  ] as const)("reads back after %o: %s", (reason, expected) => {
    expect(Readback.isNeeded(failure(reason))).toBe(expected)
  })
})
