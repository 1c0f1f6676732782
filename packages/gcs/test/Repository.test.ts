/** A repository on Google Cloud Storage, with virtual chunks there too. */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Platform from "@effect-icechunk/core/Platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Zstd from "@effect-icechunk/core/Zstd"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Scope from "effect/Scope"
import * as GcsObjectStore from "../src/GcsObjectStore.ts"
import * as GcsPlatform from "../src/GcsPlatform.ts"
import type { GcsServer } from "./support/GcsServer.ts"
import { bearer, bytes, make, text } from "./support/Harness.ts"

/** Runs an effect as a program of its own, on the repository `repo` of the bucket `data`. */
const program =
  (server: GcsServer) =>
  <A, E>(
    effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope>
  ): Effect.Effect<A, unknown> =>
    Effect.scoped(effect).pipe(
      Effect.provide(
        Layer.mergeAll(
          GcsObjectStore.layer({
            bucket: "data",
            prefix: "repo",
            endpoint: server.endpoint,
            credentials: bearer,
            retry: { baseDelay: "1 millis" }
          }),
          Platform.layer([GcsPlatform.make]),
          NodeZstd.layer
        )
      )
    )

const array = { shape: [4], chunkShape: [1], dataType: "uint8", fillValue: 0 }

describe("a repository on GCS", () => {
  it.live("is created, committed to, opened anew and read, though answers are lost", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      const run = program(server)
      const isRepoObject = ({ method, query }: { readonly method: string; readonly query: URLSearchParams }): boolean =>
        method === "POST" && (query.get("name") ?? "").endsWith("/repo")
      server.plan({ _tag: "DropAfter" }, { when: isRepoObject, times: 1 })
      yield* run(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array)
          yield* session.setChunk("/a", [0], bytes("x"))
          server.plan({ _tag: "RefuseAfter", status: 503 }, { when: isRepoObject, times: 1 })
          yield* session.commit("first")
        })
      )
      const history = yield* run(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const session = yield* repository.readonlySession({ branch: "main" })
          expect(text((yield* session.chunk("/a", [0]))!)).toBe("x")
          return yield* repository.history({ branch: "main" })
        })
      )
      expect(history.map(({ message }) => message)).toEqual(["first", "Repository initialized"])
    })
  )

  it.live("reads virtual chunks of a bucket at the same endpoint with the repository's credentials", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      const run = program(server)
      server.addBucket("model", {})
      const file = server.seed("model", "run 1/out.nc", "....abcd....")
      const container = {
        name: "gcs",
        protocol: "gcs",
        platform: "gcs",
        cloud_client_config: { endpoint_url: server.endpoint }
      }
      const read = yield* run(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { virtual_chunk_containers: [container] } })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", { ...array, chunkShape: [4] })
          yield* session.setVirtualRef("/a", [0], {
            location: "gs://model/run 1/out.nc",
            offset: 4,
            length: 4,
            checksum: Checksum.lastModified(file.updated)
          })
          yield* session.commit("virtual")
          return yield* session.chunk("/a", [0])
        })
      )
      expect(text(read!)).toBe("abcd")
      expect(server.requests.filter(({ path }) => path.includes("model")).length).toBe(1)
    })
  )
})
