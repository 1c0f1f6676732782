import * as fs from "node:fs"
import * as path from "node:path"
import {
  type ByteRange,
  ByteRange as Range,
  Checksum,
  type WritableSession,
  ZarritaStore,
  ZarrStore
} from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Support from "../support/DirectoryRepository.ts"

const { refuses, withSession } = Support

/** The bulk form with one row. */
const bulk = (
  location: string,
  offset: number,
  length: number,
  checksums?: Checksum.Checksum
): Parameters<WritableSession.WritableSession["setVirtualRefs"]>[1] => ({
  indices: Uint32Array.of(0),
  offsets: [offset],
  lengths: [length],
  locations: location,
  checksums
})

const array = "/g/virtual"

/** Both ways to set a ref must refuse it. */
const refusesRef = (
  session: WritableSession.WritableSession,
  place: Support.Place,
  ref: {
    readonly location: string
    readonly offset: number
    readonly length: number
    readonly checksum?: Checksum.Checksum
  },
  expected: Support.Expected,
  options?: Parameters<WritableSession.WritableSession["setVirtualRef"]>[3]
) =>
  Effect.gen(function* () {
    yield* refuses(place, session.setVirtualRef(array, [0], ref, options), expected, session)
    yield* refuses(
      place,
      session.setVirtualRefs(array, bulk(ref.location, ref.offset, ref.length, ref.checksum), options),
      expected,
      session
    )
    const kept = yield* session.chunkRef(array, [0])
    assert.strictEqual(kept?._tag === "Virtual" ? kept.ref.offset : undefined, 0)
  })

describe("a malformed location is refused when its ref is set, with what is wrong about it", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["", "no `protocol://`"],
    ["/tmp/a.bin", "no `protocol://`"],
    ["s3:/bucket/key", "no `protocol://`"],
    ["://bucket/key", "protocol is empty"],
    ["a/b://bucket/key", "protocol contains `/`"],
    ["s3://", "names no bucket"],
    ["vcc://", "names no container"],
    ["vcc:///a.bin", "names no container"],
    ["vcc://model", "no object in it"],
    ["vcc://model/", "no object in it"],
    ["vcc://model/../../etc/passwd", "leads out of its container `model`"],
    ["vcc://model/%2e%2e/%2e%2e/etc/passwd", "leads out of its container `model`"],
    ["vcc://model/a%00b", "NUL"],
    ["file://host/a.bin", "absolute path and no host"],
    ["s3://bucket", "no object in it"],
    ["file://a.bin", "absolute path and no host"],
    ["file:///", "names a directory"],
    ["file:///data/%zz", "percent-encoded"],
    ["file:///data/a%00.bin", "NUL"],
    ["file:///../a.bin", "above the root"],
    ["s3://bucket/\ud800", "well-formed Unicode"],
    [`s3://bucket/${"k".repeat(1024)}`, "longer than 1024 bytes"],
    [`s3://bucket/${"é".repeat(507)}`, "longer than 1024 bytes"]
  ]
  for (const [location, problem] of cases) {
    it.live(JSON.stringify(location.slice(0, 50)), () =>
      withSession((session, place) =>
        refusesRef(session, place, { location, offset: 0, length: 1 }, { tag: "InvalidLocation", says: [problem] })
      )
    )
  }

  it.live("one of many malformed locations refuses them all", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.setVirtualRefs(array, {
          indices: Uint32Array.of(0, 1),
          offsets: [0, 0],
          lengths: [1, 1],
          locations: { values: [`file://${place.data}/a.bin`, "nonsense"], ids: Uint32Array.of(0, 1) }
        }),
        { tag: "InvalidLocation", says: ["`nonsense`"] },
        session
      )
    )
  )
})

describe("a location that no container matches", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["nope://bucket/key", ["`nope://bucket/key`", "`protocol` `nope`", "`model`"]],
    ["models://x/y", ["`protocol` `models`"]],
    ["http://169.254.169.254/latest/meta-data", ["`protocol` `http`"]],
    ["vcc://nobody/key", ["the name `nobody`", "`model`"]],
    ["model:///etc/passwd", ["`bucket_prefix`", "`/etc/passwd`"]]
  ]
  for (const [location, says] of cases) {
    it.live(`is refused when its ref is set: ${location}`, () =>
      withSession((session, place) =>
        refusesRef(session, place, { location, offset: 0, length: 1 }, { tag: "MissingContainer", says })
      )
    )
  }

  it.live("is refused when it is to be asked for its checksum, also without validation", () =>
    withSession((session, place) =>
      refusesRef(
        session,
        place,
        { location: "nope://bucket/key", offset: 0, length: 1 },
        { tag: "MissingContainer", says: ["`nope`"] },
        { validateContainers: false, capture: true }
      )
    )
  )

  it.live("that was set without validation fails when it is read, and is never filled", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        yield* session.setVirtualRef(
          array,
          [0],
          { location: "nope://bucket/key", offset: 0, length: 1 },
          { validateContainers: false }
        )
        const expected = { tag: "MissingContainer", says: ["`nope://bucket/key`", "`protocol` `nope`"] }
        yield* refuses(place, session.chunk(array, [0]), expected, session)
        yield* refuses(place, ZarrStore.make(session).get("g/virtual/c/0"), expected, session)
      })
    )
  )

  it.live("whose prefix only begins with a container's name on half a segment is none of it", () =>
    withSession((session, place) =>
      refusesRef(
        session,
        place,
        { location: `model://${place.data}-private/a.bin`, offset: 0, length: 1 },
        { tag: "MissingContainer", says: ["`bucket_prefix`"] }
      )
    )
  )
})

describe("offset and length of a ref are refused", () => {
  const cases: ReadonlyArray<readonly [string, number, number, string]> = [
    ["a negative offset", -1, 10, "its offset is -1"],
    ["a fractional offset", 0.5, 10, "its offset is 0.5"],
    ["an offset that is no number", Number.NaN, 10, "its offset is NaN"],
    ["an infinite offset", Number.POSITIVE_INFINITY, 10, "its offset is Infinity"],
    ["an offset beyond 2^53", 2 ** 53, 10, "its offset is 9007199254740992"],
    ["a length of zero", 0, 0, "delete the ref instead"],
    ["a negative length", 0, -1, "its length is -1"],
    ["a fractional length", 0, 1.5, "its length is 1.5"],
    ["a length that is no number", 0, Number.NaN, "its length is NaN"],
    ["an end beyond 2^53", Number.MAX_SAFE_INTEGER, 1, "beyond 2^53 - 1"]
  ]
  for (const [name, offset, length, problem] of cases) {
    it.live(name, () =>
      withSession((session, place) =>
        refusesRef(
          session,
          place,
          { location: `file://${place.data}/a.bin`, offset, length },
          { tag: "InvalidVirtualRef", says: ["`/g/virtual`", problem] }
        )
      )
    )
  }

  it.live("in one row of many, which it names, and none is set", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.setVirtualRefs(array, {
          indices: Uint32Array.of(0, 1, 2),
          offsets: [0, 1, 2],
          lengths: [1, 1, 0],
          locations: `file://${place.data}/a.bin`
        }),
        { tag: "InvalidVirtualRef", says: ["row 2", "its length is 0"] },
        session
      )
    )
  )
})

describe("columns that do not fit together are refused", () => {
  type Refs = Parameters<WritableSession.WritableSession["setVirtualRefs"]>[1]
  const cases: ReadonlyArray<readonly [string, Partial<Refs>, string]> = [
    ["fewer lengths than offsets", { lengths: [1] }, "`lengths`"],
    ["too few indices", { indices: Uint32Array.of(0) }, "`indices`"],
    ["indices of another rank", { indices: Uint32Array.of(0, 0, 1, 0) }, "rank 1 need 2"],
    ["fewer ids than rows", { locations: { values: ["file:///a"], ids: Uint32Array.of(0) } }, "`locations.ids`"],
    ["a number of no location", { locations: { values: ["file:///a"], ids: Uint32Array.of(0, 1) } }, "row 1"],
    ["more checksums than locations", { checksums: [Checksum.etag("a"), Checksum.etag("b")] }, "`checksums`"]
  ]
  for (const [name, part, says] of cases) {
    it.live(name, () =>
      withSession((session, place) =>
        refuses(
          place,
          session.setVirtualRefs(array, {
            indices: Uint32Array.of(0, 1),
            offsets: [0, 0],
            lengths: [1, 1],
            locations: `file://${place.data}/a.bin`,
            ...part
          }),
          { tag: "InvalidVirtualRef", says: [says] },
          session
        )
      )
    )
  }
})

describe("a checksum that Icechunk cannot store is refused, never dropped", () => {
  const cases: ReadonlyArray<readonly [string, Checksum.Checksum, string]> = [
    ["an empty ETag", Checksum.etag(""), "ETag is empty"],
    ["a time that is no number", Checksum.lastModified(Number.NaN), "NaN"],
    ["no seconds", { _tag: "LastModified", seconds: 0 }, "0"],
    ["negative seconds", { _tag: "LastModified", seconds: -5 }, "-5"],
    ["fractional seconds", { _tag: "LastModified", seconds: 1.5 }, "1.5"],
    ["seconds beyond 32 bits", { _tag: "LastModified", seconds: 2 ** 32 }, "4294967296"]
  ]
  for (const [name, checksum, says] of cases) {
    it.live(name, () =>
      withSession((session, place) =>
        refusesRef(
          session,
          place,
          { location: `file://${place.data}/a.bin`, offset: 0, length: 1, checksum },
          { tag: "InvalidVirtualRef", says: ["checksum", says] }
        )
      )
    )
  }

  it.live("and nothing to capture of a file that does not exist is an error of its own", () =>
    withSession((session, place) =>
      refusesRef(
        session,
        place,
        { location: `file://${place.data}/none.bin`, offset: 0, length: 1 },
        { tag: "VirtualObjectNotFound", says: ["none.bin", "`file`"] },
        { capture: true }
      )
    )
  )
})

describe("a ref that reaches past the end of its file", () => {
  const cases: ReadonlyArray<readonly [string, number, number]> = [
    ["by one byte", 390, 11],
    ["begins at the end", 400, 1],
    ["begins far beyond the end", 2 ** 52, 1],
    ["asks for a terabyte", 0, 2 ** 40],
    ["asks for all that can be asked for", 0, Number.MAX_SAFE_INTEGER]
  ]
  for (const [name, offset, length] of cases) {
    it.live(`fails when it is read, without a shorter answer: ${name}`, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          yield* session.setVirtualRef(array, [0], { location: `file://${place.data}/a.bin`, offset, length })
          const expected = { tag: "ObjectStoreError", reason: "InvalidRange", says: ["a.bin", "400 bytes"] }
          yield* refuses(place, session.chunk(array, [0]), expected, session)
          yield* refuses(place, ZarrStore.make(session).get("g/virtual/c/0"), expected, session)
        })
      )
    )
  }

  it.live("fails alone: chunks that are read together with it are read", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        const location = `model://${place.data}/a.bin`
        yield* session.setVirtualRef(array, [1], { location, offset: 390, length: 20 })
        const exits = yield* Effect.forEach([0, 1, 2, 3], (i) => Effect.exit(session.chunk(array, [i])), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, true])
        const [first] = exits
        assert.deepStrictEqual(
          first !== undefined && Exit.isSuccess(first) ? first.value : undefined,
          Support.pattern(400, 3).subarray(0, 100)
        )
      })
    )
  )

  it.live("fails also where the file has shrunk since, whatever the checks", () =>
    Effect.gen(function* () {
      const place = yield* Support.fresh
      fs.truncateSync(path.join(place.data, Support.dataFile), 150)
      for (const checks of ["fail", "warn", "off"] as const) {
        yield* Support.inRepository(place, { ...Support.options(place), checks })((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            assert.strictEqual((yield* session.chunk(array, [0]))?.length, 100)
            yield* refuses(place, session.chunk(array, [1]), {
              tag: "ObjectStoreError",
              reason: "InvalidRange",
              says: ["150 bytes"]
            })
          })
        )
      }
    })
  )
})

describe("a virtual object that is no file any more", () => {
  const cases: ReadonlyArray<readonly [string, (file: string) => void, Support.Expected]> = [
    ["is gone", () => {}, { tag: "VirtualObjectNotFound", says: ["a.bin", "`model`", "Restore the object"] }],
    [
      "is a directory",
      (file) => fs.mkdirSync(file),
      { tag: "ObjectStoreError", reason: "Unsupported", says: ["a.bin", "Directory"] }
    ],
    [
      "is a link to nowhere",
      (file) => fs.symlinkSync("nowhere", file),
      { tag: "VirtualObjectNotFound", says: ["a.bin"] }
    ]
  ]
  for (const [name, replace, expected] of cases) {
    it.live(`fails when it is read: it ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.fresh
        const file = path.join(place.data, Support.dataFile)
        fs.rmSync(file)
        replace(file)
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            yield* refuses(place, session.chunk(array, [0]), expected)
            yield* refuses(place, ZarrStore.make(session).get("g/virtual/c/1"), expected)
          })
        )
      })
    )
  }
})

describe("a range of a chunk", () => {
  const chunks: ReadonlyArray<readonly [string, number]> = [
    ["g/inline/c/0", 2],
    ["g/native/c/1", 1000],
    ["g/virtual/c/2", 100],
    ["g/plain/c/1/0", 100]
  ]
  const ranges = (size: number): ReadonlyArray<ByteRange.ByteRange> => [
    Range.bounded(size - 1, 2),
    Range.bounded(size + 1, 1),
    Range.bounded(0, size + 1),
    Range.bounded(-1, 1),
    Range.bounded(0, -1),
    Range.bounded(0.5, 1),
    Range.bounded(Number.NaN, 1),
    Range.bounded(0, Number.POSITIVE_INFINITY),
    Range.bounded(Number.MAX_SAFE_INTEGER, 1),
    Range.from(size + 1),
    Range.from(-1),
    Range.suffix(-1),
    Range.suffix(1.5)
  ]
  for (const [key, size] of chunks) {
    it.live(`past its end, or none at all, is refused: ${key}`, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          const store = ZarrStore.make(session)
          for (const range of ranges(size)) {
            yield* refuses(
              place,
              store.get(key, { range }),
              { tag: "ObjectStoreError", reason: "InvalidRange", says: [`${size} bytes`] },
              session
            )
          }
          const rejected = yield* Effect.flip(
            Effect.tryPromise({
              try: () => ZarritaStore.fromSession(session).getRange(`/${key}`, { offset: size, length: 1 }),
              catch: (error) => error as { readonly _tag: string; readonly message: string }
            })
          )
          assert.strictEqual(rejected._tag, "ObjectStoreError")
          // A suffix that is longer than the chunk is the chunk, and an empty range is no bytes.
          assert.strictEqual((yield* store.get(key, { range: Range.suffix(size + 10) }))?.length, size)
          assert.strictEqual((yield* store.get(key, { range: Range.bounded(size, 0) }))?.length, 0)
          assert.strictEqual((yield* store.get(key, { range: Range.from(size) }))?.length, 0)
          assert.strictEqual((yield* store.get(key, { range: Range.suffix(0) }))?.length, 0)
        })
      )
    )
  }

  it.live("of metadata past its end is refused", () =>
    withSession((session, place) =>
      refuses(
        place,
        ZarrStore.make(session).get("zarr.json", { range: Range.bounded(0, 100_000) }),
        { tag: "ObjectStoreError", reason: "InvalidRange", says: ["zarr.json"] },
        session
      )
    )
  )

  it.live("of a chunk that was never written is no error: there is nothing", () =>
    withSession((session) =>
      Effect.gen(function* () {
        const store = ZarrStore.make(session)
        assert.strictEqual(yield* store.get("g/plain/c/0/0", { range: Range.bounded(0, 1000) }), undefined)
      })
    )
  )
})
