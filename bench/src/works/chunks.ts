/**
 * Native chunks on object stores with a delay of 10 ms: what most users do. One repository for each store, which this
 * library writes, is read by both; each writes its own.
 */
import type { Server } from "../Bench.ts"
import { type Family, type Row, sized } from "../Work.ts"

export const delay = 0.01
export const bucket = "repositories"

export interface Array {
  readonly name: string
  readonly chunks: number
  readonly chunkBytes: number
}

export const small: Array = { name: "small", chunks: sized(2000, 40), chunkBytes: 64 * 1024 }
export const large: Array = { name: "large", chunks: sized(64, 4), chunkBytes: sized(4 * 1024 * 1024, 256 * 1024) }
export const arrays: ReadonlyArray<Array> = [small, large]

/** A chunk more than is measured, with which everything is warmed up. */
export const arrayJson = ({ chunkBytes, chunks }: Array): string =>
  JSON.stringify({
    zarr_format: 3,
    node_type: "array",
    shape: [(chunks + 1) * chunkBytes],
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [chunkBytes] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes: {}
  })

export const bytesOf = ({ chunkBytes }: Array, chunk: number): Buffer => {
  const bytes = Buffer.alloc(chunkBytes, 1 + (chunk % 250))
  bytes.writeUInt32LE(chunk, 0)
  return bytes
}

export const isChunk = ({ chunkBytes }: Array, chunk: number, bytes: Uint8Array | null | undefined): boolean =>
  bytes?.length === chunkBytes &&
  bytes[0]! + bytes[1]! * 256 + bytes[2]! * 65536 === chunk &&
  bytes.at(-1) === 1 + (chunk % 250)

const row = (id: string, title: string): Row => ({ id, title, unit: "s", goal: { ratio: 1 } })

export const family: Family = {
  name: "chunks",
  rows: [
    row("s3-chunks", "2,000 native chunks of 64 KiB on an S3 at 10 ms, read at once"),
    row("s3-chunks-write", "write them, and commit"),
    row("s3-large", "64 native chunks of 4 MiB, read at once"),
    row("gcs-chunks", "2,000 native chunks of 64 KiB on GCS's API at 10 ms, read at once"),
    row("gcs-chunks-write", "write them, and commit")
  ],
  run: async (bench) => {
    const wanted = family.rows.map(({ id }) => id).filter((id) => bench.wants(id))
    const measured = async (kind: "s3" | "gcs"): Promise<void> => {
      const ids = wanted.filter((id) => id.startsWith(kind))
      if (ids.length === 0) return
      const server: Server = await bench.server(kind)
      const input = { directory: "read", server: server.url, delay }
      await bench.run("ours", "chunks", `${kind}-prepare`, input)
      for (const id of ids) {
        await bench.rounded(async (side, round) => {
          const directory = id.endsWith("-write") ? `${id}-${side}-${round}` : "read"
          bench.note(side, await bench.run(side, "chunks", id, { ...input, directory }))
        })
      }
      await server.stop()
    }
    await measured("s3")
    await measured("gcs")
  }
}
