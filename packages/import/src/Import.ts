/**
 * Writes virtual data sets into a session: their groups, their arrays, and where their chunks are.
 *
 * @since 0.1.0
 */
import type { WritableSession, ZarrMetadata } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Chunks, Dataset, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as Paths from "./internal/Paths.ts"

/**
 * How far an import is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** The path in the session of the array that chunks were just set of. */
  readonly array: string
  /** Arrays that are complete, of how many. */
  readonly arraysDone: number
  readonly arrays: number
  /** Chunks that were set so far, in all arrays. */
  readonly chunks: number
}

/**
 * How a data set is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Fail with `MissingContainer` when the repository has no container for a location (default `true`). */
  readonly validateContainers?: boolean | undefined
  /**
   * Ask the containers' stores for the checksum of every object whose refs have none, as `setVirtualRefs` does; for data sets of
   * importers that do not read the objects themselves, such as kerchunk (default `false`).
   */
  readonly capture?: boolean | "etag" | "last-modified" | undefined
  /** Arrays whose chunks are read at the same time (default 4). */
  readonly concurrency?: number | undefined
  /** Data types and codecs that are meant although nobody knows them, as of `createArray`. */
  readonly extensions?: ZarrMetadata.WriteOptions["extensions"]
  /** Runs after each batch of chunks; the import waits for it. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * What was written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Imported {
  readonly groups: number
  readonly arrays: number
  /** Virtual refs. */
  readonly refs: number
  /** Chunks whose bytes were written, because no file has them as they are. */
  readonly written: number
  /** What could not be virtualised, of the data set and of its chunks. */
  readonly skipped: ReadonlyArray<Skipped>
}

/**
 * Why a data set was not written. The session is as before.
 *
 * @category errors
 * @since 0.1.0
 */
export type IntoError =
  | ImportError
  | Effect.Error<ReturnType<WritableSession.WritableSession["createArray"]>>
  | Effect.Error<ReturnType<WritableSession.WritableSession["setAttributes"]>>
  | Effect.Error<ReturnType<WritableSession.WritableSession["setVirtualRefs"]>>
  | Effect.Error<ReturnType<WritableSession.WritableSession["setChunk"]>>

/** What a session is as long as a data set is written to it. */
type Target = WritableSession.WritableSession

const createArray = (session: Target, path: string, array: VirtualArray, options: Options) =>
  session.createArray(path, {
    shape: array.shape,
    chunkShape: array.chunkShape,
    dataType: array.dataType,
    fillValue: array.fillValue,
    codecs: array.codecs,
    dimensionNames: array.dimensionNames,
    attributes: array.attributes,
    extensions: options.extensions
  })

/**
 * Sets chunks of an array that is there, as they come.
 *
 * @category combinators
 * @since 0.1.0
 */
export const chunks = <E, R>(
  session: Pick<Target, "setVirtualRefs" | "setChunk">,
  path: string,
  source: Stream.Stream<Chunks, E, R>,
  options: Pick<Options, "capture" | "validateContainers"> & {
    readonly onChunks?: ((count: number) => Effect.Effect<void>) | undefined
  } = {}
): Effect.Effect<{ readonly refs: number; readonly written: number }, E | IntoError, R> =>
  Effect.gen(function* () {
    const { capture = false, onChunks = () => Effect.void, validateContainers } = options
    let refs = 0
    let written = 0
    yield* Stream.runForEach(source, (some): Effect.Effect<void, IntoError> => {
      if (some._tag === "Bytes") {
        written++
        return Effect.andThen(session.setChunk(path, some.index, some.bytes), onChunks(1))
      }
      const { length } = some.refs.offsets
      if (length === 0) return Effect.void
      refs += length
      return Effect.andThen(
        session.setVirtualRefs(path, some.refs, { capture, validateContainers }),
        Effect.suspend(() => onChunks(length))
      )
    })
    return { refs, written }
  })

/** What is where a data set goes, and which groups above it are not there yet. */
const survey = Effect.fnUntraced(function* (session: Target, path: string) {
  const there = (at: string) => session.node(at).pipe(Effect.catchTag("NodeNotFound", () => Effect.succeed(undefined)))
  const above: Array<string> = []
  for (const parent of Paths.above(path)) {
    if ((yield* there(parent)) === undefined) above.push(parent)
  }
  const root = yield* there(path)
  return { above, root }
})

/**
 * Writes a data set below a path: its groups, its arrays and their chunks. Nothing may be there yet, except for a group at the path
 * itself, which keeps the attributes that it has and gets the data set's others. Groups above the path are made where there are
 * none. Nothing is committed.
 *
 * All of it or nothing: on any failure, and when it is interrupted, the session is as before.
 *
 * @category combinators
 * @since 0.1.0
 */
export const into: (
  session: WritableSession.WritableSession,
  path: string,
  dataset: Dataset,
  options?: Options
) => Effect.Effect<Imported, IntoError> = Effect.fn("Import.into")(function* (
  session: Target,
  path: string,
  dataset: Dataset,
  options: Options = {}
) {
  const { concurrency = 4, onProgress = () => Effect.void } = options
  const { above, root } = yield* survey(session, path)
  const created: Array<string> = []
  const before = root?.data._tag === "Group" ? yield* session.attributes(path) : undefined
  const undo = Effect.gen(function* () {
    for (const at of created.toReversed()) yield* Effect.ignore(session.deleteNode(at))
    if (before !== undefined) yield* Effect.ignore(session.setAttributes(path, before))
  })
  const note = (at: string) => Effect.sync(() => void created.push(at))
  const group = (at: string, attributes: JsonObject) =>
    Effect.uninterruptible(Effect.andThen(session.createGroup(at, attributes), note(at)))

  return yield* Effect.gen(function* () {
    for (const parent of above) yield* group(parent, {})
    for (const { attributes, path: at } of dataset.groups) {
      const target = Paths.join(path, at)
      if (at !== "/" || before === undefined) yield* group(target, attributes)
      else if (Object.keys(attributes).some((name) => !(name in before))) {
        yield* session.setAttributes(target, { ...attributes, ...before })
      }
    }
    for (const array of dataset.arrays) {
      const target = Paths.join(path, array.path)
      yield* Effect.uninterruptible(Effect.andThen(createArray(session, target, array, options), note(target)))
    }
    let arraysDone = 0
    let count = 0
    const sums = yield* Effect.forEach(
      dataset.arrays,
      (array) => {
        const target = Paths.join(path, array.path)
        const tell = Effect.suspend(() =>
          onProgress({ array: target, arraysDone, arrays: dataset.arrays.length, chunks: count })
        )
        return chunks(session, target, array.chunks, {
          ...options,
          onChunks: (more) => {
            count += more
            return tell
          }
        }).pipe(
          Effect.tap(() => {
            arraysDone++
            return tell
          })
        )
      },
      { concurrency }
    )
    return {
      groups: created.length - dataset.arrays.length,
      arrays: dataset.arrays.length,
      refs: sums.reduce((sum, { refs }) => sum + refs, 0),
      written: sums.reduce((sum, { written }) => sum + written, 0),
      skipped: dataset.skipped
    }
  }).pipe(Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : undo)))
})
