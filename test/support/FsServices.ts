/**
 * The services of a repository in a directory, for programs that a test starts.
 */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { Platform } from "@effect-icechunk/core"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Layer from "effect/Layer"

export const services = (directory: string) =>
  Layer.mergeAll(FsObjectStore.layer({ directory }), Platform.layer([FsPlatform.make]), NodeZstd.layer).pipe(
    Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
  )
