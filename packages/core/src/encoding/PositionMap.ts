/**
 * Numbers by position in a payload, for millions of them: two typed arrays instead of a map of objects.
 *
 * @since 0.1.0
 */

/** So that nobody can write a file whose positions all meet in one slot. */
const seed = (Math.random() * 2 ** 32) | 0

/**
 * From positions, whole numbers from 0 below 2^32 - 1, to whole numbers below 2^32.
 *
 * @category models
 * @since 0.1.0
 */
export class PositionMap {
  /** Position + 1, 0 where free. */
  #keys = new Uint32Array(64)
  #values = new Uint32Array(64)
  #size = 0

  /** The number of a position, `undefined` when it has none. */
  get(position: number): number | undefined {
    const slot = this.#slot(position + 1)
    return this.#keys[slot] === 0 ? undefined : this.#values[slot]
  }

  /** Gives a position its number. */
  set(position: number, value: number): void {
    const slot = this.#slot(position + 1)
    if (this.#keys[slot] === 0) this.#size++
    this.#keys[slot] = position + 1
    this.#values[slot] = value
    if (2 * this.#size > this.#keys.length) this.#grow()
  }

  #grow(): void {
    const keys = this.#keys
    const values = this.#values
    this.#keys = new Uint32Array(2 * keys.length)
    this.#values = new Uint32Array(2 * keys.length)
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === 0) continue
      const slot = this.#slot(keys[i]!)
      this.#keys[slot] = keys[i]!
      this.#values[slot] = values[i]!
    }
  }

  #slot(key: number): number {
    const mask = this.#keys.length - 1
    let hash = Math.imul(key ^ seed, 0x9e37_79b1)
    hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b)
    let slot = (hash ^ (hash >>> 13)) & mask
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & mask
    return slot
  }
}
