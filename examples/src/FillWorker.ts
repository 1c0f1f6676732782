/** A thread that fills pieces in the repository whose directory it is told. */
import { workerData } from "node:worker_threads"
import { Repository } from "@effect-icechunk/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import { Fill, fill, services } from "./Filling.ts"

const group = RpcGroup.make(Fill)

const handlers = group.toLayer(
  Effect.gen(function* () {
    // When the first piece comes: the thread may be there before the repository is.
    const opened = yield* Effect.cached(Repository.open())
    const context = yield* Effect.context<Effect.Services<typeof opened>>()
    return {
      Fill: ({ piece }) =>
        Effect.flatMap(opened, (repository) => fill(repository, piece)).pipe(
          Effect.orDie,
          Effect.provideContext(context)
        )
    }
  })
)

RpcServer.layer(group).pipe(
  Layer.provide(handlers),
  Layer.provide(services(String(workerData))),
  Layer.provide(RpcServer.layerProtocolWorkerRunner),
  Layer.provide(NodeWorkerRunner.layer),
  Layer.launch,
  NodeRuntime.runMain
)
