/** How many clients containers get, and for how long. */
import * as Repository from "@effect-icechunk/core/Repository"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Clouds from "./Clouds.ts"

const setup = Effect.gen(function* () {
  const amazon = yield* Clouds.s3({
    buckets: { home: "us-east-1", one: "us-east-1", two: "us-east-1" },
    accessKeys: ["k"]
  })
  const google = yield* Clouds.gcs({ buckets: ["data"], tokens: ["t"] })
  for (const bucket of ["one", "two"]) {
    for (const key of ["a.nc", "b.nc", "c.nc"]) amazon.seed(bucket, key, Clouds.object(5))
  }
  google.seed("data", "a.nc", Clouds.object(5))
  const store = yield* Clouds.storeOnS3(amazon, "home", Clouds.accessKey("k"))
  const clients: Clouds.Clients = { opened: [], closed: [] }
  const on = Clouds.on(store, clients)
  yield* on(
    Clouds.write(
      [
        Clouds.container(amazon, { name: "s3", protocol: "s3", platform: "s3" }),
        Clouds.container(amazon, { name: "named", protocol: "named", platform: "s3", bucket_prefix: "one" }),
        Clouds.container(google, { name: "gcs", protocol: "gcs", platform: "gcs" })
      ],
      {
        "/a": [
          ...["one", "two"].flatMap((bucket) => ["a.nc", "b.nc", "c.nc"].map((key) => `s3://${bucket}/${key}`)),
          "named://one/a.nc",
          "gs://data/a.nc"
        ]
      }
    )
  )
  return { amazon, google, clients, on, credentials: { gcs: Clouds.grant(google, Clouds.token("t")) } }
})

const all = [0, 1, 2, 3, 4, 5, 6, 7]
const one = ["gcs data", "named one", "s3 one", "s3 two"]

describe("clients of containers", () => {
  it.live("are made once for each container and bucket, by many readers at once and in two sessions", () =>
    Effect.gen(function* () {
      const { amazon, clients, credentials, google, on } = yield* setup
      yield* on(
        Effect.gen(function* () {
          const repository = yield* Repository.open({ credentials })
          expect(clients.opened).toEqual([])
          for (let i = 0; i < 2; i++) {
            const session = yield* repository.readonlySession({ branch: "main" })
            yield* Effect.forEach(all, (i) => session.chunk("/a", [i]), { concurrency: "unbounded" })
          }
          expect(clients.opened.toSorted()).toEqual(one)
          expect(clients.closed).toEqual([])
        }).pipe(Effect.scoped)
      )
      expect(clients.closed.toSorted()).toEqual(one)
      expect([amazon.sent("one").length, amazon.sent("two").length, google.sent().length]).toEqual([8, 6, 2])
    })
  )

  it.effect("are released after a minute without a read, and made again for the next one", () =>
    Effect.gen(function* () {
      const { clients, credentials, on } = yield* setup
      yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.open({ credentials })
          yield* session.chunk("/a", [0])
          yield* session.chunk("/a", [7])
          yield* TestClock.adjust("40 seconds")
          yield* session.chunk("/a", [0])
          yield* TestClock.adjust("30 seconds")
          // Only the other one had nothing to do for a minute.
          expect(clients).toEqual({ opened: ["s3 one", "gcs data"], closed: ["gcs data"] })
          yield* TestClock.adjust("30 seconds")
          expect(clients.closed).toEqual(["gcs data", "s3 one"])
          expect(yield* session.chunk("/a", [7])).toEqual(Clouds.chunkOf(5))
          expect(clients.opened).toEqual(["s3 one", "gcs data", "gcs data"])
        }).pipe(Effect.scoped)
      )
      expect(clients.closed).toEqual(["gcs data", "s3 one", "gcs data"])
    })
  )

  it.effect("close their connections when they are released, not only with the repository", () =>
    Effect.gen(function* () {
      const { amazon, credentials, google, on } = yield* setup
      yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.open({ credentials })
          const ofRepository = amazon.server.openConnections()
          yield* session.chunk("/a", [0])
          expect(amazon.server.openConnections()).toBe(ofRepository + 1)
          const closed = yield* Effect.forkChild(amazon.server.oneClosed, { startImmediately: true })
          yield* TestClock.adjust("1 minute")
          yield* Fiber.join(closed)
          expect(amazon.server.openConnections()).toBe(ofRepository)

          yield* session.chunk("/a", [7])
          expect(google.server.openConnections()).toBe(1)
          yield* TestClock.adjust("1 minute")
          yield* google.server.allClosed
          expect(google.server.openConnections()).toBe(0)
          yield* session.chunk("/a", [7])
          expect(google.server.connections()).toBe(2)
        }).pipe(Effect.scoped)
      )
    })
  )

  it.effect("are kept as long as the program says", () =>
    Effect.gen(function* () {
      const { clients, credentials, on } = yield* setup
      yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.open({ credentials, idleTimeToLive: "5 seconds" })
          yield* session.chunk("/a", [0])
          yield* TestClock.adjust("4 seconds")
          expect(clients.closed).toEqual([])
          yield* TestClock.adjust("1 second")
          expect(clients.closed).toEqual(["s3 one"])
        }).pipe(Effect.scoped)
      )
    })
  )

  it.live("are of one open repository alone, and leave no connection behind", () =>
    Effect.gen(function* () {
      const { clients, credentials, google, on } = yield* setup
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      for (const scope of scopes) {
        yield* on(
          Effect.gen(function* () {
            const session = yield* Clouds.open({ credentials })
            yield* session.chunk("/a", [7])
          }).pipe(Scope.provide(scope))
        )
      }
      expect(clients).toEqual({ opened: ["gcs data", "gcs data"], closed: [] })
      yield* Scope.close(scopes[0], Exit.void)
      expect(clients.closed).toEqual(["gcs data"])
      yield* Scope.close(scopes[1], Exit.void)
      expect(clients.closed).toEqual(["gcs data", "gcs data"])
      yield* google.server.allClosed
      expect(google.server.openConnections()).toBe(0)
    })
  )
})
