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

/** What can be written into a session; `skip` is told of the rest. */
export const read = (
  documents: Documents.Documents,
  extensions: ReadonlyArray<string> | undefined,
  skip: (path: string, kind: Skipped["kind"], problem: Problem) => void
): { readonly groups: ReadonlyArray<Group>; readonly arrays: ReadonlyArray<ArrayNode> } => {
  const groups: Array<Group> = []
  const arrays: Array<ArrayNode> = []
  for (const [path, document] of documents) {
    const names = path.split("/").filter((name) => name !== "")
    const problem = names.map(Paths.nameProblem).find((problem) => problem !== undefined)
    const kind = document._tag === "Group" ? "group" : "array"
    if (problem !== undefined) {
      skip(path, kind, { reason: "name", problem: `it cannot be the name of a node: ${problem}` })
      continue
    }
    if (document._tag === "Group") {
      groups.push({ path, attributes: document.attributes })
      continue
    }
    const read = document._tag === "Array2" ? read2(document.zarray, document.attributes) : Zarr3.read(document.json)
    if (Result.isFailure(read)) {
      skip(path, kind, read.failure)
      continue
    }
    const one = { path, ...read.success }
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
  return { groups, arrays }
}
