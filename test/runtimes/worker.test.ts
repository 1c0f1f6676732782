/**
 * Cloudflare Workers in `workerd`: the one of the examples, which reads a repository over HTTP, and one that writes. The binary
 * comes with `pnpm runtimes`.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Credentials, History, Maintenance, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore } from "@effect-icechunk/fs"
import { HttpPlatform } from "@effect-icechunk/http"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import * as FsServices from "../support/FsServices.ts"
import * as Runtimes from "./Runtimes.ts"
import * as Workerd from "./Workerd.ts"
import type { Answer } from "./writingWorker.ts"

const root = path.resolve(import.meta.dirname, "../..")
const data = path.join(root, "examples/data/egm96_15.gtx")
const [rows, columns, header] = [721, 1440, 40]

interface Website {
  readonly origin: string
  /** `GET path` with the range that was asked for. */
  readonly requests: Array<string>
  /** Ends each connection instead of an answer. */
  isAway: boolean
}

/** Serves a directory below `/repository`, and the heights as `/files/geoid.gtx`. */
const website = (directory: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<Website & { readonly server: http.Server }>((resolve) => {
            const requests: Array<string> = []
            const server = http.createServer(({ headers, method, socket, url = "/" }, response) => {
              const { range = "all" } = headers
              requests.push(`${method} ${url} ${range}`)
              if (site.isAway) return void socket.destroy()
              const file = url === "/files/geoid.gtx" ? data : path.join(directory, url.replace(/^\/repository/, ""))
              const stats = fs.statSync(file, { throwIfNoEntry: false })
              if (stats?.isFile() !== true) return void response.writeHead(404).end()
              const content = fs.readFileSync(file)
              const common = { etag: `"${stats.ino}-${stats.mtimeMs}"`, "last-modified": stats.mtime.toUTCString() }
              const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? []
              if (start === undefined) return void response.writeHead(200, common).end(content)
              const part = content.subarray(Number(start), Number(end) + 1)
              const last = Number(start) + part.length - 1
              response
                .writeHead(206, { ...common, "content-range": `bytes ${start}-${last}/${content.length}` })
                .end(part)
            })
            const site = { origin: "", requests, isAway: false, server }
            server.listen(0, "127.0.0.1", () => {
              site.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
              resolve(site)
            })
          })
      ),
      ({ server }) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    (site): Website => site
  )

/** The geoid as chunks of seven rows, in a file on the website. */
const write = (directory: string, { origin }: Website) =>
  Effect.gen(function* () {
    const repository = yield* Repository.create({
      persist: {
        virtual_chunk_containers: [
          {
            name: "geoid",
            protocol: "geoid",
            platform: "http",
            bucket_prefix: "files",
            cloud_client_config: { endpoint_url: origin }
          }
        ]
      },
      credentials: { geoid: Credentials.grant({ credentials: Credentials.anonymous, endpoints: [origin] }) }
    })
    const session = yield* repository.writableSession("main")
    yield* session.createGroup("/")
    yield* session.createArray("/heights", {
      shape: [rows, columns],
      chunkShape: [7, columns],
      dataType: "float32",
      fillValue: 0,
      codecs: [{ name: "bytes", configuration: { endian: "big" } }]
    })
    const length = 7 * columns * 4
    yield* session.setVirtualRefs("/heights", {
      indices: Uint32Array.from({ length: 206 }, (_, i) => (i % 2 === 0 ? i / 2 : 0)),
      offsets: Array.from({ length: 103 }, (_, i) => header + i * length),
      lengths: Array.from({ length: 103 }, () => length),
      locations: "geoid://files/geoid.gtx"
    })
    yield* session.commit("EGM96, on a website")
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(FsObjectStore.layer({ directory }), Platform.layer([HttpPlatform.make]), NodeZstd.layer).pipe(
        Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
      )
    )
  )

const heightAt = (row: number, column: number): number =>
  fs.readFileSync(data).readFloatBE(header + (row * columns + column) * 4)

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-worker-test-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A worker of this repository, until the Scope closes. */
const running = (file: string, bindings: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () =>
      Workerd.serve(Runtimes.runtimes.workerd!, await Workerd.bundle(path.join(root, file)), bindings)
    ),
    (worker) => Effect.promise(() => worker[Symbol.asyncDispose]())
  )

const started = Effect.gen(function* () {
  const directory = yield* temporary
  const site = yield* website(directory)
  yield* write(directory, site)
  const worker = yield* running("examples/worker/worker.ts", {
    REPOSITORY: `${site.origin}/repository`,
    DATA: site.origin
  })
  const ask = (row: number, column: number) =>
    Effect.promise(async () => {
      const response = await fetch(`${worker.url}/?row=${row}&column=${column}`)
      return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> }
    })
  return { directory, site, worker, ask }
})

const answerOf = ({ url }: Workerd.Worker) =>
  Effect.promise(async () => {
    const response = await fetch(url)
    const answer = (await response.json()) as Answer
    assert.strictEqual(response.status, 200, JSON.stringify(answer))
    return answer
  })

/** What is in a repository in a directory, and whether it is whole. */
const readIn = (directory: string) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    const session = yield* repository.readonlySession({ branch: "main" })
    const root = zarr.root(yield* ZarritaStore.make(session))
    const means: Record<string, number> = {}
    for (const name of ["large", "small"]) {
      means[name] = yield* ZarritaStore.use(async (signal) => {
        const array = await zarr.open.v3(root.resolve(`/${name}`), { kind: "array", signal })
        const { data } = await zarr.get(array, null, { signal })
        return (data as Float32Array).reduce((sum, value) => sum + value, 0) / data.length
      })
    }
    const snapshots = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
    const findings = yield* Stream.runCollect(Stream.map(Maintenance.check(repository), ({ _tag }) => _tag))
    return { means, messages: snapshots.map(({ message }) => message), findings }
  }).pipe(Effect.scoped, Effect.provide(FsServices.services(directory)))

describe("a Cloudflare Worker", () => {
  const { workerd } = Runtimes.runtimes
  if (workerd === undefined) console.log(Runtimes.missing("workerd"))

  it.live.skipIf(workerd === undefined)("reads a repository over HTTP, and of the data no more than a chunk", () =>
    Effect.gen(function* () {
      const { ask, site, worker } = yield* started
      assert.deepStrictEqual(yield* ask(360, 0), {
        status: 200,
        body: { row: 360, column: 0, height: heightAt(360, 0) }
      })
      const ofData = site.requests.filter((request) => request.includes("/files/"))
      const start = header + Math.floor(360 / 7) * 7 * columns * 4
      assert.deepStrictEqual(ofData, [`GET /files/geoid.gtx bytes=${start}-${start + 7 * columns * 4 - 1}`])
      assert.strictEqual(worker.said(), "")
    })
  )

  it.live.skipIf(workerd === undefined)("answers many requests at once, each by itself", () =>
    Effect.gen(function* () {
      const { ask, worker } = yield* started
      const places = Array.from({ length: 40 }, (_, i) => [(i * 37) % rows, (i * 91) % columns] as const)
      const answers = yield* Effect.forEach(places, ([row, column]) => ask(row, column), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers.map(({ body }) => body["height"]),
        places.map(([row, column]) => heightAt(row, column))
      )
      assert.strictEqual(worker.said(), "")
    })
  )

  it.live.skipIf(workerd === undefined)("says what is wrong with the website, and works again when it is back", () =>
    Effect.gen(function* () {
      const { ask, directory, site } = yield* started
      const repo = path.join(directory, "repo")
      fs.renameSync(repo, `${repo}.gone`)
      const { body, status } = yield* ask(0, 0)
      assert.deepStrictEqual([status, body["error"]], [502, "RepositoryNotFound"])
      fs.renameSync(`${repo}.gone`, repo)
      site.isAway = true
      assert.strictEqual((yield* ask(0, 0)).body["error"], "ObjectStoreError")
      site.isAway = false
      assert.strictEqual((yield* ask(720, 5)).body["height"], heightAt(720, 5))
    })
  )

  it.live.skipIf(workerd === undefined)(
    "writes and commits from two sessions at once, and Node reads what it wrote",
    () =>
      Effect.gen(function* () {
        const worker = yield* running("test/runtimes/writingWorker.ts", {})
        const [one, other] = yield* Effect.all([answerOf(worker), answerOf(worker)], { concurrency: 2 })
        for (const { files, means, messages } of [one, other]) {
          assert.deepStrictEqual(means, { large: 999.5, small: 4.5 })
          assert.sameMembers(messages.slice(0, 2), ["large", "small"])
          assert.deepStrictEqual(messages.slice(2), ["Repository initialized"])
          assert.strictEqual(Object.keys(files).filter((key) => key.startsWith("chunks/")).length, 2)
          const directory = yield* temporary
          for (const [key, base64] of Object.entries(files)) {
            fs.mkdirSync(path.dirname(path.join(directory, key)), { recursive: true })
            fs.writeFileSync(path.join(directory, key), Buffer.from(base64, "base64"))
          }
          assert.deepStrictEqual(yield* readIn(directory), { means, messages, findings: ["Ended"] })
        }
        assert.strictEqual(worker.said(), "")
      })
  )
})
