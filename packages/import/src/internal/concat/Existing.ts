/**
 * What a session has below a path, as a source to compare files with.
 *
 * @since 0.1.0
 */
import type { WritableSession } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { JsonObject } from "../../Dataset.ts"
import * as Documents from "../zarr/Documents.ts"
import * as Zarr3 from "../zarr/Zarr3.ts"
import type { Described } from "./Compare.ts"
import type { Source } from "./Plan.ts"

type Session = Pick<WritableSession.WritableSession, "nodes" | "chunks" | "chunkIndices">

type StreamError<S> = S extends Stream.Stream<infer _A, infer E, infer _R> ? E : never

/** Why what is there cannot be read. */
export type ReadError =
  | Effect.Error<ReturnType<Session["nodes"]>>
  | StreamError<ReturnType<Session["chunks"]>>
  | StreamError<ReturnType<Session["chunkIndices"]>>

export const source = Effect.fnUntraced(function* (
  session: Session,
  path: string
): Effect.fn.Return<Source<ReadError>, ReadError> {
  const base = path.replace(/\/+$/, "")
  const arrays: Array<Described> = []
  for (const node of yield* session.nodes(path)) {
    if (node.data._tag !== "Array") continue
    const json = Documents.parse(new TextDecoder().decode(node.userData)) as JsonObject
    const read = Zarr3.read(json)
    if (Result.isSuccess(read)) arrays.push({ ...read.success.array, path: node.path.slice(base.length) || "/" })
  }
  return {
    location: `the session at ${path}`,
    arrays,
    bytes: Effect.fnUntraced(function* (at, maxBytes) {
      const target = at === "/" ? path : `${base}${at}`
      const indices = yield* session.chunkIndices(target).pipe(Stream.take(65_537), Stream.runCollect)
      if (indices.length > 65_536) return "too large" as const
      const chunks = new Map<string, Uint8Array>()
      let sum = 0
      yield* session.chunks(target, indices).pipe(
        Stream.takeWhile(({ bytes, index }) => {
          if (bytes === undefined) return true
          sum += bytes.length
          chunks.set(index.join("/"), bytes)
          return sum <= maxBytes
        }),
        Stream.runDrain
      )
      return sum > maxBytes ? ("too large" as const) : chunks
    })
  }
})
