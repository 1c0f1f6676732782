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
import { Cursor, parsing } from "./Cursor.ts"
import * as Datatype from "./Datatype.ts"
import * as Groups from "./Groups.ts"
import type { Sizes } from "./Layout.ts"
import type { Link } from "./Messages.ts"
import * as Messages from "./Messages.ts"
import * as ObjectHeader from "./ObjectHeader.ts"
import { type Message, Type } from "./ObjectHeader.ts"

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

/** Groups and arrays that are read at the same time. */
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

/** Types that are objects of their own, by their addresses. */
export const types = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  addresses: ReadonlyArray<number>
): Effect.fn.Return<ReadonlyMap<number, Datatype.Datatype>, ImportError> {
  const distinct = [...new Set(addresses)]
  if (distinct.length === 0) return new Map()
  const headers = yield* ObjectHeader.readMany(source, sizes, distinct)
  return yield* parsing(source, () => {
    const found = new Map<number, Datatype.Datatype>()
    for (const [i, messages] of headers.entries()) {
      const message = messages.find(({ isShared, type }) => type === Type.datatype && !isShared)
      if (message !== undefined) {
        found.set(distinct[i]!, Datatype.parse(new Cursor(message.bytes, message.at, sizes)))
      }
    }
    return found
  })
})

/** The attributes of many objects, with types that are objects of their own. */
const attributesOf = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  headers: ReadonlyArray<ReadonlyArray<Message>>
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<Attributes.Attribute>>, ImportError> {
  const all = yield* Effect.forEach(headers, (messages) => Attributes.read(source, sizes, messages), { concurrency })
  const wanted = all.flat().flatMap(({ sharedType }) => (sharedType === undefined ? [] : [sharedType]))
  const known = yield* types(source, sizes, wanted)
  return all.map((attributes) =>
    attributes.map((one) =>
      one.sharedType === undefined ? one : { ...one, type: known.get(one.sharedType) ?? one.type }
    )
  )
})

/** All that a file holds. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  root: number,
  skip: Skip
): Effect.fn.Return<Objects, ImportError> {
  const groups: Array<Found> = []
  const arrays: Array<Found> = []
  const seen = new Map<number, string>([[root, "/"]])
  let level: ReadonlyArray<{ readonly path: string; readonly address: number }> = [{ path: "/", address: root }]
  while (level.length > 0) {
    const distinct = [...new Set(level.map(({ address }) => address))]
    const headers = yield* ObjectHeader.readMany(source, sizes, distinct)
    const attributes = yield* attributesOf(source, sizes, headers)
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

/** The message of a type, its bytes, and whether they are elsewhere. */
export const message = ({ messages }: Pick<Found, "messages">, type: number): Message | undefined =>
  messages.find((one) => one.type === type)

/** The type of an array's elements, or the address where it is described; `undefined` for a place that is not read. */
export const typeOf = (found: Found, sizes: Sizes): Datatype.Datatype | number | undefined => {
  const described = message(found, Type.datatype)
  if (described === undefined) return undefined
  const { at, bytes, isShared } = described
  if (!isShared) return Datatype.parse(new Cursor(bytes, at, sizes))
  const shared = Messages.shared(bytes, at, sizes)
  return shared._tag === "Object" ? shared.address : undefined
}
