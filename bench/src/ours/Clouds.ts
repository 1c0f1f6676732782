/**
 * Runs programs of this library on the object stores of the bench, which are like the real ones: conditional puts are
 * known to work there, and are not tried out first as on an unknown endpoint.
 */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { Credentials, Platform } from "@effect-icechunk/core"
import { GcsObjectStore, GcsPlatform } from "@effect-icechunk/gcs"
import { S3ObjectStore, S3Platform } from "@effect-icechunk/s3"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Layer from "effect/Layer"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as Program from "./Program.ts"

const platforms = Platform.layer([S3Platform.make, GcsPlatform.make])

/** A repository on S3. */
export const onS3 = (endpoint: string, bucket: string, prefix: string): Program.Program =>
  Program.make(
    Layer.mergeAll(
      S3ObjectStore.layer({
        bucket,
        prefix,
        endpoint,
        region: "us-east-1",
        anonymous: true,
        conditionalPut: true,
        conditionalEtag: "quoted"
      }),
      platforms,
      NodeZstd.layer
    )
  )

/** A repository on Google Cloud Storage. */
export const onGcs = (endpoint: string, bucket: string, prefix: string): Program.Program =>
  Program.make(
    Layer.mergeAll(
      GcsObjectStore.layer({ bucket, prefix, endpoint, credentials: Credentials.anonymous }),
      platforms,
      NodeZstd.layer
    )
  )

/** A repository in a directory, whose virtual chunks are on S3. */
export const onFilesAndS3 = (directory: string): Program.Program =>
  Program.make(
    Layer.mergeAll(FsObjectStore.layer({ directory }), platforms, NodeZstd.layer).pipe(
      Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
    )
  )
