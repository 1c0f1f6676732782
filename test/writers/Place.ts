/**
 * Where many processes write, as text that each of them is given: `fs DIRECTORY`, or `s3 ENDPOINT BUCKET`. Keys of a real
 * server are those of the environment; see `TestStores.real`.
 */
import { Platform } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import * as Layer from "effect/Layer"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as FsServices from "../support/FsServices.ts"

const s3 = (endpoint: string, bucket: string) => {
  const { accessKeyId, endpoint: known, region, secretAccessKey } = TestStores.real
  const credentials =
    endpoint === known ? { region, credentials: TestStores.accessKey(accessKeyId, secretAccessKey) } : {}
  return Layer.mergeAll(
    S3ObjectStore.layer({ ...TestStores.optionsFor({ endpoint }), bucket, ...credentials }),
    Platform.layer([]),
    NodeZstd.layer
  )
}

export const services = (place: string) => {
  const [kind, where = "", bucket = ""] = place.split(" ")
  return kind === "fs" ? Layer.orDie(FsServices.services(where)) : Layer.orDie(s3(where, bucket))
}
