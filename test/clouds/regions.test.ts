/** Regions of containers that name none, on the platforms as they are. */
import { NodeServices } from "@effect/platform-node"
import type { Origin } from "@effect-icechunk/core/ObjectStore"
import * as ContainerStores from "../../packages/core/src/virtual/ContainerStores.ts"
import { FsPlatform } from "@effect-icechunk/fs"
import { GcsPlatform } from "@effect-icechunk/gcs"
import { S3Platform } from "@effect-icechunk/s3"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const platforms = Effect.all({ s3: S3Platform.make, gcs: GcsPlatform.make, fs: FsPlatform.make })

const s3: Origin = { platform: "s3", region: "eu-central-1" }
const s3Elsewhere: Origin = { ...s3, endpoint: "http://127.0.0.1:9000" }
const s3Unknown: Origin = { platform: "s3" }
const gcs: Origin = { platform: "gcs" }
const gcsWithRegion: Origin = { platform: "gcs", region: "europe-west3" }
const fs: Origin = { platform: "fs" }

it.effect.each<
  readonly [
    what: string,
    repository: Origin,
    platform: "s3" | "gcs" | "fs",
    region: string | undefined,
    expected: string | undefined
  ]
>([
  ["the repository's region where both are on S3", s3, "s3", undefined, "eu-central-1"],
  ["the repository's region at another endpoint, too", s3Elsewhere, "s3", undefined, "eu-central-1"],
  ["the default of S3 where the repository's region is not known", s3Unknown, "s3", undefined, "us-east-1"],
  ["the default of S3 where the repository is on GCS", gcs, "s3", undefined, "us-east-1"],
  ["the default of S3 and not the region of a repository on GCS", gcsWithRegion, "s3", undefined, "us-east-1"],
  ["the default of S3 where the repository is in a directory", fs, "s3", undefined, "us-east-1"],
  ["its own on S3, whatever the repository's", s3, "s3", "ap-southeast-2", "ap-southeast-2"],
  ["its own on S3 where the repository is on GCS", gcs, "s3", "ap-southeast-2", "ap-southeast-2"],
  ["none on GCS where the repository is on S3", s3, "gcs", undefined, undefined],
  ["none on GCS where the repository is there", gcs, "gcs", undefined, undefined],
  ["the repository's region where both are on GCS", gcsWithRegion, "gcs", undefined, "europe-west3"],
  ["its own on GCS", s3, "gcs", "us", "us"],
  ["none for files where the repository is on S3", s3, "fs", undefined, undefined],
  ["none for files where the repository is in a directory", fs, "fs", undefined, undefined]
])("a container has %s", ([, repository, platform, region, expected]) =>
  Effect.gen(function* () {
    const found = (yield* platforms)[platform]
    const container = { name: "data", protocol: "data", platform: found.name, region }
    expect(ContainerStores.regionFor(repository, found, container)).toBe(expected)
  }).pipe(Effect.provide(NodeServices.layer))
)
