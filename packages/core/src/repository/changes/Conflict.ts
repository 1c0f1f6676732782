/**
 * What cannot be said of two sets of changes at once: the conflicts between a session and the commits that were faster.
 *
 * The kinds are those of Icechunk, and three that it does not look for: `NewNodeInInvalidGroup` also where the group was
 * deleted or moved away, `DeleteOfGroupWithNewNodes`, and `ZarrMetadataUpdateOfWrittenArray`.
 *
 * @since 0.1.0
 */
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import * as ChunkIndices from "../../values/ChunkIndex.ts"
import type { NodePath } from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"

/** What every conflict says: which node of the session it is about, at the path that it has there. */
interface About {
  readonly path: NodePath
  readonly node: NodeId
}

/** Another node is at the path of a node that the session created, or below that of an array that it created. */
export interface NewNodeConflictsWithExistingNode extends About {
  readonly _tag: "NewNodeConflictsWithExistingNode"
  readonly existing: NodeId
}

/** What is to be above a node that the session created is an array now, or a group that is no longer there. */
export interface NewNodeInInvalidGroup extends About {
  readonly _tag: "NewNodeInInvalidGroup"
  /** Path of the array, or of the group that was deleted or moved. */
  readonly above: NodePath
  /** The array that is in the way, if it is one. */
  readonly array?: NodeId
}

/** The session and another commit changed the metadata of one node. */
export interface ZarrMetadataDoubleUpdate extends About {
  readonly _tag: "ZarrMetadataDoubleUpdate"
  /** The `zarr.json` that both began with, that of the session, and that of the branch. */
  readonly base: Uint8Array
  readonly ours: Uint8Array
  readonly theirs: Uint8Array
}

/** The session changed the metadata of an array that was deleted. */
export interface ZarrMetadataUpdateOfDeletedArray extends About {
  readonly _tag: "ZarrMetadataUpdateOfDeletedArray"
}

/** The session changed the metadata of a group that was deleted. */
export interface ZarrMetadataUpdateOfDeletedGroup extends About {
  readonly _tag: "ZarrMetadataUpdateOfDeletedGroup"
}

/** The session changed how an array's chunks are laid out or encoded, or cut some off, and others wrote such chunks. */
export interface ZarrMetadataUpdateOfWrittenArray extends About {
  readonly _tag: "ZarrMetadataUpdateOfWrittenArray"
}

/** The session and another commit wrote or deleted the same chunks. */
export interface ChunkDoubleUpdate extends About {
  readonly _tag: "ChunkDoubleUpdate"
  readonly rank: number
  readonly count: number
  /** `count` times `rank` chunk numbers, row-major, in lexicographic order; see `chunkIndices`. */
  readonly coords: Uint32Array
}

/** The session wrote chunks of an array that was deleted. */
export interface ChunksUpdatedInDeletedArray extends About {
  readonly _tag: "ChunksUpdatedInDeletedArray"
}

/** The session wrote chunks of an array whose chunks are laid out or encoded in another way now. */
export interface ChunksUpdatedInUpdatedArray extends About {
  readonly _tag: "ChunksUpdatedInUpdatedArray"
}

/** The session deleted an array that was changed, written to or moved. */
export interface DeleteOfUpdatedArray extends About {
  readonly _tag: "DeleteOfUpdatedArray"
}

/** The session deleted a group that was changed or moved. */
export interface DeleteOfUpdatedGroup extends About {
  readonly _tag: "DeleteOfUpdatedGroup"
}

/** The session deleted a group in which others put nodes. */
export interface DeleteOfGroupWithNewNodes extends About {
  readonly _tag: "DeleteOfGroupWithNewNodes"
  readonly created: ReadonlyArray<{ readonly path: NodePath; readonly node: NodeId }>
}

/** The session moved a node, and where it was or was to go has changed. */
export interface MoveOperationCannotBeRebased extends About {
  readonly _tag: "MoveOperationCannotBeRebased"
  readonly problem: string
}

/**
 * A conflict. `_tag` is its kind.
 *
 * @category models
 * @since 0.1.0
 */
export type Conflict =
  | NewNodeConflictsWithExistingNode
  | NewNodeInInvalidGroup
  | ZarrMetadataDoubleUpdate
  | ZarrMetadataUpdateOfDeletedArray
  | ZarrMetadataUpdateOfDeletedGroup
  | ZarrMetadataUpdateOfWrittenArray
  | ChunkDoubleUpdate
  | ChunksUpdatedInDeletedArray
  | ChunksUpdatedInUpdatedArray
  | DeleteOfUpdatedArray
  | DeleteOfUpdatedGroup
  | DeleteOfGroupWithNewNodes
  | MoveOperationCannotBeRebased

/**
 * The chunks of a `ChunkDoubleUpdate`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const chunkIndices = ({ coords, count, rank }: ChunkDoubleUpdate): ReadonlyArray<ChunkIndex> =>
  Array.from({ length: count }, (_, i) => Array.from(coords.subarray(i * rank, (i + 1) * rank)))

/**
 * A conflict in words, as in the message of `RebaseConflict`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const describe = (conflict: Conflict): string => {
  const at = `\`${conflict.path}\``
  switch (conflict._tag) {
    case "NewNodeConflictsWithExistingNode":
      return `${at} was created here and by others`
    case "NewNodeInInvalidGroup":
      return conflict.array === undefined
        ? `${at} was created in \`${conflict.above}\`, which others deleted or moved`
        : `${at} was created below \`${conflict.above}\`, where others put an array`
    case "ZarrMetadataDoubleUpdate":
      return `the metadata of ${at} was changed here and by others`
    case "ZarrMetadataUpdateOfDeletedArray":
    case "ZarrMetadataUpdateOfDeletedGroup":
      return `the metadata of ${at} was changed here, and others deleted it`
    case "ZarrMetadataUpdateOfWrittenArray":
      return `others wrote chunks of ${at}, which was given other chunks here`
    case "ChunkDoubleUpdate": {
      const [first] = chunkIndices({ ...conflict, count: 1 })
      const more = conflict.count === 1 ? "" : ` and ${conflict.count - 1} more`
      return `chunk ${ChunkIndices.format(first!)}${more} of ${at} was written here and by others`
    }
    case "ChunksUpdatedInDeletedArray":
      return `chunks of ${at} were written here, and others deleted it`
    case "ChunksUpdatedInUpdatedArray":
      return `chunks of ${at} were written here, and others gave it other chunks`
    case "DeleteOfUpdatedArray":
    case "DeleteOfUpdatedGroup":
      return `${at} was deleted here, and others changed it`
    case "DeleteOfGroupWithNewNodes":
      return `${at} was deleted here, and others put \`${conflict.created[0]!.path}\` into it`
    case "MoveOperationCannotBeRebased":
      return `${at} was moved here, but ${conflict.problem}`
  }
}
