/**
 * What snippets that run find: a repository in memory, with an array, a few commits, a tag, and a container of files.
 */
import { Credentials, MemoryObjectStore, Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

const file = new Uint8Array(1 << 17).map((_, i) => i)
const platforms = Platform.layerMemory({
  "file:///data/model/a.nc": file,
  "file:///data/model/b.nc": file,
  "s3://model-output/run-1.nc": file
})

const made = Effect.gen(function* () {
  const repository = yield* Repository.create({
    persist: {
      virtual_chunk_containers: [{ name: "model", protocol: "model", platform: "fs", bucket_prefix: "/data/model" }]
    },
    credentials: { model: Credentials.directory("/data/model") }
  })
  const first = yield* repository.writableSession("main")
  yield* first.createGroup("/", { title: "given" })
  yield* first.createArray("/temperature", { shape: [4, 4], chunkShape: [2, 2], dataType: "float32", fillValue: 0 })
  yield* first.setChunk("/temperature", [0, 0], new Uint8Array(16))
  const v1 = yield* first.commit("the first commit")
  yield* repository.createTag("v1", v1)
  yield* first.setChunk("/temperature", [0, 1], new Uint8Array(16).fill(1))
  yield* first.setVirtualRef("/temperature", [1, 1], { location: "model:///data/model/a.nc", offset: 0, length: 16 })
  yield* first.commit("the second commit")
  return { repository, session: yield* repository.writableSession("main") }
})

const all = Effect.gen(function* () {
  const services = yield* Layer.build(Layer.mergeAll(MemoryObjectStore.layer(), platforms, NodeZstd.layer))
  const given = yield* Effect.provide(made, services)
  return { ...given, services }
})

/** A repository of its own for each snippet, with the services that it was made with. */
export const make = async (): Promise<Effect.Success<typeof all>> =>
  Effect.runPromise(Effect.provideService(all, Scope.Scope, await Effect.runPromise(Scope.make())))
