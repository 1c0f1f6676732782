/**
 * Counts up for ever, in an object of 64 KiB, and says each number once it is written:
 * `count.ts <directory> <key>`.
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import * as Counter from "./Counter.ts"

const [directory, key] = process.argv.slice(2)

Effect.gen(function* () {
  const store = yield* FsObjectStore.make({ directory: directory! })
  const count = Effect.gen(function* () {
    const { bytes, meta } = yield* store.get(key!)
    const next = Counter.decode(bytes) + 1
    yield* store.put(key!, Counter.encode(next), { mode: ObjectStore.update(meta.version) })
    writeSync(1, `${next}\n`)
  }).pipe(Effect.retry({ while: Errors.hasReason("PreconditionFailed") }))
  return yield* Effect.forever(count)
}).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
