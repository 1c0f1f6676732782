import { mkdirSync } from "node:fs"
import { Pieces, Repository } from "@effect-icechunk/core"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as SingleRunner from "effect/cluster/SingleRunner"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { Fill, fill, services, side } from "./src/Filling.ts"
import * as Sqlite from "./src/Sqlite.ts"

const directory = process.argv[2] ?? "demo-output/distributed-cluster"
mkdirSync(directory, { recursive: true })

/** A worker for each piece, on whatever machine the cluster puts it; what it answers is kept until it was read. */
const Filler = Entity.make("Filler", [Fill.annotate(ClusterSchema.Persisted, true)])

const fillers = Filler.toLayer(
  Effect.gen(function* () {
    const repository = yield* Repository.Repository
    return { Fill: ({ payload }) => Effect.orDie(fill(repository, payload.piece)) }
  })
)

const program = Effect.gen(function* () {
  const repository = yield* Repository.Repository
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/waves", {
    shape: [16 * side, 16 * side],
    chunkShape: [side, side],
    dataType: "float32",
    fillValue: 0
  })

  const pieces = yield* Pieces.split(session, yield* Pieces.cut(session, "/waves", 8))
  const filler = yield* Filler.client
  const filled = yield* Effect.forEach(pieces, (piece) => filler(piece.id).Fill({ piece }), {
    concurrency: "unbounded"
  })
  // Who asks again, after a crash, gets the same answer: the piece is not filled twice.
  const again = yield* filler(pieces[0]!.id).Fill({ piece: pieces[0]! })
  yield* Pieces.merge(session, [...filled, again], { again: "ignore" })
  yield* session.commit("waves")

  const written = yield* Stream.runCount(session.chunkIndices("/waves"))
  const sql = yield* SqlClient.SqlClient
  const [kept] = yield* sql<{ readonly count: number }>`SELECT COUNT(*) AS count FROM cluster_messages`
  yield* Console.log(`${pieces.length} pieces, ${kept!.count} messages in SQL, ${written} chunks in one commit`)
})

// On several machines: `NodeClusterSocket.layer()` and a server of SQL in the place of these two, and a bucket.
const cluster = SingleRunner.layer({ runnerStorage: "memory" }).pipe(
  Layer.provide(NodeCrypto.layerDigest),
  Layer.provideMerge(Sqlite.layer(`${directory}/messages.sqlite`))
)

program.pipe(
  Effect.scoped,
  Effect.provide(
    fillers.pipe(
      Layer.provideMerge(cluster),
      Layer.provideMerge(Repository.layerOpenOrCreate()),
      Layer.provide(services(`${directory}/repository`))
    )
  ),
  NodeRuntime.runMain
)
