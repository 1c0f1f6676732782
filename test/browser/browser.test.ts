/**
 * `core` in a browser: that it loads, and in a real Chromium that it works.
 */
import * as fs from "node:fs"
import type * as http from "node:http"
import * as path from "node:path"
import { Checksum, RepositoryConfig, ZarrStore } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Support from "../support/DirectoryRepository.ts"
import { browserModules, bundle, coreSources, explain } from "./Bundle.ts"
import * as Chromium from "./Chromium.ts"
import * as PageServer from "./PageServer.ts"
import type { Report, Setup } from "./Report.ts"

describe("core", () => {
  it.live("has no module that imports what a browser does not have", () =>
    Effect.promise(async () => {
      assert.isAbove(browserModules.length, 50)
      const text = browserModules.map((file, i) => `export * as m${i} from ${JSON.stringify(file)}`).join("\n")
      const { code, nodeImports } = await bundle({ text, directory: import.meta.dirname })
      if (nodeImports.length > 0) assert.fail(explain(nodeImports))
      assert.notMatch(code, /\bfrom\s*"node:|\bimport\s*\(\s*"node:|\brequire\(\s*"/)
    })
  )

  it.live("would be found to import it, with the way that leads there", () =>
    Effect.promise(async () => {
      const file = path.join(coreSources, "node/NodeZstd.ts")
      const { nodeImports } = await bundle({
        text: `export * from ${JSON.stringify(file)}\nimport "fs"\nimport("node:fs/promises")`,
        directory: import.meta.dirname
      })
      const text = explain(nodeImports)
      assert.include(text, "`node:zlib` is imported by packages/core/src/node/NodeZstd.ts")
      assert.include(text, "`fs`")
      assert.include(text, "`node:fs/promises`")
    })
  )
})

/** Answers with a file, or with the range of it that is asked for. */
const sendFile = (request: http.IncomingMessage, response: http.ServerResponse, file: string): void => {
  const stats = fs.statSync(file, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile()) {
    response.writeHead(404).end()
    return
  }
  const content = fs.readFileSync(file)
  const headers = { "last-modified": stats.mtime.toUTCString(), "content-type": "application/octet-stream" }
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")
  if (range === null) {
    response.writeHead(200, headers).end(content)
    return
  }
  const [start, end] = [Number(range[1]), Number(range[2])]
  if (end >= content.length) {
    response.writeHead(416).end()
    return
  }
  response
    .writeHead(206, { ...headers, "content-range": `bytes ${start}-${end}/${content.length}` })
    .end(content.subarray(start, end + 1))
}

/** Serves the page, a repository and its data. */
const serve = async (code: string, place: Support.Place, setup: Setup) => {
  const ranges: Array<string> = []
  const page = await PageServer.serve<Report>({
    code,
    setup,
    others: (request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://localhost")
      const below = (prefix: string): string | undefined =>
        pathname.startsWith(`${prefix}/`) ? decodeURIComponent(pathname.slice(prefix.length)) : undefined
      const stored = below("/repository")
      // The paths of files are absolute, and keys are kept as they are.
      const data = below("/files/")
      if (stored !== undefined) sendFile(request, response, path.join(place.repository, stored))
      else if (data?.startsWith(`${place.data}/`) === true) {
        ranges.push(request.headers.range ?? "everything")
        sendFile(request, response, data)
      } else response.writeHead(404).end()
    }
  })
  return { ...page, ranges }
}

/** As Node reads it. */
const valuesInNode = (place: Support.Place) =>
  Support.inRepository(place)((repository) =>
    Effect.gen(function* () {
      const store = ZarrStore.make(yield* repository.readonlySession({ branch: "main" }))
      const values: Record<string, string> = {}
      yield* Effect.forEach(
        yield* Stream.runCollect(store.list),
        (key) =>
          Effect.map(store.get(key), (value) => {
            values[key] = value === undefined ? "nothing" : Buffer.from(value).toString("hex")
          }),
        { concurrency: "unbounded", discard: true }
      )
      return values
    })
  )

/** A repository on a directory with chunks of every kind, of which the virtual ones are all in one container. */
const written = Effect.gen(function* () {
  const place = yield* Support.fresh
  yield* Support.inRepository(place)((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.writableSession("main")
      yield* session.deleteNode("/g/plain")
      yield* session.createGroup("/ünïcødé/🧊")
      const { mtimeMs } = fs.statSync(path.join(place.data, Support.dataFile))
      yield* session.setVirtualRef("/g/virtual", [2], {
        location: `model://${place.data}/${Support.dataFile}`,
        offset: 200,
        length: 100,
        checksum: Checksum.lastModified(mtimeMs)
      })
      yield* session.createArray("/many", Support.array([2000], [1]))
      yield* session.setVirtualRefs("/many", {
        indices: Uint32Array.from({ length: 2000 }, (_, i) => i),
        offsets: Array.from({ length: 2000 }, (_, i) => i % 400),
        lengths: Array.from({ length: 2000 }, () => 1),
        locations: `model://${place.data}/${Support.dataFile}`
      })
      yield* session.commit("for the browser")
      yield* repository.config.update(RepositoryConfig.setContainer(Support.container(place)))
    })
  )
  return place
})

describe("in a browser", () => {
  const { chromium } = Chromium
  if (chromium === undefined) console.log("Skipped: `core` in a browser. There is no Chromium; CHROME_PATH says where.")
  it.live.skipIf(chromium === undefined)(
    "repositories are written and read, and those that Node wrote are read (needs Chromium; CHROME_PATH says where)",
    () =>
      Effect.gen(function* () {
        const place = yield* written
        const expected = yield* valuesInNode(place)
        const { report, ranges } = yield* Effect.promise(async () => {
          const { code, nodeImports } = await bundle({ file: path.join(import.meta.dirname, "page.ts") })
          if (nodeImports.length > 0) assert.fail(explain(nodeImports))
          await using server = await serve(code, place, { container: "model" })
          await using browser = Chromium.open(chromium!, server.origin)
          return { report: await Promise.race([server.report, browser.ended]), ranges: server.ranges }
        })
        if ("error" in report) assert.fail(report.error)
        assert.match(report.userAgent, /Chrome/)
        assert.deepStrictEqual(report.memory, {
          snapshot: "from a browser",
          kinds: ["Inline", "Native", "Virtual"],
          read: { inline: true, native: true, virtual: true, range: true },
          changed: "ChecksumMismatch"
        })
        assert.isAbove(Object.keys(expected).length, 2000)
        assert.deepStrictEqual(report.node.values, expected)
        assert.strictEqual(report.node.virtual, Buffer.from(Support.pattern(400, 3)).toString("hex"))
        assert.strictEqual(report.node.forbidden, "WriteForbidden")
        // Two thousand chunks of one file are read in few requests, each for a range.
        assert.notInclude(ranges, "everything")
        assert.isBelow(ranges.length, 50)
      }),
    120_000
  )
})
