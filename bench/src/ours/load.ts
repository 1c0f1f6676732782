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

const bundle = async ({ directory }: Input): Promise<Samples> => {
  const { besides, loadedOf, readingPage } = await import("../../../scripts/webPage.ts")
  const text = readingPage("ReadonlyRepository")
  const { size } = await loadedOf({ text, directory: `${directory}/bench`, external: besides })
  return { bundle: { value: size } }
}

export const tasks: Tasks = { import: load, bundle }
