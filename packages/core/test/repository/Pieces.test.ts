/**
 * Sessions that are split into pieces, which other programs fill.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as Pieces from "../../src/repository/changes/Pieces.ts"
import * as Internals from "../../src/repository/Internals.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type { Session } from "../../src/repository/Session.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import * as PieceSchema from "../../src/schema/PieceSchema.ts"
import type { ObjectStoreShape } from "../../src/store/ObjectStore.ts"
import * as Errors from "../../src/store/ObjectStoreError.ts"
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"
import { array } from "./Sessions.ts"

/** Through text, as a piece goes to another machine. */
const sent = <A>(schema: Schema.Codec<A, unknown>, value: A): A =>
  Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeUnknownSync(schema)(value))))

/** Fills a piece in a program of its own. */
const elsewhere = <E>(
  world: World,
  piece: Pieces.Piece,
  work: (writer: Pieces.PieceWriter) => Effect.Effect<unknown, E>,
  options?: Pieces.FillOptions
) =>
  inWorld(world)(
    Effect.gen(function* () {
      const writer = yield* Pieces.fill(yield* Repository.open(), sent(PieceSchema.Piece, piece), options)
      yield* work(writer)
      return sent(PieceSchema.Filled, yield* writer.finish)
    })
  )

/** The chunks of an array that are written, by index, as a new program reads them. */
const contents = (world: World, path = "/a") =>
  inWorld(world)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
      const indices = yield* Stream.runCollect(session.chunkIndices(path))
      const found: Record<string, string> = {}
      for (const index of indices) {
        assert.notProperty(found, index.join(), "each index comes once")
        found[index.join()] = new TextDecoder().decode(yield* session.chunk(path, index))
      }
      return found
    })
  )

/** A repository with an array `/a` that is committed, and a session on it. */
const begun = Effect.fnUntraced(function* <A, E>(
  f: (
    world: World,
    session: WritableSession,
    repository: Repository.RepositoryShape
  ) => Effect.Effect<A, E, Scope.Scope>,
  options: { readonly shape?: ReadonlyArray<number>; readonly persist?: Parameters<typeof Repository.create>[0] } = {}
) {
  const world = yield* worldInMemory
  return yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create(options.persist)
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", array(options.shape ?? 8))
      yield* session.setChunk(
        "/a",
        (options.shape ?? [8]).map(() => 0),
        text("base")
      )
      yield* session.commit("first")
      return yield* f(world, session, repository)
    })
  )
})

const long = (value: string): Uint8Array => text(value.padEnd(600, "."))

describe("pieces", () => {
  it.live("are filled by other programs, and committed at once", () =>
    begun((world, session) =>
      Effect.gen(function* () {
        // Workers see what is not committed.
        yield* session.createArray("/g/new", array([2, 3]))
        const pieces = yield* Pieces.split(session, 3)
        const filled = yield* Effect.forEach(pieces, (piece, i) =>
          elsewhere(world, piece, (writer) =>
            Effect.gen(function* () {
              yield* writer.setChunk("/a", [i + 1], i === 0 ? long("native") : text(`inline ${i}`))
              yield* writer.setVirtualRef("/g/new", [1, i], {
                location: `s3://bucket/${i}`,
                offset: i,
                length: 5,
                checksum: undefined
              })
              assert.deepStrictEqual(yield* writer.chunk("/a", [0]), text("base"))
              if (i === 2) yield* writer.deleteChunk("/a", [0])
            })
          )
        )
        assert.isEmpty((yield* session.status).updatedChunks)
        assert.deepStrictEqual(
          yield* Pieces.merge(session, filled),
          pieces.map(({ id }) => id)
        )
        yield* session.setChunk("/a", [7], text("own"))
        assert.deepStrictEqual(
          (yield* session.status).updatedChunks,
          new Map([
            ["/a", 5],
            ["/g/new", 3]
          ]) as never
        )
        yield* session.commit("together")
        const found = yield* contents(world)
        assert.deepStrictEqual(
          Object.fromEntries(Object.entries(found).map(([index, value]) => [index, value.replace(/\.+$/, "")])),
          { 1: "native", 2: "inline 1", 3: "inline 2", 7: "own" }
        )
        yield* inWorld(world)(
          Effect.gen(function* () {
            const reader = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
            const ref = yield* reader.chunkRef("/g/new", [1, 2])
            assert.deepStrictEqual(ref?._tag === "Virtual" ? ref.ref.offset : ref, 2)
          })
        )
      })
    )
  )

  it.live("are of one session: those of another, of another version, and of another repository are refused", () =>
    begun((world, session, repository) =>
      Effect.gen(function* () {
        const [piece, late] = yield* Pieces.split(session, 2)
        const filled = yield* elsewhere(world, piece!, (writer) => writer.setChunk("/a", [1], text("one")))
        const tooLate = yield* elsewhere(world, late!, (writer) => writer.setChunk("/a", [2], text("two")))

        const other = yield* repository.writableSession("main")
        const unsplit = yield* Effect.flip(Pieces.merge(other, filled))
        yield* Pieces.split(other, 1)
        const split = yield* Effect.flip(Pieces.merge(other, filled))
        for (const error of [unsplit, split]) {
          assert.strictEqual(error._tag === "PieceMismatch" && error.of, "session")
        }
        assert.isEmpty((yield* other.status).updatedChunks)

        yield* Pieces.merge(session, filled)
        yield* session.commit("one of them")
        const based = yield* Effect.flip(Pieces.merge(session, tooLate))
        assert.strictEqual(based._tag === "PieceMismatch" && based.of, "base")
        assert.strictEqual((yield* Effect.flip(Pieces.merge(session, filled)))._tag, "PieceAlreadyMerged")
        assert.deepStrictEqual(yield* contents(world), { 0: "base", 1: "one" })

        const elsewhereWorld = yield* worldInMemory
        const wrong = yield* Effect.flip(
          inWorld(elsewhereWorld)(Effect.flatMap(Repository.create(), (repository) => Pieces.fill(repository, piece!)))
        )
        assert.strictEqual(wrong._tag === "PieceMismatch" && wrong.of, "repository")
      })
    )
  )

  it.live("whose worker wrote into a copy of the repository are refused", () =>
    begun((world, session) =>
      Effect.gen(function* () {
        const copy = yield* worldInMemory
        const objects = yield* Stream.runCollect(world.store.list(""))
        for (const { key } of objects) yield* copy.store.put(key, (yield* world.store.get(key)).bytes)
        for (const refsSent of [100, 0]) {
          const [piece] = yield* Pieces.split(session, 1)
          const filled = yield* elsewhere(copy, piece!, (writer) => writer.setChunk("/a", [1], long("native")), {
            refsSent
          })
          const error = yield* Effect.flip(Pieces.merge(session, filled))
          assert.strictEqual(error._tag === "PieceMismatch" && error.of, "repository")
        }
        assert.isEmpty((yield* session.status).updatedChunks)
      })
    )
  )

  it.live("count once, whoever fills them: the second one is refused, or left out", () =>
    begun((world, session) =>
      Effect.gen(function* () {
        const [piece] = yield* Pieces.split(session, 1)
        const [first, second] = yield* Effect.forEach(["first", "second"], (value) =>
          elsewhere(world, piece!, (writer) => writer.setChunk("/a", [1], text(value)))
        )
        assert.strictEqual((yield* Effect.flip(Pieces.merge(session, [first!, second!])))._tag, "PieceAlreadyMerged")
        assert.isEmpty((yield* session.status).updatedChunks)
        yield* Pieces.merge(session, first!)
        const error = yield* Effect.flip(Pieces.merge(session, second!, { overlap: "last" }))
        assert.strictEqual(error._tag, "PieceAlreadyMerged")
        assert.deepStrictEqual(yield* Pieces.merge(session, [second!, first!], { again: "ignore" }), [])
        assert.deepStrictEqual(yield* session.chunk("/a", [1]), text("first"))
        // What was forgotten can be merged again.
        yield* session.discard
        yield* Pieces.merge(session, second!)
        yield* session.commit("second")
        assert.deepStrictEqual(yield* contents(world), { 0: "base", 1: "second" })
      })
    )
  )

  describe.each([
    ["refs", undefined],
    ["manifests", { refsSent: 0, refsHeld: 1 }]
  ] as const)("that overlap, sent as %s", (_, options) => {
    it.live("are refused, naming array and chunks, and nothing is merged; or the last one counts", () =>
      begun((world, session) =>
        Effect.gen(function* () {
          const [one, two, three] = yield* Pieces.split(session, 3)
          const [a, b, c] = yield* Effect.all([
            elsewhere(
              world,
              one!,
              (writer) => Effect.forEach([1, 2, 3], (i) => writer.setChunk("/a", [i], text(`a${i}`))),
              options
            ),
            elsewhere(
              world,
              two!,
              (writer) => Effect.forEach([5, 3, 2], (i) => writer.setChunk("/a", [i], text(`b${i}`))),
              options
            ),
            elsewhere(world, three!, (writer) => writer.deleteChunk("/a", [5]), options)
          ])
          const together = yield* Effect.flip(Pieces.merge(session, [a, b]))
          assert.strictEqual(together._tag, "PieceOverlap")
          assert.isEmpty((yield* session.status).updatedChunks)
          yield* Pieces.merge(session, [a, b], { overlap: "last" })
          assert.deepStrictEqual(yield* session.chunk("/a", [2]), text("b2"))
          yield* session.discard
          yield* Pieces.merge(session, a)
          const error = yield* Effect.flip(Pieces.merge(session, [c, b]))
          assert.deepInclude(error, { _tag: "PieceOverlap", path: "/a", piece: two!.id })
          yield* Effect.forEach([[together, ["[2]", "[3]"]] as const], ([error, indices]) =>
            Effect.sync(() => assert.deepInclude(error, { indices, count: 2 }))
          )
          assert.deepStrictEqual(yield* session.chunk("/a", [5]), undefined)
          yield* Pieces.merge(session, [b, c], { overlap: "last" })
          assert.deepStrictEqual(yield* session.chunk("/a", [2]), text("b2"))
          yield* session.commit("last")
          assert.deepStrictEqual(yield* contents(world), { 0: "base", 1: "a1", 2: "b2", 3: "b3" })
        })
      )
    )

    it.live("do so with the session itself, too", () =>
      begun((world, session) =>
        Effect.gen(function* () {
          const [piece] = yield* Pieces.split(session, 1)
          const filled = yield* elsewhere(
            world,
            piece!,
            (writer) => Effect.forEach([1, 2], (i) => writer.setChunk("/a", [i], text(`a${i}`))),
            options
          )
          yield* session.deleteChunk("/a", [2])
          yield* session.setChunk("/a", [3], text("own"))
          const error = yield* Effect.flip(Pieces.merge(session, filled))
          assert.deepInclude(error, { _tag: "PieceOverlap", indices: ["[2]"], count: 1 })
          yield* Pieces.merge(session, filled, { overlap: "last" })
          // The session goes on: what it writes now comes after.
          yield* session.setChunk("/a", [1], text("after"))
          yield* session.commit("last")
          assert.deepStrictEqual(yield* contents(world), { 0: "base", 1: "after", 2: "a2", 3: "own" })
        })
      )
    )
  })

  it.live("are bound to their regions, which do not overlap and are in the grid", () =>
    begun(
      (world, session) =>
        Effect.gen(function* () {
          const box = (...extents: ReadonlyArray<readonly [number, number]>): Pieces.Region => ({
            path: "/a",
            extents: extents.map(([from, to]) => ({ from, to }))
          })
          const [piece] = yield* Pieces.split(session, [
            [box([0, 2], [0, 6]), box([4, 5], [0, 1])],
            box([2, 4], [0, 6])
          ])
          const { code } = yield* elsewhere(world, piece!, (writer) =>
            Effect.gen(function* () {
              yield* writer.setChunk("/a", [1, 5], text("in"))
              yield* writer.deleteChunk("/a", [4, 0])
              const error = yield* Effect.flip(writer.setChunk("/a", [2, 0], text("out")))
              assert.deepInclude(error, { _tag: "OutsidePiece", piece: piece!.id, path: "/a", index: "[2, 0]" })
              const bulk = yield* Effect.flip(
                writer.setVirtualRefs("/a", {
                  indices: Uint32Array.of(0, 0, 3, 1),
                  offsets: [0, 1],
                  lengths: [1, 1],
                  locations: "s3://b/k"
                })
              )
              assert.deepInclude(bulk, { _tag: "OutsidePiece", index: "[3, 1]" })
              assert.strictEqual((yield* Effect.flip(writer.setChunk("/a", [9, 9], text("x"))))._tag, "InvalidIndex")
            })
          ).pipe(Effect.map((filled) => ({ code: filled.arrays.length })))
          assert.strictEqual(code, 1)
          const overlap = yield* Effect.flip(Pieces.split(session, [box([0, 3], [1, 6]), box([2, 4], [0, 2])]))
          assert.deepInclude(overlap, { _tag: "PieceOverlap", path: "/a", indices: ["[2, 1]"], count: 1 })
          for (const wrong of [[box([0, 9], [0, 6])], [box([0, 1])], [box([2, 1], [0, 6])], [], 0, 1.5]) {
            assert.strictEqual((yield* Effect.flip(Pieces.split(session, wrong)))._tag, "InvalidPiece")
          }
          assert.strictEqual((yield* Effect.flip(Pieces.split(session, [{ path: "/none" }])))._tag, "NodeNotFound")
          const regions = yield* Pieces.cut(session, "/a", 4)
          assert.deepStrictEqual(
            regions.map(({ extents }) => extents!.map(({ from, to }) => `${from}-${to}`).join()),
            ["0-5,0-2", "0-5,2-3", "0-5,3-5", "0-5,5-6"]
          )
          assert.lengthOf(yield* Pieces.split(session, regions), 4)
        }),
      { shape: [5, 6] }
    )
  )

  it.live("that are damaged are refused, and nothing is merged", () =>
    begun((world, session) =>
      Effect.gen(function* () {
        const [piece] = yield* Pieces.split(session, 1)
        const filled = yield* elsewhere(world, piece!, (writer) =>
          Effect.andThen(
            writer.setChunk("/a", [1], text("one")),
            writer.setVirtualRef("/a", [2], { location: "s3://b/k", offset: 0, length: 1, checksum: undefined })
          )
        )
        const [one] = filled.arrays
        const refs = one!.refs!
        const broken: ReadonlyArray<readonly [string, Partial<Pieces.PlainRefs>]> = [
          ["InvalidPiece", { kinds: Uint8Array.of(1, 9) }],
          ["InvalidPiece", { offsets: Float64Array.of(0) }],
          ["InvalidPiece", { offsets: Float64Array.of(2 ** 53, 0) }],
          ["InvalidPiece", { lengths: Float64Array.of(0, 1) }],
          ["InvalidPiece", { inline: new Uint8Array(1) }],
          ["InvalidPiece", { locations: [] }],
          ["InvalidPiece", { kinds: Uint8Array.of(1, 2) }],
          ["InvalidPiece", { kinds: Uint8Array.of(1, 4) }],
          ["InvalidPiece", { indices: Uint32Array.of(1, 1) }],
          ["InvalidIndex", { indices: Uint32Array.of(1, 8) }],
          ["InvalidPiece", { rank: 2, indices: Uint32Array.of(1, 1, 2, 2) }]
        ]
        for (const [tag, part] of broken) {
          const error = yield* Effect.flip(
            Pieces.merge(session, { ...filled, arrays: [{ ...one!, refs: { ...refs, ...part } }] })
          )
          assert.strictEqual(error._tag, tag, JSON.stringify(part))
        }
        const twice = yield* Effect.flip(Pieces.merge(session, { ...filled, arrays: [one!, one!] }))
        assert.strictEqual(twice._tag, "InvalidPiece")
        assert.isEmpty((yield* session.status).updatedChunks)
        yield* session.deleteNode("/a")
        assert.strictEqual((yield* Effect.flip(Pieces.merge(session, filled)))._tag, "NodeNotFound")
      })
    )
  )

  it.live("that are finished take no more, and answer the same again", () =>
    begun((_, session, repository) =>
      Effect.gen(function* () {
        const [piece] = yield* Pieces.split(session, 1)
        const writer = yield* Pieces.fill(repository, piece!)
        yield* writer.setChunk("/a", [1], text("one"))
        const filled = yield* writer.finish
        assert.strictEqual((yield* Effect.flip(writer.setChunk("/a", [2], text("two"))))._tag, "WriteForbidden")
        assert.strictEqual(yield* writer.finish, filled)
      })
    )
  )
})

describe("manifests of workers", () => {
  const splitting = {
    persist: {
      persist: {
        manifest: { splitting: { split_sizes: [["any_array", [{ condition: { Axis: 0 }, num_chunks: 100 }]]] } }
      }
    }
  } as const

  const virtual = (from: number, to: number, location: string) => ({
    indices: Uint32Array.from({ length: to - from }, (_, i) => from + i),
    offsets: Float64Array.from({ length: to - from }, (_, i) => 10 * (from + i)),
    lengths: Float64Array.from({ length: to - from }, () => 10),
    locations: location
  })

  const manifestsOf = (session: WritableSession) =>
    Effect.map(session.node("/a"), ({ data }) => (data._tag === "Array" ? data.manifests : []))

  it.live("are taken as they are where the array has nothing else, and merged where it has", () =>
    begun(
      (world, session) =>
        Effect.gen(function* () {
          const regions = yield* Pieces.cut(session, "/a", 4)
          assert.deepStrictEqual(
            regions.map(({ extents }) => extents![0]),
            [
              { from: 0, to: 300 },
              { from: 300, to: 500 },
              { from: 500, to: 800 },
              { from: 800, to: 1000 }
            ]
          )
          const pieces = yield* Pieces.split(session, regions)
          const filled = yield* Effect.forEach(pieces, (piece) =>
            elsewhere(
              world,
              piece,
              (writer) => {
                const { from, to } = piece.regions![0]!.extents[0]!
                return writer.setVirtualRefs("/a", virtual(from, to, "s3://b/k"))
              },
              { refsSent: 10 }
            )
          )
          assert.deepStrictEqual(
            filled.map(({ arrays }) => arrays.map(({ manifests, refs }) => [refs, manifests.length])),
            [[[undefined, 3]], [[undefined, 2]], [[undefined, 3]], [[undefined, 2]]]
          )
          yield* Pieces.merge(session, filled)
          // A chunk of the session in the midst of one of them.
          yield* session.setChunk("/a", [450], text("own"))
          assert.deepStrictEqual((yield* session.status).updatedChunks, new Map([["/a", 1000]]) as never)
          yield* session.commit("together")
          const sentIds = new Set(
            filled.flatMap(({ arrays }) => arrays.flatMap(({ manifests }) => manifests.map(({ id }) => id)))
          )
          const taken = (yield* manifestsOf(session)).map(({ extents, id }) => [extents[0]!.from, sentIds.has(id)])
          assert.deepStrictEqual(
            taken.toSorted(([a], [b]) => Number(a) - Number(b)),
            // Chunk 0 was there before, and 450 is of the session.
            Array.from({ length: 10 }, (_, i) => [100 * i, i !== 0 && i !== 4])
          )
          yield* inWorld(world)(
            Effect.gen(function* () {
              const reader = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
              for (const index of [0, 1, 99, 100, 449, 450, 999]) {
                const ref = yield* reader.chunkRef("/a", [index])
                if (index === 450) assert.strictEqual(ref?._tag, "Inline")
                else assert.strictEqual(ref?._tag === "Virtual" ? ref.ref.offset : ref, 10 * index)
              }
            })
          )
          // The next commit goes on from them.
          yield* session.setChunk("/a", [950], text("next"))
          yield* session.commit("next")
          const found = yield* Stream.runCollect(session.chunkIndices("/a"))
          assert.deepStrictEqual(
            found.map(([i]) => i).toSorted((a, b) => a! - b!),
            Array.from({ length: 1000 }, (_, i) => i)
          )
        }),
      { shape: [1000], ...splitting }
    )
  )

  it.live("are rebased: over other chunks they stay, over the same ones they are in conflict", () =>
    begun(
      (world, session, repository) =>
        Effect.gen(function* () {
          const [piece] = yield* Pieces.split(session, 1)
          const filled = yield* elsewhere(
            world,
            piece!,
            (writer) => writer.setVirtualRefs("/a", virtual(200, 400, "s3://b/k")),
            { refsSent: 10 }
          )
          yield* Pieces.merge(session, filled)
          yield* repository.transact("main", "disjoint", (other) => other.setChunk("/a", [700], text("other")))
          yield* session.rebase()
          const ids = (yield* manifestsOf(session)).map(({ id }) => id)
          assert.includeMembers(
            ids,
            filled.arrays[0]!.manifests.map(({ id }) => id)
          )
          yield* repository.transact("main", "same", (other) => other.setChunk("/a", [210], text("same")))
          const error = yield* Effect.flip(session.commit("mine", { rebase: {} }))
          assert.deepInclude((error._tag === "RebaseConflict" ? error.conflicts[0] : error) as object, {
            _tag: "ChunkDoubleUpdate",
            path: "/a",
            count: 1,
            coords: Uint32Array.of(210)
          })
          yield* session.commit("mine", { rebase: { ChunkDoubleUpdate: "theirs" } })
          assert.deepStrictEqual(yield* session.chunk("/a", [210]), text("same"))
          assert.deepStrictEqual(yield* session.chunk("/a", [700]), text("other"))
          const all = yield* Stream.runCollect(session.chunkIndices("/a"))
          assert.lengthOf(all, 202)
        }),
      { shape: [1000], ...splitting }
    )
  )

  it.live("are committed once, also when the answer to the commit was lost and the session has gone on", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      const state = { isLost: false, isBlind: false }
      const failed = (operation: "get" | "put", reason: Errors.Reason) =>
        Effect.fail(new Errors.ObjectStoreError({ store: "memory://", operation, key: "repo", reason }))
      const inner = world.store
      const store: ObjectStoreShape = {
        ...inner,
        get: (key, options) =>
          key === "repo" && state.isBlind ? failed("get", new Errors.PermissionDenied({})) : inner.get(key, options),
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            if (key !== "repo" || !state.isLost) return inner.put(key, bytes, options)
            state.isLost = false
            state.isBlind = true
            return Effect.andThen(inner.put(key, bytes, options), failed("put", new Errors.Unavailable({})))
          })
      }
      yield* inWorld({ ...world, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create(splitting.persist)
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([1000]))
          yield* session.commit("first")
          const [piece] = yield* Pieces.split(session, 1)
          const filled = yield* elsewhere(
            world,
            piece!,
            (writer) => writer.setVirtualRefs("/a", virtual(0, 300, "s3://b/k")),
            { refsSent: 10 }
          )
          yield* Pieces.merge(session, filled)
          state.isLost = true
          assert.strictEqual((yield* Effect.flip(session.commit("pieces")))._tag, "CommitOutcomeUnknown")
          state.isBlind = false
          yield* session.setChunk("/a", [700], text("later"))
          yield* session.commit("later")
          assert.deepStrictEqual(
            (yield* repository.history({ branch: "main" })).map(({ message }) => message).slice(0, 3),
            ["later", "pieces", "first"]
          )
          assert.sameMembers(
            (yield* manifestsOf(session)).map(({ id }) => id as string).slice(0, 3),
            filled.arrays[0]!.manifests.map(({ id }) => id as string)
          )
          assert.lengthOf(yield* manifestsOf(session), 4)
          assert.lengthOf(yield* Stream.runCollect(session.chunkIndices("/a")), 301)
          const log = yield* Internals.writing(repository).assets.transactionLog(yield* session.snapshotId)
          assert.deepStrictEqual(
            log.updatedChunks.map(({ coords }) => Array.from(coords)),
            [[700]]
          )
        })
      )
    })
  )

  it.live("go with their array when that is deleted", () =>
    begun((world, session, repository) =>
      Effect.gen(function* () {
        const [piece] = yield* Pieces.split(session, 1)
        const filled = yield* elsewhere(world, piece!, (writer) => writer.setChunk("/a", [1], text("one")), {
          refsSent: 0
        })
        yield* Pieces.merge(session, filled)
        yield* session.deleteNode("/a")
        yield* session.createArray("/a", array(8))
        assert.isEmpty((yield* session.status).updatedChunks)
        yield* session.commit("anew")
        const log = yield* Internals.writing(repository).assets.transactionLog(yield* session.snapshotId)
        assert.isEmpty(log.updatedChunks)
        assert.deepStrictEqual(yield* contents(world), {})
      })
    )
  )

  it.live("come in order when a worker writes line by line, so that they do not overlap", () =>
    begun(
      (world, session) =>
        Effect.gen(function* () {
          const [piece] = yield* Pieces.split(session, 1)
          const filled = yield* elsewhere(
            world,
            piece!,
            (writer) =>
              Effect.forEach(
                Array.from({ length: 30 * 20 }, (_, i) => i),
                (i) => writer.setChunk("/a", [Math.floor(i / 20), i % 20], text(String(i))),
                { discard: true }
              ),
            { refsHeld: 90, refsSent: 50 }
          )
          const { manifests, refs } = filled.arrays[0]!
          assert.isAbove(manifests.length, 5)
          assert.isAtMost(refs?.kinds.length ?? 0, 50)
          const edges = manifests.map(({ extents }) => extents[0]!).toSorted((a, b) => a.from - b.from)
          for (let i = 1; i < edges.length; i++) assert.isAtLeast(edges[i]!.from, edges[i - 1]!.to)
          yield* Pieces.merge(session, filled, { overlap: "last" })
          yield* session.commit("lines")
          const found = yield* contents(world)
          assert.lengthOf(Object.keys(found), 600)
          assert.strictEqual(found["29,19"], "599")
        }),
      { shape: [30, 20] }
    )
  )
})

/** What a program does to chunks of `/a`, in order. */
interface Write {
  readonly index: number
  readonly kind: "inline" | "native" | "virtual" | "delete"
}

const writeOf = (
  writer: Pick<Pieces.PieceWriter, "setChunk" | "deleteChunk" | "setVirtualRef">,
  { index, kind }: Write,
  i: number
) => {
  const at = [Math.floor(index / 6), index % 6]
  switch (kind) {
    case "inline":
      return writer.setChunk("/a", at, text(`inline ${i}`))
    case "native":
      return writer.setChunk("/a", at, long(`native ${i}`))
    case "virtual":
      return writer.setVirtualRef("/a", at, {
        location: `s3://bucket/${i % 3}`,
        offset: i,
        length: 7,
        checksum: undefined
      })
    case "delete":
      return writer.deleteChunk("/a", at)
  }
}

const writeArbitrary: fc.Arbitrary<Write> = fc.record({
  index: fc.nat(35),
  kind: fc.constantFrom("inline", "native", "virtual", "delete")
})

it.live("any distribution of writes over pieces is the same as the writes in one session", () =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(
        fc.array(writeArbitrary, { maxLength: 60 }),
        fc.array(writeArbitrary, { maxLength: 10 }),
        fc.array(fc.nat(3), { minLength: 36, maxLength: 36 }),
        fc.constantFrom(1, 2, 5, 1000),
        fc.constantFrom(0, 3, 1000),
        fc.constantFrom(2, 100),
        fc.boolean(),
        async (writes, before, owners, refsHeld, refsSent, num_chunks, other) => {
          const split_sizes = [["any_array", [{ condition: { Axis: 0 }, num_chunks }]]] as const
          const run = (distributed: boolean) =>
            Effect.gen(function* () {
              const world = yield* worldInMemory
              return yield* inWorld(world)(
                Effect.gen(function* () {
                  const repository = yield* Repository.create({ persist: { manifest: { splitting: { split_sizes } } } })
                  const session = yield* repository.writableSession("main")
                  yield* session.createArray("/a", array([6, 6]))
                  yield* session.createArray("/b", array([6, 6]))
                  for (const [i, write] of before.entries()) yield* writeOf(session, write, 1000 + i)
                  yield* session.commit("before")
                  if (distributed) {
                    const pieces = yield* Pieces.split(session, 4)
                    const filled = yield* Effect.forEach(
                      pieces,
                      Effect.fnUntraced(function* (piece, owner) {
                        const writer = yield* Pieces.fill(repository, sent(PieceSchema.Piece, piece), {
                          refsHeld,
                          refsSent
                        })
                        for (const [i, write] of writes.entries()) {
                          if (owners[write.index] === owner) yield* writeOf(writer, write, i)
                        }
                        return sent(PieceSchema.Filled, yield* writer.finish)
                      })
                    )
                    yield* Effect.forEach(filled, (one) => Pieces.merge(session, one))
                  } else for (const [i, write] of writes.entries()) yield* writeOf(session, write, i)
                  if (other) {
                    yield* repository.transact("main", "other", (other) => other.setChunk("/b", [0, 0], text("b")))
                  }
                  const seen = yield* refsIn(session)
                  yield* session.commit("all", { rebase: {}, allowEmpty: true })
                  const reader = yield* repository.readonlySession({ branch: "main" })
                  return { seen, session: yield* refsIn(session), read: yield* refsIn(reader) }
                })
              )
            }).pipe(Effect.scoped, Effect.runPromise)
          const [one, many] = [await run(false), await run(true)]
          assert.deepStrictEqual(one.read, one.seen)
          assert.deepStrictEqual(many, { seen: one.seen, session: one.seen, read: one.seen })
        }
      ),
      { numRuns: Number(process.env["PIECES_RUNS"] ?? 25) }
    )
  )
)

/** Every chunk of `/a` as it is stored, without the ids of chunk files. */
const refsIn = Effect.fnUntraced(function* (session: Session) {
  const found: Record<string, unknown> = {}
  for (let index = 0; index < 36; index++) {
    const at = [Math.floor(index / 6), index % 6]
    const ref = yield* session.chunkRef("/a", at)
    if (ref === undefined) continue
    found[at.join()] =
      ref._tag === "Virtual" ? ref.ref : ref._tag === "Inline" ? ref.bytes : yield* session.chunk("/a", at)
  }
  const indices = (yield* Stream.runCollect(session.chunkIndices("/a"))).map((index) => index.join())
  assert.deepStrictEqual(indices.toSorted(), Object.keys(found).toSorted())
  return found
})
