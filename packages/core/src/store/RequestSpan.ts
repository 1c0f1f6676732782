/**
 * The span of a request to an object store: one name and one set of attributes for all stores.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Operation } from "./ObjectStoreError.ts"

/**
 * Runs a request in a span `ObjectStore.<operation>` with the attributes `store`, `operation` and `key`.
 *
 * @category tracing
 * @since 0.1.0
 */
export const within =
  (store: { readonly description: string }, operation: Operation, key: string) =>
  <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    request.pipe(
      Effect.withSpan(
        `ObjectStore.${operation}`,
        { kind: "client", attributes: { store: store.description, operation, key } },
        // It would be of this line.
        { captureStackTrace: false }
      )
    )

/**
 * Runs a listing in a span `ObjectStore.list` with the same attributes.
 *
 * @category tracing
 * @since 0.1.0
 */
export const listing =
  (store: { readonly description: string }, prefix: string) =>
  <A, E>(stream: Stream.Stream<A, E>): Stream.Stream<A, E> =>
    Stream.withSpan(stream, "ObjectStore.list", {
      kind: "client",
      attributes: { store: store.description, operation: "list", key: prefix }
    })

/**
 * Notes in the current span how many bytes the request read or wrote.
 *
 * @category tracing
 * @since 0.1.0
 */
export const bytes = (count: number): Effect.Effect<void> => Effect.annotateCurrentSpan("bytes", count)
