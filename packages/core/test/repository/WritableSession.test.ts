import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Repository from "../../src/repository/Repository.ts"
import type * as NodePath from "../../src/values/NodePath.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import { inWorld, pattern, world } from "./Fixture.ts"

const array = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<number>) => ({
  shape,
  chunkShape,
  dataType: "uint8",
  fillValue: 0
})

const path = (text: string) => text as NodePath.NodePath

describe("an array whose metadata is replaced", () => {
  const rows = ZarrMetadata.array(array([4], [2]))

  it.effect("with another number of dimensions is a new one, without the chunks of the old", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4, 4], [2, 2]))
          yield* session.setChunk("/a", [0, 1], pattern(4))
          yield* session.commit("two dimensions")
          yield* session.setMetadata("/a", rows)
          assert.deepStrictEqual(yield* session.status, {
            newGroups: [],
            newArrays: [path("/a")],
            updatedGroups: [],
            updatedArrays: [],
            deletedGroups: [],
            deletedArrays: [path("/a")],
            updatedChunks: new Map()
          })
          assert.isUndefined(yield* session.chunk("/a", [0]))
          yield* session.setChunk("/a", [1], pattern(2))
          yield* session.commit("one dimension")
          assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/a")), [[1]])
        })
      )
    })
  )

  it.effect("before the first commit too", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4, 4], [2, 2]))
          yield* session.setChunk("/a", [0, 1], pattern(4))
          yield* session.setMetadata("/a", rows)
          yield* session.setChunk("/a", [1], pattern(2, 1))
          assert.deepStrictEqual(yield* session.chunk("/a", [1]), pattern(2, 1))
          yield* session.commit("one dimension")
          assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/a")), [[1]])
          assert.deepStrictEqual(yield* session.chunk("/a", [1]), pattern(2, 1))
        })
      )
    })
  )
})
