import { type ChunkIndex, Repository, type WritableSession, ZarritaStore, ZarrStore } from "@effect-icechunk/core"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Support from "../support/DirectoryRepository.ts"
import { services } from "../support/FsServices.ts"

const { array, refuses, withSession } = Support

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))

const arrayJson = {
  zarr_format: 3,
  node_type: "array",
  shape: [6],
  data_type: "uint8",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [2] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes" }],
  attributes: {}
}

const without = (field: keyof typeof arrayJson) =>
  Object.fromEntries(Object.entries(arrayJson).filter(([name]) => name !== field))

const refusesIndex = (
  name: string,
  at: string,
  index: ChunkIndex.ChunkIndex,
  says: ReadonlyArray<string>
): readonly [string, string, ChunkIndex.ChunkIndex, ReadonlyArray<string>] => [name, at, index, says]

describe("an index", () => {
  const cases = [
    refusesIndex("just outside of the grid", "/g/inline", [3], ["dimension 0 is 3", "3 chunk(s)"]),
    refusesIndex("outside in its last dimension", "/g/plain", [1, 1], ["dimension 1 is 1", "1 chunk(s)"]),
    refusesIndex("of too low a rank", "/g/plain", [1], ["it has 1 dimension(s), the array has 2"]),
    refusesIndex("of too high a rank", "/g/inline", [0, 0], ["it has 2 dimension(s), the array has 1"]),
    refusesIndex("without dimensions", "/g/inline", [], ["it has 0 dimension(s)"]),
    refusesIndex("with dimensions in a scalar", "/scalar", [0], ["it has 1 dimension(s), the array has 0"]),
    refusesIndex("that is negative", "/g/inline", [-1], ["dimension 0 is -1"]),
    refusesIndex("that is fractional", "/g/inline", [0.5], ["dimension 0 is 0.5"]),
    refusesIndex("that is no number", "/g/inline", [Number.NaN], ["dimension 0 is NaN"]),
    refusesIndex("that is infinite", "/g/inline", [Number.POSITIVE_INFINITY], ["dimension 0 is Infinity"]),
    refusesIndex("that is 0 modulo 2^32", "/g/inline", [2 ** 32], ["dimension 0 is 4294967296"]),
    refusesIndex("that is huge", "/g/inline", [1e300], ["dimension 0 is 1e+300"])
  ]
  for (const [name, at, index, says] of cases) {
    it.live(`${name} is refused by everything that takes one`, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          const expected = { tag: "InvalidIndex", says: [`\`${at}\``, ...says] }
          const ref = { location: `file://${place.data}/a.bin`, offset: 0, length: 1, checksum: Checksum.etag("x") }
          yield* refuses(place, session.chunk(at, index), expected, session)
          yield* refuses(place, session.chunkRef(at, index), expected, session)
          yield* refuses(place, session.setChunk(at, index, Uint8Array.of(1)), expected, session)
          yield* refuses(place, session.setChunk(at, index, new Uint8Array(5000)), expected, session)
          yield* refuses(place, session.deleteChunk(at, index), expected, session)
          yield* refuses(place, session.setVirtualRef(at, index, ref), expected, session)
        })
      )
    )
  }

  it.live("in a row of the bulk form outside of the grid is refused with its row, and no row is set", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.setVirtualRefs("/g/plain", {
          indices: Uint32Array.of(0, 0, 1, 0, 0, 1),
          offsets: [0, 0, 0],
          lengths: [1, 1, 1],
          locations: `file://${place.data}/a.bin`
        }),
        { tag: "InvalidIndex", says: ["[0, 1] in row 2", "dimension 1 is 1"] },
        session
      )
    )
  )

  it.live("in a Zarr key outside of the grid has no value, and cannot be given one", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        const store = ZarrStore.make(session)
        for (const key of [
          "g/inline/c/3",
          "g/inline/c/0/0",
          "g/inline/c",
          "scalar/c/0",
          `g/inline/c/${"9".repeat(400)}`
        ]) {
          assert.strictEqual(yield* store.get(key), undefined)
          assert.strictEqual(yield* store.get(key, { range: ByteRange.bounded(5, 9) }), undefined)
          assert.isFalse(yield* store.exists(key))
          const before = yield* session.status
          yield* store.delete(key)
          assert.deepStrictEqual(yield* session.status, before)
          yield* refuses(place, store.set(key, Uint8Array.of(1)), { tag: "InvalidIndex", says: [] }, session)
        }
        assert.strictEqual(
          yield* Effect.promise(() => ZarritaStore.fromSession(session).get("/g/inline/c/3")),
          undefined
        )
      })
    )
  )

  it.live("in a key of another chunk key encoding is refused, not read as a fill value", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        const store = ZarrStore.make(session)
        yield* session.createArray("/g/2020", array([4, 4], [2, 2]))
        for (const key of ["g/inline/c.0", "g/inline/0", "g/plain/0.0", "g/plain/0/0", "g/2020/0/1"]) {
          const expected = { tag: "InvalidKey", says: ["have keys as `c/0/1`"] }
          yield* refuses(place, store.get(key), expected, session)
          yield* refuses(place, store.exists(key), expected, session)
          yield* refuses(place, store.set(key, Uint8Array.of(1)), { tag: "InvalidKey", says: [] }, session)
        }
        for (const key of ["g/0.0", "c.0", "g/inline/.zarray"]) assert.isFalse(yield* store.exists(key))
      })
    )
  )

  it.live("of minus zero is zero", () =>
    withSession((session) =>
      Effect.gen(function* () {
        yield* session.setChunk("/g/inline", [-0], Uint8Array.of(42, 43))
        assert.deepStrictEqual(yield* session.chunk("/g/inline", [0]), Uint8Array.of(42, 43))
        assert.deepStrictEqual([...(yield* session.status).updatedChunks], [["/g/inline", 2]])
      })
    )
  )
})

describe("a path", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["/g/../h", "`..`"],
    ["..", "`..`"],
    ["/../../etc/passwd", "`..`"],
    ["/./g", "`.`"],
    ["/g//h", "empty segments"],
    ["//", "`/`"],
    ["/g/", "does not end with `/`"],
    ["/\ud800", "well-formed Unicode"]
  ]
  for (const [path, problem] of cases) {
    it.live(`that is none is refused by everything that takes one: ${JSON.stringify(path)}`, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          const expected = { tag: "InvalidPath", says: [problem, "not the path of a node"] }
          const ref = { location: `file://${place.data}/a.bin`, offset: 0, length: 1 }
          yield* refuses(place, session.node(path), expected, session)
          yield* refuses(place, session.nodes(path), expected, session)
          yield* refuses(place, session.chunk(path, [0]), expected, session)
          yield* refuses(place, session.createGroup(path), expected, session)
          yield* refuses(place, session.createArray(path, array([1], [1])), expected, session)
          yield* refuses(place, session.setMetadata(path, bytes(arrayJson)), expected, session)
          yield* refuses(place, session.deleteNode(path), expected, session)
          yield* refuses(place, session.setChunk(path, [0], Uint8Array.of(1)), expected, session)
          yield* refuses(place, session.deleteChunk(path, [0]), expected, session)
          yield* refuses(place, session.setVirtualRef(path, [0], ref), expected, session)
        })
      )
    )
  }

  it.live("with `..` in a Zarr key is refused, and leads nowhere", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        const store = ZarrStore.make(session)
        for (const key of [
          "../zarr.json",
          "g/../zarr.json",
          "g/inline/../c/0",
          "/../repo/zarr.json",
          "g//zarr.json",
          ""
        ]) {
          const expected = { tag: "InvalidKey", says: ["not a key of a Zarr store"] }
          yield* refuses(place, store.get(key), expected, session)
          yield* refuses(place, store.exists(key), expected, session)
          yield* refuses(place, store.set(key, bytes(arrayJson)), expected, session)
          yield* refuses(place, store.delete(key), expected, session)
        }
        for (const key of [
          "../repo",
          "repo",
          "config.json",
          ".zattrs",
          "g/.zarray",
          "g/inline/c/00",
          "g/inline/c/-1"
        ]) {
          assert.strictEqual(yield* store.get(key), undefined)
          yield* refuses(
            place,
            store.set(key, Uint8Array.of(1)),
            { tag: "InvalidKey", says: ["neither metadata nor a chunk"] },
            session
          )
        }
      })
    )
  )

  it.live("where there is no node is refused, with what was wanted", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        const missing = { tag: "NodeNotFound", says: ["`/none`"] }
        const group = { tag: "NodeNotFound", says: ["no array at `/g`", "it is a group"] }
        const ref = { location: `file://${place.data}/a.bin`, offset: 0, length: 1 }
        yield* refuses(place, session.node("/none"), missing, session)
        yield* refuses(place, session.deleteNode("/none"), missing, session)
        for (const [path, expected] of [
          ["/none", missing],
          ["/g", group]
        ] as const) {
          yield* refuses(place, session.chunk(path, [0]), expected, session)
          yield* refuses(place, session.setChunk(path, [0], Uint8Array.of(1)), expected, session)
          yield* refuses(place, session.deleteChunk(path, [0]), expected, session)
          yield* refuses(place, session.setVirtualRef(path, [0], ref), expected, session)
          yield* refuses(place, ZarrStore.make(session).set(`${path}/c/0`, Uint8Array.of(1)), expected, session)
        }
      })
    )
  )
})

describe("creating a node where it cannot be", () => {
  const exists = (...says: ReadonlyArray<string>) => ({ tag: "NodeAlreadyExists", says })
  const cases: ReadonlyArray<
    readonly [string, (session: WritableSession.WritableSession) => Effect.Effect<void, Failure>, Support.Expected]
  > = [
    ["a group over a group", (session) => session.createGroup("/g"), exists("a group at `/g`")],
    ["a group over an array", (session) => session.createGroup("/g/inline"), exists("an array at `/g/inline`")],
    ["an array over an array", (session) => session.createArray("/scalar", array([], [])), exists("an array at")],
    ["an array over a group", (session) => session.createArray("/g", array([1], [1])), exists("a group at `/g`")],
    ["a group over the root", (session) => session.createGroup("/"), exists("a group at `/`")],
    ["an array over the root", (session) => session.createArray("", array([1], [1])), exists("a group at `/`")],
    ["a group below an array", (session) => session.createGroup("/g/inline/x"), exists("an array at `/g/inline`")],
    [
      "an array far below an array",
      (session) => session.createArray("/g/inline/x/y/z", array([1], [1])),
      exists("an array at `/g/inline`")
    ],
    [
      "the metadata of an array over a group",
      (session) => session.setMetadata("/g", bytes(arrayJson)),
      exists("a group at `/g`")
    ],
    [
      "the metadata of a group over an array",
      (session) => session.setMetadata("/scalar", bytes({ zarr_format: 3, node_type: "group" })),
      exists("an array at `/scalar`")
    ],
    [
      "a Zarr key below an array",
      (session) => ZarrStore.make(session).set("scalar/x/zarr.json", bytes(arrayJson)),
      exists("an array at `/scalar`")
    ]
  ]
  for (const [name, create, expected] of cases) {
    it.live(`is refused: ${name}`, () =>
      withSession((session, place) => refuses(place, create(session), expected, session))
    )
  }

  it.live("is refused: an array over nodes whose group was never written", () =>
    withSession((session, place) =>
      Effect.gen(function* () {
        yield* session.createArray("/implicit/a", array([1], [1]))
        yield* refuses(
          place,
          session.createArray("/implicit", array([1], [1])),
          { tag: "NodeAlreadyExists", says: ["`/implicit/a`"] },
          session
        )
      })
    )
  )

  it.live("of many that create the same node one wins", () =>
    withSession((session) =>
      Effect.gen(function* () {
        const results = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, i) => i),
          (i) => Effect.result(i % 2 === 0 ? session.createGroup("/x") : session.createArray("/x", array([1], [1]))),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 1)
      })
    )
  )
})

interface Failure {
  readonly _tag: string
  readonly message: string
}

describe("a zarr.json that describes no node is refused, with its field", () => {
  const grid = (chunk_grid: unknown) => ({ ...arrayJson, chunk_grid })
  const rectilinear = (chunk_shapes: unknown) =>
    grid({ name: "rectilinear", configuration: { kind: "inline", chunk_shapes } })
  const regular = (chunk_shape: unknown) => grid({ name: "regular", configuration: { chunk_shape } })
  const cases: ReadonlyArray<readonly [string, unknown, string]> = [
    ["nothing", "", "(whole file)"],
    ["no JSON", "{", "(whole file)"],
    ["null", "null", "(whole file)"],
    ["a list", "[]", "(whole file)"],
    ["a number", "3", "(whole file)"],
    ["an empty object", {}, "zarr_format"],
    ["no format", without("zarr_format"), "zarr_format"],
    ["format 2", { ...arrayJson, zarr_format: 2 }, "zarr_format"],
    ["a format as text", { ...arrayJson, zarr_format: "3" }, "zarr_format"],
    ["no type of node", without("node_type"), "node_type"],
    ["an unknown type of node", { ...arrayJson, node_type: "table" }, "node_type"],
    ["no shape", without("shape"), "shape"],
    ["a shape that is a number", { ...arrayJson, shape: 6 }, "shape"],
    ["a negative length", { ...arrayJson, shape: [-1] }, "shape.0"],
    ["a fractional length", { ...arrayJson, shape: [1.5] }, "shape.0"],
    ["a length as text", { ...arrayJson, shape: ["6"] }, "shape.0"],
    ["a length that is null", { ...arrayJson, shape: [null] }, "shape.0"],
    ["a length beyond 2^53", JSON.stringify(arrayJson).replace("[6]", "[1e300]"), "shape.0"],
    ["more chunks than indices", { ...regular([1]), shape: [2 ** 33] }, "shape"],
    ["no data type", without("data_type"), "data_type"],
    ["no chunk grid", without("chunk_grid"), "chunk_grid"],
    ["an unknown chunk grid", grid({ name: "hexagonal", configuration: { chunk_shape: [2] } }), "chunk_grid.name"],
    ["a rectilinear grid without chunks", rectilinear(undefined), "chunk_grid.configuration.chunk_shapes"],
    ["a rectilinear grid of another rank", rectilinear([[6], [6]]), "chunk_grid.configuration.chunk_shapes"],
    ["a rectilinear grid with one length for all", rectilinear([2]), "chunk_grid.configuration.chunk_shapes.0"],
    ["rectilinear chunks that are too few", rectilinear([[1, 2]]), "chunk_grid.configuration.chunk_shapes.0"],
    ["rectilinear chunks of length 0", rectilinear([[0, 6]]), "chunk_grid.configuration.chunk_shapes.0.0"],
    ["a run of no chunks", rectilinear([[[6, 0]]]), "chunk_grid.configuration.chunk_shapes.0.0.1"],
    ["a run of too many chunks", rectilinear([[[1, 2 ** 33]]]), "shape"],
    ["a chunk grid without configuration", grid({ name: "regular" }), "chunk_grid.configuration"],
    ["chunks of another rank", regular([2, 2]), "chunk_grid.configuration.chunk_shape"],
    ["chunks of no rank", regular([]), "chunk_grid.configuration.chunk_shape"],
    ["chunks of length 0", regular([0]), "chunk_grid.configuration.chunk_shape.0"],
    ["chunks of negative length", regular([-2]), "chunk_grid.configuration.chunk_shape.0"],
    ["chunks of fractional length", regular([0.5]), "chunk_grid.configuration.chunk_shape.0"],
    ["no chunk key encoding", without("chunk_key_encoding"), "chunk_key_encoding"],
    ["another chunk key encoding", { ...arrayJson, chunk_key_encoding: { name: "v3" } }, "chunk_key_encoding.name"],
    [
      "another separator",
      { ...arrayJson, chunk_key_encoding: { name: "default", configuration: { separator: "-" } } },
      "chunk_key_encoding.configuration.separator"
    ],
    ["no fill value", without("fill_value"), "fill_value"],
    ["no codecs", without("codecs"), "codecs"],
    ["codecs that are no list", { ...arrayJson, codecs: { name: "bytes" } }, "codecs"],
    ["too many dimension names", { ...arrayJson, dimension_names: ["x", "y"] }, "dimension_names"],
    ["dimension names that are no text", { ...arrayJson, dimension_names: [1] }, "dimension_names.0"],
    ["attributes that are a list", { ...arrayJson, attributes: [] }, "attributes"],
    ["a key that occurs twice", JSON.stringify(arrayJson).replace("{", '{"shape":[4],'), "(whole file)"],
    ["a byte order mark", `\ufeff${JSON.stringify(arrayJson)}`, "(whole file)"],
    [
      "a number that is too large",
      JSON.stringify(arrayJson).replace('"attributes":{', '"attributes":{"a":1e999'),
      "attributes.a"
    ],
    [
      "half of a surrogate pair",
      JSON.stringify(arrayJson).replace('"attributes":{', '"attributes":{"a":"\\ud83e"'),
      "attributes.a"
    ],
    ["values nested too deep", `${"[".repeat(200)}${"]".repeat(200)}`, "(whole file)"],
    ["values nested very deep", "[".repeat(1_000_000), "(whole file)"],
    ["a mistyped data type", { ...arrayJson, data_type: "floot32" }, "data_type"],
    ["a mistyped codec", { ...arrayJson, codecs: [{ name: "byts" }] }, "codecs.0.name"],
    ["a fill value of another type", { ...arrayJson, fill_value: 256 }, "fill_value"],
    ["dimension names that are no list", { ...arrayJson, dimension_names: "x" }, "dimension_names"]
  ]
  for (const [name, json, field] of cases) {
    it.live(name, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          const value = bytes(json)
          const says = (at: string) => ({ tag: "InvalidMetadata", says: [`\`${at}\``, `\`${field}\``] })
          yield* refuses(place, session.setMetadata("/new", value), says("/new"), session)
          yield* refuses(place, session.setMetadata("/g/inline", value), says("/g/inline"), session)
          yield* refuses(place, ZarrStore.make(session).set("new/zarr.json", value), says("/new"), session)
        })
      )
    )
  }

  it.live("text that is no UTF-8", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.setMetadata("/new", Uint8Array.of(0x7b, 0xff, 0x7d)),
        { tag: "InvalidMetadata", says: ["(whole file)"] },
        session
      )
    )
  )

  for (const [name, options, field] of [
    ["a negative length", array([-1], [1]), "shape.0"],
    ["a length that is no number", array([Number.NaN], [1]), "shape.0"],
    ["an infinite length", array([Number.POSITIVE_INFINITY], [1]), "shape.0"],
    ["chunks of length 0", array([1], [0]), "chunk_grid.configuration.chunk_shape.0"],
    ["chunks of another rank", array([1, 1], [1]), "chunk_grid.configuration.chunk_shape"],
    ["names of another rank", { ...array([1], [1]), dimensionNames: [] }, "dimension_names"],
    ["a mistyped data type", { ...array([1], [1]), dataType: "floot32" }, "data_type"],
    ["a null as fill value", { ...array([1], [1]), fillValue: null }, "fill_value"],
    ["no codecs", { ...array([1], [1]), codecs: [] }, "codecs"],
    [
      "a codec with a function in it",
      { ...array([1], [1]), codecs: [{ name: () => "bytes" }] as never },
      "codecs.0.name"
    ]
  ] as const) {
    it.live(`in what an array is created of: ${name}`, () =>
      withSession((session, place) =>
        refuses(
          place,
          session.createArray("/new", options),
          { tag: "InvalidMetadata", says: ["`/new`", `\`${field}\``] },
          session
        )
      )
    )
  }

  it.live("and fill values that JSON has no number for are written as Zarr writes them", () =>
    withSession((session) =>
      Effect.gen(function* () {
        for (const [i, fillValue] of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].entries()) {
          yield* session.createArray(`/f${i}`, { ...array([1], [1]), dataType: "float32", fillValue })
          const { userData } = yield* session.node(`/f${i}`)
          assert.strictEqual(
            (JSON.parse(new TextDecoder().decode(userData)) as { readonly fill_value: unknown }).fill_value,
            String(fillValue)
          )
        }
      })
    )
  )
})

describe("a branch, tag or snapshot", () => {
  it.live("that does not exist is refused with those that do, and `main` is not taken instead", () =>
    withSession((session, place, repository) =>
      Effect.gen(function* () {
        const branch = { tag: "RefNotFound", says: ["no branch `nope`", "`main`", "`next`"] }
        const tag = { tag: "RefNotFound", says: ["no tag `nope`", "`v1`"] }
        yield* refuses(place, repository.readonlySession({ branch: "nope" }), branch, session)
        yield* refuses(place, repository.writableSession("nope"), branch, session)
        yield* refuses(place, repository.history({ branch: "nope" }), branch, session)
        yield* refuses(place, repository.deleteBranch("nope"), branch, session)
        yield* refuses(place, repository.readonlySession({ tag: "nope" }), tag, session)
        yield* refuses(place, repository.history({ tag: "nope" }), tag, session)
        yield* refuses(place, repository.deleteTag("nope"), tag, session)
        // Names are not those of an object's own fields.
        yield* refuses(place, repository.readonlySession({ branch: "constructor" }), { tag: "RefNotFound", says: [] })
      })
    )
  )

  it.live("snapshot ids that are none, or are of no snapshot of this repository, are refused", () =>
    withSession((session, place, repository) =>
      Effect.gen(function* () {
        for (const id of [
          "",
          "nope",
          "1CECHNKREP0F1RSTCMT1",
          "../repo",
          "1CECHNKREP0F1RSTCMU0",
          "1CECHNKREP0F1RSTCMT00"
        ]) {
          const expected = { tag: "RefNotFound", says: [`no snapshot \`${id}\``] }
          yield* refuses(place, repository.readonlySession({ snapshotId: id }), expected, session)
          yield* refuses(place, repository.history({ snapshotId: id }), expected, session)
          yield* refuses(place, repository.createBranch("new", id), expected, session)
          yield* refuses(place, repository.createTag("new", id), expected, session)
          yield* refuses(place, repository.resetBranch("main", id), expected, session)
        }
      })
    )
  )

  it.live("names that cannot be given are refused, with why", () =>
    withSession((session, place, repository) =>
      Effect.gen(function* () {
        const id = (yield* repository.branches).get("main")!
        const forbidden = (...says: ReadonlyArray<string>) => ({ tag: "RefForbidden", says })
        yield* refuses(place, repository.createBranch("", id), forbidden("not be empty"), session)
        yield* refuses(place, repository.createBranch("\ud800", id), forbidden("well-formed"), session)
        yield* refuses(place, repository.createBranch("main", id), forbidden("`main`", "exists already"), session)
        yield* refuses(place, repository.deleteBranch("main"), forbidden("every repository"), session)
        yield* refuses(place, repository.createTag("", id), forbidden("not be empty"), session)
        yield* refuses(place, repository.createTag("v1", id), forbidden("`v1`", "do not move"), session)
        yield* repository.createTag("v2", id)
        yield* repository.deleteTag("v2")
        yield* refuses(place, repository.createTag("v2", id), forbidden("`v2`", "not used again"), session)
        yield* refuses(
          place,
          repository.resetBranch("main", id, { from: "1CECHNKREP0F1RSTCMT0" }),
          { tag: "CommitConflict", says: ["`main`", id] },
          session
        )
      })
    )
  )
})

describe("a value that JSON would change, or that has none", () => {
  const circular: Record<string, unknown> = {}
  circular["self"] = circular
  const nested = (depth: number) => Array.from({ length: depth }).reduce<unknown>((inner) => [inner], 0)
  const shared = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner, inner], 0)
  const cases: ReadonlyArray<readonly [string, unknown, field: string, says: string]> = [
    ["a big integer", 1n, "", "bigint"],
    ["a function", () => 1, "", "function"],
    ["a symbol, nested", [{ b: Symbol("x") }], ".0.b", "symbol"],
    ["itself", circular, ".self", "contains itself"],
    ["values nested too deep", nested(5000), ".0", "nested deeper"],
    ["values that share their parts, too many to unfold", shared, "", "more than 1000000 values"],
    ["NaN", { deep: [1, Number.NaN] }, ".deep.1", "NaN"],
    ["infinity", Number.NEGATIVE_INFINITY, "", "-Infinity"],
    ["a date", { at: new Date(0) }, ".at", "toISOString"],
    ["a map", new Map([["a", 1]]), "", "a Map"],
    ["a set", new Set([1]), "", "a Set"],
    ["a typed array", Uint8Array.of(1), "", "a Uint8Array"],
    [
      "an object of a class",
      new (class Temperature {
        readonly celsius = 1
      })(),
      "",
      "a Temperature"
    ],
    ["an object with toJSON", { toJSON: () => 1 }, ".toJSON", "function"],
    ["half of a surrogate pair", { text: "\ud83e" }, ".text", "surrogate"],
    ["half of a surrogate pair in a key", { "\udc00": 1 }, "", "surrogate"],
    ["a hole in a list", Array.from({ length: 2 }).fill(1, 1), ".0", "no value"],
    [
      "a getter that throws",
      Object.defineProperty({}, "x", {
        enumerable: true,
        get: () => {
          throw new Error("not today")
        }
      }),
      "",
      "not today"
    ]
  ]
  for (const [name, value, field, says] of cases) {
    it.live(`is refused everywhere, with its place: ${name}`, () =>
      withSession((session, place) =>
        Effect.gen(function* () {
          const expected = (at: string, place: string) => ({ tag: "InvalidMetadata", says: [`\`${at}\``, place, says] })
          const isPlaced = !/^(?:not today|more than|nested deeper)/.test(says)
          const at = (root: string): string => (isPlaced ? `\`${root}${field}\`` : "")
          const bad = { v: value } as never
          yield* refuses(place, session.createGroup("/new", bad), expected("/new", at("attributes.v")), session)
          const attributes = { ...array([1], [1]), attributes: bad }
          yield* refuses(place, session.createArray("/new", attributes), expected("/new", at("attributes.v")), session)
          yield* refuses(place, session.commit("bad", { metadata: bad }), expected("commit", at("metadata.v")), session)
        })
      )
    )
  }

  it.live("but not what JSON has, whatever it is called", () =>
    withSession((session) =>
      Effect.gen(function* () {
        const attributes = JSON.parse(
          '{"__proto__":{"a":1},"constructor":"x","toString":null,"\\u0000":"\\u0000"}'
        ) as never
        yield* session.createGroup("/odd", attributes)
        const { userData } = yield* session.node("/odd")
        assert.deepStrictEqual(
          (JSON.parse(new TextDecoder().decode(userData)) as { readonly attributes: unknown }).attributes,
          attributes
        )
        yield* session.createGroup(
          "/null",
          Object.assign(Object.create(null) as object, { a: undefined, b: 1 }) as never
        )
        assert.include(new TextDecoder().decode((yield* session.node("/null")).userData), '{"b":1}')
      })
    )
  )
})

describe("a commit", () => {
  it.live("without changes is refused, and says how to make one all the same", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* refuses(
            place,
            session.commit("nothing"),
            { tag: "NothingToCommit", says: ["`main`", "allowEmpty: true"] },
            session
          )
        })
      )
    })
  )

  it.live("with metadata that the format cannot hold is refused: a key with NUL", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.commit("NUL", { metadata: { a: { "b\0c": 1 } } }),
        { tag: "InvalidMetadata", says: ["`commit`", "`metadata`", "U+0000"] },
        session
      )
    )
  )

  it.live("with metadata that is not an object is refused", () =>
    withSession((session, place) =>
      refuses(
        place,
        session.commit("list", { metadata: [1] as never }),
        { tag: "InvalidMetadata", says: ["`commit`", "`metadata`", "not an object"] },
        session
      )
    )
  )

  it.live("records metadata as it was when it was asked for", () =>
    withSession((session, _, repository) =>
      Effect.gen(function* () {
        const metadata = { list: [1, 2] }
        const committing = yield* Effect.forkChild(session.commit("owned", { metadata }), { startImmediately: true })
        metadata.list[0] = 99
        yield* Fiber.join(committing)
        const [latest] = yield* repository.history({ branch: "main" })
        assert.deepStrictEqual(latest?.metadata, { list: [1, 2] })
      })
    )
  )

  it.live("leaves out metadata that is undefined, as JSON does", () =>
    withSession((session, _, repository) =>
      Effect.gen(function* () {
        yield* session.commit("undefined", { metadata: { a: undefined, b: { c: undefined, d: 1 } } as never })
        const [latest] = yield* repository.history({ branch: "main" })
        assert.deepStrictEqual(latest?.metadata, { b: { d: 1 } })
      })
    )
  )

  it.live("to a branch that has moved is refused, and nothing of it is written", () =>
    withSession((session, place, repository) =>
      Effect.gen(function* () {
        const other = yield* repository.writableSession("main")
        yield* other.createGroup("/other")
        const tip = yield* other.commit("other")
        yield* refuses(place, session.commit("late"), { tag: "CommitConflict", says: ["`main`", tip] }, session)
      })
    )
  )

  it.live("to a branch that is gone is refused, and nothing of it is written", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("next")
          yield* session.createGroup("/late")
          yield* repository.deleteBranch("next")
          yield* refuses(place, session.commit("late"), { tag: "RefNotFound", says: ["`next`", "`main`"] }, session)
        })
      )
    })
  )
})

describe("writing without the right to", () => {
  it.live("a read-only session refuses every change through Zarr keys, and has no other way to make one", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.readonlySession({ branch: "main" })
          const store = ZarrStore.make(session)
          const expected = { tag: "WriteForbidden", says: ["`session`", "read-only", "writableSession"] }
          assert.isFalse(store.writable)
          assert.notProperty(session, "commit")
          assert.notProperty(ZarritaStore.fromSession(session), "set")
          for (const key of ["g/inline/c/0", "new/zarr.json", "g/inline/c/99", "nonsense"]) {
            yield* refuses(place, store.set(key, bytes(arrayJson)), expected)
            yield* refuses(place, store.delete(key), expected)
          }
        })
      )
    })
  )

  it.live("a store that is read-only refuses what would write, with the store and the reason, and reads on", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const readOnly = Layer.provide(
        FsObjectStore.layer({ directory: place.repository, readOnlyBecause: "it is on loan" }),
        Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
      )
      const expected = { tag: "WriteForbidden", says: [place.repository, "it is on loan"] }
      yield* Effect.gen(function* () {
        const repository = yield* Repository.open(Support.options(place))
        const id = (yield* repository.branches).get("main")!
        yield* refuses(place, repository.writableSession("main"), expected)
        yield* refuses(place, repository.createBranch("x", id), expected)
        yield* refuses(place, repository.deleteBranch("next"), expected)
        yield* refuses(place, repository.resetBranch("next", id), expected)
        yield* refuses(place, repository.createTag("x", id), expected)
        yield* refuses(place, repository.deleteTag("v1"), expected)
        yield* refuses(
          place,
          repository.config.update((config) => config),
          expected
        )
        yield* refuses(place, repository.config.publish, expected)
        yield* refuses(place, Repository.create(), expected)
        const session = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* session.chunk("/g/inline", [1]), Support.pattern(2, 1))
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(readOnly, services(place.repository))))
    })
  )
})
