import { assert, describe, it } from "@effect/vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Counter from "./support/Counter.ts"
import * as Programs from "./support/Programs.ts"

const key = "some/counter"

const opened = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-processes-" })
  return { fs, directory, store: yield* FsObjectStore.make({ directory }) }
})

describe("FsObjectStore between processes", () => {
  it.live(
    "four processes that increment a counter 50 times each lose no increment",
    () =>
      Effect.gen(function* () {
        const { directory, fs, store } = yield* opened
        yield* store.put(key, new TextEncoder().encode("0"))
        const codes = yield* Effect.promise(() =>
          Promise.all([1, 2, 3, 4].map(() => Programs.ended(Programs.start("increment", directory, key, "50"))))
        )
        assert.deepStrictEqual(codes, [0, 0, 0, 0])
        assert.strictEqual(new TextDecoder().decode((yield* store.get(key)).bytes), "200")
        assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/some`), ["counter"], "no lock and no file is left")
      }).pipe(Effect.provide(NodeServices.layer)),
    120_000
  )

  it.live(
    "processes that are killed at any moment lose nothing that they said was written, and hold up nobody",
    () =>
      Effect.gen(function* () {
        const { directory, fs, store } = yield* opened
        yield* store.put(key, Counter.encode(0))
        const said = new Set<number>()
        let longest = 0
        let kills = 0
        for (let round = 0; round < 20; round++) {
          const children = [1, 2, 3].map(() => Programs.start("count", directory, key))
          yield* Effect.promise(() =>
            Promise.all(
              children.map(async (child) => {
                let text = ""
                const started = new Promise((resolve) =>
                  child.stdout!.on("data", (chunk: Buffer) => {
                    text += chunk.toString()
                    resolve(undefined)
                  })
                )
                const ended = Programs.ended(child)
                await Promise.race([started, ended])
                await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
                child.kill("SIGKILL")
                if ((await ended) === "SIGKILL") kills++
                for (const line of text.split("\n").slice(0, -1)) {
                  assert.isFalse(said.has(Number(line)), `${line} was written by one process only`)
                  said.add(Number(line))
                }
              })
            )
          )
          const before = performance.now()
          const { bytes, meta } = yield* store.get(key)
          const count = Counter.decode(bytes)
          assert.isAtLeast(count, Math.max(...said), "what was said to be written is there")
          yield* store.put(key, Counter.encode(count + 1), { mode: ObjectStore.update(meta.version) })
          said.add(count + 1)
          longest = Math.max(longest, performance.now() - before)
        }
        assert.strictEqual(kills, 60)
        assert.isBelow(longest, 5000, "a dead process holds up nobody")
        const left = yield* fs.readDirectory(`${directory}/some`)
        assert.deepStrictEqual(
          (yield* Stream.runCollect(store.list(""))).map(({ key }) => key),
          [key]
        )
        for (const name of left) assert.match(name, /^(counter|\.[0-9a-f]{24}#1)$/)
      }).pipe(Effect.provide(NodeServices.layer)),
    180_000
  )
})
