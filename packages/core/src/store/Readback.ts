/**
 * Whether a conditional write that seems to have failed is in place after all. Pure; design, section 7.
 *
 * A conditional put may succeed and its answer be lost; the retry then meets its own object and is told
 * that the precondition failed. Each conditional put therefore carries a write id of its own in the
 * object's metadata, and a store reads the object back before it believes in a conflict.
 *
 * Source: Icechunk, `icechunk-storage/src/readback.rs`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ObjectMeta, Version } from "./ObjectStore.ts"
import { isConflict, type ObjectStoreError } from "./ObjectStoreError.ts"

/**
 * The metadata key of the write id, as Icechunk 2 names it.
 *
 * @category constants
 * @since 0.1.0
 */
export const metadataKey = "icechunk_write_id"

/**
 * Whether the outcome of a conditional put is known only after the object was read back: the store
 * reports a conflict, or failed in a way that leaves open whether it applied the write.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isNeeded = (failure: ObjectStoreError): boolean => failure.isRetryable || isConflict(failure)

/**
 * What the put that ended in `failure` did, judged by what stands under its key now (`undefined`:
 * nothing). An object with our write id is our write: its version is the result. Anything else leaves
 * `failure` as it is.
 *
 * A read-back that fails is inconclusive: report its own error then, never a conflict.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decide = (
  writeId: string,
  failure: ObjectStoreError,
  found: ObjectMeta | undefined
): Result.Result<Version, ObjectStoreError> =>
  found?.metadata?.[metadataKey] === writeId ? Result.succeed(found.version) : Result.fail(failure)
