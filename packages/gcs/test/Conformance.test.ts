import { ObjectStore } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as GcsObjectStore from "../src/GcsObjectStore.ts"
import type * as GcsOptions from "../src/GcsOptions.ts"
import { bearer, make } from "./support/Harness.ts"

/** A store on a server of its own. */
const store = (options: Partial<GcsOptions.GcsOptions>): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(make, ({ open }) => open(options))
  )

ObjectStoreConformance.suite("GcsObjectStore, read through the XML API", store({ readApi: "xml" }))

ObjectStoreConformance.suite("GcsObjectStore, read through the JSON API", store({ readApi: "json" }), {
  conditionalGet: false
})

ObjectStoreConformance.suite("GcsObjectStore below a prefix", store({ readApi: "xml", prefix: "some/prefix" }))

ObjectStoreConformance.readOnlySuite(
  "GcsObjectStore, read-only",
  Layer.orDie(
    GcsObjectStore.layer({
      bucket: "data",
      endpoint: "http://127.0.0.1:1",
      credentials: bearer,
      readOnlyBecause: "the tests say so"
    })
  )
)
