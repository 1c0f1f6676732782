/**
 * What is in a group: the links of its messages, of its symbol table, or of its fractal heap. Source: HDF5 File Format
 * Specification 3.0, III.A.1, III.C, IV.A.2.c and IV.A.2.g.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { text } from "../Values.ts"
import * as BTree2 from "./BTree2.ts"
import { Cursor, parsing } from "./Cursor.ts"
import * as FractalHeap from "./FractalHeap.ts"
import * as Heaps from "./Heaps.ts"
import type { Sizes } from "./Layout.ts"
import * as Messages from "./Messages.ts"
import { type Message, Type } from "./ObjectHeader.ts"

/** Whether the messages are those of a group. */
export const isGroup = (messages: ReadonlyArray<Message>): boolean =>
  messages.some(({ type }) => type === Type.symbolTable || type === Type.linkInfo || type === Type.link)

/** Nodes of a symbol table, at most: bounds what a damaged one can ask for. */
const maxNodes = 100_000

/** Entries of an inner node that are read at once. */
const usualEntries = 32

/** The symbol nodes of an old group's B-tree. */
const symbolNodes = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  root: number
): Effect.fn.Return<ReadonlyArray<number>, ImportError> {
  const entry = sizes.lengthSize + sizes.offsetSize
  const prefix = 8 + 2 * sizes.offsetSize
  const leaves: Array<number> = []
  const seen = new Set<number>()
  let current: ReadonlyArray<number> = [root]
  while (current.length > 0) {
    const usual = prefix + usualEntries * entry + sizes.lengthSize
    const beginnings = yield* source.readMany(
      current.map((start) => ({ start, end: Math.max(start + prefix, Math.min(start + usual, source.size)) }))
    )
    const counts = beginnings.map((bytes) => (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8))
    const nodes = counts.some((count) => count > usualEntries)
      ? yield* source.readMany(current.map((start, i) => ({ start, end: start + prefix + counts[i]! * entry })))
      : beginnings
    const next: Array<number> = []
    yield* parsing(source, () => {
      for (const [i, bytes] of nodes.entries()) {
        const cursor = new Cursor(bytes, current[i]!, sizes)
        if (seen.has(cursor.start) || seen.size > maxNodes) cursor.fail("a B-tree of a group leads back to itself")
        seen.add(cursor.start)
        cursor.signature("TREE")
        if (cursor.u8() !== 0) cursor.fail("a B-tree of a group is expected there", 4)
        const level = cursor.u8()
        const count = cursor.u16()
        cursor.skip(2 * sizes.offsetSize)
        for (let child = 0; child < count; child++) {
          cursor.skip(sizes.lengthSize)
          const address = cursor.place("a node of a group")
          if (level === 0) leaves.push(address)
          else next.push(address)
        }
      }
    })
    current = next
  }
  return leaves
})

const symbols = (cursor: Cursor, heap: Cursor): ReadonlyArray<Messages.Link> => {
  cursor.signature("SNOD")
  cursor.version("a node of a group", 1)
  cursor.skip(1)
  return Array.from({ length: cursor.u16() }, (): Messages.Link => {
    const name = text(Heaps.localText(heap, cursor.uint(cursor.sizes.offsetSize)))
    const address = cursor.address()
    const kind = cursor.u32()
    cursor.skip(4)
    const scratch = new Cursor(cursor.take(16), cursor.start + cursor.at - 16, cursor.sizes)
    if (kind === 2) return { _tag: "Soft", name, target: text(Heaps.localText(heap, scratch.u32())) }
    return address === undefined
      ? cursor.fail(`the object \`${name}\` is nowhere`, cursor.at - 40)
      : { _tag: "Hard", name, address }
  })
}

const oldLinks = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  { at, bytes }: Message
): Effect.fn.Return<ReadonlyArray<Messages.Link>, ImportError> {
  const { heap: heapAt, tree } = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, at, sizes)
    return { tree: cursor.place("the B-tree of a group"), heap: cursor.place("the heap of a group") }
  })
  const heap = yield* Heaps.readLocal(source, sizes, heapAt)
  const nodes = yield* symbolNodes(source, sizes, tree)
  const heads = yield* source.readMany(nodes.map((start) => ({ start, end: start + 8 })))
  const entry = 2 * sizes.offsetSize + 24
  const whole = yield* source.readMany(
    nodes.map((start, i) => ({ start, end: start + 8 + ((heads[i]![6] ?? 0) | ((heads[i]![7] ?? 0) << 8)) * entry }))
  )
  return yield* parsing(source, () => whole.flatMap((bytes, i) => symbols(new Cursor(bytes, nodes[i]!, sizes), heap)))
})

const denseLinks = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  { at, bytes }: Message
): Effect.fn.Return<ReadonlyArray<Messages.Link>, ImportError> {
  const { heap, names } = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, at, sizes)
    cursor.version("the place of links", 0)
    if ((cursor.u8() & 1) !== 0) cursor.skip(8)
    return { heap: cursor.address(), names: cursor.address() }
  })
  if (heap === undefined || names === undefined) return []
  const { nodes, recordSize } = yield* BTree2.read(source, sizes, names)
  // A record is a hash of the name, and the id in the heap.
  const ids = nodes.flatMap(({ bytes, count, start }) =>
    Array.from({ length: count }, (_, i) => ({
      bytes: bytes.subarray(i * recordSize + 4, (i + 1) * recordSize),
      at: start + i * recordSize + 4
    }))
  )
  const objects = yield* FractalHeap.read(source, sizes, heap, ids)
  return yield* parsing(source, () => objects.map(Messages.link))
})

/** The links of a group, by name. */
export const links = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  messages: ReadonlyArray<Message>
): Effect.fn.Return<ReadonlyArray<Messages.Link>, ImportError> {
  const found: Array<Messages.Link> = []
  for (const message of messages) {
    if (message.isShared) continue
    if (message.type === Type.symbolTable) found.push(...(yield* oldLinks(source, sizes, message)))
    else if (message.type === Type.linkInfo) found.push(...(yield* denseLinks(source, sizes, message)))
    else if (message.type === Type.link) {
      found.push(yield* parsing(source, () => Messages.link(new Cursor(message.bytes, message.at, sizes))))
    }
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
})
