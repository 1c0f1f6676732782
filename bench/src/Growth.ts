/**
 * What very large repositories cost: measured as far as it goes, computed beyond from the two largest sizes that were
 * measured, along the straight line through them.
 */
import type { Point } from "./Sizes.ts"
import * as Svg from "./Svg.ts"

type Of = (point: Point) => number | undefined

const timeOf: Of = ({ value }) => value
const memoryOf: Of = ({ peakMemory }) => peakMemory
const filesOf =
  (...kinds: ReadonlyArray<string>): Of =>
  ({ files }) =>
    files === undefined ? undefined : kinds.reduce((sum, kind) => sum + (files[kind] ?? 0), 0)

interface Known {
  readonly measured: string
  readonly computed: string
}

const unknown: Known = { measured: "-", computed: "-" }

/** What was measured at the largest size, and what follows for another one. */
const known = (
  points: ReadonlyArray<Point>,
  curve: string,
  target: number,
  of: Of,
  format: (value: number) => string
): Known => {
  const found = points
    .filter((point) => point.curve === curve && point.side === "ours")
    .toSorted((a, b) => a.size - b.size)
    .flatMap((point) => {
      const value = of(point)
      return value === undefined ? [] : [{ size: point.size, value }]
    })
  const last = found.at(-1)
  const before = found.at(-2)
  if (last === undefined || before === undefined) return unknown
  // Noise does not make anything cheaper by being more.
  const slope = Math.max(0, (last.value - before.value) / (last.size - before.size))
  return { measured: format(last.value), computed: format(last.value + slope * (target - last.size)) }
}

const largest = (points: ReadonlyArray<Point>, prefix: string): number =>
  Math.max(
    0,
    ...points.filter(({ curve, side }) => side === "ours" && curve.startsWith(prefix)).map(({ size }) => size)
  )

const number = (value: number): string => value.toLocaleString("en")

interface Line {
  readonly what: string
  readonly known: Known
}

const table = (what: string, measuredAt: string, computedAt: string, lines: ReadonlyArray<Line>): string =>
  [
    `| ${what} | ${measuredAt}, measured | ${computedAt}, computed |`,
    "|---|---|---|",
    ...lines.map(({ known, what }) => `| ${what} | ${known.measured} | ${known.computed} |`)
  ].join("\n")

/** One manifest, which is what grows when nothing is split. */
const inOneManifest = (points: ReadonlyArray<Point>): string => {
  const size = largest(points, "refs ")
  const target = 100_000_000
  const of = (curve: string, what: Of, format: (value: number) => string): Known =>
    known(points, `refs ${curve}`, target, what, format)
  return table("refs in one manifest", number(size), number(target), [
    { what: "set them: time", known: of("set", timeOf, Svg.seconds) },
    { what: "commit them: time", known: of("commit", timeOf, Svg.seconds) },
    { what: "set and commit: peak memory", known: of("set", memoryOf, Svg.bytes) },
    { what: "the manifest", known: of("set", filesOf("manifests"), Svg.bytes) },
    { what: "open and read one chunk: time", known: of("first", timeOf, Svg.seconds) },
    { what: "the same: peak memory", known: of("first", memoryOf, Svg.bytes) },
    { what: "stream all locations: time", known: of("locations", timeOf, Svg.seconds) },
    { what: "the same: peak memory", known: of("locations", memoryOf, Svg.bytes) }
  ])
}

/** A billion refs, a million in each manifest: measured with as many manifests, of fewer refs. */
const split = (points: ReadonlyArray<Point>): string => {
  const manifests = largest(points, "splits ")
  const at = (curve: string, size: number): Point | undefined =>
    points.find((point) => point.curve === curve && point.side === "ours" && point.size === size)
  const splitOf = (curve: string, of: Of, format: (value: number) => string): string => {
    const point = at(`splits ${curve}`, manifests)
    const value = point === undefined ? undefined : of(point)
    return value === undefined ? "-" : format(value)
  }
  const million = (curve: string, of: Of, times = 1, more = 0): string => {
    const point = at(`refs ${curve}`, 1_000_000)
    const value = point === undefined ? undefined : of(point)
    return value === undefined ? "-" : (of === timeOf ? Svg.seconds : Svg.bytes)(value * times + more)
  }
  const snapshots = (() => {
    const point = at("splits set", manifests)
    return point === undefined ? 0 : (filesOf("snapshots")(point) ?? 0)
  })()
  const lines: ReadonlyArray<Line> = [
    {
      what: "the snapshot, read by each session and written by each commit",
      known: { measured: Svg.bytes(snapshots), computed: Svg.bytes(snapshots) }
    },
    {
      what: "one manifest, read once for chunks near each other",
      known: {
        measured: splitOf("set", (point) => (filesOf("manifests")(point) ?? 0) / manifests, Svg.bytes),
        computed: million("set", filesOf("manifests"))
      }
    },
    {
      what: "all manifests",
      known: {
        measured: splitOf("set", filesOf("manifests"), Svg.bytes),
        computed: million("set", filesOf("manifests"), 1000)
      }
    },
    {
      what: "write all, a commit for each million: time",
      known: { measured: "-", computed: `${million("set", timeOf, 1000)} + ${million("commit", timeOf, 1000)}` }
    },
    { what: "the same: peak memory", known: { measured: "-", computed: million("set", memoryOf) } },
    {
      what: "open and read one chunk: time, without the waiting for 5 requests in 4 round trips",
      known: { measured: splitOf("first", timeOf, Svg.seconds), computed: million("first", timeOf) }
    },
    {
      what: "the same: bytes",
      known: {
        measured: splitOf("set", (point) => snapshots + (filesOf("manifests")(point) ?? 0) / manifests, Svg.bytes),
        computed: million("set", filesOf("manifests"), 1, snapshots)
      }
    },
    {
      what: "the same: peak memory",
      known: { measured: splitOf("first", memoryOf, Svg.bytes), computed: million("first", memoryOf) }
    },
    {
      what: "append 1,000 refs: time",
      known: { measured: splitOf("append", timeOf, Svg.seconds), computed: splitOf("append", timeOf, Svg.seconds) }
    },
    {
      what: "stream all locations: time",
      known: { measured: splitOf("locations", timeOf, Svg.seconds), computed: million("locations", timeOf, 1000) }
    }
  ]
  return table(
    "a manifest for each million refs",
    `${number(manifests)} manifests, a million refs in all`,
    "a billion refs",
    lines
  )
}

const history = (points: ReadonlyArray<Point>): string => {
  const size = largest(points, "commits ")
  const target = 100_000
  const of = (curve: string, what: Of, format: (value: number) => string): Known =>
    known(points, `commits ${curve}`, target, what, format)
  return table("snapshots", number(size), number(target), [
    {
      what: "the repository object, read by each session that finds it changed, and written by each commit",
      known: of("noflush", filesOf("repo"), Svg.bytes)
    },
    { what: "a commit of one inline chunk: time, fs, with flushes", known: of("flush", timeOf, Svg.seconds) },
    { what: "the same without flushes", known: of("noflush", timeOf, Svg.seconds) },
    { what: "open: time", known: of("open", timeOf, Svg.seconds) },
    { what: "walk all: time", known: of("history", timeOf, Svg.seconds) },
    { what: "walk all: peak memory", known: of("history", memoryOf, Svg.bytes) }
  ])
}

const hierarchy = (points: ReadonlyArray<Point>): string => {
  const size = largest(points, "nodes ")
  const target = 1_000_000
  const of = (curve: string, what: Of, format: (value: number) => string): Known =>
    known(points, `nodes ${curve}`, target, what, format)
  return table("arrays", number(size), number(target), [
    { what: "create and commit them: time", known: of("write", timeOf, Svg.seconds) },
    { what: "the same: peak memory", known: of("write", memoryOf, Svg.bytes) },
    {
      what: "the snapshot, read by each session and written by each commit",
      known: of("write", filesOf("snapshots"), Svg.bytes)
    },
    { what: "list a group of 100: time", known: of("nodes-60k-list", timeOf, Svg.seconds) },
    { what: "open, and commit one chunk: time", known: of("nodes-60k-commit", timeOf, Svg.seconds) },
    { what: "the same: peak memory", known: of("nodes-60k-commit", memoryOf, Svg.bytes) }
  ])
}

/** The tables by the name of their section. */
export const all = (points: ReadonlyArray<Point>): Readonly<Record<string, string>> => ({
  "one-manifest": inOneManifest(points),
  split: split(points),
  history: history(points),
  nodes: hierarchy(points)
})
