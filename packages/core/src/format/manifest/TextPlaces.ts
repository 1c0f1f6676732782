/**
 * Where the texts of columns are in the pool of a manifest that is written: only those that its refs have.
 *
 * @since 0.1.0
 */
import { PositionMap } from "../../encoding/PositionMap.ts"
import type { TextPool } from "../../encoding/TextPool.ts"

/**
 * Texts by their number in a column. First all refs note their text, then the texts are put into the pool, then they
 * have a place.
 *
 * @category models
 * @since 0.1.0
 */
export class TextPlaces {
  readonly #texts: ReadonlyArray<string>
  /** For few refs of many texts: the position of a text among those that have been noted. */
  readonly #some: PositionMap | undefined
  readonly #noted: Array<number> = []
  /** How many refs have each text, then its place in the pool; by number, or by position among those that were noted. */
  #numbers: Uint32Array

  /** `refs`: how many of them may note a text. */
  constructor(texts: ReadonlyArray<string>, refs: number) {
    this.#texts = texts
    this.#some = texts.length <= 8 * refs ? undefined : new PositionMap()
    this.#numbers = new Uint32Array(this.#some === undefined ? texts.length : refs)
  }

  /** A ref has the text. */
  note(id: number): void {
    let at = id
    if (this.#some !== undefined) {
      at = this.#some.get(id) ?? this.#noted.length
      if (at === this.#noted.length) {
        this.#some.set(id, at)
        this.#noted.push(id)
      }
    }
    this.#numbers[at]!++
  }

  /** Puts the texts that were noted into the pool. Returns their bytes, those of a text for each ref that has it. */
  put(pool: TextPool): number {
    const numbers = this.#numbers
    let texts = this.#texts
    /** The number of each text that is put; `undefined` where all are, in order. */
    let ids: ReadonlyArray<number> | undefined
    if (this.#some !== undefined) {
      texts = this.#noted.map((id) => this.#texts[id]!)
    } else if (numbers.includes(0)) {
      ids = Array.from(numbers.keys()).filter((id) => numbers[id] !== 0)
      texts = ids.map((id) => this.#texts[id]!)
    }
    let bytes = 0
    pool.texts(texts, (at, place) => {
      const number = ids === undefined ? at : ids[at]!
      bytes += numbers[number]! * pool.length(place)
      numbers[number] = place
    })
    return bytes
  }

  /** The place of a text that has been put. */
  at(id: number): number {
    return this.#numbers[this.#some === undefined ? id : this.#some.get(id)!]!
  }
}
