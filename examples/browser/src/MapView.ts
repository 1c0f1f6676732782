/**
 * The map: it draws what has been read, is moved by pointer, wheel and keys, and reads the chunks that come into view.
 */
import * as EqualEarth from "../../src/EqualEarth.ts"
import { formatHeight } from "../../src/GeoidGrid.ts"
import { graticule, outline, splitAtEdge } from "../../src/MapLines.ts"
import { scaleEnd } from "../../src/Relief.ts"
import type { Dataset } from "./Explorer.ts"
import { type Extreme, extremes, Field } from "./Field.ts"
import * as Level from "./Level.ts"
import * as Painter from "./Painter.ts"
import { placeText } from "./Text.ts"
import * as View from "./View.ts"

export interface MapEvents {
  /** The map is being moved. */
  readonly onMove: () => void
  /** What is read, being read or in view has changed. */
  readonly onChunks: () => void
  /** A chunk could not be read. */
  readonly onError: (error: unknown) => void
  /** What is pointed at, or in the middle for those who move by keys. */
  readonly onReadout: (place: EqualEarth.Place | undefined, height: number | undefined) => void
}

/** A level with what has been read of it, and which of its chunks are in view. */
export interface Shown {
  readonly field: Field
  readonly isWanted: boolean
  readonly inView: ReadonlySet<string>
}

/** Milliseconds without a movement after which chunks are read and the map is drawn as sharply as the screen allows. */
const rest = 110

const path = (lines: ReadonlyArray<ReadonlyArray<EqualEarth.Place>>): Path2D => {
  const made = new Path2D()
  for (const line of lines) {
    line.forEach((place, i) => {
      const { x, y } = EqualEarth.project(place)
      if (i === 0) made.moveTo(x, -y)
      else made.lineTo(x, -y)
    })
  }
  return made
}

/** `#rrggbb` as a pixel of an image. */
const packed = (color: string): number => {
  const bytes = Uint8Array.from([1, 3, 5], (at) => Number.parseInt(color.trim().slice(at, at + 2), 16))
  return new Uint32Array(Uint8Array.of(...bytes, 255).buffer)[0]!
}

const key = ([row, column]: Level.ChunkIndex): string => `${row}/${column}`

export class MapView {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #image = document.createElement("canvas")
  readonly #events: MapEvents
  readonly #graticule = path(graticule())
  readonly #outline = path([outline()])
  #coast = new Path2D()
  #pixels: ImageData | undefined
  #size: View.Size = { width: 1, height: 1 }
  #view: View.View = View.fit(this.#size)
  #dataset: Dataset | undefined
  #range: Dataset["range"]
  #fields: ReadonlyArray<Field> = []
  #wanted = 0
  #inView: ReadonlySet<string> = new Set()
  readonly #reading = new Map<string, AbortController>()
  #extremes: ReturnType<typeof extremes>
  #frame: number | undefined
  #resting: number | undefined
  #isMoving = false
  #pointer: EqualEarth.Point | undefined
  /** Resolves when all is read that is in view and drawn. */
  #idle: Array<() => void> = []

  constructor(canvas: HTMLCanvasElement, events: MapEvents) {
    this.#canvas = canvas
    this.#context = canvas.getContext("2d")!
    this.#events = events
    new ResizeObserver(() => this.#resize()).observe(canvas)
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw())
    this.#listen()
  }

  get view(): View.View {
    return this.#view
  }

  get size(): View.Size {
    return this.#size
  }

  /** The finest level first. */
  get shown(): ReadonlyArray<Shown> {
    return this.#fields.map((field, i) => ({
      field,
      isWanted: i === this.#wanted,
      inView: i === this.#wanted ? this.#inView : new Set()
    }))
  }

  /** The height at the ends of the colour scale. */
  get scaleEnd(): number {
    const range = this.#range
    return range === undefined ? scaleEnd : Math.max(Math.ceil(range[1]), Math.round(-range[0]))
  }

  /** Resolves when the map has come to rest, and all that is in view was read or could not be. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#checkIdle()
    })
  }

  setCoastlines(lines: ReadonlyArray<ReadonlyArray<number>>): void {
    this.#coast = path(lines.flatMap(splitAtEdge))
    this.#draw()
  }

  /** Reads nothing more of what is shown, which stays as it is. */
  stop(): void {
    for (const controller of this.#reading.values()) controller.abort()
    this.#reading.clear()
    this.#dataset = undefined
  }

  /** Shows another field, or none. */
  setDataset(dataset: Dataset | undefined): void {
    this.stop()
    this.#dataset = dataset
    this.#range = dataset?.range
    this.#fields = dataset?.levels.map((level) => new Field(level)) ?? []
    this.#extremes = undefined
    this.#load()
    this.#draw()
  }

  /** Reads anew what could not be read. */
  readAgain(): void {
    for (const { field } of this.shown) {
      field.states.forEach((state, i) => {
        const columns = Level.chunkGrid(field.level)[1]
        if (state === "failed") field.setState([Math.floor(i / columns), i % columns], "absent")
      })
    }
    this.#load()
  }

  setView(view: View.View): void {
    this.#view = View.clamp(view, this.#size)
    this.#isMoving = true
    window.clearTimeout(this.#resting)
    this.#resting = window.setTimeout(() => this.#rest(), rest)
    this.#events.onMove()
    this.#draw()
  }

  zoom(factor: number, at: EqualEarth.Point = { x: this.#size.width / 2, y: this.#size.height / 2 }): void {
    this.setView(View.zoom(this.#view, this.#size, factor, at))
  }

  showAll(): void {
    this.setView(View.fit(this.#size))
  }

  /** What is known at a place. */
  heightAt({ latitude, longitude }: EqualEarth.Place): number | undefined {
    for (const field of this.#layers()) {
      const height = field.heightAt(latitude, longitude)
      if (!Number.isNaN(height)) return height
    }
    return undefined
  }

  #resize(): void {
    const { clientHeight: height, clientWidth: width } = this.#canvas
    if (width === 0 || height === 0 || (width === this.#size.width && height === this.#size.height)) return
    const zoom = View.zoomOf(this.#view, this.#size)
    this.#size = { width, height }
    this.#view = View.clamp({ center: this.#view.center, scale: View.fit(this.#size).scale * zoom }, this.#size)
    this.#rest()
  }

  #rest(): void {
    window.clearTimeout(this.#resting)
    this.#isMoving = false
    this.#resting = undefined
    this.#load()
    this.#draw()
  }

  /** The wanted level, then those that stand in for it where it was not read yet. */
  #layers(): ReadonlyArray<Field> {
    const finer = this.#fields.slice(0, this.#wanted).toReversed()
    return [...this.#fields.slice(this.#wanted), ...finer]
  }

  #load(): void {
    const dataset = this.#dataset
    this.#canvas.classList.toggle("whole", View.zoomOf(this.#view, this.#size) < 1.01)
    if (dataset === undefined || this.#size.width <= 1) {
      this.#inView = new Set()
      this.#events.onChunks()
      this.#checkIdle()
      return
    }
    const wanted = Level.fineEnough(dataset.levels, this.#view)
    const level = dataset.levels[wanted]!
    const field = this.#fields[wanted]!
    const chunks = Level.chunksInView(level, View.bounds(this.#view, this.#size))
    this.#wanted = wanted
    this.#inView = new Set(chunks.map(key))
    const idOf = (index: Level.ChunkIndex): string => `${wanted}:${key(index)}`
    const needed = new Set(chunks.map(idOf))
    // What has left the view before it came is not waited for: its request is cancelled.
    for (const [id, controller] of this.#reading) if (!needed.has(id)) controller.abort()
    for (const index of chunks) {
      if (field.stateOf(index) !== "absent") continue
      const controller = new AbortController()
      const id = idOf(index)
      this.#reading.set(id, controller)
      field.setState(index, "reading")
      const isCurrent = (): boolean => this.#reading.get(id) === controller
      level
        .read(index, controller.signal)
        .then(
          (data) => {
            if (isCurrent()) field.put(index, data)
          },
          (error: unknown) => {
            if (!isCurrent()) return
            field.setState(index, controller.signal.aborted ? "absent" : "failed")
            if (!controller.signal.aborted) this.#events.onError(error)
          }
        )
        .finally(() => {
          if (!isCurrent()) return
          this.#reading.delete(id)
          // It may be in view again.
          if (field.stateOf(index) === "absent" && this.#inView.has(key(index))) this.#load()
          this.#events.onChunks()
          this.#draw()
          this.#checkIdle()
        })
    }
    this.#events.onChunks()
    this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#reading.size > 0 || this.#isMoving) return
    const field = this.#fields[this.#wanted]
    this.#extremes =
      field === undefined
        ? undefined
        : extremes(field, {
            ...View.bounds(this.#view, this.#size),
            meridians: (latitude) => View.meridians(this.#view, this.#size, latitude)
          })
    this.#draw()
    if (this.#idle.length === 0) return
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (this.#reading.size > 0 || this.#isMoving) return
        for (const resolve of this.#idle.splice(0)) resolve()
      })
    )
  }

  #draw(): void {
    if (this.#frame !== undefined) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined
      this.#drawNow()
    })
  }

  #drawNow(): void {
    const { height, width } = this.#size
    const ratio = Math.min(2, window.devicePixelRatio)
    const canvas = this.#canvas
    const style = getComputedStyle(document.documentElement)
    const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)]
    if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
      canvas.width = pixelWidth
      canvas.height = pixelHeight
    }
    const context = this.#context
    context.globalAlpha = 1
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, pixelWidth, pixelHeight)

    // While the map is moved, speed counts more than sharpness.
    const imageRatio = this.#isMoving ? Math.min(1, ratio) : ratio
    const [imageWidth, imageHeight] = [Math.round(width * imageRatio), Math.round(height * imageRatio)]
    const image = this.#image
    if (this.#pixels?.width !== imageWidth || this.#pixels.height !== imageHeight) {
      image.width = imageWidth
      image.height = imageHeight
      this.#pixels = new ImageData(imageWidth, imageHeight)
    }
    Painter.paint(new Uint32Array(this.#pixels.data.buffer), {
      view: this.#view,
      size: this.#size,
      pixelRatio: imageRatio,
      fields: this.#layers(),
      scaleEnd: this.scaleEnd,
      unknown: this.#fields.length === 0 ? 0 : packed(style.getPropertyValue("--unknown"))
    })
    image.getContext("2d")!.putImageData(this.#pixels, 0, 0)
    context.imageSmoothingQuality = "high"
    context.drawImage(image, 0, 0, pixelWidth, pixelHeight)
    this.#drawFailed(ratio, style)
    this.#drawLines(ratio, style)
    if (!this.#isMoving) this.#drawExtremes(ratio)
  }

  /** In units of the projection, south down. */
  #transform(ratio: number): void {
    const { center, scale } = this.#view
    const perUnit = scale * ratio
    this.#context.setTransform(
      perUnit,
      0,
      0,
      perUnit,
      (this.#size.width / 2) * ratio - center.x * perUnit,
      (this.#size.height / 2) * ratio + center.y * perUnit
    )
  }

  /** Stripes over the chunks that could not be read, whatever is shown in their place. */
  #drawFailed(ratio: number, style: CSSStyleDeclaration): void {
    const field = this.#fields[this.#wanted]
    if (field === undefined || !field.states.includes("failed")) return
    const context = this.#context
    const { chunkColumns, chunkRows, columns, rows, south, step, west } = field.level
    const perRow = Math.ceil(columns / chunkColumns)
    context.save()
    this.#transform(ratio)
    context.beginPath()
    field.states.forEach((state, i) => {
      if (state !== "failed") return
      const [row, column] = [Math.floor(i / perRow), i % perRow]
      const edge = (index: number): number => Math.min(90, Math.max(-90, south + (index - 0.5) * step))
      const [bottom, top] = [edge(row * chunkRows), edge(Math.min(rows, (row + 1) * chunkRows))]
      const left = west + column * chunkColumns * step
      const right = Math.min(west + 360, left + chunkColumns * step)
      const corners = [
        { latitude: bottom, longitude: left },
        { latitude: bottom, longitude: right },
        { latitude: top, longitude: right },
        { latitude: top, longitude: left }
      ].map(EqualEarth.project)
      corners.forEach(({ x, y }, i) => (i === 0 ? context.moveTo(x, -y) : context.lineTo(x, -y)))
      context.closePath()
    })
    context.clip()
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.strokeStyle = style.getPropertyValue("--bad")
    context.globalAlpha = 0.45
    context.lineWidth = 1.5
    context.beginPath()
    const { height, width } = this.#size
    for (let x = -height; x < width; x += 9) {
      context.moveTo(x, height)
      context.lineTo(x + height, 0)
    }
    context.stroke()
    context.restore()
  }

  #drawLines(ratio: number, style: CSSStyleDeclaration): void {
    const context = this.#context
    const { scale } = this.#view
    this.#transform(ratio)
    const stroke = (path: Path2D, pixels: number, color: string, alpha: number): void => {
      context.lineWidth = pixels / scale
      context.strokeStyle = color
      context.globalAlpha = alpha
      context.stroke(path)
    }
    context.lineJoin = "round"
    const [edge, empty] = [style.getPropertyValue("--outline"), this.#fields.length === 0]
    const ink = empty ? edge : "#23262e"
    stroke(this.#graticule, 0.8, ink, 0.16)
    stroke(this.#coast, 0.9, ink, 0.62)
    stroke(this.#outline, 1.6, edge, 1)
    context.globalAlpha = 1
  }

  #drawExtremes(ratio: number): void {
    if (this.#extremes === undefined) return
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0)
    const { highest, lowest } = this.#extremes
    // Two labels at one place help nobody.
    const [a, b] = [lowest, highest].map((place) => View.toPixel(this.#view, this.#size, place))
    this.#drawExtreme(lowest)
    if (Math.hypot(a!.x - b!.x, a!.y - b!.y) > 90) this.#drawExtreme(highest)
  }

  #drawExtreme(extreme: Extreme): void {
    const context = this.#context
    const { x, y } = View.toPixel(this.#view, this.#size, extreme)
    const { height, width } = this.#size
    context.save()
    context.beginPath()
    context.arc(x, y, 5, 0, 2 * Math.PI)
    context.shadowColor = "rgb(20 16 31 / 65%)"
    context.shadowBlur = 4 * Math.min(2, window.devicePixelRatio)
    context.strokeStyle = "#ffffff"
    context.lineWidth = 2
    context.stroke()
    const middle = Math.min(width - 62, Math.max(62, x))
    const top = y + 44 > height - 4 ? y - 30 : y + 21
    context.textAlign = "center"
    context.fillStyle = "#ffffff"
    const write = (text: string, font: string, baseline: number): void => {
      context.font = `${font} system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`
      // Once is too faint on a light slope.
      for (let i = 0; i < 3; i++) context.fillText(text, middle, baseline)
    }
    write(formatHeight(extreme.height), "600 14px", top)
    write(placeText(extreme), "12px", top + 16)
    context.restore()
  }

  #readout(pixel: EqualEarth.Point): void {
    const place = EqualEarth.unproject(View.pointAt(this.#view, this.#size, pixel))
    this.#events.onReadout(place, place === undefined ? undefined : this.heightAt(place))
  }

  #listen(): void {
    const canvas = this.#canvas
    const pointers = new Map<number, EqualEarth.Point>()
    const at = (event: MouseEvent): EqualEarth.Point => ({ x: event.offsetX, y: event.offsetY })
    canvas.addEventListener("pointerdown", (event) => {
      // The whole map is not moved: a finger scrolls the page.
      canvas.setPointerCapture(event.pointerId)
      pointers.set(event.pointerId, at(event))
      canvas.classList.add("dragged")
    })
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event)
      const before = pointers.get(event.pointerId)
      if (before !== undefined) {
        pointers.set(event.pointerId, now)
        const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
        if (other === undefined) {
          this.setView(View.pan(this.#view, this.#size, now.x - before.x, now.y - before.y))
        } else {
          const distance = (point: EqualEarth.Point): number => Math.hypot(point.x - other.x, point.y - other.y)
          const moved = View.pan(this.#view, this.#size, (now.x - before.x) / 2, (now.y - before.y) / 2)
          const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }
          this.setView(View.zoom(moved, this.#size, distance(now) / Math.max(1, distance(before)), middle))
        }
      }
      this.#pointer = now
      this.#readout(now)
    })
    const release = (event: PointerEvent): void => {
      pointers.delete(event.pointerId)
      if (pointers.size === 0) canvas.classList.remove("dragged")
    }
    canvas.addEventListener("pointerup", release)
    canvas.addEventListener("pointercancel", release)
    canvas.addEventListener("pointerleave", () => {
      this.#pointer = undefined
      this.#events.onReadout(undefined, undefined)
    })
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault()
        const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1) * (event.ctrlKey ? 4 : 1)
        this.zoom(Math.exp(-Math.min(400, Math.max(-400, pixels)) * 0.0018), at(event))
      },
      { passive: false }
    )
    canvas.addEventListener("dblclick", (event) => this.zoom(event.shiftKey ? 0.5 : 2, at(event)))
    const pan = (right: number, down: number): void => this.setView(View.pan(this.#view, this.#size, right, down))
    const step = 70
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => pan(step, 0),
      ArrowRight: () => pan(-step, 0),
      ArrowUp: () => pan(0, step),
      ArrowDown: () => pan(0, -step),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.showAll(),
      Home: () => this.showAll()
    }
    canvas.addEventListener("keydown", (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
      if (act === undefined) return
      event.preventDefault()
      act()
      if (this.#pointer === undefined) this.#readout({ x: this.#size.width / 2, y: this.#size.height / 2 })
    })
  }
}
