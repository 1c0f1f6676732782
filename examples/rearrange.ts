import { Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const program = Effect.gen(function* () {
  const repository = yield* Repository.create({ commitMetadata: { author: "rearrange.ts" } })
  const session = yield* repository.writableSession("main")

  // The last four days, the newest one last.
  yield* session.createGroup("/forecast")
  yield* session.createArray("/forecast/wind", { shape: [4], chunkShape: [1], dataType: "uint8", fillValue: 0 })
  for (const day of [0, 1, 2, 3]) yield* session.setChunk("/forecast/wind", [day], bytes(`day ${day}`))
  yield* session.commit("four days")

  // A day later: what is oldest leaves the array, no chunk is copied.
  yield* session.shift("/forecast/wind", [-1])
  yield* session.setChunk("/forecast/wind", [3], bytes("day 4"))
  const shifted = yield* session.commit("a day later")

  // The other way round, and twice as long.
  yield* session.reindex("/forecast/wind", ([day]) => [3 - day!])
  yield* session.resize("/forecast/wind", [8])
  yield* session.setAttributes("/forecast/wind", (now) => ({ ...now, order: "newest first" }))

  // To be looked at before it is committed: a snapshot that no branch points at.
  const draft = yield* session.flush("for review")
  const reviewed = yield* repository.readonlySession({ snapshotId: draft })
  yield* Console.log(
    `for review: ${new TextDecoder().decode(yield* reviewed.chunk("/forecast/wind", [0]))} comes first`
  )

  yield* session.move("/forecast", "/archive")
  yield* session.commit("archived")

  // Something was forgotten: the same commit, better.
  yield* session.copyFrom(yield* repository.readonlySession({ snapshotId: shifted }), "/forecast/wind", {
    to: "/archive/wind-as-it-was"
  })
  yield* session.amend("archived, with the array as it was")

  // A thousand refs to a file elsewhere, as they come.
  yield* session.createArray("/archive/gusts", { shape: [1000], chunkShape: [1], dataType: "uint8", fillValue: 0 })
  yield* session.setVirtualRefsFrom(
    "/archive/gusts",
    Stream.range(0, 999).pipe(
      Stream.map((i) => ({ index: [i], location: "s3://winds/gusts.bin", offset: 16 * i, length: 16 }))
    )
  )
  yield* session.commit("gusts")

  for (const { data, path } of yield* session.nodes()) {
    const chunks = data._tag === "Array" ? yield* Stream.runCount(session.chunkIndices(path)) : undefined
    yield* Console.log(`${path}${chunks === undefined ? "" : `  ${chunks} chunks`}`)
  }
  for (const { message, metadata } of (yield* repository.history({ branch: "main" })).slice(0, -1)) {
    yield* Console.log(`${message} ${JSON.stringify(metadata)}`)
  }
})

const store = FsObjectStore.layer({ directory: process.argv[2] ?? "demo-output/rearrange" })
const services = Layer.mergeAll(store, Platform.layer([FsPlatform.make]), NodeZstd.layer)
const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
program.pipe(Effect.scoped, Effect.provide(Layer.provide(services, files)), NodeRuntime.runMain)
