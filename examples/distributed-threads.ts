import { Worker } from "node:worker_threads"
import { Pieces, Repository } from "@effect-icechunk/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Stream from "effect/Stream"
import { Fill, services, side } from "./src/Filling.ts"

const directory = process.argv[2] ?? "demo-output/distributed-threads"

const program = Effect.gen(function* () {
  const repository = yield* Repository.create({
    // Manifests of 8 rows of chunks each, so that those that workers write can be taken as they are.
    persist: {
      manifest: { splitting: { split_sizes: [["any_array", [{ condition: { Axis: 0 }, num_chunks: 8 }]]] } }
    }
  })
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/waves", {
    shape: [32 * side, 16 * side],
    chunkShape: [side, side],
    dataType: "float32",
    fillValue: 0
  })

  // A piece for each thread, and what they have written in one commit.
  const pieces = yield* Pieces.split(session, yield* Pieces.cut(session, "/waves", 4))
  const workers = yield* RpcClient.make(RpcGroup.make(Fill))
  const filled = yield* Effect.forEach(pieces, (piece) => workers.Fill({ piece }), { concurrency: "unbounded" })
  yield* Pieces.merge(session, filled)
  yield* session.commit("waves")

  const written = yield* Stream.runCount(session.chunkIndices("/waves"))
  const history = yield* repository.history({ branch: "main" })
  yield* Console.log(`${pieces.length} threads wrote ${written} chunks, in ${history.length - 1} commit`)
})

const threads = RpcClient.layerProtocolWorker({ size: 4 }).pipe(
  Layer.provide(
    NodeWorker.layer(() => new Worker(new URL("./src/FillWorker.ts", import.meta.url), { workerData: directory }))
  )
)
program.pipe(Effect.scoped, Effect.provide(Layer.merge(services(directory), threads)), NodeRuntime.runMain)
