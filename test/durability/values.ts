/** What commit `n` writes: a chunk that is stored as an object, and one that is stored in the manifest. */
export const native = (n: number): Uint8Array => new Uint8Array(1000).fill(n % 251)

export const inline = (n: number): Uint8Array => Uint8Array.of(n % 251, (n >> 8) % 251)
