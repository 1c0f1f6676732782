import type { ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { gzipSync } from "node:zlib"
import type { ApiAnswer } from "./support/GcsApi.ts"
import type { Fault } from "./support/GcsServer.ts"
import * as GcsState from "./support/GcsState.ts"
import { bytes, make, reason, text } from "./support/Harness.ts"

const apis = ["xml", "json"] as const

const tamper = (change: (answer: ApiAnswer) => Partial<ApiAnswer>): Fault => ({
  _tag: "Tamper",
  answer: (answer) => ({ ...answer, ...change(answer) })
})

const withHeaders = (headers: Readonly<Record<string, string>>): Fault =>
  tamper((answer) => ({ headers: { ...answer.headers, ...headers } }))

describe.each(apis)("reads through the %s API", (readApi) => {
  it.live("ranges, each with one request and the size of the whole object", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      const store = yield* open({ readApi })
      const cases: ReadonlyArray<readonly [range: ByteRange.ByteRange | undefined, expected: string, header?: string]> =
        [
          [undefined, "0123456789"],
          [ByteRange.from(0), "0123456789"],
          [ByteRange.bounded(2, 3), "234", "bytes=2-4"],
          [ByteRange.bounded(9, 1), "9", "bytes=9-9"],
          [ByteRange.bounded(0, 10), "0123456789", "bytes=0-9"],
          [ByteRange.from(7), "789", "bytes=7-"],
          [ByteRange.suffix(3), "789", "bytes=-3"],
          [ByteRange.suffix(100), "0123456789", "bytes=-100"]
        ]
      for (const [range, expected, header] of cases) {
        const before = server.requests.length
        const { bytes: read, meta, span } = yield* store.get("a", { range })
        expect([text(read), meta.size, span.end - span.start]).toEqual([expected, 10, expected.length])
        expect(server.requests.length).toBe(before + 1)
        expect(server.requests.at(-1)!.headers["range"]).toBe(header)
      }
    })
  )

  it.live("empty ranges", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      server.seed("data", "empty", "")
      const store = yield* open({ readApi })
      const cases: ReadonlyArray<readonly [key: string, range: ByteRange.ByteRange | undefined, at: number]> = [
        ["a", ByteRange.bounded(4, 0), 4],
        ["a", ByteRange.bounded(10, 0), 10],
        ["a", ByteRange.from(10), 10],
        ["a", ByteRange.suffix(0), 10],
        ["empty", undefined, 0],
        ["empty", ByteRange.from(0), 0],
        ["empty", ByteRange.suffix(5), 0]
      ]
      for (const [key, range, at] of cases) {
        const { bytes: read, meta, span } = yield* store.get(key, { range })
        expect([read.length, span, meta.size]).toEqual([0, { start: at, end: at }, key === "a" ? 10 : 0])
        expect(meta.version.generation).toMatch(/^\d+$/)
      }
    })
  )

  it.live("ranges that the object does not have", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      const store = yield* open({ readApi })
      for (const range of [
        ByteRange.bounded(8, 3),
        ByteRange.bounded(10, 1),
        ByteRange.bounded(11, 0),
        ByteRange.from(11),
        ByteRange.bounded(100, 1)
      ]) {
        expect(yield* reason(store.get("a", { range }))).toMatchObject({ _tag: "InvalidRange", size: 10 })
      }
      const before = server.requests.length
      for (const range of [ByteRange.bounded(-1, 1), ByteRange.bounded(0.5, 1), ByteRange.suffix(NaN)]) {
        expect((yield* reason(store.get("a", { range })))._tag).toBe("InvalidRange")
      }
      expect(server.requests.length).toBe(before)
    })
  )

  it.live.each<readonly [what: string, fault: Fault]>([
    ["the whole object for a range", tamper(() => ({ status: 200 }))],
    ["another range", withHeaders({ "content-range": "bytes 3-5/10" })],
    ["a range of another object", withHeaders({ "content-range": "bytes 2-4/11" })],
    ["a Content-Range that is none", withHeaders({ "content-range": "2-4" })],
    ["a short body", tamper(({ headers }) => ({ headers: { ...headers, "content-length": "2" }, body: bytes("23") }))],
    ["a long body", tamper(({ headers }) => ({ headers: { ...headers, "content-length": "4" }, body: bytes("2345") }))],
    ["a body that is cut", { _tag: "Cut", after: 1 }],
    ["no body", { _tag: "Cut", after: 0 }],
    ["a redirect", tamper(() => ({ status: 302 }))],
    ["bytes that were compressed on the way", withHeaders({ "content-encoding": "gzip" })]
  ])("%s is an invalid response, and is tried again", ([, fault]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      const range = ByteRange.bounded(2, 3)
      server.plan(fault, { times: 2 })
      const once = yield* open({ readApi, retry: { times: 0 } })
      expect((yield* reason(once.get("a", { range })))._tag).toBe("InvalidResponse")
      const store = yield* open({ readApi })
      expect(text((yield* store.get("a", { range })).bytes)).toBe("234")
      expect(server.requests.length).toBe(3)
    })
  )

  it.live("reads no more of an answer than was asked for", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", new Uint8Array(5_000_000))
      const store = yield* open({ readApi, retry: { times: 0 } })
      server.plan({
        _tag: "Tamper",
        answer: (answer) => ({
          ...answer,
          status: 200,
          body: new Uint8Array(5_000_000),
          headers: { "content-length": "5000000" }
        })
      })
      expect((yield* reason(store.get("a", { range: ByteRange.bounded(0, 10) })))._tag).toBe("InvalidResponse")
      expect(yield* Effect.promise(() => server.requests[0]!.ended)).toBe("aborted")
    })
  )

  it.live("temporary failures are tried again", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      const store = yield* open({ readApi })
      const faults: ReadonlyArray<Fault> = [
        ...[408, 429, 500, 502, 503, 504].map((status): Fault => ({ _tag: "Refuse", status })),
        { _tag: "Reset" },
        { _tag: "DropAfter" }
      ]
      for (const fault of faults) {
        const before = server.requests.length
        server.plan(fault)
        expect(text((yield* store.get("a")).bytes)).toBe("x")
        expect(server.requests.length).toBe(before + 2)
      }
      server.plan({ _tag: "Refuse", status: 503 }, { times: 4 })
      expect((yield* reason(store.get("a")))._tag).toBe("Unavailable")
    })
  )

  it.live("objects that are stored compressed come as they are stored, also in ranges", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const stored = gzipSync("hello ".repeat(100))
      server.seed("data", "a", stored, { contentEncoding: "gzip" })
      const store = yield* open({ readApi })
      expect(Buffer.from((yield* store.get("a")).bytes).equals(stored)).toBe(true)
      const part = yield* store.get("a", { range: ByteRange.bounded(1, 4) })
      expect(Buffer.from(part.bytes).equals(stored.subarray(1, 5))).toBe(true)
      expect(part.meta.size).toBe(stored.length)
      expect((yield* store.head("a")).size).toBe(stored.length)
    })
  )

  it.live("an object that was decompressed on the way is invalid", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", gzipSync("hello"), { contentEncoding: "gzip" })
      const store = yield* open({ readApi, retry: { times: 0 } })
      server.plan(
        tamper(({ headers }) => {
          const { "content-encoding": _encoding, "content-length": _length, ...rest } = headers
          return { headers: { ...rest, "content-length": "5" }, body: bytes("hello") }
        })
      )
      const refused = yield* reason(store.get("a"))
      expect(refused._tag).toBe("InvalidResponse")
      expect(refused.detail).toContain("`gzip`")
    })
  )

  describe("conditions", () => {
    /** ETags as the two APIs give them, of objects of all kinds. */
    const kinds: ReadonlyArray<readonly [what: string, seed: GcsState.Seed]> = [
      ["a simple upload", {}],
      ["a composite object", { componentCount: 3 }],
      [
        "an object encrypted with a key of the customer's",
        { kmsKeyName: "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
      ],
      ["an upload in parts", { partsEtag: '"7fc8f92280ac3c975f300cb64412c16f-9"' }]
    ]

    it.live.each(kinds)("either API's ETag of %s verifies", ([, seed]) =>
      Effect.gen(function* () {
        const { open, server } = yield* make
        const store = yield* open({ readApi })
        const first = server.seed("data", "a", "one", seed)
        const etags = [GcsState.xmlEtag(first), GcsState.jsonEtag(first)]
        const spellings = etags.flatMap((etag) => [etag, Checksum.opaqueTag(etag), `W/"${Checksum.opaqueTag(etag)}"`])
        for (const ifMatch of spellings) {
          const before = server.requests.length
          const { meta } = yield* store.get("a", { ifMatch, range: ByteRange.bounded(0, 2) })
          expect(server.requests.length).toBe(before + 1)
          const observed = { ...meta, etag: meta.version.etag }
          expect(Checksum.agrees(Checksum.etag(ifMatch), observed)).toBe(true)
        }
        server.seed("data", "a", "two", { ...seed, ...(seed.partsEtag === undefined ? {} : { partsEtag: '"8-8"' }) })
        for (const ifMatch of spellings) {
          expect((yield* reason(store.get("a", { ifMatch })))._tag).toBe("PreconditionFailed")
          // Not that the range is invalid.
          const range = ByteRange.bounded(100, 1)
          expect((yield* reason(store.get("a", { ifMatch, range })))._tag).toBe("PreconditionFailed")
          const empty = ByteRange.bounded(0, 0)
          expect((yield* reason(store.get("a", { ifMatch, range: empty })))._tag).toBe("PreconditionFailed")
        }
      })
    )

    it.live.each(kinds)("head reports ETags of %s that verify", ([, seed]) =>
      Effect.gen(function* () {
        const { open, server } = yield* make
        const store = yield* open({ readApi })
        const stored = server.seed("data", "a", "one", seed)
        const { alternateEtags, version } = yield* store.head("a")
        for (const ifMatch of [version.etag!, ...(alternateEtags ?? [])]) {
          // The dash of the XML API's opaque ETags is a guess where an upload in parts has another.
          if (seed.partsEtag !== undefined && ifMatch.startsWith('"-')) continue
          expect((yield* store.get("a", { ifMatch })).meta.version.generation).toBe(String(stored.generation))
        }
      })
    )

    it.live("an ETag that is none agrees with nothing", () =>
      Effect.gen(function* () {
        const { open, server } = yield* make
        server.seed("data", "a", "one")
        const store = yield* open({ readApi })
        for (const ifMatch of ["", "*", "a\nb", 'a"b', "ä", "\u0000", "d41d8cd98f00b204e9800998ecf8427e"]) {
          expect((yield* reason(store.get("a", { ifMatch })))._tag).toBe("PreconditionFailed")
        }
      })
    )

    it.live("time of change", () =>
      Effect.gen(function* () {
        const { open, server } = yield* make
        const store: ObjectStoreShape = yield* open({ readApi })
        const updated = Date.UTC(2024, 0, 1, 0, 0, 10, 400)
        server.seed("data", "a", "one", { updated })
        const { lastModified } = (yield* store.get("a")).meta
        expect(lastModified).toBe(updated - 400)
        yield* store.get("a", { ifUnmodifiedSince: updated })
        yield* store.get("a", { ifUnmodifiedSince: updated + 600 })
        for (const range of [undefined, ByteRange.bounded(0, 1), ByteRange.bounded(0, 0)]) {
          const refused = yield* reason(store.get("a", { ifUnmodifiedSince: updated - 1400, range }))
          expect(refused._tag).toBe("PreconditionFailed")
        }
      })
    )

    it.live("a response without what the condition needs does not agree", () =>
      Effect.gen(function* () {
        const { open, server } = yield* make
        server.seed("data", "a", "one")
        const store = yield* open({ readApi })
        const strip = tamper(({ headers }) => {
          const {
            etag: _etag,
            "last-modified": _time,
            "x-goog-hash": _hash,
            "x-goog-metageneration": _metageneration,
            ...rest
          } = headers
          return { headers: rest }
        })
        server.plan(strip, { times: 2 })
        const ifMatch = "f97c5d29941bfb1b2fdab0874906ab82"
        expect((yield* reason(store.get("a", { ifMatch })))._tag).toBe("PreconditionFailed")
        expect((yield* reason(store.get("a", { ifUnmodifiedSince: Date.now() + 1000 })))._tag).toBe(
          "PreconditionFailed"
        )
      })
    )
  })
})

describe("an emulator without the XML API", () => {
  it.live("is read through the JSON API, and tells another object by its ETag", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.settings.hasXmlApi = false
      const stored = server.seed("data", "a", "one")
      const store = yield* open()
      for (const ifMatch of [undefined, GcsState.xmlEtag(stored), GcsState.jsonEtag(stored)]) {
        expect(text((yield* store.get("a", { ifMatch })).bytes)).toBe("one")
      }
      expect((yield* store.head("a")).size).toBe(3)
      for (const ifMatch of ['"other"', "0000", '"7fc8f92280ac3c975f300cb64412c16f-9"']) {
        expect((yield* reason(store.get("a", { ifMatch })))._tag).toBe("PreconditionFailed")
      }
      expect((yield* reason(store.get("missing", { ifMatch: '"other"' })))._tag).toBe("NotFound")
    })
  )
})
