import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Grib2, Import } from "@effect-icechunk/import"
import * as Grib2Codec from "@effect-icechunk/import/codecs/Grib2"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as World from "./support/World.ts"

interface Field {
  readonly typeOfLevel: string
  readonly level: number
  readonly points: number
  readonly sha256: string
}

const expected = (name: string): ReadonlyArray<Field> =>
  JSON.parse(fs.readFileSync(path.join(import.meta.dirname, "files/expected", `${name}.json`), "utf8")) as never

const hash = (values: Float64Array): string =>
  crypto
    .createHash("sha256")
    .update(new Uint8Array(Float32Array.from(values).buffer))
    .digest("hex")

const names = ["dwd-cosmo-simple.grib2", "eta-multi-field.grib2"]

describe("GRIB 2 files by other writers", () => {
  it.effect.each(names)("%s has the values of each field that ecCodes reads", (name) =>
    Effect.gen(function* () {
      Grib2Codec.register(zarr.registry)
      const { put, session } = yield* World.make
      const { count, file } = yield* put(name, Files.bytes(name))
      const dataset = yield* Grib2.dataset(file)
      assert.deepStrictEqual(dataset.skipped, [])
      assert.strictEqual(count.requests, 2)
      yield* Import.into(session, "/", dataset, { extensions: ["gribberish"] })
      const fields = expected(name)
      const found: Array<{ start: number; typeOfLevel: string; level: number; sha256: string }> = []
      for (const array of dataset.arrays.filter(({ codecs }) => codecs[0]!["name"] === "gribberish")) {
        const { data } = yield* World.read(session, array.path)
        const points = array.chunkShape.at(-1)! * array.chunkShape.at(-2)!
        const counts = array.shape.slice(0, -2)
        const typeOfLevel = array.path.split("/")[3]!
        const base = array.path.slice(0, array.path.lastIndexOf("/"))
        const levels = (yield* World.read(session, `${base}/${typeOfLevel}`)).data as Float64Array
        for (const chunk of yield* Stream.runCollect(array.chunks)) {
          if (chunk._tag !== "Refs") throw new Error("fields are refs")
          const { indices, offsets } = chunk.refs
          for (const [row, start] of offsets.entries()) {
            const at = indices.subarray(row * array.shape.length, row * array.shape.length + counts.length)
            const place = at.reduce((sum, i, axis) => sum * counts[axis]! + i, 0)
            const values = (data as Float64Array).slice(place * points, (place + 1) * points)
            found.push({ start, typeOfLevel, level: levels[at.at(-1)!]!, sha256: hash(values) })
          }
        }
      }
      found.sort((a, b) => a.start - b.start)
      assert.deepStrictEqual(
        found.map(({ sha256 }) => sha256),
        fields.map(({ sha256 }) => sha256)
      )
      for (const [i, { level, typeOfLevel }] of fields.entries()) {
        if (!["isobaricInhPa", "heightAboveGround"].includes(typeOfLevel)) continue
        assert.deepStrictEqual([found[i]!.typeOfLevel, found[i]!.level], [typeOfLevel, level])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("JPEG 2000 is referred to, and its 181 fields are found", () =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes("ncep-awp211-jpeg2000.grib2"))
      const { arrays, skipped } = yield* Grib2.dataset(file)
      assert.deepStrictEqual(skipped, [])
      const fields = arrays.filter(({ codecs }) => codecs[0]!["name"] === "gribberish")
      const chunks = yield* Effect.forEach(fields, ({ chunks }) => Stream.runCollect(chunks))
      const rows = chunks.flat().map((one) => (one._tag === "Refs" ? one.refs.offsets.length : 0))
      assert.strictEqual(
        rows.reduce((a, b) => a + b, 0),
        181
      )
    })
  )

  it.effect("a larger file is read by blocks, in no more requests by an index than by a scan", () =>
    Effect.gen(function* () {
      const content = Files.bytes(names[1]!)
      const view = new DataView(content.buffer)
      const lines: Array<string> = []
      for (let at = 0; at < content.length; at += Number(view.getBigUint64(at + 8)))
        lines.push(`${lines.length + 1}:${at}:d`)
      assert.strictEqual(lines.length, 154)
      const options = { wholeBelow: 0, blockSize: 1024 }
      const scanned = yield* Files.inMemory(content)
      const a = yield* Grib2.dataset(scanned.file, options)
      const indexed = yield* Files.inMemory(content)
      const b = yield* Grib2.dataset(indexed.file, { ...options, index: lines.join("\n") })
      assert.deepStrictEqual(
        a.arrays.map(({ path, shape }) => [path, shape]),
        b.arrays.map(({ path, shape }) => [path, shape])
      )
      console.log(
        "scan",
        scanned.count.requests,
        scanned.count.bytes,
        "index",
        indexed.count.requests,
        indexed.count.bytes
      )
      assert.isAtMost(indexed.count.requests, scanned.count.requests)
      assert.isBelow(scanned.count.bytes, content.length)
    })
  )

  it.effect("coordinates of a regular grid are those that ecCodes prints", () =>
    Effect.gen(function* () {
      const { put, session } = yield* World.make
      const { file } = yield* put("a", Files.bytes(names[0]!))
      yield* Import.into(session, "/", yield* Grib2.dataset(file), { extensions: ["gribberish"] })
      const base = "/t/instant/heightAboveGround"
      const latitude = (yield* World.read(session, `${base}/latitude`)).data as Float64Array
      const longitude = (yield* World.read(session, `${base}/longitude`)).data as Float64Array
      assert.closeTo(latitude[0]!, 45, 1e-9)
      assert.closeTo(latitude.at(-1)!, 56, 1e-9)
      assert.closeTo(longitude[1]!, 3.025, 1e-9)
      assert.closeTo(longitude.at(-1)!, 17.7, 1e-9)
      const level = (yield* World.read(session, `${base}/heightAboveGround`)).data
      assert.deepStrictEqual([...(level as Float64Array)], [2])
    }).pipe(Effect.scoped)
  )

  it.effect("an index gives the same, and one that disagrees is an error at the byte", () =>
    Effect.gen(function* () {
      const { file } = yield* Files.inMemory(Files.bytes(names[0]!))
      const byIndex = (index: string) => Grib2.dataset(file, { index })
      const { arrays } = yield* byIndex("1:0:d=2018011803:TMP:2 m above ground:2 hour fcst:\n")
      assert.isTrue(arrays.some(({ path }) => path === "/t/instant/heightAboveGround/t"))
      const shifted = yield* Effect.flip(byIndex("1:100:d=2018011803:TMP:2 m above ground:2 hour fcst:"))
      assert.deepInclude(shifted, { _tag: "DamagedFile", offset: 100, location: file.location })
      const longer = yield* Effect.flip(byIndex('{"_offset":0,"_length":7}'))
      assert.deepInclude(longer, { _tag: "DamagedFile", offset: 0 })
      const beyond = yield* Effect.flip(byIndex("1:99999999:d"))
      assert.deepInclude(beyond, { _tag: "DamagedFile", offset: 99_999_999 })
      assert.strictEqual((yield* Effect.flip(byIndex("nonsense")))._tag, "DamagedFile")
    })
  )

  it.effect("files that are cut off or of another format are typed", () =>
    Effect.gen(function* () {
      const content = Files.bytes(names[0]!)
      const of = (bytes: Uint8Array) =>
        Effect.flatMap(Files.inMemory(bytes), ({ file }) => Effect.flip(Grib2.dataset(file)))
      assert.deepInclude(yield* of(content.subarray(0, 1000)), { _tag: "DamagedFile", offset: 0 })
      assert.strictEqual((yield* of(new Uint8Array(100)))._tag, "WrongFormat")
      const edition = content.slice()
      edition[7] = 1
      assert.strictEqual((yield* of(edition))._tag, "WrongFormat")
      const section = content.slice()
      section.fill(0xff, 16, 20)
      assert.deepInclude(yield* of(section), { _tag: "DamagedFile", offset: 16 })
    })
  )

  it.effect("mutated files end in a data set or in an error of their own", () =>
    Effect.gen(function* () {
      const runs = Number(process.env["FUZZ_RUNS"] ?? 300)
      const within = 300
      for (const name of names) {
        const content = Files.bytes(name)
        const { read, refused } = yield* Fuzz.run({ content, within, runs, seed: 1, importer: Grib2.dataset })
        assert.isAbove(read, 0)
        assert.isAbove(refused, 0)
      }
    })
  )
})
