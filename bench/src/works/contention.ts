/**
 * Writers of one branch on an S3 endpoint on which each request takes 20 ms: each writes a chunk of an array of its own
 * and commits, on top of whatever the others have committed, as often as it can.
 */
import * as Meter from "../Meter.ts"
import * as OnS3 from "../OnS3.ts"
import { arrayOf } from "./trips.ts"
import { type Family, type Input, type Row, type Sample, type Samples, sized } from "../Work.ts"

export const delay: number = sized(0.02, 0.005)
export const bucket = "repositories"
export const branch = "main"
export const chunkBytes = 64

export interface Contention {
  readonly writers: number
  /** Commits of each. */
  readonly commits: number
  /** Whether all are sessions of one client, instead of clients that know nothing of each other. */
  readonly together: boolean
}

export const contentions: Readonly<Record<string, Contention>> = {
  "contend-1": { writers: 1, commits: sized(40, 3), together: false },
  "contend-16": { writers: 16, commits: sized(6, 1), together: false },
  "contend-32": { writers: 32, commits: sized(4, 1), together: false },
  "together-32": { writers: 32, commits: sized(10, 1), together: true }
}

export const chunk = (seed: number): Buffer => Buffer.alloc(chunkBytes, 1 + (seed % 250))

export const arrayJson: string = arrayOf(chunkBytes)

/** The time and the requests of a commit, when all writers commit `commits` times. */
export const measured = async (
  id: string,
  { delay = 0, server = "" }: Input,
  write: () => Promise<unknown>
): Promise<Samples> => {
  const { commits, writers } = contentions[id]!
  await Meter.setDelay(server, delay)
  const sample: Sample = await Meter.sample(write, { server })
  await Meter.setDelay(server, 0)
  const all = commits * writers
  const { requests, ...rest } = sample
  return {
    [id]: {
      ...rest,
      value: sample.value / all,
      ...(requests === undefined ? {} : { requests: Math.round((10 * requests) / all) / 10 })
    }
  }
}

const row = (id: string, what: string, ours?: number): Row => ({
  id,
  title: `S3 at 20 ms: a commit and its requests, ${what}`,
  unit: "ms",
  ...(ours === undefined ? {} : { goal: { ours } })
})

const rows: ReadonlyArray<Row> = [
  row("contend-1", "1 writer", 66.7),
  row("contend-16", "16 writers"),
  row("contend-32", "32 writers", 83.3),
  row("together-32", "32 sessions of one program", 6.7)
]

export const family: Family = { name: "contention", rows, run: OnS3.eachRow("contention", rows, delay) }
