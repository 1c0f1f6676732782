import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { isConflict } from "@effect-icechunk/core/ObjectStoreError"
import * as Readback from "@effect-icechunk/core/Readback"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ApiRequest } from "./support/GcsApi.ts"
import type { Fault } from "./support/GcsServer.ts"
import { bytes, make, reason, text, token } from "./support/Harness.ts"

const isPut = ({ method }: ApiRequest): boolean => method === "POST"
const isRead = ({ method }: ApiRequest): boolean => method !== "POST"

const lostAnswers: ReadonlyArray<readonly [what: string, fault: Fault]> = [
  ["the connection is dropped", { _tag: "DropAfter" }],
  ["500 is the answer", { _tag: "RefuseAfter", status: 500 }],
  ["503 is the answer", { _tag: "RefuseAfter", status: 503 }],
  ["408 is the answer", { _tag: "RefuseAfter", status: 408 }],
  ["the body is cut", { _tag: "Cut", after: 10 }]
]

describe("conditional writes", () => {
  it.live("of 20 writers that create, one wins", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const results = yield* Effect.all(
        Array.from({ length: 20 }, (_, i) =>
          Effect.result(store.put("a", bytes(`writer ${i}`), { mode: ObjectStore.create }))
        ),
        { concurrency: "unbounded" }
      )
      const winners = results.flatMap((result, i) => (result._tag === "Success" ? [i] : []))
      expect(winners.length).toBe(1)
      for (const result of results) {
        if (result._tag === "Failure") expect(result.failure).toMatchObject({ reason: { _tag: "AlreadyExists" } })
      }
      expect(text(server.settings.buckets.get("data")!.objects.get("a")!.bytes)).toBe(`writer ${winners[0]}`)
    })
  )

  it.live("of 20 writers that update, one wins, each time", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const stores = yield* Effect.all(Array.from({ length: 20 }, () => open()))
      let version = yield* stores[0]!.put("a", bytes("0"), { mode: ObjectStore.create })
      for (let round = 1; round <= 3; round++) {
        const results = yield* Effect.all(
          stores.map((store) =>
            Effect.result(store.put("a", bytes(String(round)), { mode: ObjectStore.update(version) }))
          ),
          { concurrency: "unbounded" }
        )
        const winners = results.flatMap((result) => (result._tag === "Success" ? [result.success] : []))
        expect(winners.length).toBe(1)
        for (const result of results) {
          if (result._tag === "Failure")
            expect(result.failure).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
        }
        version = winners[0]!
      }
    })
  )

  it.live("20 writers append their names, each once, whatever answers are lost", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ retry: { times: 30, baseDelay: "1 millis", maxDelay: "5 millis" } })
      yield* store.put("log", bytes("start"), { mode: ObjectStore.create })
      server.plan({ _tag: "DropAfter" }, { when: isPut, times: 5 })
      server.plan({ _tag: "RefuseAfter", status: 503 }, { when: isPut, times: 5 })
      server.plan({ _tag: "Reset" }, { when: isPut, times: 5 })
      const append = (name: string): Effect.Effect<void, unknown> =>
        Effect.gen(function* () {
          const { bytes: read, meta } = yield* store.get("log")
          // Others may have built on a write whose answer was lost: only its trace tells.
          if (text(read).split(" ").includes(name)) return
          yield* store.put("log", bytes(`${text(read)} ${name}`), { mode: ObjectStore.update(meta.version) })
        }).pipe(Effect.catchIf(isConflict, () => append(name)))
      const names = Array.from({ length: 20 }, (_, i) => `w${i}`)
      yield* Effect.all(names.map(append), { concurrency: "unbounded" })
      const [start, ...appended] = text((yield* store.get("log")).bytes).split(" ")
      expect([start, ...appended.toSorted()]).toEqual(["start", ...names.toSorted()])
    })
  )

  it.live.each(lostAnswers)("a create whose answer is lost succeeds: %s", ([, fault]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan(fault, { when: isPut })
      const version = yield* store.put("a", bytes("x"), { mode: ObjectStore.create })
      expect(version).toEqual((yield* store.head("a")).version)
      expect(server.settings.buckets.get("data")!.objects.size).toBe(1)
    })
  )

  it.live.each(lostAnswers)("an update whose answer is lost succeeds, and once: %s", ([, fault]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const first = yield* store.put("a", bytes("one"))
      server.plan(fault, { when: isPut })
      const version = yield* store.put("a", bytes("two"), { mode: ObjectStore.update(first) })
      expect(version).toEqual((yield* store.head("a")).version)
      expect(version.generation).not.toBe(first.generation)
      // The next update builds on it.
      yield* store.put("a", bytes("three"), { mode: ObjectStore.update(version) })
    })
  )

  it.live("a write whose answers are all lost is found when it is read back", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ retry: { times: 0 } })
      server.plan({ _tag: "DropAfter" }, { when: isPut })
      yield* store.put("a", bytes("x"), { mode: ObjectStore.create })
      expect(server.requests.map(({ method }) => method)).toEqual(["POST", "GET"])
    })
  )

  it.live("another writer's object is a conflict, also after a lost answer", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan({ _tag: "Reset" }, { when: isPut })
      server.seed("data", "a", "theirs", { metadata: { [Readback.metadataKey]: "theirs" } })
      expect((yield* reason(store.put("a", bytes("ours"), { mode: ObjectStore.create })))._tag).toBe("AlreadyExists")
      const stale = { etag: undefined, generation: "1" }
      expect((yield* reason(store.put("a", bytes("x"), { mode: ObjectStore.update(stale) })))._tag).toBe(
        "PreconditionFailed"
      )
      expect((yield* reason(store.put("b", bytes("x"), { mode: ObjectStore.update(stale) })))._tag).toBe(
        "PreconditionFailed"
      )
    })
  )

  it.live("a refused write is retried only as often as allowed, and is no conflict", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ retry: { times: 2, baseDelay: "1 millis" } })
      server.plan({ _tag: "Refuse", status: 503 }, { when: isPut, times: 100 })
      expect((yield* reason(store.put("a", bytes("x"), { mode: ObjectStore.create })))._tag).toBe("Unavailable")
      expect(server.requests.filter(({ method }) => method === "POST").length).toBe(3)
    })
  )

  it.live("a write that is rate limited is tried again without reading back", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan({ _tag: "Refuse", status: 429, reason: "rateLimitExceeded" }, { when: isPut, times: 2 })
      yield* store.put("a", bytes("x"), { mode: ObjectStore.create })
      expect(server.requests.map(({ method }) => method)).toEqual(["POST", "POST", "POST"])
    })
  )

  it.live("an outcome that cannot be read back is not called a conflict", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ retry: { times: 1, baseDelay: "1 millis" } })
      server.plan({ _tag: "DropAfter" }, { when: isPut })
      server.plan({ _tag: "Refuse", status: 503 }, { when: isRead, times: 100 })
      expect((yield* reason(store.put("a", bytes("x"), { mode: ObjectStore.create })))._tag).toBe("Unavailable")
    })
  )

  it.live("who may create but not read still learns of a conflict", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.addToken(token, { permissions: ["create"] })
      server.seed("data", "a", "theirs")
      const store = yield* open()
      expect((yield* reason(store.put("a", bytes("x"), { mode: ObjectStore.create })))._tag).toBe("AlreadyExists")
    })
  )

  it.live("stamps each conditional write with an id of its own, and no other", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const store = yield* open()
      const idOf = (key: string): Effect.Effect<string | undefined> =>
        store.head(key).pipe(
          Effect.map(({ metadata }) => Readback.writeIdOf(metadata)),
          Effect.orDie
        )
      const version = yield* store.put("a", bytes("x"), { mode: ObjectStore.create, metadata: { mine: "1" } })
      const first = yield* idOf("a")
      yield* store.put("a", bytes("x"), { mode: ObjectStore.update(version) })
      const second = yield* idOf("a")
      yield* store.put("a", bytes("x"))
      expect(yield* idOf("a")).toBeUndefined()
      expect(first).toMatch(/^[0-9a-f-]{36}$/)
      expect(second).toMatch(/^[0-9a-f-]{36}$/)
      expect(second).not.toBe(first)
    })
  )

  it.live("updates a version that it knows by either ETag", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ readApi })
        const first = yield* store.put("a", bytes("one"))
        yield* store.put("a", bytes("two"), { mode: ObjectStore.update({ etag: first.etag }) })
        const { alternateEtags } = yield* store.head("a")
        yield* store.put("a", bytes("three"), { mode: ObjectStore.update({ etag: alternateEtags![0] }) })
        const stale = store.put("a", bytes("four"), { mode: ObjectStore.update({ etag: first.etag }) })
        expect((yield* reason(stale))._tag).toBe("PreconditionFailed")
        const missing = store.put("missing", bytes("x"), { mode: ObjectStore.update({ etag: first.etag }) })
        expect((yield* reason(missing))._tag).toBe("PreconditionFailed")
      }
    })
  )
})
