/**
 * An array of 128 chunks of 4 MiB, written and committed, and read through zarrita.
 */
import { type Family, sized } from "../Work.ts"

export const chunks: number = sized(128, 8)
export const chunkBytes: number = sized(4 * 1024 * 1024, 64 * 1024)

export const arrayJson: string = JSON.stringify({
  zarr_format: 3,
  node_type: "array",
  shape: [(chunks * chunkBytes) / 4],
  data_type: "float32",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [chunkBytes / 4] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes", configuration: { endian: "little" } }],
  attributes: {}
})

/** Each number of a chunk is the chunk's. */
export const bytesOf = (chunk: number): Buffer => {
  const numbers = new Float32Array(chunkBytes / 4).fill(chunk + 1)
  return Buffer.from(numbers.buffer)
}

export const isWhole = (data: ArrayLike<number>): boolean => {
  const perChunk = chunkBytes / 4
  if (data.length !== chunks * perChunk) return false
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (data[chunk * perChunk] !== chunk + 1 || data[(chunk + 1) * perChunk - 1] !== chunk + 1) return false
  }
  return true
}

export const family: Family = {
  name: "zarr",
  rows: [
    {
      id: "zarr-write",
      title: "128 chunks of 4 MiB and a commit, fs, with flushes (the peer has none)",
      unit: "s",
      goal: { ratio: 1.5 }
    },
    { id: "zarr-write-noflush", title: "the same without flushes", unit: "s", goal: { ratio: 1 } },
    { id: "zarr-read", title: "read them through zarrita", unit: "s", goal: { ratio: 0.3 } }
  ],
  run: async (bench) => {
    for (const [id, variant] of [
      ["zarr-write", "flush"],
      ["zarr-write-noflush", "noflush"]
    ] as const) {
      if (!bench.wants(id)) continue
      await bench.rounded(async (side) => {
        const directory = bench.directory("zarr")
        const samples = await bench.run(side, "zarr", "write", { directory, variant })
        bench.note(side, samples && { [id]: samples["write"]! })
        bench.remove(directory)
      })
    }
    if (bench.wants("zarr-read")) {
      const directory = bench.directory("zarr")
      await bench.run("ours", "zarr", "write", { directory, variant: "noflush" })
      await bench.rounded(async (side) => {
        bench.note(side, await bench.run(side, "zarr", "zarr-read", { directory }))
      })
      bench.remove(directory)
    }
  }
}
