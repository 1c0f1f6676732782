/**
 * Chunks in an extensible array. When the unlimited dimension is not the first, the chunks are in an order in which it is. Source:
 * HDF5 File Format Specification, "Extensible Array Index".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DamagedFile, ImportError } from "../../ImportError.ts"
import { type Context, type Next, partBytes } from "./ChunkIndices.ts"
import * as Elements from "./Elements.ts"
import { isSet } from "./FixedArray.ts"
import * as IndexFields from "./IndexFields.ts"

/** What a header says of its blocks. */
interface Plan {
  readonly kind: Elements.Kind
  readonly indexElements: number
  /** Elements in a page of a data block. */
  readonly perPage: number
  /** Bytes of a position in front of blocks. */
  readonly positionBytes: number
  /** Of each super block: data blocks, elements in each, and the first element. */
  readonly supers: ReadonlyArray<{ readonly blocks: number; readonly elements: number; readonly from: number }>
  /** Super blocks whose data blocks the index block leads to. */
  readonly direct: number
  readonly indexBlock: number
}

/** Elements that are beside each other in the file: a data block, or a page of one. */
interface Run {
  readonly start: number
  /** Bytes before the elements: of a data block. */
  readonly head: number
  readonly from: number
  readonly count: number
}

const isPowerOf2 = (value: number): boolean => value >= 1 && Number.isInteger(Math.log2(value))

const planOf = (context: Context, header: Uint8Array, at: number): Plan | DamagedFile => {
  const { grid, sizes, source } = context
  const problem = IndexFields.blockProblem(header, "EAHD")
  if (problem !== undefined) return source.damaged(at, problem)
  const [client, bytes, maxBits, indexElements, minElements, minPointers, pageBits] = header.subarray(5, 12)
  const wrong = Elements.kindProblem(context, client!, bytes!)
  if (wrong !== undefined) return source.damaged(at + 5, wrong)
  if (
    !(maxBits! >= 1 && maxBits! <= 64 && isPowerOf2(minElements!) && isPowerOf2(minPointers!)) ||
    Math.log2(minElements!) > maxBits! ||
    pageBits! > 31
  ) {
    return source.damaged(at + 7, "its extensible array has sizes of blocks that cannot be")
  }
  const supers: Array<Plan["supers"][number]> = []
  let from = indexElements!
  for (let i = 0; i <= maxBits! - Math.log2(minElements!); i++) {
    const blocks = 2 ** Math.floor(i / 2)
    const elements = 2 ** Math.floor((i + 1) / 2) * minElements!
    supers.push({ blocks, elements, from })
    from += blocks * elements
  }
  return {
    kind: { isFiltered: grid.isFiltered, bytes: bytes! },
    indexElements: indexElements!,
    perPage: 2 ** pageBits!,
    positionBytes: Math.ceil(maxBits! / 8),
    supers,
    direct: Math.min(supers.length, 2 * Math.log2(minPointers!)),
    indexBlock: IndexFields.address(IndexFields.view(header), 12 + 6 * sizes.lengthSize, sizes.offsetSize, sizes.base)
  }
}

/** The index's parts: the header and the index block, the super blocks, and data blocks that come one after another. */
export const read = (context: Context, address: number): Next => {
  const { grid, sizes, source } = context
  const { base, lengthSize, offsetSize } = sizes
  // Where several dimensions could grow another index is used.
  const unlimited = Math.max(0, grid.maxCounts.indexOf(Number.POSITIVE_INFINITY))
  const order = Elements.orderOf(grid.rank, unlimited)
  /** Elements from here on are outside of the array. */
  const end = order.slice(1).reduce((count, axis) => count * grid.maxCounts[axis]!, grid.counts[unlimited]!)
  let plan: Plan | undefined
  let runs: Iterator<Run | DamagedFile> | undefined
  let next: IteratorResult<Run | DamagedFile> | undefined

  /** Pages of a data block that were written, or all of one without pages. */
  function* runsOf(
    { kind, perPage, positionBytes }: Plan,
    at: number,
    of: Plan["supers"][number],
    number: number,
    bitmap: Uint8Array | undefined
  ): Generator<Run> {
    const { bytes } = kind
    const head = 6 + offsetSize + positionBytes
    const from = of.from + number * of.elements
    if (of.elements <= perPage) {
      yield { start: at, head, from, count: of.elements }
      return
    }
    const pages = of.elements / perPage
    for (let page = 0; page < pages && from + page * perPage < end; page++) {
      if (bitmap !== undefined && !isSet(bitmap, number * pages + page)) continue
      yield {
        start: at + head + 4 + page * (perPage * bytes + 4),
        head: 0,
        from: from + page * perPage,
        count: perPage
      }
    }
  }

  function* allRuns(
    plan: Plan,
    direct: ReadonlyArray<number>,
    blocks: ReadonlyArray<{ readonly start: number; readonly number: number; readonly bytes: Uint8Array }>
  ): Generator<Run | DamagedFile> {
    let position = 0
    for (let i = 0; i < plan.direct; i++) {
      const of = plan.supers[i]!
      for (let number = 0; number < of.blocks; number++) {
        const at = direct[position++]!
        if (at >= 0 && of.from + number * of.elements < end) yield* runsOf(plan, at, of, number, undefined)
      }
    }
    for (const { bytes, number, start } of blocks) {
      const problem = IndexFields.blockProblem(bytes, "EASB")
      if (problem !== undefined) {
        yield source.damaged(start, problem)
        return
      }
      const of = plan.supers[number]!
      const head = 6 + offsetSize + plan.positionBytes
      const bitmapBytes = bitmapOf(plan, of)
      const bitmap = bytes.subarray(head, head + bitmapBytes)
      const view = IndexFields.view(bytes)
      for (let block = 0; block < of.blocks; block++) {
        if (of.from + block * of.elements >= end) return
        const at = IndexFields.address(view, head + bitmapBytes + block * offsetSize, offsetSize, base)
        if (at >= 0) yield* runsOf(plan, at, of, block, bitmap)
      }
    }
  }

  const bitmapOf = ({ perPage }: Plan, { blocks, elements }: Plan["supers"][number]): number =>
    elements <= perPage ? 0 : blocks * Math.ceil(elements / perPage / 8)

  const open: Effect.Effect<boolean, ImportError> = Effect.gen(function* () {
    const header = yield* source.read(address, 12 + 6 * lengthSize + offsetSize + 4)
    const parsed = planOf(context, header, address)
    if ("_tag" in parsed) return yield* parsed
    plan = parsed
    const { direct, indexBlock, indexElements, kind, positionBytes, supers } = parsed
    if (indexBlock < 0) return false
    const head = 6 + offsetSize
    const directBlocks = supers.slice(0, direct).reduce((sum, { blocks }) => sum + blocks, 0)
    const pointers = directBlocks + supers.length - direct
    const block = yield* source.read(indexBlock, head + indexElements * kind.bytes + pointers * offsetSize + 4)
    const problem = IndexFields.blockProblem(block, "EAIB")
    if (problem !== undefined) return yield* source.damaged(indexBlock, problem)
    const run = { block, at: head, from: 0, count: Math.min(indexElements, end), start: indexBlock }
    const wrong = Elements.add(context, kind, order, run)
    if (wrong !== undefined) return yield* wrong
    const view = IndexFields.view(block)
    const addresses = Array.from({ length: pointers }, (_, i) =>
      IndexFields.address(view, head + indexElements * kind.bytes + i * offsetSize, offsetSize, base)
    )
    const blocks = addresses
      .slice(directBlocks)
      .map((start, i) => ({ start, number: direct + i }))
      .filter(({ number, start }) => start >= 0 && supers[number]!.from < end)
    const bytes = yield* source.readMany(
      blocks.map(({ number, start }) => {
        const of = supers[number]!
        const length = 6 + offsetSize + positionBytes + bitmapOf(parsed, of) + of.blocks * offsetSize + 4
        return { start, end: start + length }
      })
    )
    runs = allRuns(
      parsed,
      addresses,
      blocks.map(({ number, start }, i) => ({ number, start, bytes: bytes[i]! }))
    )
    next = runs.next()
    return next.done !== true
  })

  const part = Effect.gen(function* () {
    const { kind } = plan!
    const some: Array<Run> = []
    const spans: Array<{ readonly start: number; readonly end: number }> = []
    let size = 0
    while (next!.done !== true && size < partBytes) {
      const run = next!.value
      if ("_tag" in run) return yield* run
      const length = run.head + run.count * kind.bytes + 4
      some.push(run)
      spans.push({ start: run.start, end: run.start + length })
      size += length
      next = runs!.next()
    }
    const blocks = yield* source.readMany(spans)
    for (const [i, run] of some.entries()) {
      const block = blocks[i]!
      const problem =
        run.head === 0
          ? Elements.pageProblem(context, block, run.start)
          : ((text) => (text === undefined ? undefined : source.damaged(run.start, text)))(
              IndexFields.blockProblem(block, "EADB")
            )
      if (problem !== undefined) return yield* problem
      const wrong = Elements.add(context, kind, order, {
        block,
        at: run.head,
        from: run.from,
        count: Math.min(run.count, end - run.from),
        start: run.start
      })
      if (wrong !== undefined) return yield* wrong
    }
    return next!.done !== true
  })

  return Effect.suspend(() => (runs === undefined ? open : part))
}
