import { assert, describe, it } from "@effect/vitest"
import * as Fletcher32 from "@effect-icechunk/import/codecs/Fletcher32"
import * as zarr from "zarrita"

/** Bytes, and the four that libhdf5 1.10 puts behind them. */
const written: ReadonlyArray<readonly [name: string, bytes: Uint8Array, checksum: string]> = [
  ["zeros", new Uint8Array(8), "00000000"],
  ["an odd number of zeros", new Uint8Array(3), "00000000"],
  ["sums that are a multiple of 65535", new Uint8Array(8).fill(255), "ffffffff"],
  ["more than one block of these", new Uint8Array(400_000).fill(255), "ffffffff"],
  ["a byte alone at the end", new Uint8Array(5).fill(255), "00ff00ff"],
  ["four bytes", Uint8Array.of(0, 1, 2, 3), "04020502"],
  ["a hundred bytes", Uint8Array.from({ length: 100 }, (_, i) => i), "cd9b505a"],
  ["more than one block", Uint8Array.from({ length: 300_001 }, (_, i) => i * 7), "d3aa49ab"]
]

const stored = (bytes: Uint8Array, checksum: string): Uint8Array =>
  Uint8Array.from([...bytes, ...Buffer.from(checksum, "hex")])

describe("the codec numcodecs.fletcher32", () => {
  it.each(written)("%s", (_, bytes, checksum) => {
    assert.deepStrictEqual(Fletcher32.decode(stored(bytes, checksum)), bytes)
    const other = stored(bytes, checksum)
    other[bytes.length >> 1]! ^= 1
    assert.throws(() => Fletcher32.decode(other), Fletcher32.Fletcher32DecodeError)
  })

  it("takes the sums of old writers, whose bytes are swapped", () => {
    assert.deepStrictEqual([...Fletcher32.decode(stored(Uint8Array.of(0, 1, 2, 3), "02040205"))], [0, 1, 2, 3])
  })

  it("says what is wrong with a chunk, and what to do", () => {
    assert.throws(() => Fletcher32.decode(new Uint8Array(3)), /too few .* Compare the file with its source/)
    assert.throws(() => Fletcher32.decode(new Uint8Array(8).fill(1)), /another one than that of its bytes/)
  })

  it("is found by zarrita", async () => {
    Fletcher32.register(zarr.registry)
    const entry = await zarr.registry.get("numcodecs.fletcher32")!()
    const codec = (entry as unknown as { fromConfig: () => { encode: typeof Fletcher32.decode } }).fromConfig()
    const [, bytes, checksum] = written[6]!
    assert.deepStrictEqual(codec.encode(bytes), stored(bytes, checksum))
  })
})
