/**
 * What the page does: it writes a repository in memory and reads it anew, and reads one that Node wrote, whose
 * files come by HTTP. It sends what it found to the server, which compares.
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import {
  ByteRange,
  Checksum,
  Credentials,
  MemoryObjectStore,
  ObjectStore,
  ObjectStoreError,
  Platform,
  Repository,
  ZarritaStore,
  ZarrStore
} from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import type { Report, Setup } from "./Report.ts"

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17) % 251)

const array = (length: number, chunk: number) => ({
  shape: [length],
  chunkShape: [chunk],
  dataType: "uint8",
  fillValue: 0
})

/** A platform with one store for all containers. */
const platform = (name: string, hasBuckets: boolean, store: ObjectStore.ObjectStoreShape): Platform.Platform => ({
  name,
  defaultRegion: undefined,
  hasBuckets,
  sharesCredentials: false,
  open: ({ bucket }) => Effect.succeed(ObjectStore.prefixed(store, bucket))
})

/** Reads an array as a user of zarrita does. */
const readArray = (store: ZarritaStore.Readable, path: string) =>
  Effect.promise(async () => {
    const opened = await zarr.open(zarr.root(store).resolve(path), { kind: "array" })
    const { data } = await zarr.get(opened)
    return data as Uint8Array
  })

/** Writes chunks of every kind, and reads them back through zarrita from the repository opened anew. */
const inMemory = Effect.gen(function* () {
  const store = yield* MemoryObjectStore.make({ description: "memory://repository" })
  const objects = yield* MemoryObjectStore.make({ description: "memory://objects" })
  yield* objects.put("bucket/a.bin", pattern(400, 3))
  const options = { credentials: { model: Credentials.anonymous } }
  const inStore = Effect.provide(
    Layer.mergeAll(
      Layer.succeed(ObjectStore.ObjectStore, store),
      Platform.layer([Effect.succeed(platform("s3", true, objects))]),
      BrowserZstd.layer
    )
  )
  const id = yield* Effect.gen(function* () {
    const container = { name: "model", protocol: "model", platform: "s3", bucket_prefix: "bucket" }
    const repository = yield* Repository.create({ ...options, persist: { virtual_chunk_containers: [container] } })
    const session = yield* repository.writableSession("main")
    yield* session.createGroup("/", { written: "in a browser 🧊" })
    yield* session.createArray("/inline", array(6, 2))
    yield* session.createArray("/native", array(3000, 1000))
    yield* session.createArray("/virtual", array(400, 100))
    for (let i = 0; i < 3; i++) {
      yield* session.setChunk("/inline", [i], pattern(2, i))
      yield* session.setChunk("/native", [i], pattern(1000, i))
    }
    yield* session.setVirtualRefs(
      "/virtual",
      {
        indices: Uint32Array.of(0, 1, 2, 3),
        offsets: [0, 100, 200, 300],
        lengths: [100, 100, 100, 100],
        locations: "model://bucket/a.bin"
      },
      { capture: true }
    )
    return yield* session.commit("from a browser")
  }).pipe(Effect.scoped, inStore)
  return yield* Effect.gen(function* () {
    const repository = yield* Repository.open(options)
    const session = yield* repository.readonlySession({ branch: "main" })
    const zarrita = ZarritaStore.fromSession(session)
    const kinds = yield* Effect.forEach(["/inline", "/native", "/virtual"], (path) => session.chunkRef(path, [0]))
    const chunks = (length: number): string => [0, 1, 2].map((i) => hex(pattern(length, i))).join("")
    const virtual = pattern(400, 3)
    const range = yield* Effect.promise(() => zarrita.getRange("/virtual/c/1", { offset: 10, length: 5 }))
    const read = {
      inline: hex(yield* readArray(zarrita, "/inline")) === chunks(2),
      native: hex(yield* readArray(zarrita, "/native")) === chunks(1000),
      virtual: hex(yield* readArray(zarrita, "/virtual")) === hex(virtual),
      range: range !== undefined && hex(range) === hex(virtual.subarray(110, 115))
    }
    yield* objects.put("bucket/a.bin", pattern(400, 4))
    const changed = yield* Effect.flip(session.chunk("/virtual", [0]))
    const [latest] = yield* repository.history({ branch: "main" })
    return {
      snapshot: latest?.id === id ? (latest.message ?? "") : "another one",
      kinds: kinds.map((ref) => ref?._tag ?? "none"),
      read,
      changed: changed._tag
    }
  }).pipe(Effect.scoped, inStore)
})

/** Files of a web server as a store: the shortest one that reads. */
const overHttp = (base: string): ObjectStore.ObjectStoreShape => {
  const failed = (operation: ObjectStoreError.Operation, key: string, reason: ObjectStoreError.Reason) =>
    new ObjectStoreError.ObjectStoreError({ store: base, operation, key, reason })
  const request = (operation: "get" | "head", key: string, range?: ByteRange.ByteRange) =>
    Effect.gen(function* () {
      const url = `${base}/${key.replace(/^\//, "").split("/").map(encodeURIComponent).join("/")}`
      const response = yield* Effect.tryPromise({
        try: (signal) =>
          fetch(url, {
            method: operation === "get" ? "GET" : "HEAD",
            headers: range === undefined ? {} : { range: ByteRange.toHttpHeader(range) },
            signal
          }),
        catch: (cause) => failed(operation, key, new ObjectStoreError.Unavailable({ cause }))
      })
      if (response.status === 404) return yield* failed(operation, key, new ObjectStoreError.NotFound({}))
      if (response.status === 416) return yield* failed(operation, key, new ObjectStoreError.InvalidRange({}))
      if (response.status !== (range === undefined ? 200 : 206)) {
        return yield* failed(operation, key, new ObjectStoreError.InvalidResponse({ detail: `${response.status}` }))
      }
      const bytes = new Uint8Array(yield* Effect.promise(() => response.arrayBuffer()))
      const [, start = "0", size = `${bytes.length}`] =
        /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? []
      const meta: ObjectStore.ObjectMeta = {
        key,
        size: Number(size),
        lastModified: Date.parse(response.headers.get("last-modified") ?? ""),
        version: { etag: response.headers.get("etag") ?? undefined }
      }
      return { bytes, span: { start: Number(start), end: Number(start) + bytes.length }, meta }
    })
  const because = "it is read from a web server"
  const forbidden = Effect.fail(new ObjectStore.WriteForbidden({ target: base, because }))
  return {
    description: base,
    origin: { platform: "http" },
    capabilities: {
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalGet: false,
      metadata: false,
      opaqueKeys: false
    },
    readOnlyBecause: because,
    get: (key, options) =>
      Effect.filterOrFail(
        request("get", key, options?.range),
        ({ meta }) =>
          options?.ifMatch === undefined ||
          Checksum.agrees(Checksum.etag(options.ifMatch), { etag: meta.version.etag, lastModified: undefined }),
        () => failed("get", key, new ObjectStoreError.PreconditionFailed({}))
      ),
    head: (key) => Effect.map(request("head", key), ({ meta }) => meta),
    list: (prefix) => Stream.fail(failed("list", prefix, new ObjectStoreError.Unsupported({}))),
    put: () => forbidden,
    delete: () => forbidden,
    copy: () => forbidden
  }
}

/** Every key and value of the repository that Node wrote. */
const fromNode = ({ container }: Setup) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open({ credentials: { [container]: Credentials.anonymous } })
    const session = yield* repository.readonlySession({ branch: "main" })
    const store = ZarrStore.make(session)
    const values: Record<string, string> = {}
    yield* Effect.forEach(
      yield* Stream.runCollect(store.list),
      (key) =>
        Effect.map(store.get(key), (value) => {
          values[key] = value === undefined ? "nothing" : hex(value)
        }),
      { concurrency: "unbounded", discard: true }
    )
    const virtual = yield* readArray(ZarritaStore.fromSession(session), "/g/virtual")
    const forbidden = yield* Effect.flip(repository.writableSession("main"))
    return { values, virtual: hex(virtual), forbidden: forbidden._tag }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(ObjectStore.ObjectStore, overHttp(`${location.origin}/repository`)),
        Platform.layer([Effect.succeed(platform("fs", false, overHttp(`${location.origin}/files`)))]),
        BrowserZstd.layer
      )
    )
  )

const send = (report: Report): Promise<unknown> =>
  fetch("/report", { method: "POST", body: JSON.stringify(report) }).catch(() => undefined)

const text = (error: unknown): string => (error instanceof Error ? `${error.message}\n${error.stack}` : String(error))

addEventListener("error", ({ error, message }) => void send({ error: error === undefined ? message : text(error) }))
addEventListener("unhandledrejection", ({ reason }) => void send({ error: text(reason) }))

const main = async (): Promise<void> => {
  const setup = (await (await fetch("/setup")).json()) as Setup
  const [memory, node] = await Effect.runPromise(Effect.all([inMemory, fromNode(setup)]))
  await send({ memory, node, userAgent: navigator.userAgent })
}

main().catch((error: unknown) => send({ error: text(error) }))
