/**
 * The program of `docs/start-browser.md`: bundled for a page, and run in one and in Node.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Repository, ZarritaStore } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import * as zarr from "zarrita"
import { meanOf } from "../../examples/src/StartBrowser.ts"
import * as WebServer from "../../packages/http/test/support/WebServer.ts"
import { services } from "../support/FsServices.ts"
import { bundle, explain } from "./Bundle.ts"
import * as Chromium from "./Chromium.ts"
import * as PageServer from "./PageServer.ts"

const program = path.resolve(import.meta.dirname, "../../examples/src/StartBrowser.ts")

/** A repository with the numbers from 0 to 23, in chunks of six. */
const write = (directory: string) =>
  Effect.gen(function* () {
    const session = yield* (yield* Repository.create()).writableSession("main")
    const root = zarr.root(yield* ZarritaStore.makeWritable(session))
    yield* ZarritaStore.useWritable(async () => {
      const options = { shape: [4, 6], chunkShape: [2, 3], dtype: "float32" as const }
      const array = await zarr.create(root.resolve("/temperature"), options)
      const data = Float32Array.from({ length: 24 }, (_, i) => i)
      await zarr.set(array, null, { data, shape: [4, 6], stride: [6, 1] })
    })
    yield* session.commit("24 temperatures")
  }).pipe(Effect.scoped, Effect.provide(services(directory)))

/** The repository in a bucket that allows every page what the guide says. */
const bucket = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-start-"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
  )
  yield* write(directory)
  const server = yield* WebServer.make
  server.find = WebServer.directory(directory)
  server.headers = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges"
  }
  return server
})

/** The page for which the guide has written `meanOf`. */
const page = `
  import { meanOf } from ${JSON.stringify(program)}
  const { url } = await (await fetch("/setup")).json()
  const outcome = (promise) => promise.then(String, (error) => error._tag + ": " + error.message)
  const body = { mean: await outcome(meanOf(url, "/temperature")), nowhere: await outcome(meanOf(url + "/x", "/temperature")) }
  await fetch("/report", { method: "POST", body: JSON.stringify(body) })
`

describe("the first program for a browser", () => {
  it.live("reads an array, rejects with a typed error, and ends its requests with the signal", () =>
    Effect.gen(function* () {
      const server = yield* bucket
      assert.strictEqual(yield* Effect.promise(() => meanOf(server.url, "/temperature")), 11.5)
      const failure = (promise: Promise<number>) =>
        Effect.flip(Effect.tryPromise({ try: () => promise, catch: String }))
      assert.match(yield* failure(meanOf(`${server.url}/x`, "/temperature")), /There is no Icechunk repository/)
      const asked = Promise.withResolvers<void>()
      server.fault = () => {
        asked.resolve()
        return { _tag: "Hang" }
      }
      const controller = new AbortController()
      const reading = failure(meanOf(server.url, "/temperature", controller.signal))
      const aborted = Effect.promise(async () => {
        await asked.promise
        controller.abort()
      })
      yield* Effect.all([reading, aborted], { concurrency: 2 })
      yield* Effect.promise(() => vi.waitUntil(() => server.underWay() === 0))
    })
  )

  const { chromium } = Chromium
  if (chromium === undefined) console.log("Skipped: the first program in Chromium. CHROME_PATH says where it is.")
  it.live.skipIf(chromium === undefined)(
    "does so in a page of another origin (needs Chromium)",
    () =>
      Effect.gen(function* () {
        const { url } = yield* bucket
        const report = yield* Effect.promise(async () => {
          const { code, nodeImports } = await bundle({ text: page, directory: import.meta.dirname })
          if (nodeImports.length > 0) assert.fail(explain(nodeImports))
          await using server = await PageServer.serve<Readonly<Record<string, string>>>({ code, setup: { url } })
          await using browser = Chromium.open(chromium!, server.origin)
          return await Promise.race([server.report, browser.ended])
        })
        assert.strictEqual(report["mean"], "11.5")
        assert.match(report["nowhere"]!, /^RepositoryNotFound: There is no Icechunk repository/)
      }),
    120_000
  )
})
