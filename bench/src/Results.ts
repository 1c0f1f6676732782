/**
 * Medians of what was measured: as JSON, and as a table.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Bench, root } from "./Bench.ts"
import * as Meter from "./Meter.ts"
import { inUnit, type Row, type Sample } from "./Work.ts"

/** One row of `results.json`; values in `unit`, bytes in bytes. */
export interface Result {
  readonly id: string
  readonly title: string
  readonly ours: number | null
  readonly peer: number | null
  readonly ratio: number | null
  /** A ratio; for round trips, imports and bundles a value of ours. */
  readonly goal: number | null
  readonly isMet: boolean | null
  readonly unit: string
  readonly requests: number | null
  readonly peerRequests: number | null
  readonly bytes: number | null
  readonly peerBytes: number | null
  readonly peakMemory: number | null
  readonly peerPeakMemory: number | null
  readonly sockets: number | null
  readonly peerSockets: number | null
  /** Most requests that were one after another. */
  readonly chain: number | null
  readonly peerChain: number | null
  /** Processor time of all threads, in `unit`. */
  readonly cpu: number | null
  readonly peerCpu: number | null
}

export const file: string = path.join(root, "bench/results.json")

const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Number(value.toPrecision(4))

const whole = (value: number | undefined): number | null => (value === undefined ? null : Math.round(value))

/** A round trip is one, whatever the processor adds to it. */
const holds = (row: Row, ours: number | null, ratio: number | null): boolean | null => {
  const { goal, unit } = row
  if (goal === undefined) return null
  if ("ours" in goal) return ours === null ? null : (unit === "trips" ? Math.floor(ours) : ours) <= goal.ours
  return ratio === null ? null : ratio <= goal.ratio
}

const resultOf = (row: Row, bench: Bench): Result => {
  const of = (side: "ours" | "peer"): Sample | undefined => {
    const samples = bench.samples[side].get(row.id)
    return samples === undefined ? undefined : Meter.median(samples)
  }
  const [ours, peer] = [of("ours"), of("peer")]
  const inRow = (value: number | undefined): number | null =>
    value === undefined ? null : rounded(inUnit(row.unit, value))
  const ratio = ours === undefined || peer === undefined ? null : rounded(ours.value / peer.value)
  const goal = row.goal === undefined ? null : "ours" in row.goal ? row.goal.ours : row.goal.ratio
  const cpuOf = (sample: Sample | undefined): number | null =>
    sample?.cpu === undefined || row.unit === "MB"
      ? null
      : rounded(row.unit === "trips" ? sample.cpu * 1000 : inUnit(row.unit, sample.cpu))
  return {
    id: row.id,
    title: row.title,
    ours: inRow(ours?.value),
    peer: inRow(peer?.value),
    ratio,
    goal,
    isMet: holds(row, inRow(ours?.value), ratio),
    unit: row.unit === "trips" ? "round trips" : row.unit,
    requests: whole(ours?.requests),
    peerRequests: whole(peer?.requests),
    bytes: whole(ours?.bytes),
    peerBytes: whole(peer?.bytes),
    peakMemory: whole(ours?.peakMemory),
    peerPeakMemory: whole(peer?.peakMemory),
    sockets: whole(ours?.sockets),
    peerSockets: whole(peer?.sockets),
    chain: whole(ours?.chain),
    peerChain: whole(peer?.chain),
    cpu: cpuOf(ours),
    peerCpu: cpuOf(peer)
  }
}

/** What was measured in this run, in the order of the rows. */
export const ofRun = (rows: ReadonlyArray<Row>, bench: Bench): ReadonlyArray<Result> =>
  rows.filter(({ id }) => bench.samples.ours.has(id) || bench.samples.peer.has(id)).map((row) => resultOf(row, bench))

export const read = (): ReadonlyArray<Result> => {
  if (!fs.existsSync(file)) return []
  const stored: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
  return Array.isArray(stored) ? (stored as ReadonlyArray<Result>) : []
}

/** Replaces the rows that were measured, and leaves the others. */
export const merged = (
  rows: ReadonlyArray<Row>,
  before: ReadonlyArray<Result>,
  now: ReadonlyArray<Result>
): ReadonlyArray<Result> =>
  rows.flatMap(({ id }) => {
    const found = now.find((result) => result.id === id) ?? before.find((result) => result.id === id)
    return found === undefined ? [] : [found]
  })

export const write = (results: ReadonlyArray<Result>): void => {
  fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
}

/** Three digits that count. */
export const shown = (value: number | null): string => {
  if (value === null) return "-"
  if (value === 0) return "0"
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString("en")
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
}

const megabytes = (bytes: number | null): string => (bytes === null ? "-" : shown(bytes / 1e6))

const pair = (ours: string, peer: string): string => (ours === "-" && peer === "-" ? "" : `${ours} / ${peer}`)

const headings = [
  "id",
  "ours",
  "peer",
  "unit",
  "ratio",
  "goal",
  "",
  "requests",
  "MB",
  "sockets",
  "in a row",
  "peak MB",
  "processor"
] as const

export const cells = (result: Result): ReadonlyArray<string> => [
  result.id,
  shown(result.ours),
  shown(result.peer),
  result.unit,
  result.ratio === null ? "-" : result.ratio.toFixed(2),
  result.goal === null ? "" : String(result.goal),
  result.isMet === null ? "" : result.isMet ? "ok" : "no",
  pair(shown(result.requests), shown(result.peerRequests)),
  pair(megabytes(result.bytes), megabytes(result.peerBytes)),
  pair(shown(result.sockets), shown(result.peerSockets)),
  pair(shown(result.chain), shown(result.peerChain)),
  pair(megabytes(result.peakMemory), megabytes(result.peerPeakMemory)),
  pair(shown(result.cpu), shown(result.peerCpu))
]

/** For a terminal. */
export const table = (results: ReadonlyArray<Result>): string => {
  const lines: ReadonlyArray<ReadonlyArray<string>> = [headings, ...results.map(cells)]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const isText = (column: number): boolean => column === 0 || column === 3 || column === 6
  return lines
    .map((line) =>
      line
        .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
