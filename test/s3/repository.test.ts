import { describe } from "@effect/vitest"
import { suite } from "../../packages/core/test/repository/RepositorySuite.ts"
import { layerFake, layerReal, real } from "../../packages/s3/test/support/TestStores.ts"

suite("on an S3 server that wants quoted ETags", layerFake())
suite(
  "below a prefix, on an S3 server that wants bare ETags",
  layerFake({ dialect: "bare", ignores: ["copy", "multipart"] }, { prefix: "some/prefix", listPageSize: 7 })
)

describe.skipIf(real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  suite("a bucket", layerReal())
})
