/**
 * Groups and arrays of the documents that describe them, checked. Pure.
 *
 * @since 0.1.0
 */
import { ZarrMetadata } from "@effect-icechunk/core"
import * as Result from "effect/Result"
import type { Group, JsonObject, Skipped } from "../../Dataset.ts"
import * as Paths from "../Paths.ts"
import type * as Documents from "./Documents.ts"
import * as Zarr2 from "./Zarr2.ts"
import * as Zarr3 from "./Zarr3.ts"

export type Problem = Zarr2.Problem

/** An array, and how its chunks' keys are made. */
export interface ArrayNode {
  readonly path: string
  readonly array: Zarr2.Translated
  readonly keys: Zarr3.Keys
}

const read2 = (zarray: JsonObject, zattrs: JsonObject) =>
  Result.map(Zarr2.translate(zarray, zattrs), (array) => ({
    array,
    keys: { isDefault: false, separator: Zarr2.separator(zarray) ?? "." } as const
  }))

type Skip = (path: string, kind: Skipped["kind"], problem: Problem) => void

/** Attributes that can be stored: not those with texts that are no Unicode, or nested too deep. */
const storable = (path: string, attributes: JsonObject, skip: Skip): JsonObject => {
  if (Result.isSuccess(ZarrMetadata.group(path, attributes))) return attributes
  return Object.fromEntries(
    Object.entries(attributes).filter(([name, value]) => {
      const stored = ZarrMetadata.group(path, { [name]: value })
      if (Result.isFailure(stored)) {
        skip(`${path}@${name}`, "attribute", {
          reason: "value",
          problem: `it cannot be stored: ${stored.failure.problem}`
        })
      }
      return Result.isSuccess(stored)
    })
  )
}

/** Groups, and those above what is there, which metadata may leave out. */
const withParents = (groups: ReadonlyArray<Group>, arrays: ReadonlyArray<ArrayNode>): ReadonlyArray<Group> => {
  const all = new Map(groups.map((group) => [group.path, group]))
  for (const { path } of [...groups, ...arrays]) {
    if (path === "/") continue
    for (const parent of ["/", ...Paths.above(path)]) {
      if (!all.has(parent)) all.set(parent, { path: parent, attributes: {} })
    }
  }
  return [...all.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** What can be written into a session, parents first; `skip` is told of the rest. */
export const read = (
  documents: Documents.Documents,
  extensions: ReadonlyArray<string> | undefined,
  skip: Skip
): { readonly groups: ReadonlyArray<Group>; readonly arrays: ReadonlyArray<ArrayNode> } => {
  const groups: Array<Group> = []
  const arrays: Array<ArrayNode> = []
  const leaves = new Set([...documents].filter(([, { _tag }]) => _tag !== "Group").map(([path]) => path))
  for (const [path, document] of documents) {
    const names = path === "/" ? [] : path.slice(1).split("/")
    const problem = names.map(Paths.nameProblem).find((problem) => problem !== undefined)
    const kind = document._tag === "Group" ? "group" : "array"
    if (problem !== undefined) {
      skip(path, kind, { reason: "name", problem: `it cannot be the name of a node: ${problem}` })
      continue
    }
    const array = path === "/" ? undefined : ["/", ...Paths.above(path)].find((parent) => leaves.has(parent))
    if (array !== undefined) {
      skip(path, kind, { reason: "layout", problem: `it is below the array \`${array}\`, where no nodes can be` })
      continue
    }
    if (document._tag === "Group") {
      groups.push({ path, attributes: storable(path, document.attributes, skip) })
      continue
    }
    const read = document._tag === "Array2" ? read2(document.zarray, document.attributes) : Zarr3.read(document.json)
    if (Result.isFailure(read)) {
      skip(path, kind, read.failure)
      continue
    }
    const { array: translated, keys } = read.success
    const one = { path, keys, array: { ...translated, attributes: storable(path, translated.attributes, skip) } }
    const invalid = Result.flatMap(ZarrMetadata.array(path, { ...one.array, extensions }), (bytes) =>
      ZarrMetadata.parse(path, bytes, { extensions })
    )
    if (Result.isFailure(invalid)) {
      const { field, problem } = invalid.failure
      const reason = field.startsWith("data_type") ? "data type" : field.startsWith("codecs") ? "codec" : "format"
      skip(path, kind, { reason, problem: `its \`${field}\` cannot be: ${problem}` })
      continue
    }
    arrays.push(one)
  }
  return { groups: withParents(groups, arrays), arrays }
}
