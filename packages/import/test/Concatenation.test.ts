import { assert, describe, it } from "@effect/vitest"
import { Concatenation, Import } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { file, read, variable } from "./support/Series.ts"
import * as World from "./support/World.ts"

describe("Concatenation", () => {
  it.effect("puts files one after another along a dimension, and drops attributes that differ", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const parts = [yield* file(put, "a", [0, 1]), yield* file(put, "b", [2, 3, 4, 5]), yield* file(put, "c", [6])]
      const dataset = yield* Concatenation.concatenate(parts, { dimension: "time" })
      yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual(yield* read(session, "/time"), { values: [0, 1, 2, 3, 4, 5, 6], shape: [7] })
      assert.deepStrictEqual(yield* read(session, "/wind"), {
        values: [0, 1, 2, 3, 4, 5, 6].flatMap((time) => [time * 10, time * 10 + 1]),
        shape: [7, 2]
      })
      assert.deepStrictEqual((yield* read(session, "/x")).values, [10, 20])
      assert.deepStrictEqual(yield* session.attributes("/"), { title: "all" })
    })
  )

  it.effect("refuses other packing, other units, other grids and files that end within a chunk, and tells all", () =>
    Effect.gen(function* () {
      const { put } = yield* World.make
      const parts = [
        yield* file(put, "a", [0], { attributes: { scale_factor: 0.1 } }),
        yield* file(put, "b", [2, 3], { units: "days since 2001-01-01", attributes: { scale_factor: 0.2 } }),
        yield* file(put, "c", [4], { x: [10, 21], chunk: 1, attributes: { scale_factor: 0.1 } })
      ]
      const error = yield* Effect.flip(Concatenation.concatenate(parts, { dimension: "time" }))
      assert(error._tag === "CannotConcatenate")
      assert.deepStrictEqual(
        error.differences.map(({ array, field, location }) => [location, array, field]),
        [
          ["s3://bucket/b", "/wind", "attributes.scale_factor"],
          ["s3://bucket/c", "/wind", "chunkShape"],
          ["s3://bucket/a", "/wind", "shape[0]"],
          ["s3://bucket/b", "/time", "attributes.units"],
          ["s3://bucket/c", "/time", "chunkShape"],
          ["s3://bucket/a", "/time", "shape[0]"],
          ["s3://bucket/c", "/x", "values"]
        ]
      )
      assert.include(error.message, "recode: true")
    })
  )

  it.effect("writes times in the units of the first file when it may", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const parts = [
        yield* file(put, "a", [0, 1]),
        yield* file(put, "b", [0, 24], { units: "hours since 2000-01-03 00:00" })
      ]
      const dataset = yield* Concatenation.concatenate(parts, { dimension: "time", recode: true })
      yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual((yield* read(session, "/time")).values, [0, 1, 2, 3])
      assert.deepStrictEqual(yield* session.attributes("/time"), { units: "days since 2000-01-01" })
      const half = [parts[0]!, yield* file(put, "c", [0, 12], { units: "hours since 2000-01-03" })]
      const error = yield* Effect.flip(Concatenation.concatenate(half, { dimension: "time", recode: true }))
      assert(error._tag === "CannotConcatenate")
      assert.deepStrictEqual(
        error.differences.map(({ array, field }) => [array, field]),
        [["/time", "values"]]
      )
    })
  )

  it.effect("makes a new dimension", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const parts = [yield* file(put, "a", [0, 1]), yield* file(put, "b", [0, 1])]
      yield* Import.into(session, "/", yield* Concatenation.concatenate(parts, { newDimension: "run" }))
      assert.deepStrictEqual(yield* read(session, "/wind"), { values: [0, 1, 10, 11, 0, 1, 10, 11], shape: [2, 2, 2] })
      assert.deepStrictEqual((yield* read(session, "/time")).shape, [2])
    })
  )

  it.effect("appends a file, and leaves the session as it was when it does not fit", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const first = yield* file(put, "a", [0, 1])
      yield* Import.into(session, "/runs", first.dataset)
      yield* session.commit("first")
      const cases = [
        yield* file(put, "b", [2, 3], { x: [1, 2] }),
        yield* file(put, "c", [2, 3], { attributes: { add_offset: 1 } }),
        yield* file(put, "d", [2, 3], { units: "days since 2001-01-01" })
      ]
      for (const part of cases) {
        const error = yield* Effect.flip(Concatenation.append(session, "/runs", part, { dimension: "time" }))
        assert.strictEqual(error._tag, "CannotConcatenate")
        assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
      }
      const good = yield* file(put, "e", [2])
      const elsewhere = {
        ...good,
        dataset: {
          ...good.dataset,
          arrays: good.dataset.arrays.map((one) =>
            one.path === "/time"
              ? { ...variable("nowhere://a/b", "/time", ["time"], [1], [2], 0, one.attributes) }
              : one
          )
        }
      }
      const missing = yield* Effect.flip(Concatenation.append(session, "/runs", elsewhere, { dimension: "time" }))
      assert.strictEqual(missing._tag, "MissingContainer")
      assert.deepStrictEqual((yield* read(session, "/runs/wind")).shape, [2, 2])
      assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
      const appended = yield* Concatenation.append(session, "/runs", good, { dimension: "time" })
      assert.deepStrictEqual(appended, { from: 2, to: 3, refs: 2, written: 0 })
      assert.deepStrictEqual(yield* read(session, "/runs/wind"), { values: [0, 1, 10, 11, 20, 21], shape: [3, 2] })
      const full = yield* Effect.flip(Concatenation.append(session, "/runs", good, { dimension: "time" }))
      assert.strictEqual(full._tag, "CannotConcatenate")
    })
  )

  it("pieces of an array, put together, are the array", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 2 }),
        (chunk, pieces, cutsLast, short) =>
          Effect.gen(function* () {
            const { put, session } = yield* World.make
            const parts: Array<Concatenation.Part> = []
            const all: Array<number> = []
            for (const [i, chunks] of pieces.entries()) {
              const isLast = i === pieces.length - 1
              const length = Math.max(1, chunks * chunk - (isLast && cutsLast ? short : 0))
              const times = Array.from({ length }, (_, n) => all.length + n)
              all.push(...times)
              parts.push(yield* file(put, `f${i}`, times, { chunk }))
            }
            yield* Import.into(session, "/", yield* Concatenation.concatenate(parts, { dimension: "time" }))
            assert.deepStrictEqual((yield* read(session, "/time")).values, all)
            assert.deepStrictEqual(
              (yield* read(session, "/wind")).values,
              all.flatMap((time) => [time * 10, time * 10 + 1])
            )
          }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 25, seed: 11 }
    ))
})
