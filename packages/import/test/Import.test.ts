import { assert, describe, it } from "@effect/vitest"
import type { Dataset } from "@effect-icechunk/import"
import { Import, ImportError } from "@effect-icechunk/import"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as World from "./support/World.ts"

const chunks = (numbers: ReadonlyArray<number>, location = "s3://bucket/a"): Dataset.Chunks => ({
  _tag: "Refs",
  refs: {
    indices: Uint32Array.from(numbers),
    offsets: Float64Array.from(numbers, (number) => number * 4),
    lengths: Float64Array.from(numbers, () => 4),
    locations: location
  }
})

const array = (path: string, source: Dataset.VirtualArray["chunks"]): Dataset.VirtualArray => ({
  path,
  shape: [8],
  chunkShape: [2],
  dataType: "int16",
  fillValue: -1,
  codecs: [{ name: "bytes", configuration: { endian: "big" } }],
  dimensionNames: ["x"],
  attributes: { units: "m" },
  chunks: source
})

const dataset = (...arrays: ReadonlyArray<Dataset.VirtualArray>): Dataset.Dataset => ({
  groups: [
    { path: "/", attributes: { title: "a file", history: "new" } },
    { path: "/inner", attributes: {} }
  ],
  arrays,
  skipped: []
})

const content = Uint8Array.from({ length: 16 }, (_, i) => i)
const damaged = new ImportError.DamagedFile({ location: "s3://bucket/a", offset: 7, problem: "it is a test" })

describe("Import.into", () => {
  it.effect("writes groups, arrays and chunks, makes the groups above, and tells how far it is", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      yield* put("a", content)
      const told: Array<Import.Progress> = []
      const source = Stream.make(chunks([0, 1]), chunks([3]), chunks([]), {
        _tag: "Bytes",
        index: [2],
        bytes: Uint8Array.of(1, 0, 1, 1)
      } as const)
      const imported = yield* Import.into(session, "/runs/one", dataset(array("/inner/a", source)), {
        onProgress: (progress) => Effect.sync(() => void told.push(progress))
      })
      assert.deepStrictEqual(imported, { groups: 3, arrays: 1, refs: 3, written: 1, skipped: [] })
      assert.deepStrictEqual(
        told.map(({ arraysDone, chunks }) => [arraysDone, chunks]),
        [
          [0, 2],
          [0, 3],
          [0, 4],
          [1, 4]
        ]
      )
      const { attributes, data } = yield* World.read(session, "/runs/one/inner/a")
      assert.deepStrictEqual([...(data as Int16Array)], [1, 515, 1029, 1543, 256, 257, 3085, 3599])
      assert.deepStrictEqual(attributes, { units: "m" })
      assert.deepStrictEqual(yield* session.attributes("/runs/one"), { title: "a file", history: "new" })
    })
  )

  it.effect("goes into a group that is there, whose own attributes stay", () =>
    Effect.gen(function* () {
      const { session } = yield* World.make
      yield* session.createGroup("/", { title: "mine" })
      yield* Import.into(session, "/", dataset(array("/a", Stream.make(chunks([0])))))
      assert.deepStrictEqual(yield* session.attributes("/"), { title: "mine", history: "new" })
    })
  )

  it.effect(
    "leaves the session as it was when a file turns out damaged, a container is missing or a name is taken",
    () =>
      Effect.gen(function* () {
        const { repository, session } = yield* World.make
        yield* session.createGroup("/", { title: "mine" })
        yield* session.createArray("/taken/b", { shape: [1], chunkShape: [1], dataType: "int8", fillValue: 0 })
        yield* session.commit("before")
        const before = yield* session.nodes()
        const good = array("/a", Stream.make(chunks([0])))
        const cases = {
          DamagedFile: dataset(good, array("/b", Stream.concat(Stream.make(chunks([1])), Stream.fail(damaged)))),
          MissingContainer: dataset(good, array("/b", Stream.make(chunks([1], "nowhere://bucket/a")))),
          InvalidIndex: dataset(good, array("/b", Stream.make(chunks([4])))),
          InvalidPath: dataset(good, array("/b/../c", Stream.make(chunks([1])))),
          InvalidMetadata: dataset(good, { ...array("/b", Stream.empty), dataType: "int17" }),
          NodeAlreadyExists: dataset(good, array("/taken/b", Stream.empty))
        }
        for (const [tag, one] of Object.entries(cases)) {
          const error = yield* Effect.flip(Import.into(session, "/", one))
          assert.strictEqual(error._tag, tag)
          assert.deepStrictEqual(yield* session.nodes(), before)
          assert.deepStrictEqual(yield* session.attributes("/"), { title: "mine" })
        }
        assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
        assert.strictEqual((yield* repository.history({ branch: "main" })).length, 2)
      })
  )

  it.effect("leaves the session as it was when it is interrupted", () =>
    Effect.gen(function* () {
      const { session } = yield* World.make
      const reached = yield* Deferred.make<void>()
      const stuck = Stream.concat(
        Stream.make(chunks([0])),
        Stream.fromEffect(Effect.andThen(Deferred.succeed(reached, undefined), Effect.never))
      )
      const fiber = yield* Effect.forkChild(Import.into(session, "/deep/below", dataset(array("/a", stuck))))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* session.isEmpty())
    })
  )
})
