import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import { ObjectStore, type ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import { hasReason, ObjectStoreError, Unsupported } from "@effect-icechunk/core/ObjectStoreError"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Fetch, Page } from "../src/Fetch.ts"
import * as HttpObjectStore from "../src/HttpObjectStore.ts"
import { keyProblem } from "../src/internal/Url.ts"
import * as Browser from "./support/Browser.ts"
import { open } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

/** A store in memory that is written directly, and read through a web server. */
const store = (options?: {
  readonly browser?: Browser.Browser
  readonly headers?: Readonly<Record<string, string>>
  readonly fault?: WebServer.Fault
}): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function* () {
      const server = yield* WebServer.make
      const memory = yield* MemoryObjectStore.make({ description: server.url })
      server.find = (path) =>
        Effect.runPromise(
          memory.get(path.slice(1)).pipe(
            Effect.map(({ bytes, meta }) => ({
              bytes,
              etag: meta.version.etag,
              lastModified: meta.lastModified
            })),
            Effect.catchIf(hasReason("NotFound"), () => Effect.succeed(undefined))
          )
        )
      server.headers = options?.headers ?? {}
      server.fault = () => options?.fault
      const browser = options?.browser
      const http = yield* open(server).pipe(
        Effect.provideService(Page, browser?.page),
        Effect.updateService(Fetch, (fetch) => browser?.fetch ?? fetch)
      )
      const { conditionalGet } = http.capabilities
      /** What has no URL cannot be written either. */
      const refusing = <A, E>(operation: "put" | "copy", key: string, write: Effect.Effect<A, E>) => {
        const detail = keyProblem(key)
        return detail === undefined
          ? write
          : Effect.fail(
              new ObjectStoreError({ store: server.url, operation, key, reason: new Unsupported({ detail }) })
            )
      }
      return {
        ...memory,
        get: http.get,
        head: http.head,
        capabilities: { ...memory.capabilities, conditionalGet, metadata: false, opaqueKeys: false },
        put: (key, bytes, options) => {
          const { metadata: _, ...others } = options ?? {}
          return refusing("put", key, memory.put(key, bytes, others))
        },
        copy: (from, to, options) => refusing("copy", from, refusing("copy", to, memory.copy(from, to, options)))
      } satisfies ObjectStoreShape
    }).pipe(Effect.orDie)
  )

const limits = { metadata: false, opaqueKeys: false }

ObjectStoreConformance.suite("HttpObjectStore", store(), limits)

ObjectStoreConformance.suite(
  "HttpObjectStore, of a server that ignores ranges",
  store({ fault: { _tag: "IgnoreRanges" } }),
  limits
)

const origin = "https://app.example"

ObjectStoreConformance.suite(
  "HttpObjectStore, in a page of another origin",
  store({
    browser: Browser.make(origin),
    headers: {
      "access-control-allow-origin": origin,
      "access-control-allow-headers": "range",
      "access-control-expose-headers": "ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges"
    }
  }),
  { ...limits, conditionalGet: false }
)

ObjectStoreConformance.readOnlySuite(
  "HttpObjectStore",
  Layer.orDie(HttpObjectStore.layer({ url: "http://127.0.0.1:1" }))
)
