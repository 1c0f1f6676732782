/**
 * Whole repositories, written by one engine and read by the other; those on S3 are in `../s3`.
 *
 * The plain run uses whichever build of the official engine loads. What only its native build can do, to set
 * virtual refs and to read files by itself, is skipped by name where it does not load.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  Checksum,
  Credentials,
  MemoryObjectStore,
  Repository,
  RepositoryConfig,
  ZarrStore
} from "@effect-icechunk/core"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { services } from "../support/FsServices.ts"
import * as Interop from "../support/InteropSuite.ts"
import { buffer, bytes, cases, json, readOurs, writeOurs, zarrJson } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const root = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-interop-"))
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

Interop.suite(
  "in a directory",
  Effect.sync(() => {
    const directory = fs.mkdtempSync(path.join(root, "place-"))
    return { services: services(directory), storage: () => Engine.storage(directory) }
  })
)

const inMemory = Effect.map(MemoryObjectStore.make(), Interop.placeOn)
Interop.suite("in memory", inMemory)
Interop.suiteAtOnce("in memory", inMemory)

const places = (name: string) => {
  const directory = path.join(root, name)
  const data = path.join(directory, "data")
  fs.mkdirSync(data, { recursive: true })
  return { repository: path.join(directory, "repository"), data }
}

const inRepository = (at: { readonly repository: string; readonly data: string }) =>
  Interop.inRepository(
    { services: services(at.repository) },
    {
      config: {
        virtual_chunk_containers: [{ name: "data", protocol: "data", platform: "fs", bucket_prefix: at.data }]
      },
      credentials: { file: Credentials.directory(at.data), data: Credentials.directory(at.data) }
    }
  )

const virtualCount = 1500

/** One file, of which each chunk is four bytes; and how each ref is checked, in turns. */
const dataFile = (data: string): { readonly file: string; readonly content: Uint8Array } => {
  const file = path.join(data, "numbers ünï #1.bin")
  const content = bytes(virtualCount * 4, 3)
  fs.writeFileSync(file, content)
  return { file, content }
}

const virtualJson = {
  ...zarrJson({ ...cases[1]!, shape: [virtualCount], chunkShape: [1] }),
  data_type: "uint32",
  fill_value: 0
}

describe("a configuration", () => {
  it.live("that the official engine saves survives our commits, and what we take off is off for it", () =>
    Effect.gen(function* () {
      const at = places("configuration")
      // The engine's WebAssembly build does not read containers on files.
      const data = { name: "data", protocol: "data", platform: "s3", bucket_prefix: "data" }
      const theirs = () =>
        Effect.promise(async () => Engine.Repository.fetchConfig(await Engine.storage(at.repository)))
      yield* Effect.scoped(Repository.create({ persist: { inline_chunk_threshold_bytes: 100 } })).pipe(
        Effect.provide(services(at.repository))
      )
      yield* Interop.inRepository(
        { services: services(at.repository) },
        {}
      )((repository) =>
        Effect.gen(function* () {
          yield* repository.config.update((config) => ({
            ...RepositoryConfig.setContainer(data)(config),
            get_partial_values_concurrency: 7
          }))
          assert.include(yield* theirs(), { inlineChunkThresholdBytes: 100, getPartialValuesConcurrency: 7 })
          yield* Effect.promise(async () => {
            const engine = await Engine.Repository.open(await Engine.storage(at.repository), {
              inlineChunkThresholdBytes: 300,
              caching: { numChunkRefs: 5 }
            })
            await engine.saveConfig()
          })
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          yield* session.commit("ours")
          yield* repository.config.publish
          const kept = { inlineChunkThresholdBytes: 300, getPartialValuesConcurrency: 7 }
          assert.include(yield* theirs(), kept)
          assert.deepInclude((yield* theirs())?.caching, { numChunkRefs: 5 })
          // What is taken off here is off there, and nothing else.
          yield* repository.config.update((config) => ({ ...config, get_partial_values_concurrency: undefined }))
          const after = yield* theirs()
          assert.isUndefined(after?.getPartialValuesConcurrency ?? undefined)
          assert.include(after, { inlineChunkThresholdBytes: 300 })
          // Until it is changed here again.
          yield* repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 200 }))
          assert.include(yield* theirs(), { inlineChunkThresholdBytes: 200 })
          yield* repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: undefined }))
          assert.isUndefined((yield* theirs())?.inlineChunkThresholdBytes ?? undefined)
          yield* Effect.promise(async () => {
            const engine = await Engine.Repository.open(await Engine.storage(at.repository))
            await engine.readonlySession({ branch: "main" })
          })
        })
      )
    })
  )
})

describe("virtual refs", () => {
  it.live("that this library writes are listed and read by the official engine", () =>
    Effect.gen(function* () {
      const at = places("our-refs")
      const { content, file } = dataFile(at.data)
      const { mtimeMs } = fs.statSync(file)
      const checksums = [undefined, Checksum.etag(Engine.fileEtag(file)), Checksum.lastModified(mtimeMs)]
      yield* inRepository(at)((repository) =>
        Effect.gen(function* () {
          yield* repository.config.update(
            RepositoryConfig.setContainer({ name: "data", protocol: "data", platform: "fs", bucket_prefix: at.data })
          )
          const session = yield* repository.writableSession("main")
          yield* writeOurs(session, [["v/zarr.json", json(virtualJson)]])
          const rows = Array.from({ length: virtualCount }, (_, i) => i)
          yield* session.setVirtualRefs("/v", {
            indices: Uint32Array.from(rows),
            offsets: rows.map((i) => i * 4),
            lengths: rows.map(() => 4),
            locations: { values: checksums.map(() => `data://${file}`), ids: Uint32Array.from(rows, (i) => i % 3) },
            checksums
          })
          yield* session.commit("refs")
        })
      )
      yield* Effect.promise(async () => {
        const repository = await Engine.open({ directory: at.repository, containers: ["data"] })
        const session = await repository.readonlySession({ branch: "main" })
        if (Engine.build === "native") {
          assert.strictEqual((await session.allVirtualChunkLocations()).length, virtualCount)
        }
        for (let i = 0; i < virtualCount; i += 7) {
          // Its native build quotes the ETags of files and then compares them with unquoted ones.
          if (Engine.build === "native" && i % 3 === 1) continue
          assert.deepStrictEqual(
            buffer(await session.store.get(`v/c/${i}`)),
            Buffer.from(content.subarray(i * 4, i * 4 + 4)),
            `chunk ${i}`
          )
        }
      })
      const ours = yield* inRepository(at)((repository) => readOurs(repository))
      assert.strictEqual(ours.size, virtualCount + 1)
      assert.deepStrictEqual(ours.get("v/c/1499"), Buffer.from(content.subarray(1499 * 4)))
    })
  )

  it.live.skipIf(Engine.build !== "native")(
    "that the official engine's native build writes, more than 1,000 with compressed locations, are read",
    () =>
      Effect.gen(function* () {
        const at = places("their-refs")
        const { content, file } = dataFile(at.data)
        fs.mkdirSync(at.repository, { recursive: true })
        const prefix = `file://${at.data}/`
        const location = new URL(`file://${encodeURI(file).replaceAll("#", "%23")}`).href
        const { mtimeMs } = fs.statSync(file)
        yield* Effect.promise(async () => {
          const repository = await Engine.Repository.create(await Engine.storage(at.repository), {
            virtualChunkContainers: {
              [prefix]: { urlPrefix: prefix, store: { type: "LocalFileSystem", field0: at.data } }
            }
          })
          await repository.saveConfig()
          const session = await repository.writableSession("main")
          await session.store.set("v/zarr.json", Buffer.from(json(virtualJson)))
          const failed = await session.store.setVirtualRefs(
            "/v",
            Array.from({ length: virtualCount }, (_, i) => ({
              index: [i],
              location,
              offset: i * 4,
              length: 4,
              ...(i % 3 === 1 ? { etagChecksum: Engine.fileEtag(file) } : {}),
              ...(i % 3 === 2 ? { lastModified: new Date(Math.ceil(mtimeMs / 1000) * 1000) } : {})
            })),
            false
          )
          assert.isNull(failed)
          await session.commit("refs")
        })
        const name = `file:${at.data}`.replaceAll("/", ":")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const repository = yield* Repository.open({ credentials: { [name]: Credentials.directory(at.data) } })
            const session = yield* repository.readonlySession({ branch: "main" })
            const all = yield* Stream.runCollect(session.virtualLocations())
            assert.strictEqual(all.length, virtualCount)
            assert.deepStrictEqual(yield* Stream.runCollect(session.virtualLocations({ distinct: true })), [location])
            for (const [i, checksum] of [undefined, "ETag", "LastModified"].entries()) {
              const ref = yield* session.chunkRef("/v", [i])
              assert.strictEqual(ref?._tag === "Virtual" ? ref.ref.checksum?._tag : "no virtual ref", checksum)
            }
            const chunks = yield* Effect.forEach(
              Array.from({ length: virtualCount }, (_, i) => i),
              (i) => session.chunk("/v", [i]),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(Buffer.concat(chunks.map((chunk) => chunk!)), Buffer.from(content))
          })
        ).pipe(Effect.provide(services(at.repository)))
      })
  )
})

const shared = path.resolve(import.meta.dirname, "../../../shared/data/icechunk-repositories")

describe.skipIf(!fs.existsSync(shared))("repositories that Python Icechunk wrote (shared/data)", () => {
  for (const name of ["test-repo-v2", "split-repo-v2"]) {
    it.live(`${name} opens, lists, and its stored chunks read as the official engine reads them`, () =>
      Effect.gen(function* () {
        const at = { repository: path.join(root, name), data: root }
        fs.cpSync(path.join(shared, name), at.repository, { recursive: true })
        const result = yield* inRepository(at)((repository) =>
          Effect.gen(function* () {
            const branches = yield* repository.branches
            const tags = yield* repository.tags
            const session = yield* repository.readonlySession({ branch: "main" })
            const store = ZarrStore.make(session)
            const keys = yield* Stream.runCollect(store.list)
            const locations = yield* Stream.runCollect(session.virtualLocations({ distinct: true }))
            return { branches: [...branches.keys()], tags: [...tags.keys()], keys, locations }
          })
        )
        const engine = yield* Effect.promise(() => Engine.open({ directory: at.repository }))
        assert.deepStrictEqual(
          result.branches.toSorted(),
          (yield* Effect.promise(() => engine.listBranches())).toSorted()
        )
        assert.deepStrictEqual(result.tags.toSorted(), (yield* Effect.promise(() => engine.listTags())).toSorted())
        const session = yield* Effect.promise(() => engine.readonlySession({ branch: "main" }))
        const keys = yield* Effect.promise(() => session.store.list())
        assert.deepStrictEqual(result.keys.toSorted(), keys.toSorted())
        if (Engine.build !== "native") return
        const theirs = yield* Effect.promise(() => session.allVirtualChunkLocations())
        assert.deepStrictEqual(result.locations.toSorted(), [...new Set(theirs)].toSorted())
      })
    )
  }
})
