/** Small files of a series in time, by hand. */
import type { Dataset } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Pieces from "../../src/internal/Pieces.ts"
import * as World from "./World.ts"

type Put = World.World["put"]

const int32 = (values: ReadonlyArray<number>): Uint8Array => new Uint8Array(Int32Array.from(values).buffer)

/** An array of 32-bit integers in a file, its chunks one after another from an offset on. */
export const variable = (
  location: string,
  path: string,
  names: ReadonlyArray<string>,
  shape: ReadonlyArray<number>,
  chunkShape: ReadonlyArray<number>,
  offset: number,
  attributes: Dataset.JsonObject = {}
): Dataset.VirtualArray => {
  const length = chunkShape.reduce((a, b) => a * b, 4)
  return {
    path,
    shape,
    chunkShape,
    dataType: "int32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "little" } }],
    dimensionNames: names,
    attributes,
    chunks: Pieces.grid({ location, checksum: undefined }, shape, chunkShape, {
      length,
      offsetOf: (number) => offset + number * length
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
export const file = Effect.fnUntraced(function* (
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

/** Values and shape of an array of integers. */
export const read = (session: World.World["session"], path: string) =>
  Effect.map(World.read(session, path), ({ data, shape }) => ({ values: [...(data as Int32Array)], shape }))
