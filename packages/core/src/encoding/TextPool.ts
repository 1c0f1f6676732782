/**
 * Texts and short byte vectors of a payload that is being written: each is kept once, as a flatbuffer has
 * it (length, bytes, a zero byte, padding to 4), so that the pool as a whole is a part of the payload.
 *
 * @since 0.1.0
 */

const utf8 = new TextEncoder()

/** Texts that are encoded at once: one call for each of millions takes longer than the rest. */
const batchSize = 512

/** Longest texts together that are encoded at once, in UTF-16 units. */
const maxBatch = 1 << 20

/** Bytes that are made room for before there are the texts that need them. */
const maxExpected = 256 * 1024 * 1024

/** A pool of this many bytes is copied faster than one buffer is made for it and what comes before it. */
const maxCopied = 64 * 1024

/** Zeros by number: what lies between two texts of a batch, the last byte and padding of one and the length of the next. */
const gaps = Array.from({ length: 9 }, (_, zeros) => "\0".repeat(zeros))

/**
 * Of texts that are likely distinct, those are looked up whose hash has so many zeros, so that texts which come again far
 * from where they came first are found, and 4,096 in a row of each 65,536, so that few which come again all the time are.
 */
const sampleBits = 6
const windowSize = 1 << 12
const windowEvery = 1 << 16

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
  /** Pairs of offset + 1, 0 where free, and hash. */
  #slots = new Uint32Array(64)
  #entries = 0
  #distinct: boolean | "likely"
  /** Texts that were given, where they are likely distinct. */
  #given = 0
  #wanted = 0
  #before = 0

  /**
   * With `distinct` every text that is given is kept, because the caller knows that they differ. Where that is `"likely"`, only
   * some are looked up; when one of those was there before, all are looked up from then on. What came twice until then is
   * there twice, which costs room and no more.
   */
  constructor(options?: { readonly distinct?: boolean | "likely" | undefined }) {
    this.#distinct = options?.distinct ?? false
  }

  /**
   * Asks for `bytes` of room before the pool, a multiple of 8, so that one buffer can become the payload. There is some
   * once the pool has become large; a small one is copied faster.
   */
  wantRoom(bytes: number): void {
    this.#wanted = bytes
  }

  /** The room that there is before the pool. */
  get before(): number {
    return this.#before
  }

  /** Room and pool. */
  get whole(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.buffer, 0, this.#before + this.#size)
  }

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
    return this.#keep(utf8.encodeInto(text, this.#bytes.subarray(this.#size + 4)).written)
  }

  /** Bytes, or a text that is in UTF-8 already. */
  copy(from: Uint8Array): number {
    this.#makeRoom(from.length)
    this.#bytes.set(from, this.#size + 4)
    return this.#keep(from.length)
  }

  /** Many texts: `put` gets the number of each, in order, with its offset. */
  texts(texts: ReadonlyArray<string>, put: (number: number, offset: number) => void): void {
    const size = this.#size
    const entries = this.#entries
    for (let from = 0; from < texts.length; from += batchSize) {
      const to = Math.min(from + batchSize, texts.length)
      // As many as there are, a growing pool is copied again and again: what the first texts took tells of the others.
      if (from === 16 * batchSize) {
        const times = (1.05 * (texts.length - from)) / from
        if (this.#before !== this.#wanted && this.#size > maxCopied) this.#move(this.#wanted, this.#bytes.length)
        this.#makeRoom(Math.min(Math.ceil(times * (this.#size - size)), maxExpected))
        this.#makeSlots(Math.min(Math.ceil(times * (this.#entries - entries)), maxExpected >>> 6))
      }
      if (this.#batch(texts, from, to, put)) continue
      for (let i = from; i < to; i++) put(i, this.text(texts[i]!))
    }
  }

  /** Texts that are ASCII, as the pool has them; false when they are not, and nothing has been kept. */
  #batch(
    texts: ReadonlyArray<string>,
    from: number,
    to: number,
    put: (number: number, offset: number) => void
  ): boolean {
    let all = gaps[4]!
    for (let i = from; i < to; i++) {
      const text = texts[i]!
      all += text + gaps[8 - (text.length & 3)]!
      if (all.length > maxBatch) return false
    }
    const size = all.length
    this.#makeRoom(size)
    const start = this.#size
    const { read, written } = utf8.encodeInto(all, this.#bytes.subarray(start))
    if (read !== size || written !== size) return false
    let at = start
    for (let i = from; i < to; i++) {
      const { length } = texts[i]!
      const next = (at + length + 8) & ~3
      // What was known before this text leaves its place to it.
      if (at !== this.#size) this.#bytes.copyWithin(this.#size + 4, at + 4, next)
      put(i, this.#keep(length))
      at = next
    }
    return true
  }

  #makeRoom(length: number): void {
    const needed = this.#size + length + 8
    if (needed <= this.#bytes.length) return
    this.#move(this.#before, Math.max(2 * this.#bytes.length, needed))
  }

  #move(before: number, length: number): void {
    const bytes = new Uint8Array(new ArrayBuffer(before + length), before)
    bytes.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, before)
    this.#before = before
  }

  /** Keeps the `length` bytes that have been written behind the end, unless they are known. */
  #keep(length: number): number {
    const offset = this.#size
    const end = offset + 4 + length
    // The zero byte and the padding, over what a known text may have left there.
    this.#view.setUint32(end, 0, true)
    this.#view.setUint32(offset, length, true)
    const next = (end + 4) & ~3
    if (this.#distinct === true) {
      this.#size = next
      return offset
    }
    const words = (length + 3) >>> 2
    const hash = this.#hash(offset, words)
    // By bits that do not choose the slot.
    if (this.#distinct === "likely" && this.#given++ % windowEvery >= windowSize && hash >>> (32 - sampleBits) !== 0) {
      this.#size = next
      return offset
    }
    const known = this.#enter(offset, words, hash)
    if (known === offset) this.#size = next
    else if (this.#distinct === "likely") this.#lookUpAll()
    return known
  }

  /** Brings a text into the slots, unless an equal one is there: returns where that is. */
  #enter(offset: number, words: number, hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = (hash << 1) & mask
    for (; slots[slot] !== 0; slot = (slot + 2) & mask) {
      const entry = slots[slot]! - 1
      if (slots[slot + 1] === hash && this.#isSame(entry, offset, words)) return entry
    }
    slots[slot] = offset + 1
    slots[slot + 1] = hash
    this.#entries++
    this.#makeSlots(0)
    return offset
  }

  /** Brings all texts into the slots: they are not distinct after all. */
  #lookUpAll(): void {
    this.#distinct = false
    this.#slots = new Uint32Array(64)
    this.#entries = 0
    for (let offset = 0; offset < this.#size;) {
      const length = this.length(offset)
      const words = (length + 3) >>> 2
      this.#enter(offset, words, this.#hash(offset, words))
      offset = (offset + 8 + length) & ~3
    }
  }

  /** Has at least twice as many slots as there are and will be entries. */
  #makeSlots(more: number): void {
    const old = this.#slots
    const needed = 4 * (this.#entries + more)
    if (needed <= old.length) return
    let { length } = old
    while (length < needed) length *= 2
    const slots = new Uint32Array(length)
    const mask = slots.length - 1
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] === 0) continue
      let slot = (old[i + 1]! << 1) & mask
      while (slots[slot] !== 0) slot = (slot + 2) & mask
      slots[slot] = old[i]!
      slots[slot + 1] = old[i + 1]!
    }
    this.#slots = slots
  }

  /** Whether length and bytes are the same. */
  #isSame(a: number, b: number, words: number): boolean {
    const view = this.#view
    for (let i = 0; i <= words; i++)
      if (view.getUint32(a + 4 * i, true) !== view.getUint32(b + 4 * i, true)) return false
    return true
  }

  /** MurmurHash3 of length and bytes, 32 bits. */
  #hash(offset: number, words: number): number {
    const view = this.#view
    let hash = seed
    for (let i = 0; i <= words; i++) {
      const word = Math.imul(view.getUint32(offset + 4 * i, true), 0xcc9e_2d51)
      hash ^= Math.imul((word << 15) | (word >>> 17), 0x1b87_3593)
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe654_6b64) | 0
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
    return (hash ^ (hash >>> 16)) >>> 0
  }
}
