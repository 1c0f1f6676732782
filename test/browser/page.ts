/**
 * What the page does: it writes a repository in memory and reads it anew, and reads one that Node wrote, whose
 * files come by HTTP. It sends what it found to the server, which compares.
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import {
  Credentials,
  MemoryObjectStore,
  ObjectStore,
  Platform,
  Repository,
  ZarritaStore,
  ZarrStore
} from "@effect-icechunk/core"
import { HttpObjectStore } from "@effect-icechunk/http"
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
        HttpObjectStore.layer({ url: `${location.origin}/repository` }),
        Platform.layer([
          Effect.map(HttpObjectStore.make({ url: `${location.origin}/files` }), (files) => platform("fs", false, files))
        ]),
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
