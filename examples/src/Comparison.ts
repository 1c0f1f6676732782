/**
 * The same repository through the official engine: the same keys, and the same bytes under each.
 */
import { type Session, ZarrStore } from "@effect-icechunk/core"
import { Effect, Stream } from "effect"
import * as OfficialEngine from "../../test/support/OfficialEngine.ts"
import * as Contents from "./Contents.ts"
import * as Places from "./Places.ts"
import * as Unexpected from "./Unexpected.ts"

export interface Compared {
  readonly engine: string
  readonly metadata: number
  /** By how they are stored. */
  readonly chunks: Readonly<Record<"Inline" | "Native" | "Virtual", number>>
  readonly bytes: number
}

/** The tip of `main` in the official engine, with the right to read the files of the container. */
const theirStore = Effect.promise(async () => {
  const repository = await OfficialEngine.open({ directory: Places.repository, containers: ["geoid"] })
  const session = await repository.readonlySession({ branch: "main" })
  return session.store
})

/** Compares every key of a session on `main` with what the official engine reads. */
export const compare = Effect.fn("compare")(function* (session: Session.Session) {
  const ours = ZarrStore.make(session)
  const theirs = yield* theirStore
  const keys = (yield* Stream.runCollect(ours.list)).toSorted()
  const theirKeys = (yield* Effect.promise(() => theirs.list())).toSorted()
  yield* Unexpected.unless(keys.join() === theirKeys.join(), "the official engine lists other keys")

  const chunks = { Inline: 0, Native: 0, Virtual: 0 }
  let [metadata, bytes] = [0, 0]
  for (const key of keys) {
    const [mine, peer] = yield* Effect.all([ours.get(key), Effect.promise(() => theirs.get(key))])
    yield* Unexpected.unless(
      Contents.sameBytes(mine, peer ?? undefined),
      `the official engine reads other bytes under ${key}`
    )
    bytes += mine!.length
    if (key.endsWith("zarr.json")) {
      metadata++
      continue
    }
    const [path, index] = key.split("/c/") as [string, string]
    const ref = yield* session.chunkRef(`/${path}`, index.split("/").map(Number))
    chunks[ref!._tag]++
  }
  const compared: Compared = {
    engine: `@earthmover/icechunk, ${OfficialEngine.build === "native" ? "native" : "WebAssembly"} build`,
    metadata,
    chunks,
    bytes
  }
  return compared
})

/** Succeeds when the official engine refuses a chunk because its object has changed. */
export const refuses = Effect.fn("refuses")(function* (key: string) {
  const theirs = yield* theirStore
  const message = yield* Effect.promise(() =>
    theirs.get(key).then(
      () => "",
      (error: Error) => error.message
    )
  )
  yield* Unexpected.unless(message.includes("changed"), `the official engine does not refuse ${key}: ${message}`)
})
