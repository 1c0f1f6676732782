import { assert, describe, it } from "@effect/vitest"
import { Concatenation, type Dataset, Import } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as World from "./support/World.ts"

type Put = World.World["put"]

const int32 = (values: ReadonlyArray<number>): Uint8Array => new Uint8Array(Int32Array.from(values).buffer)

const variable = (
  location: string,
  path: string,
  names: ReadonlyArray<string>,
  shape: ReadonlyArray<number>,
  chunkShape: ReadonlyArray<number>,
  offset: number,
  attributes: Dataset.JsonObject = {}
): Dataset.VirtualArray => {
  const grid = shape.map((length, i) => Math.ceil(length / chunkShape[i]!))
  const count = grid.reduce((a, b) => a * b, 1)
  const bytes = chunkShape.reduce((a, b) => a * b, 4)
  const indices = Uint32Array.from(
    Array.from({ length: count }, (_, n) => {
      let rest = n
      return grid
        .map((_, i) => {
          const axis = grid.length - 1 - i
          const at = rest % grid[axis]!
          rest = Math.floor(rest / grid[axis]!)
          return at
        })
        .toReversed()
    }).flat()
  )
  return {
    path,
    shape,
    chunkShape,
    dataType: "int32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "little" } }],
    dimensionNames: names,
    attributes,
    chunks: Stream.make({
      _tag: "Refs",
      refs: {
        indices,
        offsets: Float64Array.from({ length: count }, (_, n) => offset + n * bytes),
        lengths: new Float64Array(count).fill(bytes),
        locations: location
      }
    })
  }
}

interface FileOptions {
  readonly units?: string
  readonly attributes?: Dataset.JsonObject
  readonly x?: ReadonlyArray<number>
  readonly chunk?: number
}

/** A file of `time` x 2: wind, time and x, in chunks of 2 x 2. */
const file = Effect.fnUntraced(function* (
  put: Put,
  name: string,
  times: ReadonlyArray<number>,
  { attributes = {}, chunk = 2, units = "days since 2000-01-01", x = [10, 20] }: FileOptions = {}
) {
  const n = Math.ceil(times.length / chunk) * chunk
  const padded = Array.from({ length: n }, (_, i) => times[i] ?? 0)
  const content = [...padded.flatMap((time) => [time * 10, time * 10 + 1]), ...padded, ...x]
  const { file } = yield* put(name, int32(content))
  const { location } = file
  const dataset: Dataset.Dataset = {
    groups: [{ path: "/", attributes: { title: "all", history: name } }],
    arrays: [
      variable(location, "/wind", ["time", "x"], [times.length, 2], [chunk, 2], 0, attributes),
      variable(location, "/time", ["time"], [times.length], [chunk], n * 8, { units }),
      variable(location, "/x", ["x"], [2], [2], n * 12)
    ],
    skipped: []
  }
  return { file, dataset }
})

const read = (session: World.World["session"], path: string) =>
  Effect.map(World.read(session, path), ({ data, shape }) => ({ values: [...(data as Int32Array)], shape }))

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
