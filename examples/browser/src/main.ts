/**
 * The page: what it shows beside the map, and what happens when one of its controls is used.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Cause from "effect/Cause"
import { formatHeight } from "../../src/GeoidGrid.ts"
import { parseCoastlines } from "../../src/MapLines.ts"
import coastlines from "../../data/coastlines.txt?raw"
import * as Explorer from "./Explorer.ts"
import * as Legend from "./Legend.ts"
import type { ChunkIndex } from "./Level.ts"
import { MapView } from "./MapView.ts"
import * as Sample from "./Sample.ts"
import { bytesText, errorText, fileText, placeText } from "./Text.ts"
import * as Traffic from "./Traffic.ts"
import * as View from "./View.ts"

const array = "/egm96/geoid"

/** Where the geoid is lowest: a place to look at. */
const indianOcean = { latitude: 4.75, longitude: 78.75 }

const element = <K extends HTMLElement = HTMLElement>(id: string): K => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`The page has no element \`${id}\``)
  return found as K
}

const make = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[K] => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

/** Text whose parts in backticks are code. */
const marked = (text: string): ReadonlyArray<Node | string> =>
  text.split("`").map((part, i) => (i % 2 === 0 ? part : make("code", {}, part)))

// ---- errors

let failures = 0

const showError = (error: unknown): void => {
  failures++
  element("error-count").textContent = failures === 1 ? "" : `and ${failures - 1} more`
  if (failures > 1) return
  const { hint, message, tag } = errorText(error)
  element("error-tag").textContent = tag
  element("error-message").replaceChildren(...marked(message))
  element("error-hint").textContent = hint ?? ""
  element("error").hidden = false
}

const clearError = (): void => {
  failures = 0
  element("error").hidden = true
}

// ---- traffic

/** As many exchanges are listed; all are counted. */
const listed = 60

const exchanges = new Map<number, Traffic.Exchange>()
let trafficFrame: number | undefined

const showTraffic = (): void => {
  const all = [...exchanges.values()]
  const { bytes, requests } = Traffic.totals(all)
  const outside = Traffic.totals(
    all.filter(({ url }) => current !== undefined && !url.startsWith(`${current.url.replace(/\/+$/, "")}/`))
  )
  element("requests").textContent = String(requests)
  element("received").textContent = bytesText(bytes - outside.bytes)
  element("received-outside").textContent = bytesText(outside.bytes)
  const rows = all
    .slice(-listed)
    .toReversed()
    .map(({ bytes, endedAt, range, startedAt, status, url }) => {
      const row = make(
        "tr",
        {},
        make("td", { title: `${url}${range === undefined ? "" : `, ${range}`}` }, fileText(url)),
        make("td", {}, bytesText(bytes)),
        make("td", {}, status === undefined ? "…" : status === 0 ? "failed" : String(status)),
        make("td", {}, endedAt === undefined ? "…" : (endedAt - startedAt).toFixed(0))
      )
      if (status === 0 || (status !== undefined && status >= 400)) row.dataset["bad"] = "true"
      return row
    })
  element("exchanges").replaceChildren(...rows)
}

const fetchCounted = Traffic.counting(
  (url, init) => fetch(url, init),
  (exchange) => {
    exchanges.set(exchange.id, exchange)
    trafficFrame ??= requestAnimationFrame(() => {
      trafficFrame = undefined
      showTraffic()
    })
  }
)

// ---- the map

let dataset: Explorer.Dataset | undefined

const canvas = element<HTMLCanvasElement>("canvas")

const degreesText = (step: number): string => {
  const minutes = Math.round(step * 60)
  return minutes % 60 === 0 ? `${minutes / 60}°` : `${minutes}′`
}

/** Where the chunks of each level are, once one of them was read. */
const kinds = new Map<number, string>()

const kindTexts = { Virtual: ", virtual", Native: ", in the repository", Inline: ", in the manifest" }

const askKind = async (i: number, level: Explorer.LevelArray, index: ChunkIndex): Promise<void> => {
  kinds.set(i, "")
  const kind = await level.kind(index)
  if (dataset?.levels[i] !== level) return
  kinds.set(i, kind === undefined ? "" : kindTexts[kind])
  showLevels()
}

const showLevels = (): void => {
  const { view } = map
  canvas.dataset["view"] = [view.center.x, view.center.y, view.scale].join(" ")
  const container = element("levels")
  const levels = map.shown
  if (container.childElementCount !== levels.length) {
    container.replaceChildren(
      ...levels.map(({ field }) =>
        make(
          "div",
          { className: "level" },
          make("p", {}, make("span", {}, ""), make("span", {}, "")),
          make("div", { className: "bar" }, ...field.states.map(() => make("i")))
        )
      )
    )
  }
  levels.forEach(({ field, inView, isWanted }, i) => {
    const level = container.children[i] as HTMLElement
    const [label, count] = level.querySelectorAll("span")
    const ready = field.states.filter((state) => state === "ready").length
    level.dataset["wanted"] = String(isWanted)
    level.title = dataset?.levels[i]?.path ?? ""
    label!.textContent = `every ${degreesText(field.step)}${kinds.get(i) ?? ""}`
    count!.textContent = `${ready} of ${field.states.length}`
    const chunkColumns = Math.ceil(field.columns / field.level.chunkColumns)
    const first = field.states.indexOf("ready")
    const source = dataset?.levels[i]
    if (first !== -1 && source !== undefined && !kinds.has(i)) {
      void askKind(i, source, [Math.floor(first / chunkColumns), first % chunkColumns])
    }
    const cells = level.querySelectorAll("i")
    field.states.forEach((state, i) => {
      cells[i]!.dataset["state"] = state
      cells[i]!.dataset["seen"] = String(inView.has(`${Math.floor(i / chunkColumns)}/${i % chunkColumns}`))
    })
  })
}

const map: MapView = new MapView(canvas, {
  onMove: () => void settle("moving"),
  onChunks: () => {
    showLevels()
    void settle("reading")
  },
  onError: showError,
  onReadout: (place, height) => {
    const readout = element("readout")
    if (place === undefined) readout.replaceChildren()
    else {
      const shown = height === undefined ? "not known" : formatHeight(height)
      readout.replaceChildren(placeText(place), make("b", {}, shown))
    }
  }
})

/** Says on the page itself when all is done, for those who watch it. */
let settling = 0
const settle = async (now: "moving" | "reading"): Promise<void> => {
  const mine = ++settling
  canvas.dataset["state"] = now
  await map.settled()
  if (mine === settling) canvas.dataset["state"] = "settled"
}

map.setCoastlines(parseCoastlines(coastlines))

// ---- versions

let current: { readonly url: string; readonly scope: Scope.Closeable; readonly opened: Explorer.Opened } | undefined
let ref: Explorer.Ref = { kind: "branch", name: "main" }
let work = new AbortController()

/** Servers that the visitor has agreed to. */
const allowed = new Set<string>()

/** Runs what the last use of a control has asked for; what an earlier one asked for is interrupted. */
const run = async <A>(effect: Effect.Effect<A, unknown>, signal: AbortSignal): Promise<A | undefined> => {
  const exit = await Effect.runPromiseExit(effect, { signal })
  if (signal.aborted) return undefined
  if (Exit.isSuccess(exit)) return exit.value
  showError(Cause.squash(exit.cause))
  return undefined
}

const begin = (): AbortSignal => {
  work.abort()
  work = new AbortController()
  map.stop()
  clearError()
  return work.signal
}

const versionOf = ({ kind, name }: Explorer.Ref): Explorer.Version =>
  kind === "branch" ? { branch: name } : { tag: name }

const icons = {
  branch:
    "M3.4 3.6a1.600 1.600 0 1 0 3.200 0a1.600 1.600 0 1 0-3.200 0M3.400 12.400a1.600 1.600 0 1 0 3.200 0a1.600 1.600 0 1 0-3.200 0M9.400 5.600a1.600 1.600 0 1 0 3.200 0a1.600 1.600 0 1 0-3.200 0M5 5.200v5.600M11 7.200c0 2.600-6 1.400-6 3.600",
  tag: "M2.5 8V2.500H8l5.500 5.500-5.500 5.500zM5.600 5.600h.01"
}

const icon = (kind: Explorer.Ref["kind"]): SVGElement => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 16 16")
  svg.setAttribute("aria-hidden", "true")
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  path.setAttribute("d", icons[kind])
  path.setAttribute("stroke-linejoin", "round")
  path.setAttribute("stroke-linecap", "round")
  svg.append(path)
  return svg
}

const showRefs = ({ branches, tags }: Explorer.Versions): void => {
  const button = (kind: Explorer.Ref["kind"], name: string): HTMLButtonElement => {
    const made = make("button", { type: "button", title: `${kind} ${name}` }, name)
    made.prepend(icon(kind))
    made.setAttribute("aria-label", `${kind} ${name}`)
    made.setAttribute("aria-pressed", String(ref.kind === kind && ref.name === name))
    made.addEventListener("click", () => {
      ref = { kind, name }
      for (const other of element("refs").children) other.setAttribute("aria-pressed", String(other === made))
      void showVersion(begin())
    })
    return made
  }
  element("refs").replaceChildren(
    ...branches.map((name) => button("branch", name)),
    ...tags.map((name) => button("tag", name))
  )
}

const time = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" })

const showHistory = (snapshots: ReadonlyArray<Explorer.Snapshot>, shown: string): void => {
  element("history").replaceChildren(
    ...snapshots.map(({ id, message, writtenAt }, i) => {
      const button = make(
        "button",
        // The first snapshot of a repository is empty.
        { type: "button", title: id, disabled: i === snapshots.length - 1 },
        make("span", {}, message === "" ? "(no message)" : message),
        make("small", {}, `${id.slice(0, 7)} · ${time.format(writtenAt)}`)
      )
      button.setAttribute("aria-current", String(id === shown))
      button.addEventListener("click", () => void showVersion(begin(), { snapshotId: id }))
      return make("li", {}, button)
    })
  )
}

const showDataset = (wanted: Explorer.Dataset | undefined): void => {
  dataset = wanted
  kinds.clear()
  canvas.dataset["snapshot"] = wanted?.snapshotId ?? ""
  map.setDataset(wanted)
  if (wanted === undefined) return
  element("subtitle").textContent = `${wanted.name}, in ${wanted.units === "m" ? "metres" : wanted.units}`
  const { scaleEnd } = map
  const [low, high] = wanted.range ?? [-scaleEnd, scaleEnd]
  const step = high - low > 80 ? 10 : 1
  Legend.draw(element<HTMLCanvasElement>("scale"), element("ticks"), {
    range: [Math.floor(low / step) * step, Math.ceil(high / step) * step],
    scaleEnd,
    units: wanted.units
  })
}

/** Shows the tip of the chosen branch or tag, or one of its snapshots. */
const showVersion = async (
  signal: AbortSignal,
  version: Explorer.Version = versionOf(ref),
  known?: Explorer.Versions
): Promise<void> => {
  const opened = current?.opened
  if (opened === undefined) return
  canvas.dataset["state"] = "reading"
  const [versions, found] = await Promise.all([
    known ?? run(opened.versionsNow, signal),
    run(opened.dataset(version), signal)
  ])
  if (signal.aborted) return
  const snapshots = versions?.history(ref)
  const shown = found?.snapshotId ?? ("snapshotId" in version ? version.snapshotId : snapshots?.[0]?.id)
  if (snapshots !== undefined) showHistory(snapshots, shown ?? "")
  showDataset(found)
}

const close = async (): Promise<void> => {
  const closing = current
  current = undefined
  if (closing !== undefined) await Effect.runPromise(Scope.close(closing.scope, Exit.void))
}

/** How often the repository was opened, or could not be; said on the page, too. */
let openings = 0

const openRepository = async (url: string): Promise<void> => {
  await reopen(url)
  canvas.dataset["openings"] = String(++openings)
}

const reopen = async (url: string): Promise<void> => {
  const signal = begin()
  canvas.dataset["state"] = "reading"
  await close()
  exchanges.clear()
  showTraffic()
  const scope = Effect.runSync(Scope.make())
  const opened = await run(Scope.provide(Explorer.open({ url, array, allowed, fetch: fetchCounted }), scope), signal)
  if (opened === undefined) {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    if (signal.aborted) return
    element("refs").replaceChildren()
    element("history").replaceChildren()
    element("outside").replaceChildren()
    showDataset(undefined)
    return
  }
  current = { url, scope, opened }
  const { branches, tags } = opened.versions
  const isThere = (ref.kind === "branch" ? branches : tags).includes(ref.name)
  if (!isThere) ref = { kind: "branch", name: branches.includes("main") ? "main" : (branches[0] ?? "main") }
  showRefs(opened.versions)
  element("outside").replaceChildren(
    ...opened.outside.map(({ endpoint, isAllowed, name, place }) => {
      const line = make("span", {}, "Virtual chunks: ", make("code", {}, name), " at ", make("code", {}, place))
      if (!isAllowed) {
        const button = make("button", { type: "button" }, "Allow")
        button.addEventListener("click", () => {
          allowed.add(endpoint)
          void openRepository(url)
        })
        line.append(" ", button)
      }
      return line
    })
  )
  await showVersion(signal, versionOf(ref), opened.versions)
}

// ---- controls

const urlField = element<HTMLInputElement>("url")

element("form").addEventListener("submit", (event) => {
  event.preventDefault()
  history.replaceState(undefined, "", `?repository=${encodeURIComponent(urlField.value)}`)
  void openRepository(urlField.value)
})
element("zoom-in").addEventListener("click", () => map.zoom(1.6))
element("zoom-out").addEventListener("click", () => map.zoom(1 / 1.6))
element("zoom-all").addEventListener("click", () => map.showAll())
element("again").addEventListener("click", () => {
  if (current === undefined || dataset === undefined) void openRepository(urlField.value)
  else {
    clearError()
    map.readAgain()
  }
})

const showFaults = async ({ fault }: Sample.Sample): Promise<void> => {
  element("sample").hidden = false
  // Whoever loads the page anew begins anew.
  await fetch(fault, { method: "POST", body: "none" })
  for (const { about, label, name } of Sample.faults) {
    const input = make("input", { type: "radio", name: "fault", value: name, checked: name === "none" })
    input.addEventListener("change", async () => {
      await fetch(fault, { method: "POST", body: name })
      const isOfData = name === "changed" || name === "truncated"
      if (isOfData) map.showAll()
      await openRepository(urlField.value)
      if (!isOfData) return
      // What is wrong with the data shows where it is read: closer than the overviews reach.
      await map.settled()
      map.setView(View.at(indianOcean, 4, map.size))
    })
    element("faults").append(make("label", {}, input, label, make("small", {}, about)))
  }
}

const sample = async (): Promise<Sample.Sample | undefined> => {
  const response = await fetch("sample.json").catch(() => undefined)
  const isJson = response?.headers.get("content-type")?.startsWith("application/json") === true
  return isJson && response.ok ? ((await response.json()) as Sample.Sample) : undefined
}

const found = await sample()
const wanted = new URLSearchParams(location.search).get("repository") ?? found?.repository
if (found !== undefined) await showFaults(found)
if (wanted !== undefined) {
  urlField.value = wanted
  await openRepository(wanted)
}
