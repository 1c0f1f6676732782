import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { ObjectStore, ObjectStoreError, Repository, type RepositoryConfig } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { services } from "../support/FsServices.ts"

const run = promisify(execFile)

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-updates-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const seen = (directory: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      return (yield* repository.config.persisted).additional_fields?.["seen"] as ReadonlyArray<string>
    })
  ).pipe(Effect.provide(services(directory)))

const marks = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}:${i}`)

const update = (mark: string) => (config: RepositoryConfig.RepositoryConfig) => ({
  ...config,
  additional_fields: {
    ...config.additional_fields,
    seen: [...((config.additional_fields?.["seen"] as ReadonlyArray<string> | undefined) ?? []), mark]
  }
})

describe("concurrent updates of the configuration in one directory", () => {
  it.live("32 in one process are all in, none twice", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* Effect.forEach(marks("one", 32), (mark) => repository.config.update(update(mark)), {
            concurrency: "unbounded"
          })
        })
      ).pipe(Effect.provide(services(directory)))
      assert.deepStrictEqual((yield* seen(directory)).toSorted(), marks("one", 32).toSorted())
    })
  )

  it.live(
    "32 in 4 processes are all in, none twice",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        yield* Effect.scoped(Repository.create()).pipe(Effect.provide(services(directory)))
        const names = ["a", "b", "c", "d"]
        yield* Effect.promise(() =>
          Promise.all(
            names.map((name) =>
              run(process.execPath, [
                "--conditions=@effect-icechunk/source",
                path.join(import.meta.dirname, "updater.ts"),
                directory,
                name,
                "8"
              ])
            )
          )
        )
        assert.deepStrictEqual((yield* seen(directory)).toSorted(), names.flatMap((name) => marks(name, 8)).toSorted())
      }),
    120_000
  )

  it.live("32 whose answers get lost after the write are all in, none twice", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      let puts = 0
      let lost = 0
      const losing = Layer.effect(
        ObjectStore.ObjectStore,
        Effect.map(ObjectStore.ObjectStore, (store) =>
          ObjectStore.ObjectStore.of({
            ...store,
            put: (key, bytes, options) =>
              Effect.flatMap(store.put(key, bytes, options), (version) => {
                if (options?.mode?._tag === "Overwrite" || ++puts % 2 === 0) return Effect.succeed(version)
                lost++
                return Effect.fail(
                  new ObjectStoreError.ObjectStoreError({
                    store: store.description,
                    operation: "put",
                    key,
                    reason: new ObjectStoreError.Unavailable({ detail: "the answer was lost" })
                  })
                )
              })
          })
        )
      )
      yield* Effect.scoped(Repository.create()).pipe(Effect.provide(services(directory)))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          yield* Effect.forEach(marks("lossy", 32), (mark) => repository.config.update(update(mark)), {
            concurrency: "unbounded"
          })
        })
      ).pipe(Effect.provide(losing.pipe(Layer.provideMerge(services(directory)))))
      assert.isAbove(lost, 10)
      assert.deepStrictEqual((yield* seen(directory)).toSorted(), marks("lossy", 32).toSorted())
    })
  )
})
