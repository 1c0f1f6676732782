/**
 * Which codecs zarrita reads from a repository, and which it has to be given: the table of `docs/codecs.md`. Chunks are encoded
 * by Node's `zlib`, by `numcodecs`, or here by hand, not by what decodes them.
 */
import {
  Errors,
  MemoryObjectStore,
  ObjectStore,
  Platform,
  ReadonlyRepository,
  Repository,
  ZarritaStore
} from "@effect-icechunk/core"
import * as ZarritaZstd from "@effect-icechunk/core/browser/ZarritaZstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import * as zlib from "node:zlib"
import * as zarr from "zarrita"

const location = { url: "s3://data/packed.bin", length: 0 }

interface Codec {
  readonly name: string
  readonly configuration?: object
}

const little: Codec = { name: "bytes", configuration: { endian: "little" } }

/** Three rows of four. */
const floats = Float32Array.from({ length: 12 }, (_, i) => i * 1.5 - 4)
const plain = new Uint8Array(floats.buffer)

/** CRC-32C (Castagnoli) of bytes, in four bytes, little-endian. */
const crc32c = (bytes: Uint8Array): Uint8Array => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return new Uint8Array(Uint32Array.of(~crc).buffer)
}

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** Bytes of the elements' first, second, third and fourth bytes. */
const shuffled = (bytes: Uint8Array, size: number): Uint8Array =>
  Uint8Array.from(bytes, (_, i) => bytes[(i % (bytes.length / size)) * size + Math.floor(i / (bytes.length / size))]!)

/** `numcodecs`, as zarrita loads it. */
const numcodecs =
  (name: string, configuration: object) =>
  async (bytes: Uint8Array): Promise<Uint8Array> => {
    const entry = await zarr.registry.get(name)!()
    // What zarrita calls with the codec's configuration.
    return entry.fromConfig(configuration, undefined as never).encode(bytes)
  }

const column = Float32Array.from({ length: 12 }, (_, i) => floats[(i % 3) * 4 + Math.floor(i / 3)]!)

/** Two chunks of a shard, and the index of both behind them. */
const shard = (): Uint8Array => {
  const inner = [0, 1].map((i) => new Uint8Array(zlib.zstdCompressSync(plain.subarray(i * 24, i * 24 + 24))))
  const first = inner[0]!.length
  const index = new Uint8Array(BigUint64Array.of(0n, BigInt(first), BigInt(first), BigInt(inner[1]!.length)).buffer)
  return joined(...inner, index, crc32c(index))
}

const blosc = { cname: "lz4", clevel: 5, shuffle: "shuffle", typesize: 4, blocksize: 0 }
const bloscOf = { cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0 }

interface Case {
  readonly name: string
  readonly codecs: ReadonlyArray<Codec>
  readonly encoded: Uint8Array | (() => Promise<Uint8Array>)
  readonly dataType?: string
  readonly fill?: unknown
  readonly shape?: ReadonlyArray<number>
  readonly expected?: ReadonlyArray<unknown>
}

const with_ = (
  name: string,
  encode: (bytes: Uint8Array) => Promise<Uint8Array> | Uint8Array,
  configuration?: object
): Case => ({
  name,
  codecs: [little, { name, ...(configuration && { configuration }) }],
  encoded: async () => new Uint8Array(await encode(plain))
})

const words = ["isobar", "", "Höhe über NN", "気圧"]
const vlen = (texts: ReadonlyArray<string>): Uint8Array =>
  joined(
    new Uint8Array(Uint32Array.of(texts.length).buffer),
    ...texts.flatMap((text) => {
      const bytes = new TextEncoder().encode(text)
      return [new Uint8Array(Uint32Array.of(bytes.length).buffer), bytes]
    })
  )

const read: ReadonlyArray<Case> = [
  { name: "bytes", codecs: [little], encoded: plain },
  {
    name: "bytes, big-endian",
    codecs: [{ name: "bytes", configuration: { endian: "big" } }],
    encoded: new Uint8Array(Buffer.from(plain).swap32())
  },
  with_("gzip", (bytes) => zlib.gzipSync(bytes), { level: 5 }),
  with_("numcodecs.gzip", (bytes) => zlib.gzipSync(bytes), { level: 5 }),
  with_("numcodecs.zlib", (bytes) => zlib.deflateSync(bytes), { level: 5 }),
  with_("zstd", (bytes) => zlib.zstdCompressSync(bytes), { level: 3, checksum: false }),
  with_("numcodecs.zstd", (bytes) => zlib.zstdCompressSync(bytes), { level: 3 }),
  with_("blosc", numcodecs("blosc", bloscOf), blosc),
  with_("numcodecs.blosc", numcodecs("blosc", { ...bloscOf, cname: "zstd" }), { ...bloscOf, cname: "zstd" }),
  with_("numcodecs.lz4", numcodecs("lz4", { acceleration: 1 }), { acceleration: 1 }),
  with_("crc32c", (bytes) => joined(bytes, crc32c(bytes))),
  with_("numcodecs.shuffle", (bytes) => shuffled(bytes, 4), { elementsize: 4 }),
  {
    name: "transpose",
    codecs: [{ name: "transpose", configuration: { order: [1, 0] } }, little],
    encoded: new Uint8Array(column.buffer)
  },
  {
    name: "sharding_indexed",
    codecs: [
      {
        name: "sharding_indexed",
        configuration: {
          chunk_shape: [6],
          codecs: [little, { name: "zstd", configuration: { level: 3, checksum: false } }],
          index_codecs: [little, { name: "crc32c" }]
        }
      }
    ],
    shape: [12],
    encoded: () => Promise.resolve(shard())
  },
  {
    name: "vlen-utf8",
    codecs: [{ name: "vlen-utf8" }, { name: "zstd", configuration: { level: 3, checksum: false } }],
    dataType: "string",
    fill: "",
    shape: [4],
    encoded: new Uint8Array(zlib.zstdCompressSync(vlen(words))),
    expected: words
  },
  {
    name: "numcodecs.delta",
    codecs: [{ name: "numcodecs.delta", configuration: { dtype: "<f4" } }, little],
    encoded: new Uint8Array(Float32Array.from(floats, (value, i) => (i === 0 ? value : value - floats[i - 1]!)).buffer)
  },
  {
    name: "numcodecs.bitround",
    codecs: [{ name: "numcodecs.bitround", configuration: { keepbits: 10 } }, little],
    encoded: plain
  }
]

/** Codecs of the registry and of numcodecs that zarrita does not have, in the step that each has. */
const unknown: ReadonlyArray<readonly [name: string, codecs: ReadonlyArray<Codec>]> = [
  ["gribberish", [{ name: "gribberish", configuration: { var: "TMP" } }]],
  ["numcodecs.pcodec", [{ name: "numcodecs.pcodec", configuration: { level: 8 } }]],
  ["numcodecs.zfpy", [{ name: "numcodecs.zfpy", configuration: { mode: 4 } }]],
  [
    "numcodecs.fixedscaleoffset",
    [{ name: "numcodecs.fixedscaleoffset", configuration: { scale: 10, offset: 0 } }, little]
  ],
  ["numcodecs.quantize", [{ name: "numcodecs.quantize", configuration: { digits: 2, dtype: "<f4" } }, little]],
  ["numcodecs.packbits", [{ name: "numcodecs.packbits" }, little]],
  ["numcodecs.bz2", [little, { name: "numcodecs.bz2", configuration: { level: 1 } }]],
  ["numcodecs.lzma", [little, { name: "numcodecs.lzma", configuration: {} }]],
  ["numcodecs.crc32", [little, { name: "numcodecs.crc32" }]]
]

const metadataOf = ({ codecs, dataType = "float32", fill = 0, shape = [3, 4] }: Omit<Case, "encoded" | "name">) =>
  new TextEncoder().encode(
    JSON.stringify({
      zarr_format: 3,
      node_type: "array",
      shape,
      data_type: dataType,
      chunk_grid: { name: "regular", configuration: { chunk_shape: shape } },
      chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
      fill_value: fill,
      codecs,
      attributes: {}
    })
  )

/** An array with one chunk of these bytes, which is in a file that the repository refers to, behind 3 other bytes. */
const storeWith = Effect.fnUntraced(function* (one: Omit<Case, "encoded" | "name">, encoded: Uint8Array) {
  const object = joined(Uint8Array.of(1, 2, 3), encoded)
  const repository = yield* Repository.create().pipe(
    Effect.provide(
      Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerMemory({ [location.url]: object }), NodeZstd.layer)
    )
  )
  const session = yield* repository.writableSession("main")
  yield* session.setMetadata("/array", metadataOf(one), { extensions: ["gribberish"] })
  const index = (one.shape ?? [3, 4]).map(() => 0)
  yield* session.setVirtualRef("/array", index, { location: location.url, offset: 3, length: encoded.length })
  yield* session.commit("array")
  return yield* ZarritaStore.make(yield* repository.readonlySession({ branch: "main" }))
})

/** All elements in their order; zarrita keeps the order in which they are stored, and says so in `stride`. */
const readArray = (store: zarr.Readable) =>
  ZarritaStore.use(async (signal) => {
    const array = await zarr.open.v3(zarr.root(store).resolve("/array"), { kind: "array", signal })
    const { data, shape, stride } = await zarr.get(array, null, { signal })
    const elements = [...(data as Iterable<unknown>)]
    const [rows, columns = 1] = shape
    return Array.from({ length: rows! * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns]
      return elements[row * stride[0]! + column * (stride[1] ?? 0)]
    })
  })

describe("a codec that zarrita reads", () => {
  it.effect.each(read)("$name", (one) =>
    Effect.gen(function* () {
      const { encoded } = one
      const bytes = typeof encoded === "function" ? yield* Effect.promise(encoded) : encoded
      const data = yield* readArray(yield* storeWith(one, bytes))
      assert.deepStrictEqual([...data], [...(one.expected ?? floats)])
    }).pipe(Effect.scoped)
  )

  it.effect("is `vlen-utf8` also uncompressed, among chunks that are read together", () =>
    Effect.gen(function* () {
      // Each as long as 48 bytes: parts that begin at a multiple of 8 may be views of what was read for all.
      const chunks = [words, ["a", "b", "c", "d"], ["x", "yy", "zzz", ""]].map((texts) =>
        joined(vlen(texts), new Uint8Array(48)).subarray(0, 48)
      )
      const repository = yield* Repository.create().pipe(
        Effect.provide(
          Layer.mergeAll(
            MemoryObjectStore.layer(),
            Platform.layerMemory({ [location.url]: joined(...chunks) }),
            NodeZstd.layer
          )
        )
      )
      const session = yield* repository.writableSession("main")
      const metadata = JSON.parse(
        new TextDecoder().decode(
          metadataOf({ codecs: [{ name: "vlen-utf8" }], dataType: "string", fill: "", shape: [4] })
        )
      ) as Record<string, unknown>
      yield* session.setMetadata("/array", new TextEncoder().encode(JSON.stringify({ ...metadata, shape: [12] })))
      let offset = 0
      for (const [i, { length }] of chunks.entries()) {
        yield* session.setVirtualRef("/array", [i], { location: location.url, offset, length })
        offset += length
      }
      const data = yield* readArray(yield* ZarritaStore.make(session))
      assert.deepStrictEqual([...data], [...words, "a", "b", "c", "d", "x", "yy", "zzz", ""])
    }).pipe(Effect.scoped)
  )
})

describe("a codec that zarrita does not have", () => {
  it.effect.each(unknown)("%s: the array is opened, and reading it says what to do", ([name, codecs]) =>
    Effect.gen(function* () {
      const store = yield* storeWith({ codecs }, plain)
      const error = yield* Effect.flip(readArray(store))
      assert.instanceOf(error, Errors.ZarritaError)
      assert.include(error.message, name)
      assert.include(error.message, "zarr.registry.set")
    }).pipe(Effect.scoped)
  )

  it.effect("is read once it is registered, as the docs show for an array-to-bytes codec", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const codecs = [{ name: "gribberish", configuration: { var: "TMP" } }]
      const store = yield* storeWith({ codecs }, joined(Uint8Array.from([71, 82, 73, 66]), plain))
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          zarr.registry.set("gribberish", () =>
            Promise.resolve({
              kind: "array_to_bytes",
              fromConfig: (configuration, { shape }) => ({
                kind: "array_to_bytes",
                decode: (bytes: Uint8Array) => {
                  seen.push(configuration, new TextDecoder().decode(bytes.subarray(0, 4)))
                  return { data: new Float32Array(bytes.slice(4).buffer), shape, stride: [shape[1]!, 1] } as never
                },
                encode: () => {
                  throw new Error("not written")
                }
              })
            })
          )
        ),
        () => Effect.sync(() => zarr.registry.delete("gribberish"))
      )
      assert.deepStrictEqual([...(yield* readArray(store))], [...floats])
      assert.deepStrictEqual(seen, [{ var: "TMP" }, "GRIB"])
    }).pipe(Effect.scoped)
  )
})

/** Puts the decoder of this library in the place of numcodecs' for a test. */
const ownZstd = Effect.acquireRelease(
  Effect.sync(() => {
    const before = zarr.registry.get("zstd")!
    zarr.registry.set("zstd", ZarritaZstd.load)
    return before
  }),
  (before) => Effect.sync(() => zarr.registry.set("zstd", before))
)

describe("the zstd decoder of this library in zarrita", () => {
  it.effect("reads what numcodecs reads, by itself and in shards", () =>
    Effect.gen(function* () {
      yield* ownZstd
      for (const name of ["zstd", "sharding_indexed", "vlen-utf8"]) {
        const one = read.find((one) => one.name === name)!
        const { encoded } = one
        const bytes = typeof encoded === "function" ? yield* Effect.promise(encoded) : encoded
        const data = yield* readArray(yield* storeWith(one, bytes))
        assert.deepStrictEqual([...data], [...(one.expected ?? floats)])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fails as a codec does for a damaged chunk, and does not write", () =>
    Effect.gen(function* () {
      yield* ownZstd
      const one = read.find((one) => one.name === "zstd")!
      const bytes = new Uint8Array(zlib.zstdCompressSync(plain))
      const error = yield* Effect.flip(readArray(yield* storeWith(one, bytes.subarray(0, bytes.length - 3))))
      assert.isTrue(error._tag === "ZarritaError" && error.kind === "CodecPipelineError")
      const codec = (yield* Effect.promise(ZarritaZstd.load)).fromConfig({})
      assert.throws(() => codec.encode(plain), /only decompresses/)
    }).pipe(Effect.scoped)
  )
})

const shared = path.resolve(import.meta.dirname, "../../shared/data/icechunk-repositories")

describe.skipIf(!fs.existsSync(shared))("repositories of Python", () => {
  const big = { "/group1/big_chunks": "MissingPlatform", "/group1/small_chunks": "int8 1" }
  it.effect.each([
    ["test-repo-v1", big],
    ["test-repo-v2", big],
    ["split-repo-v2", { "/group1/small_chunks": "int8 1", "/group1/split": "float32 3x3" }]
  ] as const)("%s: zarrita reads its arrays, and names the platform that virtual chunks need", ([name, expected]) =>
    Effect.gen(function* () {
      const files = fs
        .readdirSync(path.join(shared, name), { recursive: true, withFileTypes: true })
        .filter((file) => file.isFile())
        .map((file) => path.join(file.parentPath, file.name))
      const store = yield* MemoryObjectStore.make()
      for (const file of files) {
        yield* store.put(path.relative(path.join(shared, name), file), new Uint8Array(fs.readFileSync(file)))
      }
      const repository = yield* ReadonlyRepository.open().pipe(
        Effect.provideService(ObjectStore.ObjectStore, store),
        Effect.provide(Layer.mergeAll(Platform.layerNone, NodeZstd.layer))
      )
      const zarrita = yield* ZarritaStore.make(yield* repository.readonlySession({ branch: "main" }))
      const outcomes: Record<string, string> = {}
      for (const { kind, path } of zarrita.contents()) {
        if (kind === "group") continue
        const array = yield* ZarritaStore.use(() => zarr.open.v3(zarr.root(zarrita).resolve(path), { kind: "array" }))
        outcomes[path] = yield* ZarritaStore.use((signal) =>
          array.getChunk(
            array.shape.map(() => 0),
            { signal }
          )
        ).pipe(
          Effect.map(({ shape }) => `${array.dtype} ${shape.join("x")}`),
          Effect.catchTag("MissingPlatform", ({ _tag }) => Effect.succeed(_tag))
        )
      }
      assert.deepStrictEqual(outcomes, expected)
    }).pipe(Effect.scoped)
  )
})
