/**
 * What the page decides without a browser: what is in view, which chunks that needs, and which colours it has.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Field, extremes } from "../../examples/browser/src/Field.ts"
import * as Legend from "../../examples/browser/src/Legend.ts"
import * as Level from "../../examples/browser/src/Level.ts"
import * as Painter from "../../examples/browser/src/Painter.ts"
import * as Traffic from "../../examples/browser/src/Traffic.ts"
import * as View from "../../examples/browser/src/View.ts"
import * as ColorScale from "../../examples/src/ColorScale.ts"
import * as EqualEarth from "../../examples/src/EqualEarth.ts"
import * as GeoidGrid from "../../examples/src/GeoidGrid.ts"
import * as Relief from "../../examples/src/Relief.ts"
import { geoid } from "./Geoid.ts"

const half: Level.Level = { ...geoid, rows: 361, columns: 720, chunkRows: 19, chunkColumns: 720, step: 0.5 }
const whole: Level.Level = { ...geoid, rows: 181, columns: 360, chunkRows: 31, chunkColumns: 360, step: 1 }

const sizes = fc.record({ width: fc.integer({ min: 200, max: 2000 }), height: fc.integer({ min: 150, max: 1400 }) })
const shares = fc.double({ min: 0, max: 1, noNaN: true })

/** A size, and a view that somebody may have come to. */
const views = fc
  .record({ size: sizes, zoom: fc.double({ min: 1, max: 40, noNaN: true }), x: shares, y: shares })
  .map(({ size, x, y, zoom }) => ({
    size,
    view: View.clamp(
      {
        scale: View.fit(size).scale * zoom,
        center: { x: (x * 2 - 1) * EqualEarth.extent.x, y: (y * 2 - 1) * EqualEarth.extent.y }
      },
      size
    )
  }))

describe("the view", () => {
  it("shows all of the world at first", () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const corner = View.pointAt(View.fit(size), size, { x: 0, y: 0 })
        assert.isAtMost(corner.x, -EqualEarth.extent.x)
        assert.isAtLeast(corner.y, EqualEarth.extent.y)
        assert.deepStrictEqual(View.clamp(View.fit(size), size), View.fit(size))
      })
    )
  })

  it("keeps what is under the pointer where it is, as far as the edge of the world allows", () => {
    fc.assert(
      fc.property(views, shares, shares, fc.double({ min: 1, max: 8, noNaN: true }), ({ size, view }, x, y, factor) => {
        const at = { x: x * size.width, y: y * size.height }
        const zoomed = View.zoom(view, size, factor, at)
        const [before, after] = [View.pointAt(view, size, at), View.pointAt(zoomed, size, at)]
        const free = View.clamp(
          {
            scale: zoomed.scale,
            center: {
              x: before.x - (at.x - size.width / 2) / zoomed.scale,
              y: before.y + (at.y - size.height / 2) / zoomed.scale
            }
          },
          size
        )
        assert.approximately(zoomed.center.x, free.center.x, 1e-9)
        assert.approximately(zoomed.center.y, free.center.y, 1e-9)
        assert.isAtLeast(View.zoomOf(zoomed, size), View.zoomOf(view, size) - 1e-9)
        assert.isTrue(Number.isFinite(after.x) && Number.isFinite(after.y))
      })
    )
  })

  it("finds a place again at its pixel", () => {
    fc.assert(
      fc.property(
        views,
        fc.double({ min: -89, max: 89, noNaN: true }),
        fc.double({ min: -179, max: 179, noNaN: true }),
        ({ size, view }, latitude, longitude) => {
          const pixel = View.toPixel(view, size, { latitude, longitude })
          const place = EqualEarth.unproject(View.pointAt(view, size, pixel))!
          assert.approximately(place.latitude, latitude, 1e-6)
          assert.approximately(place.longitude, longitude, 1e-6)
        }
      )
    )
  })
})

/** The points of the grid whose values a pixel's colour depends on. */
const neighbours = (level: Level.Level, place: EqualEarth.Place): ReadonlyArray<readonly [number, number]> => {
  const row = Math.min(level.rows - 2, Math.max(0, Math.floor((place.latitude - level.south) / level.step)))
  const column = Math.floor((place.longitude - level.west) / level.step)
  const points: Array<readonly [number, number]> = []
  for (const dr of [-1, 0, 1, 2]) {
    for (const dc of [-1, 0, 1, 2]) {
      const r = row + dr
      // The light is interpolated between the two rows, and depends on theirs.
      if (r < 0 || r >= level.rows) continue
      points.push([r, (column + dc + 2 * level.columns) % level.columns])
    }
  }
  return points
}

describe("the chunks in view", () => {
  const tiles: Level.Level = { ...geoid, chunkRows: 50, chunkColumns: 97 }

  it("are all that any pixel depends on", () => {
    fc.assert(
      fc.property(views, fc.constantFrom(geoid, half, whole, tiles), shares, shares, ({ size, view }, level, x, y) => {
        const place = EqualEarth.unproject(View.pointAt(view, size, { x: x * size.width, y: y * size.height }))
        if (place === undefined) return
        const chunks = new Set(
          Level.chunksInView(level, View.bounds(view, size)).map(([row, column]) => `${row}/${column}`)
        )
        for (const [row, column] of neighbours(level, place)) {
          assert.isTrue(
            chunks.has(`${Math.floor(row / level.chunkRows)}/${Math.floor(column / level.chunkColumns)}`),
            `${row}, ${column}`
          )
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("are no more than the rows in view, and their neighbours", () => {
    fc.assert(
      fc.property(views, ({ size, view }) => {
        const { north, south } = View.bounds(view, size)
        const chunks = Level.chunksInView(geoid, { south, north, west: -180, east: 180 })
        const rows = (north - south) / geoid.step + 4
        assert.isAtMost(chunks.length, Math.ceil(rows / geoid.chunkRows) + 1)
      })
    )
  })

  it("are each there once, within the array", () => {
    fc.assert(
      fc.property(views, ({ size, view }) => {
        const chunks = Level.chunksInView(tiles, View.bounds(view, size))
        const [rows, columns] = Level.chunkGrid(tiles)
        assert.strictEqual(new Set(chunks.map(String)).size, chunks.length)
        for (const [row, column] of chunks) assert.isTrue(row >= 0 && row < rows && column >= 0 && column < columns)
      })
    )
  })

  it("are of the coarsest level that is fine enough, and of the finest where none is", () => {
    const levels = [geoid, half, whole]
    const at = (width: number, zoom: number): number => {
      const size = { width, height: width / 2 }
      return Level.fineEnough(levels, { ...View.fit(size), scale: View.fit(size).scale * zoom })
    }
    assert.deepStrictEqual([at(340, 1), at(1100, 1), at(1100, 3), at(1100, 40)], [2, 1, 0, 0])
    assert.strictEqual(Level.fineEnough([geoid], View.fit({ width: 300, height: 200 })), 0)
  })
})

const bytes = fs.readFileSync(path.resolve(import.meta.dirname, "../../examples/data/egm96_15.gtx"))
const heights = Float32Array.from({ length: geoid.rows * geoid.columns }, (_, i) =>
  bytes.readFloatBE(GeoidGrid.headerBytes + i * 4)
)

const chunkOf = (level: Level.Level, row: number): Float32Array => {
  const size = level.chunkRows * level.columns
  const chunk = new Float32Array(size).fill(Number.NaN)
  chunk.set(heights.subarray(row * size, (row + 1) * size))
  return chunk
}

const filled = (level: Level.Level): Field => {
  const field = new Field(level)
  for (let row = 0; row < Level.chunkGrid(level)[0]; row++) field.put([row, 0], chunkOf(level, row))
  return field
}

describe("what was read", () => {
  it("is lit as the demo lights it, in whatever order its chunks come", () => {
    const field = new Field(geoid)
    const rows = Array.from({ length: 103 }, (_, i) => (i * 37) % 103)
    for (const row of rows) field.put([row, 0], chunkOf(geoid, row))
    assert.deepStrictEqual(field.heights, heights)
    assert.deepStrictEqual(field.light, Relief.relief({ ...geoid, heights }))
    assert.isTrue(field.states.every((state) => state === "ready"))
  })

  it("ends at the edge of the array, where chunks are larger", () => {
    const level: Level.Level = { ...geoid, chunkRows: 100 }
    const field = filled(level)
    assert.deepStrictEqual(field.heights, heights)
  })

  it("has its lowest and its highest point in view", () => {
    const field = filled(geoid)
    const found = extremes(field, { south: -90, north: 90, meridians: () => [-180, 180] })
    assert.deepStrictEqual(
      [found?.lowest.latitude, found?.lowest.longitude, found?.lowest.height.toFixed(2)],
      [4.75, 78.75, "-106.99"]
    )
    assert.deepStrictEqual(
      [found?.highest.latitude, found?.highest.longitude, found?.highest.height.toFixed(2)],
      [-8.25, 147.25, "85.39"]
    )
    const near = extremes(field, { south: 40, north: 50, meridians: () => [0, 10] })!
    assert.isTrue(near.lowest.latitude >= 40 && near.highest.longitude <= 10)
    assert.isUndefined(extremes(new Field(geoid), { south: -90, north: 90, meridians: () => [-180, 180] }))
  })
})

describe("the picture", () => {
  const size = { width: 640, height: 330 }
  const field = filled(geoid)
  const paint = (view: View.View, fields: ReadonlyArray<Field>, pixelRatio = 1): Uint8Array => {
    const pixels = new Uint32Array(Math.round(size.width * pixelRatio) * Math.round(size.height * pixelRatio))
    Painter.paint(pixels, { view, size, pixelRatio, fields, scaleEnd: Relief.scaleEnd })
    return new Uint8Array(pixels.buffer)
  }
  const colorOf = (place: EqualEarth.Place): ReadonlyArray<number> =>
    ColorScale.colorAt(
      Relief.sample(geoid, heights, place) / Relief.scaleEnd,
      Relief.sample(geoid, Relief.relief({ ...geoid, heights }), place)
    ).map((part) => Math.min(255, Math.max(0, Math.round(part * 255))))

  it("has the colours of the demo, wherever one looks, and nothing outside of the world", () => {
    const light = Relief.relief({ ...geoid, heights })
    for (const view of [View.fit(size), View.at({ latitude: 4.75, longitude: 78.75 }, 6, size)]) {
      for (const ratio of [1, 2]) {
        const picture = paint(view, [field], ratio)
        const width = Math.round(size.width * ratio)
        let outside = 0
        for (let row = 3; row < size.height * ratio; row += 31) {
          for (let column = 5; column < width; column += 29) {
            const pixel = { x: (column + 0.5) / ratio, y: (row + 0.5) / ratio }
            const place = EqualEarth.unproject(View.pointAt(view, size, pixel))
            const shown = picture.subarray((row * width + column) * 4, (row * width + column) * 4 + 4)
            if (place === undefined) {
              assert.deepStrictEqual([...shown], [0, 0, 0, 0])
              outside++
              continue
            }
            const expected = ColorScale.colorAt(
              Relief.sample(geoid, heights, place) / Relief.scaleEnd,
              Relief.sample(geoid, light, place)
            )
            for (let c = 0; c < 3; c++) {
              assert.approximately(shown[c]!, Math.min(255, Math.max(0, expected[c]! * 255)), 5)
            }
            assert.strictEqual(shown[3], 255)
          }
        }
        assert.strictEqual(outside > 0, view.scale === View.fit(size).scale)
      }
    }
  })

  it("takes a coarser level where the wanted one was not read yet", () => {
    const coarse = new Field(whole)
    for (let row = 0; row < 6; row++) {
      coarse.put(
        [row, 0],
        Float32Array.from({ length: 31 * 360 }, (_, i) => {
          const at = row * 31 + Math.floor(i / 360)
          return at < 181 ? heights[at * 4 * 1440 + (i % 360) * 4]! : Number.NaN
        })
      )
    }
    const partly = new Field(geoid)
    for (let row = 0; row < 52; row++) partly.put([row, 0], chunkOf(geoid, row))
    const view = View.fit(size)
    const picture = paint(view, [partly, coarse])
    const at = (place: EqualEarth.Place): ReadonlyArray<number> => {
      const { x, y } = View.toPixel(view, size, place)
      const from = (Math.floor(y) * size.width + Math.floor(x)) * 4
      return [...picture.subarray(from, from + 4)]
    }
    for (const place of [
      { latitude: 50, longitude: -20 },
      { latitude: -50, longitude: 40 }
    ]) {
      const shown = at(place)
      const expected = colorOf(place)
      for (let c = 0; c < 3; c++) assert.approximately(shown[c]!, expected[c]!, 24)
      assert.strictEqual(shown[3], 255)
    }
    assert.isTrue(paint(view, [new Field(geoid)]).every((part) => part === 0))
  })
})

describe("the legend", () => {
  it("has round numbers, not too many", () => {
    assert.deepStrictEqual(Legend.ticks(-110, 90, 11), [-100, -80, -60, -40, -20, 0, 20, 40, 60, 80])
    assert.deepStrictEqual(Legend.ticks(-17, 22, 8), [-15, -10, -5, 0, 5, 10, 15, 20].slice(0))
  })
})

describe("the count of what is asked for", () => {
  it("has each request with its range, its status and the bytes that came, and passes on the answer as it is", async () => {
    const seen = new Map<number, Traffic.Exchange>()
    const fetch = Traffic.counting(
      async (_, init) =>
        new Response("0123456789".slice(0, new Headers(init.headers).has("range") ? 4 : 10), {
          status: new Headers(init.headers).has("range") ? 206 : 200,
          headers: { etag: '"a"' }
        }),
      (exchange) => seen.set(exchange.id, exchange)
    )
    const answer = await fetch("https://example.org/a/b?secret=1", { headers: { range: "bytes=0-3" } })
    assert.deepStrictEqual([await answer.text(), answer.status, answer.headers.get("etag")], ["0123", 206, '"a"'])
    await (await fetch("https://example.org/c", {})).text()
    const [first, second] = [...seen.values()]
    assert.include(first, { url: "https://example.org/a/b", range: "bytes=0-3", status: 206, bytes: 4 })
    assert.include(second, { range: undefined, status: 200, bytes: 10 })
    assert.isDefined(second?.endedAt)
    assert.deepStrictEqual(Traffic.totals([...seen.values()]), { requests: 2, bytes: 14 })
  })

  it("has those that failed, too", async () => {
    const seen: Array<Traffic.Exchange> = []
    const fetch = Traffic.counting(
      () => Promise.reject(new TypeError("no network")),
      (exchange) => seen.push(exchange)
    )
    const error = await fetch("https://example.org/", {}).catch((error: unknown) => error)
    assert.instanceOf(error, TypeError)
    assert.strictEqual(seen.at(-1)?.status, 0)
  })
})
