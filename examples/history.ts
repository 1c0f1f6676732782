/**
 * Prints the history of a repository in a directory: `history.ts DIRECTORY`. What was done to it, its snapshots, and what
 * changed from each to the next. It needs no credentials and reads no chunk.
 */
import { History, Inspection, Platform, ReadonlyRepository, RepositoryState } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const directory = process.argv[2] ?? "demo-output/repository"

const services = Layer.mergeAll(
  FsObjectStore.layer({ directory, readOnlyBecause: "it is only looked at" }),
  Platform.layer([FsPlatform.make]),
  NodeZstd.layer
).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))

/** What changed from the parent of a snapshot, as lines. */
const changes = (repository: ReadonlyRepository.ReadonlyRepositoryShape, id: string, parentId: string) =>
  Effect.gen(function* () {
    const diff = yield* History.diff(repository, { snapshotId: parentId }, { snapshotId: id })
    const lines = [
      ...[...diff.newGroups, ...diff.newArrays].map((path) => `new      ${path}`),
      ...[...diff.deletedGroups, ...diff.deletedArrays].map((path) => `deleted  ${path}`),
      ...[...diff.updatedGroups, ...diff.updatedArrays].map((path) => `updated  ${path}`),
      ...diff.movedNodes.map(({ from, to }) => `moved    ${from} to ${to}`)
    ]
    for (const { count, indices, path } of diff.updatedChunks) {
      const first = yield* indices.pipe(Stream.take(3), Stream.runCollect)
      lines.push(`chunks   ${path}: ${count}, ${first.map((index) => `[${index.join(",")}]`).join(" ")}…`)
    }
    return lines
  })

const program = Effect.gen(function* () {
  const repository = yield* ReadonlyRepository.open()
  const { availability, reason } = yield* RepositoryState.status(repository)
  yield* Console.log(`status    ${availability}${reason === undefined ? "" : `, ${reason}`}`)
  const { file } = yield* Inspection.repo(repository, { maxItems: 0 })
  yield* Console.log(`file      ${JSON.stringify(file)}`)
  yield* Console.log("operations")
  yield* Stream.runForEach(History.operations(repository), ({ at, update }) =>
    Console.log(`  ${DateTime.formatIso(at)}  ${update._tag}`)
  )
  yield* Console.log("snapshots")
  yield* Stream.runForEach(
    History.graph(repository),
    Effect.fnUntraced(function* ({ branches, id, message, parentId, tags }) {
      yield* Console.log(`  ${[id, ...branches, ...tags].join("  ")}  ${message}`)
      for (const line of parentId === undefined ? [] : yield* changes(repository, id, parentId)) {
        yield* Console.log(`    ${line}`)
      }
    })
  )
})

program.pipe(Effect.scoped, Effect.provide(services), NodeRuntime.runMain)
