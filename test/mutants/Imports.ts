/** Rules of `packages/import`. */
import type { Mutant } from "./Mutants.ts"

const source = "packages/import/src"
const tests = "packages/import/test"

export const imports: ReadonlyArray<Mutant> = [
  {
    name: "import: a dimension that grows is as long as the longest array that has it",
    file: `${source}/internal/hdf5/Dimensions.ts`,
    find: "longestOf(scalesOf[i]![axis]) ?? length",
    replace: "length",
    tests: [`${tests}/Hdf5Metadata.test.ts`, `${tests}/Hdf5.test.ts`]
  },
  {
    name: "import: a filter without a codec is left out only where no chunk went through it",
    file: `${source}/internal/hdf5/ChunkStream.ts`,
    find: "  return isLeftOut() ? common : 0\n",
    replace: "  return common\n",
    tests: [`${tests}/Hdf5.test.ts`]
  },
  {
    name: "import: what readers cannot shuffle is reported",
    file: `${source}/internal/hdf5/Filters.ts`,
    find: "if (extraBytes % elements !== 0) {",
    replace: "if (false) {",
    tests: [`${tests}/Hdf5.test.ts`]
  },
  {
    name: "import: a checksum at the end is dropped with its bytes",
    file: `${source}/internal/hdf5/Grid.ts`,
    find: "? size : size - 4",
    replace: "? size : size",
    tests: [`${tests}/Hdf5.test.ts`]
  },
  {
    name: "import: a checksum before a compression is compared",
    file: `${source}/internal/hdf5/Fletcher32.ts`,
    find: "said === found || said === swapped >>> 0",
    replace: "true",
    tests: [`${tests}/Fletcher32.test.ts`]
  },
  {
    name: "import: fill values of 64 bits are exact",
    file: `${source}/internal/Values.ts`,
    find: "Number.isSafeInteger(number) ? number : BigInt(value)",
    replace: "number",
    tests: [`${tests}/Hdf5Metadata.test.ts`]
  },
  {
    name: "import: zarrita gets fill values of 64 bits exactly",
    file: "packages/core/src/zarr/ZarritaDocument.ts",
    find: "  if (!large.test(text)) return text\n",
    replace: "  if (true) return text\n",
    tests: ["test/zarritaStores.test.ts"]
  },
  {
    name: "import: packing belongs to the values, and cannot differ",
    file: `${source}/internal/concat/Compare.ts`,
    find: 'const meaning = ["scale_factor", "add_offset", ',
    replace: "const meaning = [",
    tests: [`${tests}/Concatenation.test.ts`]
  },
  {
    name: "import: what fails leaves the session as it was",
    file: `${source}/Import.ts`,
    find: "(Exit.isSuccess(exit) ? Effect.void : undo)",
    replace: "(Exit.isSuccess(exit) ? Effect.void : Effect.void)",
    tests: [`${tests}/Import.test.ts`]
  },
  {
    name: "import: a file of NetCDF-3 that has no records may end before they begin",
    file: `${source}/internal/netcdf3/Header.ts`,
    find: "begin > size && !isWithoutRecords",
    replace: "begin > size",
    tests: [`${tests}/NetCdf3.test.ts`]
  },
  {
    name: "import: Zarr's fill values are read with all of their digits",
    file: `${source}/internal/zarr/Documents.ts`,
    find: "? JSON.parse(text, reviver)",
    replace: "? JSON.parse(text)",
    tests: [`${tests}/ZarrHierarchy.test.ts`]
  },
  {
    name: "import: of Zarr's documents only fill values of 64 bits are no numbers",
    file: `${source}/internal/zarr/Documents.ts`,
    find: " && isOfLongs(this)",
    replace: "",
    tests: [`${tests}/ZarrHierarchy.test.ts`]
  },
  {
    name: "import: what comes of a file's cached bytes is no part of them",
    file: `${source}/internal/hdf5/Reencode.ts`,
    find: "bytes.buffer === stored.buffer ? bytes.slice() : bytes",
    replace: "bytes",
    tests: [`${tests}/ChunkStream.test.ts`]
  },
  {
    name: "import: a fill value of another type than its variable is one that it has",
    file: `${source}/NetCdf3.ts`,
    find: " || own?.type === type ? fill : fallback",
    replace: " || true ? fill : fallback",
    tests: [`${tests}/NetCdf3.test.ts`]
  }
]
