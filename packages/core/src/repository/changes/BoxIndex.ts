/**
 * Finds the boxes of a set that a box meets, each only once: what was found is taken out. Pure.
 *
 * A tree of bounding boxes over whole numbers. What a search costs grows with what it finds, and with the
 * logarithm of the set, never with the area of a box.
 *
 * @since 0.1.0
 */

/** Boxes of a leaf, which are looked at one by one. */
const leafSize = 8

/** Boxes that are put in order between two steps of `build`. */
const stepSize = 1 << 14

/**
 * Boxes, row-major: `rank` numbers each, both ends inclusive.
 *
 * @category models
 * @since 0.1.0
 */
export interface Boxes {
  readonly rank: number
  readonly first: Float64Array
  readonly last: Float64Array
}

interface Tree {
  /** Numbers of the boxes: each leaf has a part of it. */
  readonly order: Uint32Array
  readonly from: number
  readonly to: number
  readonly low: Float64Array
  readonly high: Float64Array
  readonly children: readonly [Tree, Tree] | undefined
  /** Boxes that have not been taken. */
  left: number
}

/** The smallest box around some boxes, its longest axis included. */
const bound = ({ first, last, rank }: Boxes, order: Uint32Array, from: number, to: number) => {
  const low = new Float64Array(rank).fill(Infinity)
  const high = new Float64Array(rank).fill(-Infinity)
  for (let i = from; i < to; i++) {
    const at = order[i]! * rank
    for (let axis = 0; axis < rank; axis++) {
      if (first[at + axis]! < low[axis]!) low[axis] = first[at + axis]!
      if (last[at + axis]! > high[axis]!) high[axis] = last[at + axis]!
    }
  }
  let widest = 0
  for (let axis = 1; axis < rank; axis++) {
    if (high[axis]! - low[axis]! > high[widest]! - low[widest]!) widest = axis
  }
  return { low, high, widest }
}

function* grow(boxes: Boxes, order: Uint32Array, from: number, to: number): Generator<void, Tree> {
  const { high, low, widest } = bound(boxes, order, from, to)
  const tree = { order, from, to, low, high, left: to - from }
  if (to - from <= leafSize || boxes.rank === 0) return { ...tree, children: undefined }
  const { first, last, rank } = boxes
  const middleOf = (box: number): number => first[box * rank + widest]! + last[box * rank + widest]!
  order.subarray(from, to).sort((a, b) => middleOf(a) - middleOf(b))
  if (to - from > stepSize) yield
  const middle = (from + to) >>> 1
  return { ...tree, children: [yield* grow(boxes, order, from, middle), yield* grow(boxes, order, middle, to)] }
}

/**
 * The boxes that can still be taken.
 *
 * @category models
 * @since 0.1.0
 */
export class BoxIndex {
  readonly #boxes: Boxes
  readonly #tree: Tree
  readonly #taken: Uint8Array

  constructor(boxes: Boxes, tree: Tree, taken: Uint8Array) {
    this.#boxes = boxes
    this.#tree = tree
    this.#taken = taken
  }

  /**
   * Takes the boxes out that share a place with the box from `first` to `last`, which start at `at` in their
   * arrays, and calls `f` with the number of each.
   */
  take(first: ArrayLike<number>, last: ArrayLike<number>, at: number, f: (box: number) => void): void {
    this.#take(this.#tree, first, last, at, f)
  }

  #meets(
    low: Float64Array,
    high: Float64Array,
    offset: number,
    first: ArrayLike<number>,
    last: ArrayLike<number>,
    at: number
  ): boolean {
    for (let axis = 0; axis < this.#boxes.rank; axis++) {
      if (low[offset + axis]! > last[at + axis]! || first[at + axis]! > high[offset + axis]!) return false
    }
    return true
  }

  #take(tree: Tree, first: ArrayLike<number>, last: ArrayLike<number>, at: number, f: (box: number) => void): number {
    if (tree.left === 0 || !this.#meets(tree.low, tree.high, 0, first, last, at)) return 0
    let found = 0
    if (tree.children !== undefined) {
      for (const child of tree.children) found += this.#take(child, first, last, at, f)
    } else {
      for (let i = tree.from; i < tree.to; i++) {
        const box = tree.order[i]!
        if (this.#taken[box] === 1) continue
        if (!this.#meets(this.#boxes.first, this.#boxes.last, box * this.#boxes.rank, first, last, at)) continue
        this.#taken[box] = 1
        found++
        f(box)
      }
    }
    tree.left -= found
    return found
  }
}

/**
 * The boxes with these numbers, ready to be searched. A step for each part of the work, so that it can be
 * interrupted.
 *
 * @category constructors
 * @since 0.1.0
 */
export function* build(boxes: Boxes, numbers: ReadonlyArray<number>): Generator<void, BoxIndex> {
  const order = Uint32Array.from(numbers)
  const size = boxes.rank === 0 ? numbers.reduce((most, box) => Math.max(most, box + 1), 0) : boxes.first.length
  return new BoxIndex(boxes, yield* grow(boxes, order, 0, order.length), new Uint8Array(size))
}
