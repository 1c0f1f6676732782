/**
 * What is measured: rows of the table, in families whose rows share their data.
 *
 * A family `x` is described in `works/x.ts`; what is measured of it is in `ours/x.ts` and `peer/x.ts`, which run in
 * processes of their own and load only their own side.
 */
import type { Bench } from "./Bench.ts"

export type Side = "ours" | "peer"

/** Values are kept in seconds and bytes, and shown in the row's unit. `trips` is time divided by the delay of a request. */
export type Unit = "s" | "ms" | "us" | "MB" | "kB" | "trips"

export interface Row {
  readonly id: string
  readonly title: string
  readonly unit: Unit
  /** What is wanted: a share of the peer's value, or a value of our own in the row's unit. */
  readonly goal?: { readonly ratio: number } | { readonly ours: number }
}

/** One measurement of one row. */
export interface Sample {
  /** Seconds or bytes. */
  readonly value: number
  /** Seconds of processor time of all threads. */
  readonly cpu?: number
  readonly requests?: number
  readonly bytes?: number
  /** Connections that carried requests. */
  readonly sockets?: number
  /** The most requests that were one after another. */
  readonly chain?: number
  readonly peakMemory?: number
}

/** By id of a row. */
export type Samples = Readonly<Record<string, Sample>>

/** What a measured process is told. */
export interface Input {
  readonly directory: string
  /** The object store with latency. */
  readonly server?: string
  /** Seconds that each of its requests takes. */
  readonly delay?: number
  /** For families that are measured at several sizes. */
  readonly size?: number
  /** What varies between rows of a task. */
  readonly variant?: string
}

export type Tasks = Readonly<Record<string, (input: Input) => Promise<Samples>>>

export interface Family {
  /** Of the modules of its sides. */
  readonly name: string
  readonly rows: ReadonlyArray<Row>
  readonly run: (bench: Bench) => Promise<void>
}

const factors: Readonly<Record<Unit, number>> = { s: 1, ms: 1e3, us: 1e6, MB: 1e-6, kB: 1e-3, trips: 1 }

export const inUnit = (unit: Unit, value: number): number => value * factors[unit]

/** Everything small, to see that it works. */
export const isSmall: boolean = process.env["BENCH_SMALL"] === "1"

export const sized = (full: number, small: number): number => (isSmall ? small : full)
