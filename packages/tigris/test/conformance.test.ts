import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as TestTigris from "./support/TestTigris.ts"

/** The bucket is in the path of requests to the simulator. */
const inPath = { opaqueKeys: false }

ObjectStoreConformance.suite("TigrisObjectStore in the safe mode, from another region", TestTigris.layer(), inPath)

ObjectStoreConformance.suite(
  "TigrisObjectStore below a prefix, large objects in parts",
  TestTigris.layer({ prefix: "some/prefix", listPageSize: 200, multipartThreshold: 1024 * 1024, partSize: 300_000 }),
  inPath
)

ObjectStoreConformance.readOnlySuite(
  "TigrisObjectStore with distributed reads",
  TestTigris.layer({ endpoint: "http://127.0.0.1:9", unsafeUseDistributedReads: true, region: undefined })
)

ObjectStoreConformance.readOnlySuite(
  "TigrisObjectStore at a snapshot",
  TestTigris.layer({ endpoint: "http://127.0.0.1:9", snapshotVersion: "1751631910000000000" })
)
