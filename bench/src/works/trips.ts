/**
 * Round trips: an S3 endpoint on which each request takes 30 ms, and what is done on it once all code is warm. The time
 * divided by the delay is how many requests went one after another, and what the processor adds.
 */
import * as Meter from "../Meter.ts"
import * as OnS3 from "../OnS3.ts"
import { type Family, type Input, type Row, type Sample, type Samples, sized } from "../Work.ts"

export const delay: number = sized(0.03, 0.005)

/** Times that each is done; the middle one counts. */
export const times: number = sized(7, 3)

export const bucket = "repositories"
export const chunkBytes = 4096

export const chunk = (seed: number): Buffer => Buffer.alloc(chunkBytes, 1 + (seed % 250))
export const inlineChunk = (seed: number): Buffer => Buffer.alloc(64, 1 + (seed % 250))

/** The metadata of an array of a thousand chunks of so many bytes. */
export const arrayOf = (chunkBytes: number): string =>
  JSON.stringify({
    zarr_format: 3,
    node_type: "array",
    shape: [chunkBytes * 1000],
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [chunkBytes] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes: {}
  })

export const arrayJson: string = arrayOf(chunkBytes)

/** Does it several times, of which the later ones count, and takes the time by that of a request. */
export const repeated = async (
  id: string,
  { delay = 0 }: Input,
  one: (i: number) => Promise<Sample>
): Promise<Samples> => {
  const samples: Array<Sample> = []
  for (let i = 0; i < times; i++) samples.push(await one(i))
  const { value, ...rest } = Meter.median(samples.slice(Math.floor(times / 3)))
  return { [id]: { ...rest, value: value / delay } }
}

/** Measures with the delay, which what comes before and after does not have. */
export const withDelay = async ({ delay = 0, server = "" }: Input, work: () => Promise<unknown>): Promise<Sample> => {
  await Meter.setDelay(server, delay)
  const sample = await Meter.sample(work, { server })
  await Meter.setDelay(server, 0)
  return sample
}

const row = (id: string, what: string, ours: number): Row => ({
  id,
  title: `S3 at 30 ms: ${what}`,
  unit: "trips",
  goal: { ours }
})

const rows: ReadonlyArray<Row> = [
  row("trips-open", "open, session, first native chunk", 4),
  row("trips-commit", "a commit of one inline chunk", 2),
  row("trips-create", "create a repository", 3),
  row("trips-tag", "create a tag", 2)
]

export const family: Family = { name: "trips", rows, run: OnS3.eachRow("trips", rows, delay) }
