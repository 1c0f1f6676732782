/**
 * The groups and arrays of an HDF5 file: all that can be reached from its root, level by level.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Skipped } from "../../Dataset.ts"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Paths from "../Paths.ts"
import * as Attributes from "./Attributes.ts"
import * as Groups from "./Groups.ts"
import type { Sizes } from "./Layout.ts"
import type { Link } from "./Messages.ts"
import * as ObjectHeader from "./ObjectHeader.ts"
import { type Message, Type } from "./ObjectHeader.ts"
import * as SharedMessages from "./SharedMessages.ts"
import type { Superblock } from "./Superblock.ts"

export interface Found {
  /** As in `/a/b`. */
  readonly path: string
  readonly address: number
  readonly messages: ReadonlyArray<Message>
  readonly attributes: ReadonlyArray<Attributes.Attribute>
}

export interface Objects {
  readonly groups: ReadonlyArray<Found>
  readonly arrays: ReadonlyArray<Found>
}

/** Objects of a file, at most. */
const maxObjects = 1_000_000

/** Groups that are read at the same time. */
const concurrency = 16

type Skip = (skipped: Omit<Skipped, "location">) => void

const linkProblem = (link: Exclude<Link, { readonly _tag: "Hard" }>): string => {
  switch (link._tag) {
    case "Soft":
      return `it is a soft link to \`${link.target}\`, which is imported under its own name where it is in this file`
    case "External":
      return `it is a link into another file, \`${link.target}\`; import that file too`
    case "UserDefined":
      return `it is a link of the type ${link.type}, which only its program understands`
  }
}

/** The headers of many objects, with what they share with others in its place. */
const resolved = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  table: SharedMessages.Table,
  headers: ReadonlyArray<ReadonlyArray<Message>>
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<Message>>, ImportError> {
  const all = headers.flat()
  const found = yield* SharedMessages.resolve(source, sizes, table, all)
  if (found === all) return headers
  let next = 0
  return headers.map((messages) => messages.map(() => found[next++]!))
})

/** All that a file holds. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  { extension, root }: Pick<Superblock, "extension" | "root">,
  skip: Skip
): Effect.fn.Return<Objects, ImportError> {
  const table = yield* SharedMessages.read(source, sizes, extension)
  const groups: Array<Found> = []
  const arrays: Array<Found> = []
  const seen = new Map<number, string>([[root, "/"]])
  let level: ReadonlyArray<{ readonly path: string; readonly address: number }> = [{ path: "/", address: root }]
  while (level.length > 0) {
    const distinct = [...new Set(level.map(({ address }) => address))]
    const headers = yield* resolved(source, sizes, table, yield* ObjectHeader.readMany(source, sizes, distinct))
    const attributes = yield* Attributes.readMany(source, sizes, table, headers)
    const byAddress = new Map(distinct.map((address, i) => [address, i]))
    const inside: Array<Found> = []
    for (const { address, path } of level) {
      const at = byAddress.get(address)!
      const found: Found = { path, address, messages: headers[at]!, attributes: attributes[at]! }
      const isArray = found.messages.some(({ type }) => type === Type.layout || type === Type.dataspace)
      if (isArray) arrays.push(found)
      else if (path === "/" || Groups.isGroup(found.messages)) {
        const other = path === "/" ? undefined : seen.get(address)
        if (other !== undefined) {
          skip({ path, kind: "group", reason: "link", problem: `it is \`${other}\` under another name` })
          continue
        }
        seen.set(address, path)
        groups.push(found)
        inside.push(found)
      }
    }
    if (groups.length + arrays.length > maxObjects) {
      return yield* source.damaged(undefined, `it has more than ${maxObjects} groups and arrays`)
    }
    const links = yield* Effect.forEach(inside, ({ messages }) => Groups.links(source, sizes, messages), {
      concurrency
    })
    level = inside.flatMap(({ path }, i) =>
      links[i]!.flatMap((link) => {
        const at = Paths.join(path, link.name)
        const problem = Paths.nameProblem(link.name)
        if (link._tag !== "Hard") {
          skip({ path: at, kind: "link", reason: "link", problem: linkProblem(link) })
          return []
        }
        if (problem === undefined) return [{ path: at, address: link.address }]
        skip({
          path: at,
          kind: "link",
          reason: "name",
          problem: `\`${link.name}\` is no name of a Zarr node: ${problem}`
        })
        return []
      })
    )
  }
  return { groups, arrays }
})

/** The message of a type. */
export const message = ({ messages }: Pick<Found, "messages">, type: number): Message | undefined =>
  messages.find((one) => one.type === type)
