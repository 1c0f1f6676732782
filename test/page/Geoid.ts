/** The grid of the geoid, as the page of `examples/browser` has it. */
import type * as Level from "../../examples/browser/src/Level.ts"

/** All heights, a chunk for seven circles of latitude. */
export const geoid: Level.Level = {
  rows: 721,
  columns: 1440,
  chunkRows: 7,
  chunkColumns: 1440,
  south: -90,
  west: -180,
  step: 0.25
}
