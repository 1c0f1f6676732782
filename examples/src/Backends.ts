/** The stores of `docs/backends`, each made in the ways that its page shows. */
import { Credentials, Platform } from "@effect-icechunk/core"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import { GcsObjectStore, GcsPlatform } from "@effect-icechunk/gcs"
import { S3ObjectStore, S3Platform } from "@effect-icechunk/s3"
import { TigrisBuckets, TigrisObjectStore, TigrisPlatform } from "@effect-icechunk/tigris"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

const fs = FsObjectStore.layer({ directory: "/data/repository" }).pipe(Layer.provide(files))

const fsFromConfig = FsObjectStore.layerConfig({ directory: Config.String("REPOSITORY") }).pipe(Layer.provide(files))

const fsPlatform = Platform.layer([FsPlatform.make]).pipe(Layer.provide(files))

const s3 = S3ObjectStore.layer({
  bucket: "my-bucket",
  prefix: "my/repository",
  region: "eu-central-1",
  credentials: Credentials.accessKey({
    accessKeyId: "AKIA...",
    secretAccessKey: Redacted.make("...")
  })
})

const s3FromEnvironment = S3ObjectStore.layerConfig()

const minio = S3ObjectStore.layer({
  bucket: "my-bucket",
  endpoint: "http://localhost:9000",
  region: "us-east-1"
})

const r2 = S3ObjectStore.layer({
  bucket: "my-bucket",
  endpoint: "https://<account>.r2.cloudflarestorage.com",
  region: "auto"
})

const s3Platform = Platform.layer([S3Platform.makeWith({ concurrency: 64 })])

const gcs = GcsObjectStore.layer({
  bucket: "my-bucket",
  prefix: "my/repository",
  keyFile: "/secrets/key.json"
})

const gcsFromEnvironment = GcsObjectStore.layerConfig()

const gcsPlatform = Platform.layer([GcsPlatform.makeWith({ userProject: "my-project" })])

const tigris = TigrisObjectStore.layer({ bucket: "my-bucket", prefix: "my/repository", region: "fra" })

const fastReads = TigrisObjectStore.layer({ bucket: "my-bucket", unsafeUseDistributedReads: true })

const tigrisFromEnvironment = TigrisObjectStore.layerConfig()

const buckets = TigrisBuckets.layerConfig()

const tigrisPlatform = Platform.layer([TigrisPlatform.make])

export const all = {
  fs,
  fsFromConfig,
  fsPlatform,
  s3,
  s3FromEnvironment,
  minio,
  r2,
  s3Platform,
  gcs,
  gcsFromEnvironment,
  gcsPlatform,
  tigris,
  fastReads,
  tigrisFromEnvironment,
  buckets,
  tigrisPlatform
}
