// Imports nothing of the library by itself: that is what is measured.
import type { Input, Samples, Tasks } from "../Work.ts"

const seconds = (from: number): number => (performance.now() - from) / 1000

const load = async ({ directory }: Input): Promise<Samples> => {
  const start = performance.now()
  const [{ Platform, Repository }, { FsObjectStore, FsPlatform }] = await Promise.all([
    import("@effect-icechunk/core"),
    import("@effect-icechunk/fs")
  ])
  const imported = seconds(start)
  const [NodeZstd, NodeFileSystem, NodePath, Effect, Layer] = await Promise.all([
    import("@effect-icechunk/core/node/NodeZstd"),
    import("@effect/platform-node/NodeFileSystem"),
    import("@effect/platform-node/NodePath"),
    import("effect/Effect"),
    import("effect/Layer")
  ])
  const services = Layer.mergeAll(
    FsObjectStore.layer({ directory }),
    Platform.layer([FsPlatform.make]),
    NodeZstd.layer
  ).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
  const bytes = await Effect.runPromise(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const session = yield* repository.readonlySession({ branch: "main" })
      return yield* session.chunk("/data", [1])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  const inAll = seconds(start)
  const { isChunk } = await import("../works/load.ts")
  if (!isChunk(bytes)) throw new Error("the chunk is another one")
  return { import: { value: imported }, "import-read": { value: inAll } }
}

/** What a page imports that opens a repository and reads it through zarrita. */
const page = `
  import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
  import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
  import * as Platform from "@effect-icechunk/core/Platform"
  import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
  import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
  import * as Effect from "effect/Effect"
  import * as Layer from "effect/Layer"
  import * as zarr from "zarrita"

  export const open = (store, branch) =>
    Effect.gen(function* () {
      const repository = yield* ReadonlyRepository.open()
      const session = yield* repository.readonlySession({ branch })
      return zarr.root(ZarritaStore.fromSession(session))
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, BrowserZstd.layer)
      )
    )
`

const bundle = async ({ directory }: Input): Promise<Samples> => {
  const Bundle = await import("../Bundle.ts")
  const size = await Bundle.sizeOf({
    text: page,
    directory: `${directory}/bench`,
    external: ["effect", "effect/*", "zarrita"]
  })
  return { bundle: { value: size } }
}

export const tasks: Tasks = { import: load, bundle }
