import { assert, describe, it } from "@effect/vitest"
import * as DeferredWrites from "@effect-icechunk/core/DeferredWrites"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as NodeFs from "node:fs"

const limit = 32

describe("files that are flushed in the background", () => {
  it.live("are bounded: whoever writes more than the disk takes waits, and can be interrupted meanwhile", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-flushes-" })
      const gate = yield* Deferred.make<void>()
      let open = 0
      const slow: FileSystem.FileSystem = {
        ...fs,
        open: (path, options) =>
          options?.flag !== "wx"
            ? fs.open(path, options)
            : Effect.acquireRelease(
                Effect.map(fs.open(path, options), (file) => {
                  open++
                  return Object.create(file, { sync: { value: Deferred.await(gate) } }) as FileSystem.File
                }),
                () => Effect.sync(() => open--)
              )
      }
      const store = yield* Effect.provideService(FsObjectStore.make({ directory }), FileSystem.FileSystem, slow)
      const writes = DeferredWrites.make()
      let done = 0
      const put = (i: number) =>
        Effect.tap(store.put(`chunks/${i}`, new Uint8Array(10).fill(i), { defer: writes.defer(`${i}`) }), () =>
          Effect.sync(() => done++)
        )
      const fibers = yield* Effect.forEach(
        Array.from({ length: limit + 8 }, (_, i) => i),
        (i) => Effect.forkChild(put(i))
      )
      const quiet = Effect.repeat(Effect.sleep(20), { until: () => Effect.sync(() => open === limit + 8), times: 500 })
      yield* quiet
      yield* Effect.sleep(100)
      assert.strictEqual(done, limit)
      const waiting = fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
      assert.lengthOf(waiting, 8)
      yield* Fiber.interrupt(waiting[0]!)
      assert.strictEqual(open, limit + 7, "its file is closed")
      const settling = yield* Effect.forkChild(DeferredWrites.settleAll(writes))
      yield* Effect.sleep(50)
      assert.isUndefined(settling.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(settling)
      yield* Effect.forEach(waiting.slice(1), Fiber.join)
      yield* DeferredWrites.settleAll(writes)
      yield* Effect.sleep(50)
      assert.strictEqual(open, 0)
      assert.deepStrictEqual(
        NodeFs.readdirSync(directory).filter((name) => name !== "chunks"),
        []
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
