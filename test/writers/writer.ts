/**
 * `writer.ts PLACE WRITER COUNT`: makes commits `WRITER.0` and so on, on top of whatever others commit. With every other
 * one it goes on with the session of the one before, else it is a transaction.
 *
 * Each sets a chunk of the array that all write to and one of its own array, to the same text: its own name, and the
 * snapshot that it was done on.
 */
import { Repository, type WritableSession } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Place from "./Place.ts"
import { chunkOf, pathOf } from "./Writers.ts"

const [place = "", writer = "", count = "0"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const repository = yield* Repository.open()
  const session = yield* repository.writableSession("main")
  for (let i = 0; i < Number(count); i++) {
    const name = `${writer}.${i}`
    const write = Effect.fnUntraced(function* (session: WritableSession.WritableSession) {
      const text = new TextEncoder().encode(`${name} on ${yield* session.snapshotId}`)
      yield* session.setChunk("/all", [chunkOf(Number(writer), i)], text)
      yield* session.setChunk(pathOf(writer), [i], text)
    })
    if (i % 2 === 0) yield* repository.transact("main", name, write)
    else {
      yield* write(session)
      yield* session.commit(name, { rebase: {} })
    }
  }
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Place.services(place))))
process.exit(0)
