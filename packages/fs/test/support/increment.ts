/** Increments a counter with get and Update: `increment.ts <directory> <key> <times>`. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"

const [directory, key, times] = process.argv.slice(2)

Effect.gen(function* () {
  const store = yield* FsObjectStore.make({ directory: directory! })
  const increment = Effect.gen(function* () {
    const { bytes, meta } = yield* store.get(key!)
    const next = Number(new TextDecoder().decode(bytes)) + 1
    yield* store.put(key!, new TextEncoder().encode(`${next}`), { mode: ObjectStore.update(meta.version) })
  }).pipe(Effect.retry({ while: Errors.hasReason("PreconditionFailed") }))
  yield* Effect.repeat(increment, { times: Number(times) - 1 })
}).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
