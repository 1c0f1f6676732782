/**
 * What a session does to nodes as a whole.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as Checksum from "../../src/values/Checksum.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type * as Session from "../../src/repository/Session.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, pattern, text, worldInMemory } from "./Fixture.ts"
import { array } from "./Sessions.ts"

const inNew = <A, E>(
  f: (repository: Repository.RepositoryShape, session: WritableSession) => Effect.Effect<A, E>
): Effect.Effect<A, unknown> =>
  Effect.scoped(
    Effect.flatMap(worldInMemory, (world) =>
      inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          return yield* f(repository, yield* repository.writableSession("main"))
        })
      )
    )
  )

/** All that a reader sees: `zarr.json` by path, and chunks by path and index. */
const contents = Effect.fnUntraced(function* (session: Session.Session) {
  const seen: Record<string, string> = {}
  for (const { data, path, userData } of yield* session.nodes()) {
    seen[path] = new TextDecoder().decode(userData)
    if (data._tag === "Group") continue
    for (const index of yield* Stream.runCollect(session.chunkIndices(path))) {
      seen[`${path} ${index.join()}`] = new TextDecoder().decode(yield* session.chunk(path, index))
    }
  }
  return seen
})

/** The tag of the error that an effect fails with. */
const failure = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("moving a node", () => {
  it.effect("takes all that is below it along, with what was done to it, before and after a commit", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.createGroup("/g", { is: "g" })
        yield* session.createArray("/g/a", array([4]))
        yield* session.setChunk("/g/a", [0], text("0"))
        yield* session.createGroup("/other")
        yield* session.commit("first")
        yield* session.setChunk("/g/a", [1], text("1"))
        yield* session.setAttributes("/g/a", { by: "us" })
        yield* session.move("/g", "/other/h")
        yield* session.setChunk("/other/h/a", [2], text("2"))
        const expected = yield* contents(session)
        assert.sameMembers(Object.keys(expected), [
          "/other",
          "/other/h",
          "/other/h/a",
          "/other/h/a 0",
          "/other/h/a 1",
          "/other/h/a 2"
        ])
        assert.deepStrictEqual((yield* session.status).movedNodes, [
          { from: "/g", to: "/other/h" },
          { from: "/g/a", to: "/other/h/a" }
        ] as never)
        yield* session.commit("moved")
        assert.deepStrictEqual(yield* contents(session), expected)
        assert.deepStrictEqual(yield* contents(yield* repository.readonlySession({ branch: "main" })), expected)
        assert.deepStrictEqual(yield* session.attributes("/other/h/a"), { by: "us" })
      })
    )
  )

  it.effect("back is no change", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.createGroup("/g")
        yield* session.createArray("/g/a", array([4]))
        yield* session.commit("first")
        yield* session.move("/g/a", "/b")
        yield* session.move("/b", "/g/a")
        assert.strictEqual(yield* failure(session.commit("nothing")), "NothingToCommit")
      })
    )
  )

  it.effect("is refused where it cannot be", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.createGroup("/")
        yield* session.createGroup("/g")
        yield* session.createArray("/g/a", array([4]))
        yield* session.createGroup("/implicit/below")
        const before = yield* contents(session)
        assert.strictEqual(yield* failure(session.move("/", "/g/root")), "InvalidMove")
        assert.strictEqual(yield* failure(session.move("/g", "/g")), "InvalidMove")
        assert.strictEqual(yield* failure(session.move("/g", "/g/h")), "InvalidMove")
        assert.strictEqual(yield* failure(session.move("/g", "/")), "InvalidMove")
        assert.strictEqual(yield* failure(session.move("/missing", "/x")), "NodeNotFound")
        assert.strictEqual(yield* failure(session.move("/implicit/below", "/g")), "NodeAlreadyExists")
        assert.strictEqual(yield* failure(session.move("/g", "/implicit")), "NodeAlreadyExists")
        assert.strictEqual(yield* failure(session.move("/implicit/below", "/g/a/x")), "NodeNotFound")
        assert.strictEqual(yield* failure(session.move("/g", "/missing/g")), "NodeNotFound")
        assert.strictEqual(yield* failure(session.move("/g", "/a//b")), "InvalidPath")
        assert.deepStrictEqual(yield* contents(session), before)
      })
    )
  )

  const names = ["/a", "/b", "/a/c", "/b/c", "/a/c/d", "/e"] as const
  const step = fc.oneof(
    fc.record({ _tag: fc.constant("move" as const), path: fc.constantFrom(...names), to: fc.constantFrom(...names) }),
    fc.record({
      _tag: fc.constantFrom("group" as const, "array" as const, "delete" as const, "chunk" as const, "commit" as const),
      path: fc.constantFrom(...names),
      to: fc.constantFrom(...names)
    })
  )

  it("any number of times is as if the nodes had been created there", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 24 }), async (steps) => {
        await Effect.runPromise(
          inNew((repository, session) =>
            Effect.gen(function* () {
              /** For each node its name, and, for an array, its chunk. */
              let model = new Map<string, { readonly is: number; readonly chunk?: string }>()
              const isBelow = (path: string, above: string) => path.startsWith(`${above}/`)
              for (const [i, { _tag, path, to }] of steps.entries()) {
                const done: boolean = yield* Effect.isSuccess(
                  Effect.suspend((): Effect.Effect<unknown, unknown> => {
                    switch (_tag) {
                      case "move":
                        return session.move(path, to)
                      case "group":
                        return session.createGroup(path, { is: i })
                      case "array":
                        return session.createArray(path, array([2], { is: i }))
                      case "delete":
                        return session.deleteNode(path)
                      case "chunk":
                        return session.setChunk(path, [1], text(`${i}`))
                      case "commit":
                        return session.commit("step", { allowEmpty: true })
                    }
                  })
                )
                if (!done) continue
                if (_tag === "group" || _tag === "array") {
                  model.set(path, _tag === "group" ? { is: i } : { is: i, chunk: "" })
                }
                if (_tag === "chunk") model.set(path, { ...model.get(path)!, chunk: `${i}` })
                if (_tag === "delete") {
                  model = new Map([...model].filter(([other]) => other !== path && !isBelow(other, path)))
                }
                if (_tag === "move") {
                  model = new Map(
                    [...model].map(([other, node]) =>
                      other === path || isBelow(other, path) ? [to + other.slice(path.length), node] : [other, node]
                    )
                  )
                }
              }
              const check = Effect.fnUntraced(function* (seen: Session.Session) {
                const found: Record<string, unknown> = {}
                for (const { data, path } of yield* seen.nodes()) {
                  const { is } = yield* seen.attributes(path)
                  const chunk = data._tag === "Array" ? yield* seen.chunk(path, [1]) : undefined
                  found[path] =
                    data._tag === "Array" ? { is, chunk: new TextDecoder().decode(chunk ?? text("")) } : { is }
                }
                assert.deepStrictEqual(found, Object.fromEntries(model))
              })
              yield* check(session)
              yield* session.commit("last", { allowEmpty: true })
              yield* check(yield* repository.readonlySession({ branch: "main" }))
            })
          )
        )
      }),
      { numRuns: 60 }
    ))
})

describe("attributes and shape", () => {
  const odd = `{ "zarr_format":3, "node_type" : "array","shape":[ 4 ],"data_type":"int64",
    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[1]}},"attributes": {"shape": [1], "x\\"}": 1.0},
    "fill_value":9007199254740993,"codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
    "chunk_key_encoding":{"name":"default"},"storage_transformers":[]}`

  it.effect("are changed, and all else of the file is as it was written", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.setMetadata("/a", text(odd))
        yield* session.setAttributes("/a", (now) => ({ ...now, by: "us" }))
        const raw = Effect.map(session.node("/a"), ({ userData }) => new TextDecoder().decode(userData))
        assert.strictEqual(yield* raw, odd.replace('{"shape": [1], "x\\"}": 1.0}', '{"shape":[1],"x\\"}":1,"by":"us"}'))
        yield* session.resize("/a", [7])
        assert.include(yield* raw, '"shape":[7],"data_type"')
        assert.include(yield* raw, "9007199254740993")
        yield* session.setMetadata("/g", text('{"zarr_format":3,"node_type":"group"}'))
        assert.deepStrictEqual(yield* session.attributes("/g"), {})
        yield* session.setAttributes("/g", { title: "é" })
        assert.deepStrictEqual(yield* session.attributes("/g"), { title: "é" })
        assert.strictEqual(yield* failure(session.setAttributes("/g", { bad: Number.NaN })), "InvalidMetadata")
        assert.strictEqual(yield* failure(session.setAttributes("/none", {})), "NodeNotFound")
      })
    )
  )

  it.effect("chunks that a smaller shape cuts off do not come back", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.createArray("/a", array([3, 3]))
        for (const index of [
          [0, 0],
          [0, 2],
          [2, 0]
        ])
          yield* session.setChunk("/a", index, text(index.join()))
        yield* session.commit("first")
        yield* session.setChunk("/a", [1, 2], text("1,2"))
        yield* session.resize("/a", [3, 2])
        yield* session.resize("/a", [4, 4])
        const indices = Effect.map(Stream.runCollect(session.chunkIndices("/a")), (all) =>
          all.map((index) => index.join()).toSorted()
        )
        assert.deepStrictEqual(yield* indices, ["0,0", "2,0"])
        yield* session.commit("resized")
        assert.deepStrictEqual(yield* indices, ["0,0", "2,0"])
        yield* session.resize("/a", [1, 1])
        yield* session.commit("smaller")
        yield* session.resize("/a", [4, 4])
        yield* session.commit("larger")
        const reader = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* Stream.runCollect(reader.chunkIndices("/a")), [[0, 0]])
        assert.strictEqual(yield* failure(session.resize("/a", [4])), "InvalidMetadata")
        assert.strictEqual(yield* failure(session.resize("/a", [-1, 4])), "InvalidMetadata")
      })
    )
  )

  it.effect.each([
    ["resize", (session: WritableSession) => session.resize("/a", [2]), [[0]]],
    ["resize to a larger one", (session: WritableSession) => session.resize("/a", [4]), [[0]]],
    ["shift", (session: WritableSession) => session.shift("/a", [1]), [[1]]]
  ] as const)("chunks that metadata had hidden do not come back after %s", ([, edit, left]) =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.createArray("/a", array([5]))
        const { userData } = yield* session.node("/a")
        yield* session.setChunk("/a", [0], text("0"))
        yield* session.setChunk("/a", [4], text("4"))
        yield* session.commit("first")
        yield* session.setMetadata("/a", text(new TextDecoder().decode(userData).replace("[5]", "[3]")))
        yield* edit(session)
        yield* session.setMetadata("/a", userData)
        const indices = Stream.runCollect(session.chunkIndices("/a"))
        assert.deepStrictEqual<unknown>(yield* indices, left)
        yield* session.commit("second")
        assert.deepStrictEqual<unknown>(yield* indices, left)
      })
    )
  )

  it.effect("a session says whether it writes, what is empty, and can be cleared", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        assert.strictEqual(session.mode, "writable")
        assert.strictEqual((yield* repository.readonlySession({ branch: "main" })).mode, "readonly")
        assert.isTrue(yield* session.isEmpty())
        yield* session.createGroup("/g/h")
        assert.isFalse(yield* session.isEmpty())
        assert.isFalse(yield* session.isEmpty("/g"))
        assert.isTrue(yield* session.isEmpty("/x"))
        yield* session.commit("first")
        yield* session.createArray("/g/a", array([1]))
        yield* session.clear
        assert.isTrue(yield* session.isEmpty())
        yield* session.commit("cleared")
        assert.deepStrictEqual(yield* (yield* repository.readonlySession({ branch: "main" })).nodes(), [])
      })
    )
  )
})

describe("shift and reindex", () => {
  const shape = [3, 4] as const
  const indices = fc.uniqueArray(fc.tuple(fc.nat(shape[0] - 1), fc.nat(shape[1] - 1)), {
    maxLength: 10,
    selector: (index) => index.join()
  })
  const seen = Effect.fnUntraced(function* (session: Session.Session) {
    const chunks: Record<string, string> = {}
    for (const index of yield* Stream.runCollect(session.chunkIndices("/a"))) {
      chunks[index.join()] = new TextDecoder().decode(yield* session.chunk("/a", index))
    }
    return chunks
  })

  /** Chunks that are committed, some of them written again, some deleted, and some new; the result is what is there. */
  const filled = Effect.fnUntraced(function* (
    session: WritableSession,
    committed: ReadonlyArray<readonly [number, number]>,
    changed: ReadonlyArray<readonly [number, number]>
  ) {
    yield* session.createArray("/a", array(shape))
    for (const [i, index] of committed.entries()) {
      // Some in the manifest, some as objects.
      yield* session.setChunk("/a", index, text(`committed ${index.join()}`.padEnd(i % 2 === 0 ? 20 : 600)))
    }
    yield* session.commit("first")
    for (const [i, index] of changed.entries()) {
      if (i % 3 === 0) yield* session.deleteChunk("/a", index)
      else yield* session.setChunk("/a", index, text(`changed ${index.join()}`))
    }
    return yield* seen(session)
  })

  it("is what a model does, of committed and of changed chunks", () =>
    fc.assert(
      fc.asyncProperty(
        indices,
        indices,
        fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -4, max: 4 })),
        fc.boolean(),
        async (committed, changed, offsets, byFunction) => {
          await Effect.runPromise(
            inNew((repository, session) =>
              Effect.gen(function* () {
                const before = yield* filled(session, committed, changed)
                // A function that turns the grid round, and drops a row.
                const f = (index: ReadonlyArray<number>) =>
                  index[0] === 1 ? undefined : [shape[0] - 1 - index[0]!, shape[1] - 1 - index[1]!]
                const expected: Record<string, string> = {}
                for (const [key, value] of Object.entries(before)) {
                  const index = key.split(",").map(Number)
                  const to = byFunction ? f(index) : index.map((at, axis) => at + offsets[axis]!)
                  if (to?.every((at, axis) => at >= 0 && at < shape[axis]!) === true) expected[to.join()] = value
                }
                yield* byFunction ? session.reindex("/a", f) : session.shift("/a", offsets)
                assert.deepStrictEqual(yield* seen(session), expected)
                yield* session.commit("moved", { allowEmpty: true })
                assert.deepStrictEqual(yield* seen(yield* repository.readonlySession({ branch: "main" })), expected)
              })
            )
          )
        }
      ),
      { numRuns: 60 }
    ))

  it.effect("is refused where it cannot be, and changes nothing then", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        const before = yield* filled(
          session,
          [
            [0, 0],
            [1, 1]
          ],
          []
        )
        yield* session.createArray("/odd", { ...array([4]), chunkShape: [[1, 3]] })
        const error = yield* Effect.flip(session.shift("/odd", [1]))
        assert.strictEqual(error._tag, "UnsupportedChunkGrid")
        assert.include(error.message, "rectilinear")
        assert.strictEqual(yield* failure(session.reindex("/odd", (index) => index)), "UnsupportedChunkGrid")
        assert.strictEqual(yield* failure(session.shift("/a", [1])), "InvalidIndex")
        assert.strictEqual(yield* failure(session.shift("/a", [1, 0.5])), "InvalidIndex")
        assert.strictEqual(yield* failure(session.shift("/none", [1])), "NodeNotFound")
        assert.strictEqual(yield* failure(session.reindex("/a", () => [9, 9])), "InvalidReindex")
        const collision = yield* Effect.flip(session.reindex("/a", () => [2, 2]))
        assert.strictEqual(collision._tag, "InvalidReindex")
        assert.include(collision.message, "becomes that, too")
        assert.deepStrictEqual(yield* seen(session), before)
        assert.strictEqual((yield* session.status).updatedChunks.size, 0)
      })
    )
  )

  it.effect("moves refs of every kind as they are, and writes no chunk", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.createArray("/a", array([6]))
        yield* session.setChunk("/a", [0], pattern(4))
        yield* session.setChunk("/a", [1], pattern(700))
        const refs = [
          { location: "s3://bucket/one", offset: 3, length: 4 },
          { location: "s3://bucket/one", offset: 7, length: 2, checksum: Checksum.etag('"x"') },
          { location: "s3://bucket/two", offset: 0, length: 9, checksum: Checksum.lastModified(1_700_000_000_000) }
        ]
        for (const [i, ref] of refs.entries()) yield* session.setVirtualRef("/a", [2 + i], ref)
        yield* session.commit("first")
        const refsOf = (one: Session.Session, from: number) =>
          Effect.forEach([0, 1, 2, 3, 4], (i) => one.chunkRef("/a", [from + i]))
        const before = yield* refsOf(session, 0)
        yield* session.shift("/a", [1])
        yield* session.commit("shifted")
        const reader = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* refsOf(reader, 1), before)
        assert.isUndefined(yield* reader.chunkRef("/a", [0]))
        yield* session.shift("/a", [0])
        assert.strictEqual(yield* failure(session.commit("nothing")), "NothingToCommit")
      })
    )
  )
})

describe("copying from another version", () => {
  it.effect("brings back what was deleted, by its refs", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        yield* session.createGroup("/g", { is: "g" })
        yield* session.createArray("/g/a", array([3]))
        yield* session.setChunk("/g/a", [0], pattern(700))
        yield* session.setChunk("/g/a", [2], text("2"))
        const first = yield* session.commit("first")
        const before = yield* contents(session)
        const ref = yield* session.chunkRef("/g/a", [0])
        yield* session.deleteNode("/g")
        yield* session.commit("deleted")
        const old = yield* repository.readonlySession({ snapshotId: first })
        yield* session.copyFrom(old, "/g")
        yield* session.copyFrom(old, "/g/a", { to: "/copy" })
        yield* session.copyFrom(session, "/g", { to: "/g/again" })
        yield* session.commit("back")
        const after = yield* contents(yield* repository.readonlySession({ branch: "main" }))
        for (const [key, value] of Object.entries(before)) {
          assert.strictEqual(after[key], value)
          assert.strictEqual(after[key.replace("/g", "/g/again")], value)
        }
        assert.strictEqual(after["/copy 2"], "2")
        assert.deepStrictEqual(yield* session.chunkRef("/copy", [0]), ref)
        assert.strictEqual(yield* failure(session.copyFrom(old, "/g")), "NodeAlreadyExists")
        assert.strictEqual(yield* failure(session.copyFrom(old, "/none", { to: "/y" })), "NodeNotFound")
        assert.strictEqual(yield* failure(session.copyFrom(old, "/g", { to: "/copy/g" })), "NodeAlreadyExists")
      })
    )
  )

  it.effect("takes what another session has committed, and nothing of another repository", () =>
    inNew((repository, session) =>
      Effect.gen(function* () {
        const other = yield* repository.writableSession("main")
        yield* other.createArray("/a", array([3]))
        yield* other.setChunk("/a", [0], text("committed"))
        yield* other.commit("theirs")
        yield* other.setChunk("/a", [1], text("not committed"))
        yield* session.copyFrom(other, "/a", { to: "/b" })
        assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/b")), [[0]])
        const foreign = yield* Effect.promise(() =>
          Effect.runPromise(inNew((_, session) => Effect.as(session.createGroup("/g"), session)))
        )
        assert.strictEqual(yield* failure(session.copyFrom(foreign, "/g")), "OtherRepository")
      })
    )
  )
})

describe("refs from a stream", () => {
  const refs = Array.from({ length: 5000 }, (_, i) => ({
    index: [i],
    location: `s3://bucket/${i % 7}`,
    offset: i,
    length: i + 1,
    checksum: i % 3 === 0 ? Checksum.etag(`"${i % 2}"`) : undefined
  }))

  it.effect("or an iterable are set all together", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.createArray("/a", array([5000]))
        yield* session.createArray("/b", array([5000]))
        yield* session.setVirtualRefsFrom("/a", Stream.fromIterable(refs))
        yield* session.setVirtualRefsFrom("/b", new Set(refs))
        for (const { index, ...ref } of refs) {
          for (const path of ["/a", "/b"]) {
            assert.deepStrictEqual(yield* session.chunkRef(path, index), { _tag: "Virtual", ref } as never)
          }
        }
      })
    )
  )

  it.effect("or none of them, when one is wrong or the stream fails", () =>
    inNew((_, session) =>
      Effect.gen(function* () {
        yield* session.createArray("/a", array([5000]))
        const broken = Stream.concat(Stream.fromIterable(refs), Stream.fail({ _tag: "Broken" as const }))
        assert.strictEqual(yield* failure(session.setVirtualRefsFrom("/a", broken)), "Broken")
        const outside = [...refs, { ...refs[0]!, index: [5000] }]
        const error = yield* Effect.flip(session.setVirtualRefsFrom("/a", outside))
        assert.strictEqual(error._tag, "InvalidIndex")
        assert.include(error.message, "row 5000")
        const empty = [...refs, { ...refs[0]!, length: 0 }]
        assert.strictEqual(yield* failure(session.setVirtualRefsFrom("/a", empty)), "InvalidVirtualRef")
        const nowhere = [...refs, { ...refs[0]!, location: "other://x/y" }]
        assert.strictEqual(yield* failure(session.setVirtualRefsFrom("/a", nowhere)), "MissingContainer")
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(session.setVirtualRefsFrom("/a", []))))
        assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/a")), [])
      })
    )
  )
})
