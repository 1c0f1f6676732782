/**
 * Sequences of operations on a session and its repository, beside a model in plain maps. A failure prints the commands
 * and a seed that repeats them.
 */
import { MemoryObjectStore, ObjectStore } from "@effect-icechunk/core"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as fc from "fast-check"
import { inWorld } from "../../packages/core/test/repository/Fixture.ts"
import { commands, content, objects, runAll } from "./SessionCommands.ts"
import { SessionModel } from "./SessionModel.ts"

/** A clock that whoever sleeps puts forward. */
const skipping = (clock: Clock.Clock): Clock.Clock => {
  let ahead = 0
  const nanos = (): bigint => clock.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
  return {
    ...clock,
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + ahead,
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + ahead),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.sync(() => {
        ahead += Math.ceil(Duration.toMillis(duration))
      })
  }
}

const check = (makeStore: Effect.Effect<ObjectStore.ObjectStoreShape>, numRuns: number, given?: Clock.Clock) =>
  Effect.gen(function* () {
    const clock = given ?? (yield* Clock.Clock)
    const objectsStore = yield* MemoryObjectStore.make()
    for (const key of Object.keys(objects)) yield* objectsStore.put(key, content(key))
    yield* Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.commands(commands, { maxCommands: 16, size: "max" }), fc.nat(3), (sequence, n) =>
          Effect.runPromise(
            Effect.flatMap(makeStore, (store) =>
              inWorld({ store, objects: objectsStore })(runAll(sequence, new SessionModel(), n > 0))
            ).pipe(Effect.provideService(Clock.Clock, clock))
          )
        ),
        { numRuns }
      )
    )
  })

it.live(
  "sessions in memory do as the model does",
  () => Clock.clockWith((clock) => check(MemoryObjectStore.make(), 2000, skipping(clock))),
  300_000
)

it.live(
  "sessions in a directory do as the model does",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "session-model-" })
      const store = yield* FsObjectStore.make({ directory, flush: false })
      let runs = 0
      yield* check(
        Effect.sync(() => ObjectStore.prefixed(store, `${++runs}`)),
        200
      )
    }).pipe(Effect.provide(NodeServices.layer)),
  300_000
)
