/**
 * Prints what a repository that nothing is known of depends on: `inspect.ts DIRECTORY`. It needs no credentials
 * and reads no virtual chunk.
 */
import { Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const directory = process.argv[2] ?? "demo-output/repository"

const services = Layer.mergeAll(
  FsObjectStore.layer({ directory, readOnlyBecause: "it is only looked at" }),
  Platform.layer([FsPlatform.make]),
  NodeZstd.layer
).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))

const program = Effect.gen(function* () {
  const repository = yield* Repository.open()
  yield* Console.log("containers of its own")
  for (const one of yield* repository.containerAccess) {
    if (one.source === "default") continue
    yield* Console.log(`  ${one.name}  ${one.protocol}:// on ${one.platform}, ${one.bucketPrefix}`)
    if (one.endpoint !== undefined) yield* Console.log(`    endpoint     ${one.endpoint}`)
    if (one.region !== undefined) yield* Console.log(`    region       ${one.region}`)
    yield* Console.log(`    credentials  ${one.credentials}${one.because === undefined ? "" : `: ${one.because}`}`)
  }
  const { containers, unresolved } = yield* repository.wholeHistory.dependencies
  yield* Console.log("virtual chunks, in all snapshots")
  for (const { bytes, chunks, container, objects } of containers) {
    yield* Console.log(`  ${container}  ${chunks} chunks of ${objects} object(s), ${bytes} bytes`)
  }
  for (const { chunks, location } of unresolved) yield* Console.log(`  no container for ${location}, ${chunks} chunks`)
})

program.pipe(Effect.scoped, Effect.provide(services), NodeRuntime.runMain)
