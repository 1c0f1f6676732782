/**
 * What workers have written for a session of ours, read by the official engine.
 */
import { MemoryObjectStore, Pieces } from "@effect-icechunk/core"
import * as PieceSchema from "@effect-icechunk/core/schema/PieceSchema"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Interop from "../support/InteropSuite.ts"
import { buffer, bytes, inRepository, placeOn, readOurs, readTheirs } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const arrayJson = Interop.arrayJson([20, 5])

const sent = <A>(schema: Schema.Codec<A, unknown>, value: A): A =>
  Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeUnknownSync(schema)(value))))

it.live(
  "manifests of workers, as they are and merged, with refs that came in messages: the official engine reads all",
  () =>
    Effect.gen(function* () {
      const place = placeOn(yield* MemoryObjectStore.make())
      const adopted = yield* inRepository(place, {
        config: {
          manifest: { splitting: { split_sizes: [["any_array", [{ condition: { Axis: 0 }, num_chunks: 5 }]]] } }
        }
      })((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setMetadata("/a", arrayJson)
          yield* session.setChunk("/a", [19, 4], bytes(20, 0))
          yield* session.commit("first")
          yield* session.setMetadata("/new", arrayJson)
          const pieces = yield* Pieces.split(session, yield* Pieces.cut(session, "/a", 4))
          const filled = yield* Effect.forEach(
            [...pieces, ...(yield* Pieces.split(session, [{ path: "/new" }]))],
            (piece, number) =>
              inRepository(place)((other) =>
                Effect.gen(function* () {
                  const writer = yield* Pieces.fill(other, sent(PieceSchema.Piece, piece), {
                    // One of them sends all that it has written.
                    refsSent: number === 2 ? 1000 : 0
                  })
                  const { extents, path } = piece.regions![0]!
                  for (let y = extents[0]!.from; y < extents[0]!.to; y++) {
                    for (let x = 0; x < 4; x++)
                      yield* writer.setChunk(path, [y, x], bytes(x % 2 === 0 ? 700 : 9, y * 10 + x))
                  }
                  return sent(PieceSchema.Filled, yield* writer.finish)
                })
              ),
            { concurrency: 3 }
          )
          yield* Pieces.merge(session, filled)
          yield* session.setChunk("/a", [4, 2], bytes(600, 1))
          yield* session.commit("together", { rebase: {} })
          const { data } = yield* session.node("/a")
          const ids = new Set(data._tag === "Array" ? data.manifests.map(({ id }) => id) : [])
          return filled
            .filter(({ arrays }) => arrays[0]!.path === "/a")
            .map(({ arrays }) => arrays[0]!.manifests.map(({ id }) => ids.has(id)))
        })
      )
      // The first has a chunk of the session in it; the third sent none.
      assert.deepStrictEqual(
        adopted.map((manifests) => new Set(manifests)),
        [new Set([false]), new Set([true]), new Set(), new Set([true])]
      )
      const theirs = yield* Effect.promise(async () => readTheirs(await Engine.Repository.open(await place.storage())))
      const chunkKeys = [...theirs.keys()].filter((key) => !key.endsWith("zarr.json"))
      assert.lengthOf(chunkKeys, 2 * 20 * 4 + 1)
      for (const key of chunkKeys) {
        const [array, , y, x] = key.split("/").map((part, i) => (i > 1 ? Number(part) : part)) as [
          string,
          string,
          number,
          number
        ]
        const expected =
          array === "a" && x === 4
            ? bytes(20, 0)
            : array === "a" && y === 4 && x === 2
              ? bytes(600, 1)
              : bytes(x % 2 === 0 ? 700 : 9, y * 10 + x)
        assert.deepStrictEqual(theirs.get(key), buffer(expected), key)
      }
      const ours = yield* inRepository(place)((repository) => readOurs(repository))
      assert.deepStrictEqual([...ours.keys()].toSorted(), [...theirs.keys()].toSorted())
      // And it goes on from them.
      yield* Effect.promise(async () => {
        const repository = await Engine.Repository.open(await place.storage())
        const session = await repository.writableSession("main")
        await session.store.set("a/c/12/3", Buffer.from("theirs"))
        await session.commit("theirs")
      })
      const after = yield* inRepository(place)((repository) => readOurs(repository))
      assert.deepStrictEqual(after.get("a/c/12/3"), Buffer.from("theirs"))
      assert.deepStrictEqual(after.get("a/c/12/2"), buffer(bytes(700, 122)))
      assert.strictEqual(after.size, ours.size)
    })
)
