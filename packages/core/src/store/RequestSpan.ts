/**
 * The span of a request to an object store: one name and one set of attributes for all stores.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Operation } from "./ObjectStoreError.ts"

/** A span costs more than a small read of a local file, and nobody sees it when the program has no tracer. */
const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer

/**
 * Runs a request in a span `ObjectStore.<operation>` with the attributes `store`, `operation` and `key`, if the program has
 * a tracer.
 *
 * @category tracing
 * @since 0.1.0
 */
export const within =
  (store: { readonly description: string }, operation: Operation, key: string) =>
  <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.withFiber((fiber) =>
      isTraced(fiber)
        ? request.pipe(
            Effect.withSpan(
              `ObjectStore.${operation}`,
              { kind: "client", attributes: { store: store.description, operation, key } },
              // It would be of this line.
              { captureStackTrace: false }
            )
          )
        : request
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
 * Notes attributes in the current span, if the program has a tracer; they are not asked for otherwise.
 *
 * @category tracing
 * @since 0.1.0
 */
export const noting = (attributes: () => Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => (isTraced(fiber) ? Effect.annotateCurrentSpan(attributes()) : Effect.void))

/**
 * Notes in the current span how many bytes the request read or wrote.
 *
 * @category tracing
 * @since 0.1.0
 */
export const bytes = (count: number): Effect.Effect<void> => noting(() => ({ bytes: count }))
