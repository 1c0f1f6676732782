/**
 * Names of dimensions, by the conventions of netCDF-4 and of HDF5's dimension scales. Source: NetCDF-4 Format Specification,
 * "Dimensions", and HDF5 Dimension Scale Specification.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Attributes from "./Attributes.ts"
import type { GlobalHeaps } from "./Heaps.ts"
import type { Found } from "./Objects.ts"

/** Attributes that only say what dimensions are, and how netCDF keeps them. */
export const own: ReadonlySet<string> = new Set([
  "CLASS",
  "NAME",
  "DIMENSION_LIST",
  "REFERENCE_LIST",
  "DIMENSION_LABELS",
  "_Netcdf4Dimid",
  "_Netcdf4Coordinates",
  "_NCProperties",
  "_nc3_strict"
])

const withoutVariable = "This is a netCDF dimension but not a netCDF variable"

/** A prefix of variables that have the name of a dimension that they do not have. */
const notCoordinate = "_nc4_non_coord_"

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** The path of an array as netCDF shows it. */
export const shownPath = (path: string): string => {
  const name = nameOf(path)
  return name.startsWith(notCoordinate) ? path.slice(0, -name.length) + name.slice(notCoordinate.length) : path
}

export interface Named {
  /** Arrays that are a dimension and nothing else. */
  readonly hidden: ReadonlySet<Found>
  readonly of: (found: Found, shape: ReadonlyArray<number>) => ReadonlyArray<string>
}

/** Finds the dimensions of all arrays of a file. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: GlobalHeaps,
  arrays: ReadonlyArray<Found>
): Effect.fn.Return<Named, ImportError> {
  const byAddress = new Map(arrays.map(({ address, path }) => [address, nameOf(shownPath(path))]))
  const scales = new Set<Found>()
  const hidden = new Set<Found>()
  const byId = new Map<number, string>()
  const lists = new Map<Found, ReadonlyArray<number | undefined>>()
  const coordinates = new Map<Found, ReadonlyArray<number>>()
  const value = Effect.fnUntraced(function* ({ attributes }: Found, name: string) {
    const attribute = attributes.find((one) => one.name === name)
    const json = attribute === undefined ? undefined : yield* Attributes.toJson(source, heaps, attribute)
    return json !== undefined && "json" in json ? json.json : undefined
  })
  for (const array of arrays) {
    if ((yield* value(array, "CLASS")) === "DIMENSION_SCALE") {
      scales.add(array)
      const label = yield* value(array, "NAME")
      if (typeof label === "string" && label.startsWith(withoutVariable)) hidden.add(array)
      const id = yield* value(array, "_Netcdf4Dimid")
      if (typeof id === "number" && !byId.has(id)) byId.set(id, nameOf(shownPath(array.path)))
      const ids = yield* value(array, "_Netcdf4Coordinates")
      if (ids !== undefined) coordinates.set(array, [ids].flat().map(Number))
    }
    const list = array.attributes.find(({ name }) => name === "DIMENSION_LIST")
    if (list !== undefined) lists.set(array, yield* Attributes.references(source, heaps, list))
  }
  const phony = new Map<string, Array<{ readonly length: number; readonly name: string }>>()
  let count = 0
  const phonyName = (group: string, length: number, taken: ReadonlyArray<string>): string => {
    const known = phony.get(group) ?? []
    phony.set(group, known)
    const free = known.find((one) => one.length === length && !taken.includes(one.name))
    if (free !== undefined) return free.name
    const name = `phony_dim_${count++}`
    known.push({ length, name })
    return name
  }
  return {
    hidden,
    of: (found, shape) => {
      const list = lists.get(found)
      const ids = coordinates.get(found)
      const names: Array<string> = []
      for (const [axis, length] of shape.entries()) {
        const address = list?.[axis]
        const name =
          (address === undefined ? undefined : byAddress.get(address)) ??
          (ids === undefined ? undefined : byId.get(ids[axis]!)) ??
          (scales.has(found) && shape.length === 1 ? nameOf(shownPath(found.path)) : undefined) ??
          phonyName(found.path.slice(0, found.path.lastIndexOf("/")), length, names)
        names.push(name)
      }
      return names
    }
  }
})
