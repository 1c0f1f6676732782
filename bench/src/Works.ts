/**
 * All that is measured, in the order of the table.
 */
import type { Family, Row } from "./Work.ts"
import * as Chunks from "./works/chunks.ts"
import * as Commits from "./works/commits.ts"
import * as Contention from "./works/contention.ts"
import * as Gc from "./works/gc.ts"
import * as Load from "./works/load.ts"
import * as Lookup from "./works/lookup.ts"
import * as Million from "./works/million.ts"
import * as Nodes from "./works/nodes.ts"
import * as Ranges from "./works/ranges.ts"
import * as Trips from "./works/trips.ts"
import * as Zarr from "./works/zarr.ts"

export const families: ReadonlyArray<Family> = [
  Lookup.family,
  Ranges.family,
  Chunks.family,
  Zarr.family,
  Commits.family,
  Trips.family,
  Contention.family,
  Nodes.family,
  Million.family,
  Gc.family,
  Load.family
]

export const rows: ReadonlyArray<Row> = families.flatMap(({ rows }) => rows)
