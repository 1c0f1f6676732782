/**
 * A request to a store of files: its location, its error and its span.
 */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Location from "@effect-icechunk/core/Location"
import * as Effect from "effect/Effect"
import type * as Path from "effect/Path"

/** The location of a directory. */
export const locationOf = (path: Path.Path, directory: string): string =>
  `file://${path.sep === "\\" ? Location.fromDrivePath(directory).replaceAll("\\", "/") : directory}`

export const failed = (
  store: string,
  operation: Errors.Operation,
  key: string,
  reason: Errors.Reason
): Errors.ObjectStoreError => new Errors.ObjectStoreError({ store, operation, key, reason })

export const inRequest = <A, E extends Errors.Reason | Errors.ObjectStoreError | ObjectStore.WriteForbidden>(
  store: string,
  operation: Errors.Operation,
  key: string,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, Errors.ObjectStoreError | Extract<E, ObjectStore.WriteForbidden>> =>
  effect.pipe(
    Effect.mapError((error) =>
      error._tag === "WriteForbidden" || error._tag === "ObjectStoreError"
        ? (error as Errors.ObjectStoreError | Extract<E, ObjectStore.WriteForbidden>)
        : failed(store, operation, key, error)
    ),
    RequestSpan.within({ description: store }, operation, key)
  )
