/** Repositories that Python wrote, read from a website as they are read from a directory. */
import type { Zstd } from "@effect-icechunk/core/Zstd"
import * as Detection from "@effect-icechunk/core/Detection"
import { ObjectStore, type ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Platform from "@effect-icechunk/core/Platform"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import * as HttpObjectStore from "../src/HttpObjectStore.ts"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Browser from "./support/Browser.ts"
import { files, inBrowser, open, pattern, reasonOf, retry } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const shared = path.resolve(import.meta.dirname, "../../../../shared/data/icechunk-repositories")

const on =
  (store: ObjectStoreShape) =>
  <A, E>(effect: Effect.Effect<A, E, ObjectStore | Platform.Platforms | Zstd | Scope.Scope>) =>
    Effect.scoped(effect).pipe(
      Effect.provide(Layer.mergeAll(Layer.succeed(ObjectStore, store), Platform.layerNone, NodeZstd.layer))
    )

/** All that a version of a repository holds: its nodes, and each chunk or why it cannot be read. */
const contents = Effect.fnUntraced(function* (version: ReadonlyRepository.VersionRef) {
  const repository = yield* ReadonlyRepository.open()
  const session = yield* repository.readonlySession(version)
  const nodes = yield* session.nodes()
  const chunks: Record<string, unknown> = {}
  for (const { data, path } of nodes) {
    if (data._tag !== "Array") continue
    for (const index of yield* Stream.runCollect(session.chunkIndices(path))) {
      const read = yield* Effect.result(session.chunk(path, index))
      chunks[`${path} ${index.join()}`] =
        read._tag === "Success" ? Buffer.from(read.success!).toString("base64") : read.failure._tag
    }
  }
  return { nodes, chunks, history: (yield* repository.history(version)).map(({ id, message }) => [id, message]) }
})

const origin = "https://app.example"

/** Answers as Amazon S3 gives them; those of a bucket that may not be listed refuse what is missing. */
const s3 = (isListable: boolean): WebServer.Fault => ({
  _tag: "Status",
  status: isListable ? 404 : 403,
  headers: { "content-type": "application/xml", "x-amz-request-id": "0A49CE4060975EAC", server: "AmazonS3" },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${isListable ? "NoSuchKey" : "AccessDenied"}</Code><RequestId>0A49CE4060975EAC</RequestId></Error>`
})

interface Site {
  readonly name: string
  readonly isListable: boolean
  /** Headers of CORS; absent: no page reads it. */
  readonly cors?: Readonly<Record<string, string>>
}

const sites: ReadonlyArray<Site> = [
  { name: "a public bucket", isListable: true },
  { name: "a public bucket that may not be listed", isListable: false },
  {
    name: "a public bucket, in a page",
    isListable: true,
    cors: { "access-control-allow-origin": "*", "access-control-expose-headers": "ETag, Content-Range" }
  },
  {
    name: "a public bucket that may not be listed, in a page",
    isListable: false,
    cors: { "access-control-allow-origin": "*", "access-control-expose-headers": "ETag, Content-Range" }
  }
]

const publish = Effect.fnUntraced(function* (repository: string, { isListable }: Pick<Site, "isListable">) {
  const server = yield* WebServer.make
  const find = WebServer.directory(path.join(shared, repository))
  server.find = find
  server.fault = (asked) =>
    asked.method !== "OPTIONS" && find(decodeURIComponent(asked.url), asked) === undefined ? s3(isListable) : undefined
  return server
})

describe.skipIf(!fs.existsSync(shared))("repositories that Python Icechunk wrote (shared/data)", () => {
  for (const repository of ["test-repo-v2", "split-repo-v2", "test-repo-v1"]) {
    const inDirectory = Effect.gen(function* () {
      const store = yield* ObjectStore
      return yield* on(store)(
        Effect.gen(function* () {
          const opened = yield* ReadonlyRepository.open()
          const names = { branches: [...(yield* opened.branches).keys()], tags: [...(yield* opened.tags).keys()] }
          const versions = [...names.branches.map((branch) => ({ branch })), ...names.tags.map((tag) => ({ tag }))]
          return yield* Effect.forEach(versions, (version) =>
            Effect.map(contents(version), (held) => ({ version, held }))
          )
        })
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        FsObjectStore.layer({ directory: path.join(shared, repository) }).pipe(
          Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
        )
      )
    )

    for (const site of sites) {
      it.live(`${repository} in ${site.name} reads as in its directory, every branch and tag, chunk by chunk`, () =>
        Effect.gen(function* () {
          const server = yield* publish(repository, site)
          server.headers = site.cors ?? {}
          const browser = Browser.make(origin)
          const store = yield* site.cors === undefined ? open(server) : inBrowser(browser)(open(server))
          const known = yield* inDirectory
          assert.isAbove(known.length, 0)
          let chunks = 0
          for (const { held, version } of known) {
            const read = yield* on(store)(contents(version))
            assert.deepStrictEqual(read, held)
            chunks += Object.keys(read.chunks).length
          }
          assert.isAbove(chunks, 0)
          assert.deepStrictEqual(browser.preflights, [])
          assert.isTrue(
            server.asked.every(({ method, url }) => /^(?:GET|HEAD)$/.test(method) && !url.includes("?")),
            "nothing is listed"
          )
          const { specVersion } = yield* Detection.detect(store)
          assert.strictEqual(specVersion, repository.endsWith("v1") ? 1 : 2)
        })
      )
    }
  }

  it.live(
    "of spec version 1 have refs by name only: a list of them fails and says so, a name that does not exist too",
    () =>
      Effect.gen(function* () {
        const store = yield* open(yield* publish("test-repo-v1", { isListable: true }))
        yield* on(store)(
          Effect.gen(function* () {
            const repository = yield* ReadonlyRepository.open()
            const { message, reason } = yield* reasonOf(repository.branches)
            assert.strictEqual(reason._tag, "Unsupported")
            assert.include(message, "open branches and tags by name")
            const missing = yield* Effect.flip(repository.readonlySession({ branch: "none" }))
            assert.strictEqual(missing._tag, "RefNotFound")
            const noTag = yield* Effect.flip(repository.readonlySession({ tag: "none" }))
            assert.strictEqual(noTag._tag, "RefNotFound")
          })
        )
      })
  )

  it.live("are opened with as few requests as there are files to read", () =>
    Effect.gen(function* () {
      const server = yield* publish("test-repo-v2", { isListable: true })
      const store = yield* open(server)
      yield* on(store)(
        Effect.gen(function* () {
          const repository = yield* ReadonlyRepository.open()
          server.asked.length = 0
          yield* repository.readonlySession({ branch: "main" })
        })
      )
      const keys = server.asked.map(({ url }) => url.split("/")[1])
      assert.deepStrictEqual(keys.filter((key) => key === "repo").length, 1)
      assert.isFalse(keys.includes("refs"))
    })
  )
})

describe("detect", () => {
  const ask = (url: string) => HttpObjectStore.detect(url, { retry })

  it.live.skipIf(!fs.existsSync(shared))("says which spec a URL has, with one or two small requests", () =>
    Effect.gen(function* () {
      for (const [name, specVersion] of [
        ["test-repo-v2", 2],
        ["test-repo-v1", 1]
      ] as const) {
        const server = yield* publish(name, { isListable: true })
        assert.deepStrictEqual(yield* ask(server.url), { specVersion })
        assert.strictEqual(server.asked.length, 3 - specVersion)
        assert.isBelow(server.sent(), 500)
      }
    })
  )

  const header = (spec: number, type: number): Uint8Array => {
    const bytes = new Uint8Array(50)
    bytes.set(new TextEncoder().encode("ICE🧊CHUNK"))
    bytes.set([spec, type, 0], 36)
    return bytes
  }

  it.live.each<readonly [what: string, file: WebServer.File, says: string]>([
    ["something else", { bytes: pattern(100) }, "does not start with `ICE🧊CHUNK`"],
    ["a file that is too short", { bytes: pattern(10) }, "fewer bytes than a header of 39"],
    ["another file of Icechunk", { bytes: header(2, 1) }, "a file of type Snapshot"],
    ["a web page", { bytes: pattern(100), type: "text/html" }, "answers with a web page"]
  ])("says that it is not a repository: `repo` is %s", ([, file, says]) =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      server.find = files({ "/repo": file })
      server.fault = () => (file.type === undefined ? undefined : { _tag: "IgnoreRanges" })
      const error = yield* Effect.flip(ask(server.url))
      assert.strictEqual(error._tag, "NotARepository", error.message)
      assert.include(error.message, says)
      assert.include(error.message, server.url)
    })
  )

  it.live("says that there is nothing, or what else `main` is", () =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      const nothing = yield* Effect.flip(ask(server.url))
      assert.strictEqual(nothing._tag, "NotARepository")
      assert.include(nothing.message, "neither `repo` nor `refs/branch.main/ref.json`")
      server.find = files({ "/refs/branch.main/ref.json": { bytes: new TextEncoder().encode("{}") } })
      assert.include((yield* Effect.flip(ask(server.url))).message, "it is not a text")
      server.find = files({ "/repo": { bytes: header(3, 6) } })
      assert.strictEqual((yield* Effect.flip(ask(server.url)))._tag, "UnsupportedSpecVersion")
    })
  )

  it.live("says that it was refused, or that CORS may forbid it", () =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      for (const [status, tag] of [
        [403, "PermissionDenied"],
        [401, "Unauthenticated"]
      ] as const) {
        server.fault = () => ({ _tag: "Status", status })
        assert.strictEqual((yield* reasonOf(ask(server.url))).reason._tag, tag)
      }
      const { message, reason } = yield* reasonOf(inBrowser(Browser.make(origin))(ask(server.url)))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(message, "it is CORS")
    })
  )
})
