import { assert, describe, it } from "@effect/vitest"
import { Checksum, MemoryObjectStore, type ObjectStore } from "@effect-icechunk/core"
import { SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as ByteSource from "../src/internal/ByteSource.ts"
import * as Files from "./support/Files.ts"

const content = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 7) % 251)
const small = { blockSize: 512, wholeBelow: 100 }

describe("a file that is read by ranges", () => {
  it.effect("gives the bytes of any spans, whatever the size of its blocks and of what is held", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(content.length), fc.nat(3000)), { maxLength: 12 }),
          fc.integer({ min: 1, max: 4000 }),
          fc.integer({ min: 0, max: 4096 }),
          (pairs, blockSize, cacheBytes) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const { file } = yield* Files.inMemory(content)
                const source = yield* ByteSource.open(file, { blockSize, cacheBytes, wholeBelow: 0 })
                const spans = pairs.map(([start, length]) => ({ start, end: Math.min(content.length, start + length) }))
                for (let i = 0; i < 2; i++) {
                  const found = yield* source.readMany(spans)
                  assert.deepStrictEqual(
                    found.map((bytes) => Array.from(bytes)),
                    spans.map(({ end, start }) => Array.from(content.subarray(start, end)))
                  )
                }
              })
            )
        ),
        { numRuns: 100 }
      )
    )
  )

  it.effect("reads a small file once, and neighbours of a larger one together", () =>
    Effect.gen(function* () {
      const one = yield* Files.inMemory(content)
      const whole = yield* ByteSource.open(one.file)
      for (const start of [0, 9000, 4000]) yield* whole.read(start, 1000)
      assert.strictEqual(one.count.requests, 2)

      const two = yield* Files.inMemory(content)
      const parts = yield* ByteSource.open(two.file, small)
      yield* parts.readMany([
        { start: 600, end: 700 },
        { start: 0, end: 10 },
        { start: 9000, end: 9001 },
        { start: 1100, end: 1200 }
      ])
      assert.deepStrictEqual(
        two.count.spans.toSorted((a, b) => a[0] - b[0]),
        [
          [0, 1536],
          [8704, 9216]
        ]
      )
      yield* parts.read(0, 1536)
      assert.strictEqual(two.count.requests, 3)
    })
  )

  it.effect("says where it ends, and refuses what cannot be", () =>
    Effect.gen(function* () {
      const { count, file } = yield* Files.inMemory(content)
      const source = yield* ByteSource.open(file, small)
      const past = yield* Effect.flip(source.read(9990, 11))
      assert.strictEqual(
        past.message,
        "`s3://bucket/file` is damaged, at byte 9990: 11 bytes are expected there, and the file ends at 10000. Compare it with " +
          "its source, or leave it out."
      )
      for (const [start, length] of [
        [-1, 2],
        [0.5, 1],
        [2, -1],
        [Number.NaN, 1],
        [2 ** 60, 1]
      ] as const) {
        assert.strictEqual((yield* Effect.flip(source.read(start, length)))._tag, "DamagedFile")
      }
      assert.strictEqual(count.requests, 1)
      assert.deepStrictEqual(yield* source.read(10_000, 0), new Uint8Array(0))
      const empty = yield* Files.inMemory(new Uint8Array(0))
      assert.strictEqual((yield* ByteSource.open(empty.file)).size, 0)
    })
  )

  it.effect(
    "is of one version: a file that is replaced meanwhile fails, whether or not its store knows conditions",
    () =>
      Effect.gen(function* () {
        for (const knowsConditions of [true, false]) {
          const store = yield* MemoryObjectStore.make()
          yield* store.put("file", content)
          const plain: ObjectStore.ObjectStoreShape = {
            ...store,
            get: (key, options) => store.get(key, knowsConditions ? options : { range: options?.range })
          }
          const source = yield* ByteSource.open(SourceFile.make(plain, "file", "s3://bucket/file"), small)
          yield* source.read(0, 10)
          yield* store.put("file", content.toReversed())
          const changed = yield* Effect.flip(source.read(5000, 10))
          assert.strictEqual(changed._tag, "FileChanged")
          yield* store.put("file", content.subarray(0, 100))
          assert.strictEqual((yield* Effect.flip(source.read(7000, 10)))._tag, "FileChanged")
        }
      })
  )

  it.effect("remembers the version that was read", () =>
    Effect.gen(function* () {
      const { file, store } = yield* Files.inMemory(content)
      const meta = yield* store.head("file")
      const etag = Checksum.etag(meta.version.etag!)
      const time = Checksum.lastModified(meta.lastModified!)
      const opened = (platform: string, checksum?: SourceFile.ReadOptions["checksum"]) =>
        Effect.map(
          ByteSource.open({ ...file, store: { ...store, origin: { platform } } }, { checksum }),
          (source) => source.checksum
        )
      assert.deepStrictEqual(yield* opened("s3"), etag)
      assert.deepStrictEqual(yield* opened("fs"), time)
      assert.deepStrictEqual(yield* opened("fs", "etag"), etag)
      assert.deepStrictEqual(yield* opened("s3", "last-modified"), time)
      assert.isUndefined(yield* opened("s3", false))
    })
  )
})
