/**
 * Those who wait, in the order in which they came.
 *
 * @since 0.1.0
 */

/** Places at the front that may be empty before the line moves up. */
const slack = 1024

/**
 * A line in which everything takes the same time however long it is. (In a Map or Set it does not: who looks for the first
 * passes all that were taken out at the front.)
 *
 * @category models
 * @since 0.1.0
 */
export class Line<A> {
  #places: Array<A> = []
  #front = 0
  readonly #waiting = new Set<A>()

  get size(): number {
    return this.#waiting.size
  }

  /** Adds somebody who is not there yet, at the end. */
  add(one: A): void {
    this.#places.push(one)
    this.#waiting.add(one)
  }

  /** Takes somebody out, wherever; whether they were there. */
  delete(one: A): boolean {
    return this.#waiting.delete(one)
  }

  /** Who came first of those who are there. */
  first(): A | undefined {
    while (this.#front < this.#places.length && !this.#waiting.has(this.#places[this.#front]!)) this.#front++
    if (this.#front > slack && 2 * this.#front > this.#places.length) {
      this.#places = this.#places.slice(this.#front)
      this.#front = 0
    }
    return this.#places[this.#front]
  }
}
