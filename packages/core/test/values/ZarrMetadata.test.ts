import { assert, describe, it } from "@effect/vitest"
import type { Json } from "../../src/values/Json.ts"
import * as ZarrMetadata from "@effect-icechunk/core/ZarrMetadata"
import * as Result from "effect/Result"

const arrayJson = {
  zarr_format: 3,
  node_type: "array",
  shape: [6, 4],
  data_type: "uint8" as Json,
  chunk_grid: { name: "regular", configuration: { chunk_shape: [4, 2] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } } as Json,
  fill_value: 0 as Json,
  codecs: [{ name: "bytes" }] as ReadonlyArray<Json>,
  attributes: {}
}

const parse = (changes: Partial<typeof arrayJson>, options?: ZarrMetadata.WriteOptions) =>
  ZarrMetadata.parse("/a", new TextEncoder().encode(JSON.stringify({ ...arrayJson, ...changes })), options)

const accepts = (changes: Partial<typeof arrayJson>, options?: ZarrMetadata.WriteOptions): void => {
  const parsed = parse(changes, options)
  if (Result.isFailure(parsed)) assert.fail(parsed.failure.message)
}

const refuses = (changes: Partial<typeof arrayJson>, field: string, says = ""): void => {
  const parsed = parse(changes)
  if (Result.isSuccess(parsed)) return assert.fail(`accepted: ${JSON.stringify(changes)}`)
  assert.strictEqual(parsed.failure.field, field, parsed.failure.message)
  assert.include(parsed.failure.problem, says)
}

const bytes = { name: "bytes", configuration: { endian: "little" } }
const time = (unit: Json, scale_factor: Json = 1) => ({
  name: "numpy.datetime64",
  configuration: { unit, scale_factor }
})

describe("a data type", () => {
  // Each with fill values that it has, and some that it has not.
  const cases: ReadonlyArray<readonly [type: Json, good: ReadonlyArray<Json>, bad: ReadonlyArray<Json>]> = [
    ["bool", [true, false], [0, 1, "true"]],
    ["int8", [-128, 127], [-129, 128, 0.5, "0", true]],
    ["uint16", [0, 65535], [-1, 65536]],
    ["int32", [-(2 ** 31), 2 ** 31 - 1], [2 ** 31]],
    ["int64", [-(2 ** 63), 2 ** 53, 2 ** 63 - 1024], [2 ** 64, 1e300]],
    ["uint64", [0, 2 ** 64 - 2048], [-1, 1e20]],
    ["float16", [0, 1.5, "NaN", "0x7e00"], ["nan", "0x7fc00000", true, "1"]],
    ["float32", [-0.5, "Infinity", "-Infinity", "0x7fc00000"], ["+Infinity", "0x7e00", [0]]],
    ["float64", [1e300, "0x7ff8000000000000"], ["0x7fc00000", {}]],
    ["bfloat16", ["0x7fc0", 3], ["0x7fc00000"]],
    [
      "complex64",
      [
        [0, 1],
        ["NaN", "-Infinity"]
      ],
      [0, [0], [0, 0, 0], [0, "x"]]
    ],
    ["complex128", [[0, "0x7ff8000000000000"]], [[0, "0x7fc00000"]]],
    ["r16", [[0, 255], "AAA="], [[0], [0, 256], 0]],
    ["string", ["", "NaN"], [0]],
    ["bytes", ["", "AAAA", [1, 2]], ["A", 5]],
    ["variable_length_bytes", ["AA=="], [{}]],
    [{ name: "fixed_length_utf32", configuration: { length_bytes: 8 } }, ["ab"], [0]],
    [{ name: "null_terminated_bytes", configuration: { length_bytes: 3 } }, ["AAAA"], [0]],
    [{ name: "raw_bytes", configuration: { length_bytes: 3 } }, ["AAAA"], [0]],
    [time("s", 10), [0, "NaT", -(2 ** 63)], [0.5, "NaN"]],
    [{ name: "numpy.timedelta64", configuration: { unit: "ns", scale_factor: 1 } }, [5, "NaT"], ["5"]],
    [{ name: "float32" }, [0], ["0"]],
    ["float8_e4m3", ["0x00", 1], []],
    ["acme.decimal", ["12.5", { any: "thing" }], []]
  ]
  for (const [data_type, good, bad] of cases) {
    it(`has the fill values that fit it: ${JSON.stringify(data_type)}`, () => {
      for (const fill_value of good) accepts({ data_type, fill_value, codecs: [bytes] })
      for (const fill_value of bad) refuses({ data_type, fill_value, codecs: [bytes] }, "fill_value")
    })
  }

  it.each([
    ["floot32", "data_type", "Did you mean `float32`?"],
    ["Float64", "data_type", "Did you mean `float64`?"],
    ["int", "data_type", "no data type `int`"],
    ["<f4", "data_type", "no data type `<f4`"],
    ["datetime64", "data_type", ""],
    ["r7", "data_type", "whole number of bytes"],
    ["r0", "data_type", ""],
    ["", "data_type", "must not be empty"],
    [5, "data_type", ""],
    [null, "data_type", ""],
    [{ name: "unit8" }, "data_type.name", "Did you mean `uint8`?"],
    [{ configuration: {} }, "data_type.name", ""],
    [{ name: "float32", configuration: 1 }, "data_type.configuration", ""],
    [{ name: "float32", must_understand: "no" }, "data_type.must_understand", ""],
    ["numpy.datetime64", "data_type.configuration.unit", ""],
    [time("seconds"), "data_type.configuration.unit", "one of"],
    [time("s", 0), "data_type.configuration.scale_factor", ""],
    [{ name: "fixed_length_utf32", configuration: { length_bytes: 7 } }, "data_type.configuration.length_bytes", "of 4"]
  ] as ReadonlyArray<[Json, string, string]>)("is refused: %j", (data_type, field, says) => {
    refuses({ data_type, codecs: [bytes] }, field, says)
  })

  it("that is unknown is let through when it is meant as an extension", () => {
    for (const data_type of [
      "acme.decimal",
      "https://acme.example/decimal",
      { name: "decimal", must_understand: false }
    ]) {
      accepts({ data_type, fill_value: "any" })
    }
    accepts({ data_type: "decimal", fill_value: "any" }, { extensions: ["decimal"] })
  })
})

describe("codecs", () => {
  const gzip = { name: "gzip", configuration: { level: 5 } }
  const sharding = (changes: Readonly<Record<string, Json>> = {}) => ({
    name: "sharding_indexed",
    configuration: {
      chunk_shape: [2, 1],
      codecs: [bytes, gzip],
      index_codecs: [bytes, "crc32c"],
      index_location: "end",
      ...changes
    }
  })
  const blosc = (changes: Readonly<Record<string, Json>> = {}) => ({
    name: "blosc",
    configuration: { cname: "zstd", clevel: 5, shuffle: "shuffle", typesize: 4, blocksize: 0, ...changes }
  })
  const transpose = (order: Json) => ({ name: "transpose", configuration: { order } })

  it.each([
    [[bytes]],
    [["bytes"]],
    [[transpose([1, 0]), bytes, gzip, "crc32c"]],
    [[transpose("F"), bytes]],
    [[bytes, { name: "zstd", configuration: { level: -5, checksum: true } }]],
    [[bytes, { name: "zstd", configuration: { level: 0 } }]],
    [[bytes, blosc()]],
    [[{ name: "numcodecs.delta", configuration: {} }, bytes, { name: "numcodecs.lzma" }]],
    [["vlen-utf8", gzip]],
    [[sharding()]],
    [[sharding({ codecs: [sharding({ chunk_shape: [1, 1] })] })]],
    [["numcodecs.pcodec"]],
    // What an extension does is not known.
    [[{ name: "acme.lossy", configuration: { anything: 1 } }]],
    [["acme.predict", bytes, "https://acme.example/pack"]],
    [[bytes, { name: "mycodec", must_understand: false }]],
    // Written by zarrita, which means `bytes` by it.
    [[]]
  ] as ReadonlyArray<[ReadonlyArray<Json>]>)("are accepted: %j", (codecs) => accepts({ codecs }))

  it.each([
    [[gzip], "codecs", "none of the codecs"],
    [[bytes, bytes], "codecs.1", "already"],
    [[bytes, transpose([1, 0])], "codecs.1", "cannot follow `bytes`"],
    [[gzip, bytes], "codecs.1", "cannot follow `gzip`"],
    [[{ name: "byts" }], "codecs.0.name", "Did you mean `bytes`?"],
    [[bytes, "gzp"], "codecs.1", "Did you mean `gzip`?"],
    [[bytes, { name: "mycodec" }], "codecs.1.name", "`acme.mycodec`"],
    [[bytes, 5], "codecs.1", ""],
    [[bytes, {}], "codecs.1.name", ""],
    [[{ name: "bytes", configuration: { endian: "middle" } }], "codecs.0.configuration.endian", "little, big"],
    [[transpose([0, 0]), bytes], "codecs.0.configuration.order", "2 dimension(s)"],
    [[transpose([0]), bytes], "codecs.0.configuration.order", ""],
    [[bytes, { name: "gzip", configuration: { level: 10 } }], "codecs.1.configuration.level", "0 to 9"],
    [[bytes, { name: "gzip" }], "codecs.1.configuration.level", ""],
    [[bytes, "gzip"], "codecs.1", "level"],
    [[bytes, { name: "zstd", configuration: { level: 23 } }], "codecs.1.configuration.level", "22"],
    [[bytes, { name: "zstd", configuration: { level: 1, checksum: 1 } }], "codecs.1.configuration.checksum", ""],
    [[bytes, blosc({ cname: "lz5" })], "codecs.1.configuration.cname", "lz4"],
    [[bytes, blosc({ clevel: 10 })], "codecs.1.configuration.clevel", ""],
    [[bytes, blosc({ shuffle: 1 })], "codecs.1.configuration.shuffle", ""],
    [[bytes, blosc({ typesize: 0 })], "codecs.1.configuration.typesize", ""],
    [[sharding({ chunk_shape: [3, 1] })], "codecs.0.configuration.chunk_shape.0", "multiple of 3"],
    [[sharding({ chunk_shape: [2] })], "codecs.0.configuration.chunk_shape", ""],
    [[sharding({ chunk_shape: [0, 1] })], "codecs.0.configuration.chunk_shape.0", ""],
    [[sharding({ codecs: [gzip] })], "codecs.0.configuration.codecs", "none of the codecs"],
    [[sharding({ index_codecs: ["bytes"] })], "codecs.0.configuration.index_codecs.0", "endian"],
    [[sharding({ index_location: "middle" })], "codecs.0.configuration.index_location", ""]
  ] as ReadonlyArray<[ReadonlyArray<Json>, string, string]>)("are refused: %j", (codecs, field, says) => {
    refuses({ codecs }, field, says)
  })

  it("need to know the order of bytes in elements that have several", () => {
    for (const data_type of ["int16", "float64", "complex64", time("s")]) {
      refuses({ data_type, fill_value: null, codecs: ["bytes"] }, "codecs.0", "endian")
    }
    accepts({ data_type: "bool", fill_value: false, codecs: ["bytes"] })
  })

  it("that are unknown are let through when they are listed as extensions, also inside of shards", () => {
    const codecs = [sharding({ codecs: [bytes, "mycodec"] })]
    refuses({ codecs }, "codecs.0.configuration.codecs.1", "no codec `mycodec`")
    accepts({ codecs }, { extensions: ["mycodec"] })
  })
})

describe("a chunk key encoding", () => {
  it("may be any that Icechunk keeps, for its own keys do not depend on it", () => {
    for (const name of ["default", "v2"]) {
      for (const separator of ["/", "."]) accepts({ chunk_key_encoding: { name, configuration: { separator } } })
      accepts({ chunk_key_encoding: { name } })
      accepts({ chunk_key_encoding: name })
    }
    accepts({ chunk_key_encoding: { name: "acme.fanout" } })
    refuses({ chunk_key_encoding: { name: "defualt" } }, "chunk_key_encoding.name", "Did you mean `default`?")
  })
})

describe("the fill value of an array", () => {
  const array = (dataType: string, fillValue: bigint | Json) =>
    Result.map(ZarrMetadata.array("/a", { shape: [1], chunkShape: [1], dataType, fillValue }), (bytes) =>
      new TextDecoder().decode(bytes)
    )

  it("may be an integer of 64 bits, which is written with all of its digits", () => {
    for (const [type, value] of [
      ["int64", -(2n ** 63n)],
      ["int64", 2n ** 63n - 1n],
      ["uint64", 2n ** 64n - 1n],
      ["uint8", 7n],
      ["float64", -7n]
    ] as const) {
      assert.include(Result.getOrThrow(array(type, value)), `"fill_value":${value},`)
    }
  })

  it("is refused where the data type does not have it", () => {
    for (const [type, value] of [
      ["int64", 2n ** 63n],
      ["int64", -(2n ** 63n) - 1n],
      ["uint64", -1n],
      ["uint64", 2n ** 64n],
      ["float64", 2n ** 53n + 1n]
    ] as const) {
      const written = array(type, value)
      if (Result.isSuccess(written)) return assert.fail(`${type} took ${value}`)
      assert.strictEqual(written.failure.field, "fill_value")
      assert.include(written.failure.message, String(value))
    }
  })
})
