/** What libhdf5 2.0, built to WebAssembly, reads and writes. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Dataset, File, type FileOptions, Group, ready } from "h5wasm/node"

type Value = Dataset["value"]

export interface Read {
  /** Paths of all arrays. */
  readonly paths: ReadonlyArray<string>
  /** Values of the arrays that were asked for; `undefined` where h5wasm has none of their type or filter. */
  readonly arrays: ReadonlyMap<string, Value | undefined>
  /** Attributes of groups and arrays, by `path@name`. */
  readonly attributes: ReadonlyMap<string, Value | undefined>
}

const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "hdf5-"))),
  (at) => Effect.sync(() => fs.rmSync(at, { recursive: true }))
)

const orNone = <A>(value: () => A): A | undefined => {
  try {
    return value()
  } catch {
    return undefined
  }
}

/** What libhdf5 finds in a file, and the values of some arrays: h5wasm ends on some texts that it cannot read. */
export const read = (content: Uint8Array, wanted: ReadonlySet<string>): Effect.Effect<Read> =>
  Effect.gen(function* () {
    const at = path.join(yield* directory, "file.h5")
    fs.writeFileSync(at, content)
    yield* Effect.promise(() => ready)
    const file = new File(at, "r")
    const paths: Array<string> = []
    const arrays = new Map<string, Value | undefined>()
    const attributes = new Map<string, Value | undefined>()
    const attributesOf = (of: string, found: Pick<Group, "attrs">) => {
      // Those of arrays of some filters it does not list.
      for (const [name, attribute] of Object.entries(orNone(() => found.attrs) ?? {})) {
        attributes.set(`${of}@${name}`, orNone(() => attribute.value) ?? undefined)
      }
    }
    const visit = (at: string, group: Group) => {
      attributesOf(at === "" ? "/" : at, group)
      for (const name of group.keys()) {
        const below = `${at}/${name}`
        const found = orNone(() => group.get(name))
        if (found instanceof Group) visit(below, found)
        // h5wasm refuses an array when a filter of it has no name.
        else if (found === undefined) paths.push(below)
        else if (found instanceof Dataset) {
          attributesOf(below, found)
          paths.push(below)
          if (wanted.has(below)) arrays.set(below, orNone(() => found.value) ?? undefined)
        }
      }
    }
    visit("", file)
    file.close()
    return { paths, arrays, attributes }
  }).pipe(Effect.scoped)

/** The bytes of a file that libhdf5 writes. */
export const written = (options: FileOptions, write: (file: File) => void): Effect.Effect<Uint8Array> =>
  Effect.gen(function* () {
    const at = path.join(yield* directory, "file.h5")
    yield* Effect.promise(() => ready)
    const file = new File(at, "w", options)
    write(file)
    file.close()
    return new Uint8Array(fs.readFileSync(at))
  }).pipe(Effect.scoped)

/** A value as a list of numbers and texts. */
export const flat = (value: unknown): ReadonlyArray<number | string> => {
  if (typeof value === "string") return [value]
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<number | bigint>, Number)
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return [Number(value)]
  if (Symbol.iterator in Object(value)) return Array.from(value as Iterable<unknown>, flat).flat()
  return [String(value)]
}
