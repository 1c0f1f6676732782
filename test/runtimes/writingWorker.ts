/**
 * A Cloudflare Worker that writes: two sessions at once, each an array through zarrita, into a repository in memory. It
 * answers with what it reads back, and with the files of the repository.
 */
import * as History from "@effect-icechunk/core/History"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"

/** What the worker answers. */
export interface Answer {
  readonly messages: ReadonlyArray<string>
  readonly means: Readonly<Record<string, number>>
  /** The files of the repository, in Base64. */
  readonly files: Readonly<Record<string, string>>
}

/** Chunks of 4,000 bytes are objects of their own, one of 40 is within the manifest. */
const shapes = { large: [2000], small: [10] } as const

const write = Effect.fnUntraced(function* (repository: Repository.RepositoryShape, name: keyof typeof shapes) {
  const session = yield* repository.writableSession("main")
  const root = zarr.root(yield* ZarritaStore.makeWritable(session))
  yield* ZarritaStore.useWritable(async () => {
    const [length] = shapes[name]
    const options = { shape: [length], chunkShape: [Math.min(length, 1000)], dtype: "float32" as const }
    const array = await zarr.create(root.resolve(`/${name}`), options)
    await zarr.set(array, null, { data: Float32Array.from({ length }, (_, i) => i), shape: [length], stride: [1] })
  })
  yield* session.commit(name, { rebase: {} })
})

const program = Effect.gen(function* () {
  const store = yield* ObjectStore.ObjectStore
  const repository = yield* Repository.create()
  yield* Effect.all([write(repository, "large"), write(repository, "small")], { concurrency: 2, discard: true })

  const session = yield* repository.readonlySession({ branch: "main" })
  const root = zarr.root(yield* ZarritaStore.make(session))
  const means: Record<string, number> = {}
  for (const name of Object.keys(shapes)) {
    means[name] = yield* ZarritaStore.use(async (signal) => {
      const array = await zarr.open.v3(root.resolve(`/${name}`), { kind: "array", signal })
      const { data } = await zarr.get(array, null, { signal })
      return (data as Float32Array).reduce((sum, value) => sum + value, 0) / data.length
    })
  }
  const snapshots = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
  const keys = yield* Stream.runCollect(Stream.map(store.list(""), ({ key }) => key))
  const files: Record<string, string> = {}
  for (const key of keys) files[key] = Base64.encode((yield* store.get(key)).bytes)
  return { messages: snapshots.map(({ message }) => message), means, files } satisfies Answer
})

const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, BrowserZstd.layer)

export default {
  fetch: (): Promise<Response> =>
    program.pipe(
      Effect.map((answer) => Response.json(answer)),
      Effect.catch(({ _tag, message }) => Effect.succeed(Response.json({ error: _tag, message }, { status: 500 }))),
      Effect.scoped,
      Effect.provide(services),
      Effect.runPromise
    )
}
