/**
 * Processes that commit to one branch at the same time. `pnpm writers` does the same with more of them.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as Writers from "./Writers.ts"

const size: Writers.Size = { writers: 4, each: 10 }

describe(`${size.writers} processes that commit ${size.each} times each to one branch: all is in, once, in an order that each could have seen`, () => {
  it.live(
    "in a directory",
    () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-writers-"))),
          (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
        )
        yield* Writers.writeAndCheck(`fs ${directory}`, size)
      }),
    300_000
  )

  it.live(
    "on an S3 server",
    () =>
      Effect.gen(function* () {
        const { endpoint } = yield* S3Server.start()
        yield* Writers.writeAndCheck(`s3 ${endpoint} bucket`, size)
      }),
    300_000
  )

  it.live.skipIf(TestStores.real.endpoint === undefined)(
    "on the real server of TEST_S3_ENDPOINT",
    () =>
      Effect.gen(function* () {
        const { bucket, endpoint } = yield* TestStores.realOptions
        yield* Writers.writeAndCheck(`s3 ${endpoint} ${bucket}`, size)
      }),
    300_000
  )
})
