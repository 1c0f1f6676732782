/** Files of the formats, in a store. */
import * as fs from "node:fs"
import * as path from "node:path"
import { MemoryObjectStore, type ObjectStore, ObjectStoreError } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { SourceFile } from "@effect-icechunk/import"
import * as CountingStore from "./CountingStore.ts"

/** Those that scripts of this folder wrote, and those by other writers. */
const directories = ["written", "real"].map((name) => path.resolve(import.meta.dirname, "../files", name))

/** Where a file is. */
export const find = (name: string): string => {
  const file = directories.map((directory) => path.join(directory, name)).find((one) => fs.existsSync(one))
  if (file === undefined) throw new Error(`there is no file ${name}`)
  return file
}

export const bytes = (name: string): Uint8Array => new Uint8Array(fs.readFileSync(find(name)))

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
