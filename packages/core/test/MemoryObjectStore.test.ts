import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"

ObjectStoreConformance.suite("MemoryObjectStore", MemoryObjectStore.layer())

// A store that can do little, as some S3 imitations: the suite checks that it refuses.
const lacking = { conditionalCreate: false, conditionalUpdate: false, metadata: false, opaqueKeys: false }
ObjectStoreConformance.suite(
  "MemoryObjectStore that lacks capabilities",
  MemoryObjectStore.layer({ capabilities: lacking }),
  lacking
)

ObjectStoreConformance.readOnlySuite(
  "MemoryObjectStore that is read-only",
  MemoryObjectStore.layer({ readOnlyBecause: "it is a fork; write to its parent instead" })
)
