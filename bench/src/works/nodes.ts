/**
 * A hierarchy of 60,000 arrays in 600 groups. Each side writes a repository of its own.
 */
import { type Family, sized } from "../Work.ts"

export const groups: number = sized(600, 20)
export const arraysPerGroup: number = sized(100, 10)

export const groupPath = (group: number): string => `group_${String(group).padStart(5, "0")}`
export const arrayPath = (group: number, array: number): string => `${groupPath(group)}/variable_${array}`
/** A group in the middle, and those after it. */
export const listedOf = (groups: number, i: number): number => (Math.floor(groups / 2) + i) % groups

export const groupJson: string = JSON.stringify({ zarr_format: 3, node_type: "group", attributes: {} })
export const arrayJson: string = JSON.stringify({
  zarr_format: 3,
  node_type: "array",
  shape: [1000, 1000],
  data_type: "float32",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [100, 100] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes", configuration: { endian: "little" } }],
  attributes: {}
})

export const isListing = (names: ReadonlyArray<string>): boolean =>
  names.filter((name) => name.includes("variable_")).length === arraysPerGroup

export const family: Family = {
  name: "nodes",
  rows: [
    { id: "nodes-60k", title: "create 60,000 arrays in 600 groups, and commit", unit: "s", goal: { ratio: 0.3 } },
    { id: "nodes-60k-list", title: "list a group of them", unit: "ms", goal: { ratio: 0.1 } },
    { id: "nodes-60k-commit", title: "a commit of one inline chunk among them", unit: "s", goal: { ratio: 1 } }
  ],
  run: async (bench) => {
    await bench.rounded(async (side) => {
      if (!bench.wants("nodes-60k", "nodes-60k-list", "nodes-60k-commit")) return
      const directory = bench.directory("nodes")
      const written = await bench.run(side, "nodes", "write", { directory })
      bench.note(side, written && { "nodes-60k": { ...written["write"]!, bytes: bench.sizeOf(directory) } })
      if (written !== null && bench.wants("nodes-60k-list")) {
        bench.note(side, await bench.run(side, "nodes", "nodes-60k-list", { directory }))
      }
      if (written !== null && bench.wants("nodes-60k-commit")) {
        bench.note(side, await bench.run(side, "nodes", "nodes-60k-commit", { directory }))
      }
      bench.remove(directory)
    })
  }
}
