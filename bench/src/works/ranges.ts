/**
 * Many small virtual chunks of one object on S3, all asked for at once, in random order. The repository is in a local
 * directory; this library writes it and the object, and both read it.
 */
import { type Family, type Row, sized } from "../Work.ts"

export const bucket = "data"
export const key = "object.bin"
export const chunkBytes = 4096

/** What is read: every so manyth of so many adjacent chunks. */
export interface Pattern {
  readonly chunks: number
  readonly step: number
}

export const adjacent: Pattern = { chunks: sized(10_000, 200), step: 1 }
export const scattered: Pattern = { chunks: sized(15_000, 300), step: 3 }
export const waiting: Pattern = { chunks: sized(100_000, 500), step: 1 }

/** So many chunks with gaps of so many between them, for the curves. */
export const spaced = (count: number, step: number): Pattern => ({ chunks: count * step, step })
export const steps: ReadonlyArray<number> = [1, 2, 3, 5, 9, 17, 33]
export const spacedCount: number = sized(2000, 50)

export const total: number = Math.max(adjacent.chunks, scattered.chunks, waiting.chunks, spacedCount * steps.at(-1)!)

/** A chunk far behind the others, which is read first so that all is warm. */
export const far: number = total + 256

export const wanted = ({ chunks, step }: Pattern): ReadonlyArray<number> =>
  Array.from({ length: Math.ceil(chunks / step) }, (_, i) => i * step)

const numberAt = (bytes: Uint8Array, at: number): number =>
  bytes[at]! + bytes[at + 1]! * 256 + bytes[at + 2]! * 65536 + bytes[at + 3]! * 16777216

/** Each chunk begins and ends with its number. */
export const isChunk = (chunk: number, bytes: Uint8Array | null | undefined): boolean =>
  bytes?.length === chunkBytes && numberAt(bytes, 0) === chunk && numberAt(bytes, chunkBytes - 4) === chunk

/** Milliseconds that a request takes, by row. */
const delays: Readonly<Record<string, number>> = {
  "adjacent-10k": 10,
  "scattered-5k": 10,
  "scattered-5k-1ms": 1,
  "scattered-5k-50ms": 50,
  "adjacent-10k-bulk": 10,
  "scattered-5k-bulk": 10,
  "memory-waiting-100k": 10,
  "memory-bulk-100k": 10
}

const row = (id: string, title: string, ratio: number): Row => ({ id, title, unit: "s", goal: { ratio } })

export const family: Family = {
  name: "ranges",
  rows: [
    row("adjacent-10k", "10,000 adjacent 4 KiB chunks of an object on S3 at 10 ms, at once, in random order", 0.1),
    row("scattered-5k", "every third of 15,000 such chunks", 0.25),
    row("scattered-5k-1ms", "the same at 1 ms", 0.4),
    row("scattered-5k-50ms", "the same at 50 ms", 0.4),
    { id: "adjacent-10k-bulk", title: "10,000 adjacent chunks through `session.chunks`", unit: "s" },
    { id: "scattered-5k-bulk", title: "every third of 15,000 through `session.chunks`", unit: "s" },
    {
      id: "memory-waiting-100k",
      // The peer opens a connection for each, and runs out of ports.
      title: "memory that 100,000 such reads, adjacent, take while all of them wait (the peer cannot)",
      unit: "MB",
      goal: { ours: 300 }
    },
    {
      id: "memory-bulk-100k",
      title: "memory that reading them through `session.chunks` takes at most",
      unit: "MB",
      goal: { ours: 300 }
    }
  ],
  run: async (bench) => {
    const ids = family.rows.map(({ id }) => id).filter((id) => bench.wants(id))
    if (ids.length === 0) return
    const server = await bench.server("s3")
    const directory = bench.directory("ranges")
    await bench.run("ours", "ranges", "prepare", { directory, server: server.url })
    for (const id of ids) {
      const delay = delays[id]! / 1000
      const task = id.replace(/-\d+ms$/, "")
      await bench.rounded(async (side) => {
        const samples = await bench.run(side, "ranges", task, { directory, server: server.url, delay })
        bench.note(side, samples && { [id]: samples[task]! })
      })
    }
    await server.stop()
  }
}
