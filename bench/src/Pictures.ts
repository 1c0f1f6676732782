/**
 * The pictures of `docs/performance.md`, from the points of `Sizes`.
 */
import type { Point } from "./Sizes.ts"
import * as Svg from "./Svg.ts"

const ours: Svg.Style = { color: "#0b62b8", marker: "circle" }
const oursFlushed: Svg.Style = { color: "#0b62b8", marker: "diamond", dash: "5 4" }
const peer: Svg.Style = { color: "#c2410c", marker: "square" }

const name = { ours: "this library", peer: "native engine", flushed: "this library, with flushes" }

/** One curve of one side. */
const line = (
  points: ReadonlyArray<Point>,
  curve: string,
  side: Point["side"],
  options: {
    readonly of?: (point: Point) => number | undefined
    readonly name?: string
    readonly style?: Svg.Style
  } = {}
): Svg.Series => {
  const of = options.of ?? ((point: Point) => point.value)
  return {
    name: options.name ?? name[side],
    style: options.style ?? (side === "ours" ? ours : peer),
    points: points
      .filter((point) => point.curve === curve && point.side === side)
      .toSorted((a, b) => a.size - b.size)
      .flatMap((point) => {
        const value = of(point)
        return value === undefined || value <= 0 ? [] : [[point.size, value] as const]
      })
  }
}

const both = (
  points: ReadonlyArray<Point>,
  curve: string,
  of?: (point: Point) => number | undefined
): ReadonlyArray<Svg.Series> =>
  (["ours", "peer"] as const).map((side) => line(points, curve, side, of === undefined ? {} : { of }))

const memoryOf = ({ peakMemory }: Point): number | undefined => peakMemory

const refs = (points: ReadonlyArray<Point>): string => {
  const panel = (curve: string, title: string): Svg.Panel => ({
    title,
    xLabel: "virtual refs",
    yLabel: "time",
    series: both(points, `refs ${curve}`)
  })
  const memory = (curve: string, title: string): Svg.Panel => ({
    title,
    xLabel: "virtual refs",
    yLabel: "peak memory of the process",
    series: both(points, `refs ${curve}`, memoryOf),
    yFormat: Svg.bytes
  })
  return Svg.chart(
    [
      panel("set", "Set virtual refs in bulk"),
      panel("commit", "Commit them"),
      panel("first", "Open and read the first chunk"),
      panel("locations", "Stream all locations"),
      memory("set", "Memory: set and commit"),
      memory("locations", "Memory: stream all locations")
    ],
    3
  )
}

const commits = (points: ReadonlyArray<Point>): string => {
  const panel = (title: string, series: ReadonlyArray<Svg.Series>): Svg.Panel => ({
    title,
    xLabel: "commits before",
    yLabel: "time",
    series
  })
  return Svg.chart(
    [
      panel("A commit of one inline chunk, fs", [
        line(points, "commits noflush", "ours"),
        line(points, "commits flush", "ours", { name: name.flushed, style: oursFlushed }),
        line(points, "commits noflush", "peer")
      ]),
      panel("Open the repository", both(points, "commits open")),
      panel("Walk all commits", both(points, "commits history"))
    ],
    3
  )
}

const nodes = (points: ReadonlyArray<Point>): string => {
  const panel = (curve: string, title: string): Svg.Panel => ({
    title,
    xLabel: "arrays",
    yLabel: "time",
    series: both(points, `nodes ${curve}`)
  })
  return Svg.chart(
    [
      panel("write", "Create and commit them"),
      panel("nodes-60k-list", "List a group of 100"),
      panel("nodes-60k-commit", "A commit of one chunk")
    ],
    3
  )
}

const gapTicks: Svg.Panel["xTicks"] = [0, 4, 8, 16, 32, 64, 128].map((gap) => [gap / 4 + 1, String(gap)] as const)

const gaps = (points: ReadonlyArray<Point>): string => {
  // Gaps from 0 on a scale of ratios: distance from one chunk to the next, in chunks.
  const spaced = points
    .filter(({ curve }) => curve.startsWith("gaps "))
    .map((point) => Object.assign({}, point, { size: point.size / 4096 + 1 }))
  const panel = (
    title: string,
    yLabel: string,
    milliseconds: number,
    of?: (point: Point) => number | undefined,
    yFormat?: Svg.Panel["yFormat"]
  ): Svg.Panel => ({
    title,
    xLabel: "gap between chunks of 4 KiB, KiB",
    yLabel,
    series: both(spaced, `gaps ${milliseconds}`, of),
    xTicks: gapTicks,
    ...(yFormat === undefined ? {} : { yFormat })
  })
  const delays = [1, 10, 50]
  return Svg.chart(
    [
      ...delays.map((ms) => panel(`${ms} ms a request: time`, "time of 2,000 reads", ms)),
      ...delays.map((ms) =>
        panel(`${ms} ms a request: requests`, "requests", ms, ({ requests }) => requests, Svg.count)
      ),
      ...delays.map((ms) => panel(`${ms} ms a request: bytes`, "bytes received", ms, ({ bytes }) => bytes, Svg.bytes))
    ],
    3
  )
}

/** By file name. */
export const all = (points: ReadonlyArray<Point>): ReadonlyMap<string, string> =>
  new Map([
    ["performance-refs.svg", refs(points)],
    ["performance-commits.svg", commits(points)],
    ["performance-nodes.svg", nodes(points)],
    ["performance-gaps.svg", gaps(points)]
  ])
