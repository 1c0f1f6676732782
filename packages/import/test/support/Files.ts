/** Real files of the formats, where they are there, in a store. */
import * as fs from "node:fs"
import * as path from "node:path"
import { MemoryObjectStore, type ObjectStore, ObjectStoreError } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { SourceFile } from "@effect-icechunk/import"
import * as CountingStore from "./CountingStore.ts"

/** Files that are not of this project are beside it. */
const shared = path.resolve(import.meta.dirname, "../../../../../shared/data/formats")

/** Files that the tests bring along. */
const own = path.resolve(import.meta.dirname, "../files/written")

/** Where a file is, if it is. */
export const find = (name: string): string | undefined =>
  [own, shared].map((directory) => path.join(directory, name)).find((file) => fs.existsSync(file))

export const bytes = (name: string): Uint8Array => {
  const file = find(name)
  if (file === undefined) throw new Error(`${name} is not there; skip the test by \`find\``)
  return new Uint8Array(fs.readFileSync(file))
}

/** Bytes as a file of a memory store that counts its requests. */
export const inMemory = (
  content: Uint8Array,
  key = "file"
): Effect.Effect<{
  readonly file: SourceFile.SourceFile
  readonly count: CountingStore.Count
  readonly store: ObjectStore.ObjectStoreShape
}> =>
  Effect.gen(function* () {
    const memory = yield* MemoryObjectStore.make()
    yield* Effect.orDie(memory.put(key, content))
    const { count, store } = CountingStore.make(memory)
    return { file: SourceFile.make(store, key, `s3://bucket/${key}`), count, store }
  })

/** What a store answers that cannot list. */
export const listsNothing: ObjectStore.ObjectStoreShape["list"] = (key) =>
  Stream.fail(
    new ObjectStoreError.ObjectStoreError({
      store: "a store that lists nothing",
      operation: "list",
      key,
      reason: new ObjectStoreError.Unsupported({ detail: "it is a test" })
    })
  )
