/**
 * What is in a session: arrays and how their chunks are stored, and the objects outside that they are in.
 */
import type { Session } from "@effect-icechunk/core"
import { Effect, Stream } from "effect"

/** How each chunk of an array is stored. */
const refs = (session: Session.Session, path: string) =>
  session.chunkIndices(path).pipe(
    Stream.mapEffect((index) => session.chunkRef(path, index)),
    Stream.filter((ref) => ref !== undefined),
    Stream.runCollect
  )

const arrayNodes = (session: Session.Session) =>
  Effect.map(session.nodes(), (nodes) =>
    nodes.flatMap(({ data, path }) =>
      data._tag === "Array" ? [{ path, shape: data.shape.map(({ length }) => length) }] : []
    )
  )

/** Every array with its chunks, which in this repository are all of one kind. */
export const arrays = Effect.fn("arrays")(function* (session: Session.Session) {
  return yield* Effect.forEach(yield* arrayNodes(session), ({ path, shape }) =>
    Effect.map(refs(session, path), (found) => ({
      path,
      shape,
      chunks: found.length,
      kind: (found[0]?._tag ?? "no").toLowerCase()
    }))
  )
})

/** Every object outside the repository, with the chunks and bytes that are referred to. */
export const dependencies = Effect.fn("dependencies")(function* (session: Session.Session) {
  const byLocation = new Map<string, { readonly location: string; chunks: number; bytes: number }>()
  for (const location of yield* Stream.runCollect(session.virtualLocations({ distinct: true }))) {
    byLocation.set(location, { location, chunks: 0, bytes: 0 })
  }
  for (const { path } of yield* arrayNodes(session)) {
    for (const ref of yield* refs(session, path)) {
      if (ref._tag !== "Virtual") continue
      const found = byLocation.get(ref.ref.location)!
      found.chunks++
      found.bytes += ref.ref.length
    }
  }
  return [...byLocation.values()]
})

export const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0
