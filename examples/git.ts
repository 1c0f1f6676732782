/** Versions and branches, in the order in which `docs/for-git-users.md` shows them. */
import { BranchMerge, History, MemoryObjectStore, Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const program = Effect.gen(function* () {
  const repository = yield* Repository.create()

  // git add; git commit
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/wind", { shape: [4], chunkShape: [1], dataType: "uint8", fillValue: 0 })
  yield* session.setChunk("/wind", [0], bytes("0"))
  const first = yield* session.commit("the first hour", { metadata: { author: "Ada" } })

  // git branch try; git tag v1
  yield* repository.createBranch("try", first)
  yield* repository.createTag("v1", first)

  // git checkout try; git commit
  yield* repository.transact("try", "the second hour", (session) => session.setChunk("/wind", [1], bytes("1")))
  yield* repository.transact("main", "the third hour", (session) => session.setChunk("/wind", [2], bytes("2")))

  // git status; git stash drop
  yield* session.rebase()
  yield* session.setChunk("/wind", [3], bytes("3"))
  const { updatedChunks } = yield* session.status
  yield* Console.log(`status: ${updatedChunks.size} array changed`)
  yield* session.discard

  // git rebase main try; git checkout main; git merge --ff-only try
  const { commits } = yield* BranchMerge.merge(repository, repository, { from: "try", branch: "main" })
  yield* Console.log(`merged: ${commits.length} commit`)

  // git log main
  yield* History.ancestry(repository, { branch: "main" }).pipe(
    Stream.runForEach(({ message }) => Console.log(`log: ${message}`))
  )

  // git diff v1 main
  const diff = yield* History.diff(repository, { tag: "v1" }, { branch: "main" })
  for (const { count, path } of diff.updatedChunks) yield* Console.log(`diff: ${path}, ${count} chunks`)

  // git reset --hard v1, on the branch itself; git branch -D try
  const tip = yield* History.branch(repository, "main")
  yield* repository.resetBranch("main", first, { from: tip })
  yield* repository.deleteBranch("try")

  // git reflog
  yield* History.operations(repository).pipe(
    Stream.take(2),
    Stream.runForEach(({ update }) => Console.log(`reflog: ${update._tag}`))
  )
})

const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)
program.pipe(Effect.scoped, Effect.provide(services), NodeRuntime.runMain)
