/**
 * The page of `examples/browser`, built as it would be published, in a real Chromium, with a server that fails as servers
 * do. `PAGE_SCREENSHOT=1` writes the picture of the documentation.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { chromium as driver, type Browser, type Page } from "playwright-core"
import { build, preview, type PreviewServer } from "vite"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { samplePlugin } from "../../examples/browser/server/SamplePlugin.ts"
import * as SampleSite from "../../examples/browser/server/SampleSite.ts"
import * as Level from "../../examples/browser/src/Level.ts"
import type { Fault } from "../../examples/browser/src/Sample.ts"
import * as View from "../../examples/browser/src/View.ts"
import * as ColorScale from "../../examples/src/ColorScale.ts"
import * as EqualEarth from "../../examples/src/EqualEarth.ts"
import * as GeoidGrid from "../../examples/src/GeoidGrid.ts"
import * as Relief from "../../examples/src/Relief.ts"
import { chromium } from "../browser/Chromium.ts"
import { geoid } from "./Geoid.ts"

const root = path.resolve(import.meta.dirname, "../..")
const configFile = path.join(root, "examples/browser/vite.config.ts")

const chunkBytes = 7 * 1440 * 4

/** The heights, or every so many of them, as the demo lights them. */
const fieldOf = (every: number): { readonly field: Relief.Field; readonly light: Float32Array } => {
  const bytes = fs.readFileSync(path.join(root, "examples/data/egm96_15.gtx"))
  const [rows, columns] = [720 / every + 1, 1440 / every]
  const heights = Float32Array.from({ length: rows * columns }, (_, i) => {
    const at = Math.floor(i / columns) * every * 1440 + (i % columns) * every
    return bytes.readFloatBE(GeoidGrid.headerBytes + at * 4)
  })
  const field = { rows, columns, south: -90, west: -180, step: 0.25 * every, heights }
  return { field, light: Relief.relief(field) }
}

/** Places at sea, with no line of the map near them. */
const places: ReadonlyArray<EqualEarth.Place> = [
  { latitude: 47, longitude: -22 },
  { latitude: 20, longitude: -44 },
  { latitude: 42, longitude: -162 },
  { latitude: 8, longitude: -137 },
  { latitude: 13, longitude: 65 },
  { latitude: -28, longitude: 80 },
  { latitude: -45, longitude: 54 },
  { latitude: -50, longitude: -110 },
  { latitude: -20, longitude: -16 }
]

describe.skipIf(chromium === undefined)("the page, in Chromium", () => {
  let directory: string
  let site: SampleSite.SampleSite
  let published: PreviewServer
  let browser: Browser
  let page: Page
  const problems: Array<string> = []

  beforeAll(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-page-"))
    const outDir = path.join(directory, "dist")
    const [started, opened] = await Promise.all([
      SampleSite.start({ directory: path.join(directory, "site") }),
      driver.launch({ executablePath: chromium!, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] }),
      build({ configFile, logLevel: "warn", build: { outDir } })
    ])
    site = started
    browser = opened
    published = await preview({
      configFile,
      logLevel: "warn",
      build: { outDir },
      preview: { host: "127.0.0.1", port: 0 },
      plugins: [samplePlugin(site.sample)]
    })
    page = await open()
  })

  afterAll(async () => {
    await browser?.close()
    await published?.close()
    await site?.[Symbol.asyncDispose]()
    fs.rmSync(directory, { recursive: true, force: true })
  })

  const open = async (
    options: Parameters<Browser["newPage"]>[0] = { viewport: { width: 1360, height: 820 } }
  ): Promise<Page> => {
    const opened = await browser.newPage(options)
    opened.on("pageerror", (error) => problems.push(error.message))
    await opened.goto(published.resolvedUrls!.local[0]!)
    await settled(opened)
    return opened
  }

  const settled = async (on = page): Promise<void> => {
    // What was just done has been noticed once a frame was drawn.
    await on.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 50))))
    await on.waitForSelector('#canvas[data-state="settled"]')
  }

  const error = async (): Promise<{ readonly tag: string; readonly message: string } | undefined> =>
    page.evaluate(() => {
      const text = (id: string): string => document.getElementById(id)?.textContent ?? ""
      return document.getElementById("error")?.hidden === false
        ? { tag: text("error-tag"), message: `${text("error-message")} ${text("error-hint")}` }
        : undefined
    })

  /** Does what makes the page open the repository, and waits until it has, or could not. */
  const opening = async (act: () => Promise<unknown>, on = page): Promise<void> => {
    const before = await on.getAttribute("#canvas", "data-openings")
    await act()
    await on.waitForFunction((before) => document.getElementById("canvas")?.dataset["openings"] !== before, before)
    await settled(on)
  }

  const choose = async (fault: Fault): Promise<void> => {
    await opening(() => page.check(`#faults input[value="${fault}"]`))
  }

  /** Where the map is, and its pixels. */
  const map = async (on = page) => {
    const { height, text, width } = await on.evaluate(() => {
      const canvas = document.getElementById("canvas") as HTMLCanvasElement
      return { text: canvas.dataset["view"] ?? "", width: canvas.clientWidth, height: canvas.clientHeight }
    })
    const [x = 0, y = 0, scale = 1] = text.split(" ").map(Number)
    const size = { width, height }
    const view: View.View = { center: { x, y }, scale }
    const pixels = (wanted: ReadonlyArray<EqualEarth.Point>) =>
      on.evaluate((wanted) => {
        const canvas = document.getElementById("canvas") as HTMLCanvasElement
        const context = canvas.getContext("2d")!
        return wanted.map(({ x, y }) => [...context.getImageData(x, y, 1, 1).data])
      }, wanted)
    return { view, size, pixels }
  }

  /** Compares the picture with the colours that the demo has for these heights. */
  const compare = async (every: number, wanted: ReadonlyArray<EqualEarth.Place>): Promise<void> => {
    const { field, light } = fieldOf(every)
    const { pixels, size, view } = await map()
    const points = wanted.map((place) => {
      const { x, y } = View.toPixel(view, size, place)
      return { x: Math.floor(x), y: Math.floor(y) }
    })
    const found = await pixels(points)
    points.forEach(({ x, y }, i) => {
      const place = EqualEarth.unproject(View.pointAt(view, size, { x: x + 0.5, y: y + 0.5 }))!
      const expected = ColorScale.colorAt(
        Relief.sample(field, field.heights, place) / Relief.scaleEnd,
        Relief.sample(field, light, place)
      )
      for (let c = 0; c < 3; c++) {
        assert.approximately(
          found[i]![c]!,
          expected[c]! * 255,
          6,
          JSON.stringify({ place: wanted[i], found: found[i] })
        )
      }
    })
  }

  /** The rows of chunks of the data file that were asked for, each as often as it was. */
  const rowsAsked = (): ReadonlyArray<number> =>
    site.server.requests
      .filter(({ path }) => path.startsWith("/data/"))
      .flatMap(({ range }) => {
        const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "")!.map(Number)
        const first = (start! - GeoidGrid.headerBytes) / chunkBytes
        const count = (end! + 1 - start!) / chunkBytes
        assert.isTrue(Number.isInteger(first) && Number.isInteger(count), range)
        return Array.from({ length: count }, (_, i) => first + i)
      })
      .toSorted((a, b) => a - b)

  /** How often it was asked which commit is the newest. */
  const repoAsked = (): number => site.server.requests.filter(({ path }) => path === "/repository/repo").length

  const rowsInView = async (): Promise<ReadonlyArray<number>> => {
    const { size, view } = await map()
    return Level.chunksInView(geoid, View.bounds(view, size)).map(([row]) => row)
  }

  // A test that failed leaves the map where it was.
  beforeEach(() => showAll())

  const showAll = async (): Promise<void> => {
    await page.click("#zoom-all")
    await settled()
  }

  it("draws the map in the demo's colours, from an overview, without special headers", async () => {
    assert.isUndefined(await error())
    await compare(2, places)
    assert.isEmpty(rowsAsked())
    const { headers, isIsolated } = await page.evaluate(async () => {
      const response = await fetch(location.href)
      return { headers: [...response.headers.keys()], isIsolated: crossOriginIsolated }
    })
    assert.isFalse(isIsolated)
    assert.notIncludeMembers(headers, ["cross-origin-opener-policy", "cross-origin-embedder-policy"])
    assert.match((await page.textContent("#subtitle"))!, /^height of the geoid above the WGS 84 ellipsoid, in metres$/)
  })

  it("lists branches, tags and history, and counts requests and bytes", async () => {
    assert.deepStrictEqual(await page.locator("#refs button").allTextContents(), ["main", "short-waves", "egm96"])
    assert.deepStrictEqual(await page.locator("#history button span").allTextContents(), [
      "Overviews, so that a first look reads less",
      "The northern hemisphere, from the same file",
      "The southern hemisphere, as virtual chunks of one file",
      "Repository initialized"
    ])
    const asked = site.server.requests.length
    // Opened without grants, then with them; all versions at once; the session. A later one sees the newest commit.
    assert.strictEqual(repoAsked(), 4)
    assert.strictEqual(await page.textContent("#requests"), String(asked))
    assert.match((await page.textContent("#received"))!, /^1\.0\d MB$/)
    assert.strictEqual(await page.textContent("#received-outside"), "0 B")
    assert.match((await page.textContent("#levels"))!, /every 30′, in the repository19 of 19/)
  })

  it("reads only the chunks in view, when it is zoomed and when it is moved, and none twice", async () => {
    site.server.requests.length = 0
    await page.focus("#canvas")
    const needed = new Set<number>()
    const look = async (): Promise<ReadonlyArray<number>> => {
      await settled()
      const rows = await rowsInView()
      for (const row of rows) needed.add(row)
      return rows
    }
    for (let i = 0; i < 4; i++) {
      await page.keyboard.press("+")
      await look()
    }
    const first = await rowsInView()
    assert.isBelow(first.length, 60)
    const expected = (): ReadonlyArray<number> => [...needed].toSorted((a, b) => a - b)
    assert.deepStrictEqual(rowsAsked(), expected())
    assert.isBelow(needed.size, 103)
    // Chunks that lie side by side come together.
    assert.isBelow(site.server.requests.filter(({ path }) => path.startsWith("/data/")).length, 8)
    await compare(1, [
      { latitude: 13, longitude: -33 },
      { latitude: -12, longitude: -11 }
    ])
    const { size } = await map()
    const from = { x: size.width / 2 + 100, y: size.height / 2 + 120 }
    await page.mouse.move(from.x, from.y)
    await page.mouse.down()
    await page.mouse.move(from.x, from.y + 160)
    await page.mouse.up()
    assert.notDeepEqual(await look(), first)
    assert.deepStrictEqual(rowsAsked(), expected())
    const seen = rowsAsked()
    await showAll()
    assert.deepStrictEqual(rowsAsked(), seen)
    assert.match((await page.textContent("#levels"))!, /every 15′, virtual\d+ of 103/)
  })

  it("switches between snapshots, tags and branches", async () => {
    const [south, north, , waves] = site.snapshots
    const shown = () => page.getAttribute("#canvas", "data-snapshot")
    await page.click("#history li:nth-child(3) button")
    await settled()
    assert.strictEqual(await shown(), south)
    const isNorth = ({ latitude }: EqualEarth.Place): boolean => latitude > 0
    await compare(
      1,
      places.filter((place) => !isNorth(place))
    )
    const { pixels, size, view } = await map()
    const blank = await pixels(
      places.filter(isNorth).map((place) => {
        const { x, y } = View.toPixel(view, size, place)
        return { x: Math.floor(x), y: Math.floor(y) }
      })
    )
    assert.strictEqual(new Set(blank.map(String)).size, 1)

    await page.click('#refs button[aria-label="tag egm96"]')
    await settled()
    assert.strictEqual(await shown(), north)
    await compare(1, places)

    site.server.requests.length = 0
    await page.click('#refs button[aria-label="branch short-waves"]')
    await settled()
    assert.strictEqual(await shown(), waves)
    assert.strictEqual(repoAsked(), 2)
    assert.isEmpty(rowsAsked())
    assert.match((await page.textContent("#ticks"))!, /^−30−20−100102030 m$/)

    await page.click('#refs button[aria-label="branch main"]')
    await settled()
    assert.isUndefined(await error())
  })

  it("says that the data file has changed, and reads on when it is restored", async () => {
    const original = fs.readFileSync(site.data)
    const changed = Buffer.from(original)
    changed[changed.length - 1]! ^= 1
    try {
      fs.writeFileSync(site.data, changed)
      await opening(() => page.click("#form button[type=submit]"))
      await page.focus("#canvas")
      for (let i = 0; i < 5; i++) await page.keyboard.press("+")
      await settled()
      const found = await error()
      assert.strictEqual(found?.tag, "ChecksumMismatch")
      assert.match(found!.message, /egm96_15\.gtx has changed since its chunks were referenced.*Restore the object/)
      assert.isAbove(await page.locator('.bar i[data-state="failed"]').count(), 10)
      assert.match((await page.textContent("#levels"))!, /every 15′0 of 103/)
    } finally {
      fs.writeFileSync(site.data, original)
    }
    await page.click("#again")
    await settled()
    assert.isUndefined(await error())
    assert.strictEqual(await page.locator('.bar i[data-state="failed"]').count(), 0)
    await compare(1, [{ latitude: -8, longitude: -5 }])
    await showAll()
  })

  it.each<readonly [fault: Fault, tag: string, message: RegExp]>([
    ["changed", "ChecksumMismatch", /has changed since.*Restore the object/],
    ["truncated", "ObjectStoreError: InvalidResponse", /egm96_15\.gtx.*bytes of the body.*read again/],
    ["html", "ObjectStoreError: InvalidResponse", /a web page came.*check the URL/],
    ["unavailable", "ObjectStoreError: Unavailable", /CORS.*Open the URL in a tab.*read again in a moment/]
  ])("says what to do when the server answers so: %s", async (fault, tag, message) => {
    await choose(fault)
    await page.waitForSelector("#error:not([hidden])")
    await settled()
    const found = await error()
    assert.strictEqual(found?.tag, tag)
    assert.match(found!.message, message)
    await choose("none")
    assert.isUndefined(await error())
    await showAll()
    await compare(2, places)
  })

  it("shows the map all the same when the server knows no ranges", async () => {
    await choose("noRanges")
    site.server.requests.length = 0
    await page.focus("#canvas")
    for (let i = 0; i < 5; i++) await page.keyboard.press("+")
    await settled()
    assert.isUndefined(await error())
    await compare(1, [{ latitude: -8, longitude: -5 }])
    // Ranges that are asked for at the same time may find out together.
    assert.isAtMost(site.server.requests.filter(({ path }) => path.startsWith("/data/")).length, 4)
    await choose("none")
    await showAll()
  })

  it("sees a new commit also through a cache that keeps what is old", async () => {
    await choose("stale")
    await Effect.gen(function* () {
      const repository = yield* Repository.open()
      const session = yield* repository.writableSession("main")
      yield* session.createGroup("/notes", { text: "seen at once" })
      yield* session.commit("Notes")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(
          FsObjectStore.layer({ directory: path.join(directory, "site/repository") }),
          Platform.layerNone,
          NodeZstd.layer
        ).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
      ),
      Effect.runPromise
    )
    await opening(() => page.click("#form button[type=submit]"))
    assert.strictEqual(await page.locator("#history button span").first().textContent(), "Notes")
    await choose("none")
  })

  it("asks other servers only once somebody has agreed", async () => {
    const elsewhere = await open({ viewport: { width: 1200, height: 700 } })
    await elsewhere.fill("#url", site.sample.repository.replace("127.0.0.1", "localhost"))
    await opening(() => elsewhere.click("#form button[type=submit]"), elsewhere)
    await elsewhere.focus("#canvas")
    for (let i = 0; i < 4; i++) await elsewhere.keyboard.press("+")
    await settled(elsewhere)
    assert.strictEqual(await elsewhere.textContent("#error-tag"), "MissingCredentials")
    await opening(() => elsewhere.click("#outside button"), elsewhere)
    assert.isTrue(await elsewhere.locator("#error").isHidden())
    assert.isAbove(await elsewhere.locator('.bar i[data-state="ready"]').count(), 20)
    await elsewhere.close()
  })

  it("fits on a phone, reads less there, and can be used by keys alone", async () => {
    site.server.requests.length = 0
    const phone = await open({
      viewport: { width: 360, height: 740 },
      deviceScaleFactor: 2,
      hasTouch: true,
      colorScheme: "dark"
    })
    assert.isAtMost(await phone.evaluate(() => document.documentElement.scrollWidth), 360)
    assert.match((await phone.textContent("#levels"))!, /every 1°, in the repository6 of 6/)
    assert.strictEqual(await phone.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgba(0, 0, 0, 0)")
    const reached: Array<string> = []
    for (let i = 0; i < 12; i++) {
      await phone.keyboard.press("Tab")
      reached.push(await phone.evaluate(() => document.activeElement?.id ?? ""))
    }
    assert.includeMembers(reached, ["canvas", "zoom-in", "zoom-out", "zoom-all", "url"])
    const { size, view } = await map(phone)
    await phone.focus("#canvas")
    await phone.keyboard.press("+")
    await phone.keyboard.press("ArrowRight")
    await settled(phone)
    const moved = await map(phone)
    assert.isAbove(View.zoomOf(moved.view, size), View.zoomOf(view, size))
    assert.isAbove(moved.view.center.x, view.center.x)
    assert.match((await phone.textContent("#readout"))!, /° [NS], .*° [EW].* m$/)
    await phone.keyboard.press("0")
    await settled(phone)
    assert.deepStrictEqual((await map(phone)).view, view)
    await phone.close()
  })

  it("throws nothing that nobody caught", () => {
    assert.deepStrictEqual(problems, [])
  })

  it.runIf(process.env["PAGE_SCREENSHOT"] === "1")("is drawn for the documentation", async () => {
    const shown = await open({ viewport: { width: 1360, height: 850 }, deviceScaleFactor: 1.5 })
    await shown.focus("#canvas")
    for (let i = 0; i < 2; i++) await shown.keyboard.press("+")
    await shown.mouse.move(520, 330)
    await settled(shown)
    await shown.screenshot({ path: path.join(root, "docs/images/browser-page.jpg"), quality: 85 })
    await shown.close()
  })
})
