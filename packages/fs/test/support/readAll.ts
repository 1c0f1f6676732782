/**
 * Reads files at once, where few can be open: `readAll.ts <directory> <reads> <files>`. The files are named by numbers and
 * hold them.
 */
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"

const [directory, reads, files] = process.argv.slice(2)

Effect.gen(function* () {
  const store = yield* FsObjectStore.make({ directory: directory! })
  yield* Effect.forEach(
    Array.from({ length: Number(reads) }, (_, i) => `${(i * 7) % Number(files)}`),
    (name) =>
      Effect.flatMap(store.get(name), ({ bytes }) =>
        new TextDecoder().decode(bytes) === name ? Effect.void : Effect.die(`\`${name}\` is another file`)
      ),
    { concurrency: "unbounded", discard: true }
  )
}).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
