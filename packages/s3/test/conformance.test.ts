import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import { describe } from "vitest"
import { layerFake, layerHostStyle, layerReal, real } from "./support/TestStores.ts"

/** The bucket is in the path of requests to these servers. */
const inPath = { opaqueKeys: false }

ObjectStoreConformance.suite("S3ObjectStore with the bucket in the name of the host", layerHostStyle())

ObjectStoreConformance.suite("S3ObjectStore on a server that wants quoted ETags", layerFake(), inPath)

ObjectStoreConformance.suite(
  "S3ObjectStore below a prefix, on a server that wants bare ETags",
  layerFake({ dialect: "bare", ignores: ["copy", "multipart"] }, { prefix: "some/prefix", listPageSize: 7 }),
  inPath
)

ObjectStoreConformance.suite(
  "S3ObjectStore with large objects in parts and conditions on copies and uploads",
  layerFake(
    {},
    { conditionalCopy: true, conditionalMultipart: true, multipartThreshold: 1024 * 1024, partSize: 300_000 }
  ),
  inPath
)

ObjectStoreConformance.suite(
  "S3ObjectStore on a service without conditional puts and batches",
  layerFake({ ignores: ["put", "copy", "multipart"], noBatchDelete: true }, { conditionalPut: false }),
  { ...inPath, conditionalCreate: false, conditionalUpdate: false }
)

ObjectStoreConformance.readOnlySuite(
  "S3ObjectStore that is read-only",
  layerFake({}, { endpoint: "http://127.0.0.1:9", readOnlyBecause: "this test says so" })
)

describe.skipIf(real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  ObjectStoreConformance.suite("S3ObjectStore", layerReal(), inPath)
  ObjectStoreConformance.suite(
    "S3ObjectStore below a prefix, large objects in parts",
    layerReal({
      prefix: "some//prefix/",
      multipartThreshold: 5 * 1024 * 1024,
      partSize: 5 * 1024 * 1024,
      listPageSize: 100
    }),
    inPath
  )
})
