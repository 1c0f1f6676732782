/**
 * A bounded memory.
 *
 * @since 0.1.0
 */

/**
 * What was found for texts of late: at least the last `size` of them, at most twice as many.
 *
 * @category models
 * @since 0.1.0
 */
export class Lately<A> {
  readonly #size: number
  #young = new Map<string, A>()
  #old = new Map<string, A>()

  constructor(size: number) {
    this.#size = size
  }

  get(text: string): A | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    if (old !== undefined) this.set(text, old)
    return old
  }

  set(text: string, value: A): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, value)
  }
}
