import { Conflict, type Errors, Platform, type Rebase, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const stations = ["bremen", "hobart", "nairobi"]

const program = Effect.gen(function* () {
  const repository = yield* Repository.create()

  yield* repository.transact("main", "an array for each station", (session) =>
    Effect.forEach(stations, (station) =>
      session.createArray(`/${station}`, { shape: [24], chunkShape: [1], dataType: "uint8", fillValue: 0 })
    )
  )

  // All at the same time: nobody loses, and commits that wait for each other go out together.
  const committed = yield* Effect.forEach(
    stations.flatMap((station) => [0, 1, 2, 3].map((hour) => ({ station, hour }))),
    ({ hour, station }) =>
      repository.transact("main", `${station}, hour ${hour}`, (session) =>
        session.setChunk(`/${station}`, [hour], bytes(`${hour}`))
      ),
    { concurrency: "unbounded" }
  )
  yield* Console.log(`committed at the same time: ${committed.length}`)

  // Two sessions that want different bytes in one chunk.
  const ours = yield* repository.writableSession("main")
  yield* ours.setChunk("/bremen", [0], bytes("ours"))
  yield* repository.transact("main", "theirs", (session) => session.setChunk("/bremen", [0], bytes("theirs")))

  const explain = (error: Errors.RebaseConflict) =>
    Effect.forEach(error.conflicts, (conflict) => Console.log(`conflict: ${Conflict.describe(conflict)}`))
  yield* ours.commit("ours", { rebase: {} }).pipe(Effect.catchTag("RebaseConflict", explain))

  // The session has its changes still. Who wins is said by kind of conflict,
  const policies: Rebase.Policies = { ChunkDoubleUpdate: "ours", DeleteOfUpdatedArray: "theirs" }
  yield* ours.commit("ours", { rebase: policies })

  // or by a function, which may also merge what both have changed.
  const merge: Rebase.Solve = (conflict) => {
    if (conflict._tag !== "ZarrMetadataDoubleUpdate") return "fail"
    const [mine, others] = [conflict.ours, conflict.theirs].map((zarrJson) =>
      JSON.parse(new TextDecoder().decode(zarrJson))
    )
    const attributes = { ...others.attributes, ...mine.attributes }
    return { zarrJson: bytes(JSON.stringify({ ...mine, attributes })) }
  }
  const described = (attributes: object) => bytes(JSON.stringify({ zarr_format: 3, node_type: "group", attributes }))
  const other = yield* repository.writableSession("main")
  yield* other.setMetadata("/about", described({ by: "other" }))
  yield* other.commit("about", { rebase: merge })
  yield* ours.rebase()
  yield* ours.setMetadata("/about", described({ by: "other", title: "stations" }))
  yield* other.setMetadata("/about", described({ by: "other", licence: "CC0-1.0" }))
  yield* ours.commit("a title")
  yield* other.commit("a licence", { rebase: merge })

  const session = yield* repository.readonlySession({ branch: "main" })
  const { userData } = yield* session.node("/about")
  yield* Console.log(`merged: ${JSON.stringify(JSON.parse(new TextDecoder().decode(userData)).attributes)}`)
  const history = yield* repository.history({ branch: "main" })
  yield* Console.log(`commits: ${history.length}`)
})

const store = FsObjectStore.layer({ directory: process.argv[2] ?? "demo-output/together" })
const services = Layer.mergeAll(store, Platform.layer([FsPlatform.make]), NodeZstd.layer)
const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
program.pipe(Effect.scoped, Effect.provide(Layer.provide(services, files)), NodeRuntime.runMain)
