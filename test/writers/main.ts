/**
 * Many processes commit to one branch, in a directory, on the S3 server of the tests, and on that of TEST_S3_ENDPOINT where
 * there is one:
 *
 *   pnpm writers [--writers 16] [--each 50] [--only text]
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as TestStores from "../../packages/s3/test/support/TestStores.ts"
import * as Writers from "./Writers.ts"

const { values } = parseArgs({
  options: {
    writers: { type: "string", default: "16" },
    each: { type: "string", default: "50" },
    only: { type: "string", default: "" }
  }
})

const size: Writers.Size = { writers: Number(values.writers), each: Number(values.each) }

const places = {
  "a directory": Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-writers-"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
  ).pipe(Effect.map((directory) => `fs ${directory}`)),
  "an S3 server": Effect.map(S3Server.start(), ({ endpoint }) => `s3 ${endpoint} bucket`),
  ...(TestStores.real.endpoint === undefined
    ? {}
    : {
        "the real S3 server": Effect.map(
          TestStores.realOptions,
          ({ bucket, endpoint }) => `s3 ${String(endpoint)} ${bucket}`
        )
      })
}

for (const [name, place] of Object.entries(places)) {
  if (!name.includes(values.only)) continue
  const seconds = await Effect.runPromise(
    Effect.scoped(Effect.flatMap(place, (place) => Writers.writeAndCheck(place, size)))
  )
  const commits = size.writers * size.each
  console.log(
    `${name}: ${commits} commits of ${size.writers} processes in ${seconds.toFixed(1)} s, ${(commits / seconds).toFixed(1)} a second; all are in, once, in an order that each could have seen`
  )
}
process.exit(0)
