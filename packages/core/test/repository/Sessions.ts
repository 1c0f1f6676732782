/**
 * Arrays of small chunks, what sessions do to them, and what is seen of it afterwards.
 */
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Repository from "../../src/repository/Repository.ts"
import type * as Session from "../../src/repository/Session.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, text, type World } from "./Fixture.ts"

/** An array of bytes of this length or shape, each of which is a chunk. */
export const array = (shape: number | ReadonlyArray<number> = 4, attributes = {}) => ({
  shape: typeof shape === "number" ? [shape] : shape,
  chunkShape: typeof shape === "number" ? [1] : shape.map(() => 1),
  dataType: "uint8",
  fillValue: 0,
  attributes
})

export type Work<E = unknown> = (session: WritableSession) => Effect.Effect<unknown, E>

export const all =
  (...works: ReadonlyArray<Work>): Work =>
  (session) =>
    Effect.forEach(works, (work) => work(session))

const edited = (session: WritableSession, path: string, edits: object) =>
  Effect.gen(function* () {
    const { userData } = yield* session.node(path)
    const json = { ...JSON.parse(new TextDecoder().decode(userData)), ...edits }
    yield* session.setMetadata(path, text(JSON.stringify(json)))
  })

/** Writes the `zarr.json` of a node again, with these attributes. */
export const attributed = (session: WritableSession, path: string, attributes: object) =>
  edited(session, path, { attributes })

/** Writes the `zarr.json` of an array again, with this length. */
export const resized = (session: WritableSession, path: string, length: number, extra = {}) =>
  edited(session, path, { shape: [length], ...extra })

/** Does something in another program and commits it. */
export const elsewhere = (world: World, work: Work, message = "theirs", metadata = {}) =>
  inWorld(world)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open()).writableSession("main")
      yield* work(session)
      return yield* session.commit(message, { metadata, allowEmpty: true })
    })
  )

export interface NodeState {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly chunks?: Readonly<Record<string, string>>
  readonly length?: number
}

export type State = Record<string, NodeState>

/** What a reader sees: for each node its attributes and chunks. */
export const stateOf = Effect.fnUntraced(function* (session: Session.Session) {
  const state: State = {}
  for (const { data, path, userData } of yield* session.nodes()) {
    const { attributes = {} } = JSON.parse(new TextDecoder().decode(userData))
    const chunks: Record<string, string> = {}
    if (data._tag === "Array") {
      for (let i = 0; i < data.shape[0]!.numChunks; i++) {
        const chunk = yield* session.chunk(path, [i])
        if (chunk !== undefined) chunks[i] = Buffer.from(chunk).toString("latin1")
      }
    }
    state[path] = data._tag === "Array" ? { attributes, chunks, length: data.shape[0]!.length } : { attributes }
  }
  return state
})

/** What a new program sees of `main`. */
export const stateAt = (world: World) =>
  inWorld(world)(
    Effect.gen(function* () {
      return yield* stateOf(yield* (yield* Repository.open()).readonlySession({ branch: "main" }))
    })
  )

/** What both begin with: a group with an array that has chunks 0 and 1. */
export const begin: Work = (session) =>
  Effect.gen(function* () {
    yield* session.createGroup("/g", { is: "base" })
    yield* session.createArray("/g/a", array())
    yield* session.setChunk("/g/a", [0], text("base 0"))
    yield* session.setChunk("/g/a", [1], text("base 1"))
    yield* session.createArray("/b", array())
  })

/** What may be done to a small tree, most of which fails. */
export const paths = ["/g", "/g/a", "/g/b", "/g/h", "/g/h/c", "/d", "/d/a"] as const
export const operation = fc.oneof(
  fc.record({ _tag: fc.constant("createGroup" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("createArray" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("attributes" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("delete" as const), path: fc.constantFrom(...paths), value: fc.nat(9) }),
  fc.record({ _tag: fc.constant("move" as const), path: fc.constantFrom(...paths), value: fc.nat(paths.length - 1) }),
  fc.record({
    _tag: fc.constantFrom("setChunk" as const, "setChunk" as const, "deleteChunk" as const),
    path: fc.constantFrom(...paths),
    value: fc.nat(3)
  })
)
export type Operation = typeof operation extends fc.Arbitrary<infer A> ? A : never

/** Does it, or fails. */
export const perform = (
  session: WritableSession,
  { _tag, path, value }: Operation,
  by: string
): Effect.Effect<unknown, unknown> => {
  switch (_tag) {
    case "createGroup":
      return session.createGroup(path, { by, value })
    case "createArray":
      return session.createArray(path, array(4, { by, value }))
    case "attributes":
      return attributed(session, path, { by, value })
    case "delete":
      return session.deleteNode(path)
    case "move":
      return session.move(path, paths[value]!)
    case "setChunk":
      return session.setChunk(path, [value], text(`${by} ${value}`))
    case "deleteChunk":
      return session.deleteChunk(path, [value])
  }
}
