/**
 * Texts and short byte vectors of a payload that is being written: each is kept once, as a flatbuffer has
 * it (length, bytes, a zero byte, padding to 4), so that the pool as a whole is a part of the payload.
 *
 * @since 0.1.0
 */

const utf8 = new TextEncoder()

/** So that nobody can write a file whose texts all have the same hash. */
const seed = (Math.random() * 2 ** 32) | 0

/**
 * A growing pool. What it has is known by its offset in the pool, a multiple of 4.
 *
 * @category models
 * @since 0.1.0
 */
export class TextPool {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #size = 0
  /** Offset + 1 by hash, 0 where free. */
  #slots = new Uint32Array(64)
  #entries = 0

  /** Bytes of the pool. */
  get size(): number {
    return this.#size
  }

  /** The pool, read only. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  /** Bytes of the text at `offset`. */
  length(offset: number): number {
    return this.#view.getUint32(offset, true)
  }

  /** The text in UTF-8. */
  text(text: string): number {
    // UTF-16 units take 3 bytes at most.
    this.#makeRoom(3 * text.length)
    const start = this.#size + 4
    const bytes = this.#bytes
    let length = 0
    while (length < text.length) {
      const unit = text.charCodeAt(length)
      if (unit > 127) break
      bytes[start + length++] = unit
    }
    if (length < text.length) length = utf8.encodeInto(text, bytes.subarray(start)).written
    return this.#keep(length)
  }

  /** Bytes, or a text that is in UTF-8 already. */
  copy(from: Uint8Array): number {
    this.#makeRoom(from.length)
    this.#bytes.set(from, this.#size + 4)
    return this.#keep(from.length)
  }

  #makeRoom(length: number): void {
    const needed = this.#size + length + 8
    if (needed <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, needed))
    bytes.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  /** Keeps the `length` bytes that have been written behind the end, unless they are known. */
  #keep(length: number): number {
    const offset = this.#size
    const slot = this.#slot(offset, length)
    const known = this.#slots[slot]!
    if (known !== 0) return known - 1
    this.#view.setUint32(offset, length, true)
    this.#size = (offset + 4 + length + 1 + 3) & ~3
    this.#bytes.fill(0, offset + 4 + length, this.#size)
    this.#slots[slot] = offset + 1
    if (++this.#entries * 2 > this.#slots.length) this.#rehash()
    return offset
  }

  #rehash(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    for (const entry of old) {
      if (entry !== 0) this.#slots[this.#slot(entry - 1, this.length(entry - 1))] = entry
    }
  }

  /** The slot of the bytes at `offset`, or the free one where they belong. */
  #slot(offset: number, length: number): number {
    const bytes = this.#bytes
    const start = offset + 4
    let hash = seed ^ length
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[start + i]!, 0x0100_0193)
    hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b)
    hash ^= hash >>> 13
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!
      if (entry === 0) return slot
      if (this.length(entry - 1) !== length) continue
      const other = entry + 3
      let i = 0
      while (i < length && bytes[start + i] === bytes[other + i]) i++
      if (i === length) return slot
    }
  }
}
