/** What workers do, wherever they are: they fill pieces of a session, each in a repository that it opens itself. */
import { Pieces, Platform, type Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as PieceSchema from "@effect-icechunk/core/schema/PieceSchema"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** A repository in a directory that all workers can reach; on several machines it would be a bucket. */
export const services = (directory: string) =>
  Layer.mergeAll(FsObjectStore.layer({ directory }), Platform.layer([FsPlatform.make]), NodeZstd.layer).pipe(
    Layer.provide(files)
  )

/** The call of a worker. A piece that is given out twice is the same call. */
export const Fill = Rpc.make("Fill", {
  payload: { piece: PieceSchema.Piece },
  success: PieceSchema.Filled,
  primaryKey: ({ piece }) => piece.id
})

export const side = 64

/** A chunk of 64 × 64 numbers: how high the waves are. */
const waves = (row: number, column: number): Uint8Array => {
  const heights = Float32Array.from({ length: side * side }, (_, i) => {
    const [y, x] = [row * side + Math.floor(i / side), column * side + (i % side)]
    return Math.sin(x / 40) * Math.cos(y / 25)
  })
  return new Uint8Array(heights.buffer)
}

/** Fills a piece: every chunk of its regions. */
export const fill = Effect.fn("fill")(function* (repository: Repository.RepositoryShape, piece: Pieces.Piece) {
  const writer = yield* Pieces.fill(repository, piece)
  for (const { extents, path } of piece.regions ?? []) {
    const [rows, columns] = extents
    for (let row = rows!.from; row < rows!.to; row++) {
      for (let column = columns!.from; column < columns!.to; column++) {
        yield* writer.setChunk(path, [row, column], waves(row, column))
      }
    }
  }
  return yield* writer.finish
})
