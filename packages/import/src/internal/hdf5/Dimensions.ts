/**
 * Names of dimensions, by the conventions of netCDF-4 and of HDF5's dimension scales. Source: NetCDF-4 Format Specification,
 * "Dimensions", and HDF5 Dimension Scale Specification.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Json } from "../../Dataset.ts"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Attributes from "./Attributes.ts"
import { parsing } from "./Cursor.ts"
import type { GlobalHeaps } from "./Heaps.ts"
import type { Found } from "./Objects.ts"

/** Attributes that only say how dimensions and netCDF's own matters are kept. */
const own: ReadonlySet<string> = new Set([
  "DIMENSION_LIST",
  "REFERENCE_LIST",
  "_Netcdf4Dimid",
  "_Netcdf4Coordinates",
  "_NCProperties",
  "_nc3_strict"
])

/** Those of dimension scales alone; others may mean something of their own by them. */
const ofScales: ReadonlySet<string> = new Set(["CLASS", "NAME"])

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
  /** Whether an attribute says nothing but what dimensions are. */
  readonly isOwn: (found: Found, name: string) => boolean
  /** The dimensions of arrays, whose shapes are given. */
  readonly of: (arrays: ReadonlyArray<Shaped>) => ReadonlyArray<ReadonlyArray<string>>
  /**
   * The shapes that netCDF shows of them: a dimension that grows is as long as the longest array that has it, and of the others the
   * rest was not written.
   */
  readonly shapes: (arrays: ReadonlyArray<Shaped>) => ReadonlyArray<ReadonlyArray<number>>
}

/** An array, and its lengths; infinite ones may grow. */
interface Shaped {
  readonly found: Found
  readonly shape: ReadonlyArray<number>
  readonly maxShape: ReadonlyArray<number>
}

const grows = (maxShape: ReadonlyArray<number>, axis: number): boolean => maxShape[axis] === Number.POSITIVE_INFINITY

const compare = (a: string | undefined, b: string | undefined): number =>
  a === b ? 0 : a === undefined ? 1 : b === undefined ? -1 : a < b ? -1 : 1

/** The order in which netCDF names what has no name: what is in groups of a group, by name, before the group's own arrays. */
const inOrder = (a: Found, b: Found): number => {
  const [groupsA, groupsB] = [a, b].map(({ path }) => path.split("/").slice(1, -1)) as [Array<string>, Array<string>]
  for (let i = 0; i < Math.max(groupsA.length, groupsB.length); i++) {
    const order = compare(groupsA[i], groupsB[i])
    if (order !== 0) return order
  }
  return compare(nameOf(a.path), nameOf(b.path))
}

/** Names of dimensions that have none: one for each length of a group, and another where one array has the length twice. */
class Phony {
  readonly #known = new Map<
    string,
    Array<{ readonly length: number; readonly isGrowing: boolean; readonly name: string }>
  >()
  #next: number

  constructor(first: number) {
    this.#next = first
  }

  name(group: string, length: number, isGrowing: boolean, taken: ReadonlyArray<string>): string {
    const known = this.#known.get(group) ?? []
    this.#known.set(group, known)
    const free = known.find((one) => one.length === length && one.isGrowing === isGrowing && !taken.includes(one.name))
    if (free !== undefined) return free.name
    const name = `phony_dim_${this.#next++}`
    known.push({ length, isGrowing, name })
    return name
  }
}

/** Finds the dimensions of all arrays of a file. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: GlobalHeaps,
  arrays: ReadonlyArray<Found>
): Effect.fn.Return<Named, ImportError> {
  const byAddress = new Map(arrays.map((array) => [array.address, array]))
  const scales = new Set<Found>()
  const hidden = new Set<Found>()
  const byId = new Map<number, Found>()
  const lists = new Map<Found, ReadonlyArray<number | undefined>>()
  const coordinates = new Map<Found, ReadonlyArray<number>>()
  const said = arrays.flatMap(({ attributes }) => attributes.filter(({ name }) => own.has(name) || ofScales.has(name)))
  const heap = yield* Attributes.load(source, heaps, said)
  yield* parsing(source, () => {
    for (const array of arrays) {
      const value = (name: string): Json | undefined => {
        const attribute = array.attributes.find((one) => one.name === name)
        const json = attribute === undefined ? undefined : Attributes.toJson(attribute, heap)
        return json !== undefined && "json" in json ? json.json : undefined
      }
      if (value("CLASS") === "DIMENSION_SCALE") {
        scales.add(array)
        const label = value("NAME")
        if (typeof label === "string" && label.startsWith(withoutVariable)) hidden.add(array)
        const id = value("_Netcdf4Dimid")
        if (typeof id === "number" && !byId.has(id)) byId.set(id, array)
      }
      // Also of arrays whose dimensions were not attached.
      const ids = value("_Netcdf4Coordinates")
      if (ids !== undefined) coordinates.set(array, [ids].flat().map(Number))
      const list = array.attributes.find(({ name }) => name === "DIMENSION_LIST")
      if (list !== undefined) lists.set(array, Attributes.references(list, heap))
    }
  })
  const scaleOf = (found: Found, axis: number, rank: number): Found | undefined => {
    const address = lists.get(found)?.[axis]
    return (
      (address === undefined ? undefined : byAddress.get(address)) ??
      byId.get(coordinates.get(found)?.[axis] ?? -1) ??
      (scales.has(found) && rank === 1 ? found : undefined)
    )
  }
  return {
    hidden,
    isOwn: (found, name) => own.has(name) || (ofScales.has(name) && scales.has(found)),
    of: (arrays) => {
      const phony = new Phony(scales.size)
      const names = new Map<Found, ReadonlyArray<string>>()
      for (const { found, maxShape, shape } of arrays.toSorted((a, b) => inOrder(a.found, b.found))) {
        const group = found.path.slice(0, found.path.lastIndexOf("/"))
        const own: Array<string> = []
        for (const [axis, length] of shape.entries()) {
          const scale = scaleOf(found, axis, shape.length)
          own.push(
            scale === undefined ? phony.name(group, length, grows(maxShape, axis), own) : nameOf(shownPath(scale.path))
          )
        }
        names.set(found, own)
      }
      return arrays.map(({ found }) => names.get(found)!)
    },
    shapes: (arrays) => {
      const longest = new Map<Found, number>()
      const scalesOf = arrays.map(({ found, maxShape, shape }) =>
        shape.map((_, axis) => (grows(maxShape, axis) ? scaleOf(found, axis, shape.length) : undefined))
      )
      for (const [i, { shape }] of arrays.entries()) {
        for (const [axis, scale] of scalesOf[i]!.entries()) {
          if (scale !== undefined) longest.set(scale, Math.max(shape[axis]!, longest.get(scale) ?? 0))
        }
      }
      const longestOf = (scale: Found | undefined) => (scale === undefined ? undefined : longest.get(scale))
      return arrays.map(({ shape }, i) => shape.map((length, axis) => longestOf(scalesOf[i]![axis]) ?? length))
    }
  }
})
