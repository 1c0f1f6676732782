import * as crypto from "node:crypto"
import * as zlib from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Import, Kerchunk, SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Expression from "../src/internal/kerchunk/Expression.ts"
import * as Locations from "../src/internal/kerchunk/Locations.ts"
import * as Files from "./support/Files.ts"
import * as Fuzz from "./support/Fuzz.ts"
import * as JsonFuzz from "./support/JsonFuzz.ts"
import * as World from "./support/World.ts"

interface Written {
  readonly document: Record<string, Dataset.Json>
  readonly numbers: string
  readonly expected: Readonly<Record<string, { readonly shape: ReadonlyArray<number>; readonly sha256: string }>>
  readonly expressions: ReadonlyArray<readonly [string, string]>
}

const written = JSON.parse(new TextDecoder().decode(Files.bytes("kerchunk.json"))) as Written
const { document, expected } = written

const encode = (json: unknown) => new TextEncoder().encode(JSON.stringify(json))

/** A world with the files that the references are of. */
const world = Effect.gen(function* () {
  const made = yield* World.make
  yield* made.put("layouts-earliest.h5", Files.bytes("layouts-earliest.h5"))
  yield* made.put("numbers.bin", Uint8Array.from(Buffer.from(written.numbers, "base64")))
  const open = (location: string) => SourceFile.make(made.objects, location.slice("s3://".length), location)
  return { ...made, open }
})

const sha256 = (data: unknown) => {
  const { buffer, byteLength, byteOffset } = data as Uint8Array
  return crypto
    .createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex")
}

const compare = Effect.fnUntraced(function* (
  session: World.World["session"],
  paths: ReadonlyArray<string> = Object.keys(expected)
) {
  for (const at of paths) {
    const { data, shape } = yield* World.read(session, at)
    assert.deepStrictEqual(shape, expected[at]!.shape, at)
    assert.strictEqual(sha256(data), expected[at]!.sha256, `the values of ${at}`)
  }
})

const refsOf = (refs: Record<string, Dataset.Json>, more: Record<string, Dataset.Json> = {}) =>
  Effect.gen(function* () {
    const { put } = yield* World.make
    const { file } = yield* put("refs.json", encode({ version: 1, refs, ...more }))
    return file
  })

const plain = (shape: ReadonlyArray<number>, chunks: ReadonlyArray<number>): Dataset.JsonObject => ({
  zarr_format: 2,
  shape,
  chunks,
  dtype: "<i4",
  order: "C",
  fill_value: 0,
  filters: null,
  compressor: null
})

const zstd = (bytes: Uint8Array) => new Uint8Array(zlib.zstdCompressSync(bytes))

describe("Kerchunk", () => {
  it.effect("reads version 1 with templates, generators and bytes inside, as fsspec and zarr-python do", () =>
    Effect.gen(function* () {
      const { open, put, session } = yield* world
      const { count, file } = yield* put("refs.json", encode(document))
      const dataset = yield* Kerchunk.dataset(file, { open })
      const { refs, skipped, written } = yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual(skipped, [])
      assert.strictEqual(count.requests, 1)
      assert.isAbove(refs, 100)
      assert.strictEqual(written, 3)
      yield* compare(session)
      const whole = yield* session.attributes("/deep/cut")
      assert.deepStrictEqual(whole, {})
    })
  )

  it.effect("reads version 0, with metadata as texts", () =>
    Effect.gen(function* () {
      const { put, session } = yield* world
      const { file } = yield* put(
        "refs.json",
        encode({
          ".zgroup": '{"zarr_format":2}',
          "a/.zarray": JSON.stringify({ ...plain([60], [30]), dtype: ">i4" }),
          "a/.zattrs": '{"_ARRAY_DIMENSIONS":["x"],"odd":NaN}',
          "a/0": ["s3://bucket/numbers.bin", 0, 120],
          "a/1": ["s3a://bucket/numbers.bin", 120, 120]
        })
      )
      const dataset = yield* Kerchunk.dataset(file)
      yield* Import.into(session, "/", dataset, { capture: true })
      const { attributes, data } = yield* World.read(session, "/a")
      assert.deepStrictEqual(
        [...(data as Int32Array)],
        Array.from({ length: 60 }, (_, i) => i)
      )
      assert.strictEqual(attributes["odd"], "NaN")
    })
  )

  it("computes expressions as Jinja does", () => {
    const variables: Expression.Variables = new Map<string, Expression.Value>([
      ["i", 5n],
      ["u", "w"]
    ])
    for (const [text, wanted] of written.expressions)
      assert.strictEqual(Expression.compile(text)(variables), wanted, text)
  })

  it("refuses expressions that it does not know, or that do not end", () => {
    const deep = `{{ ${"(".repeat(100)}1${")".repeat(100)} }}`
    for (const text of [
      "{% for x in y %}",
      "{# a #}",
      "{{ i",
      "{{ nothing }}",
      "{{ i.__class__ }}",
      "{{ i|attr('x') }}",
      "{{ 9 ** 9 ** 9 }}",
      "{{ 1 // 0 }}",
      "{{ '%99999999d' % i }}",
      "{{ '%d' % 'a' }}",
      "{{ 'a' * 1000 }}",
      "{{ constructor }}",
      "{{ 1|constructor }}",
      "{{ i; i }}",
      "{{}}",
      deep,
      `{{ ${"-".repeat(500)}1 }}`
    ]) {
      const result = Expression.attempt(() => Expression.compile(text)(new Map([["i", 1n]])))
      assert.strictEqual(result._tag, "Failure", text)
      if (result._tag === "Failure") assert.notInclude(result.failure, "cannot be computed", text)
    }
  })

  it("makes locations of URLs, and says why there is none", () => {
    for (const [url, location] of [
      ["s3://b/a//b%20c?d#e", "s3://b/a//b%20c?d#e"],
      ["s3a://b/k", "s3://b/k"],
      ["gs://b/k", "gcs://b/k"],
      ["gcs://b/k", "gcs://b/k"],
      ["abfs://c/k", "az://c/k"],
      // Containers of two accounts may have one name.
      ["abfss://c@account.dfs.core.windows.net/k", "az://c@account/k"],
      ["abfs://c@other.blob.core.windows.net/a@b/k", "az://c@other/a@b/k"],
      ["abfss://c@account.dfs.core.chinacloudapi.cn/k", "az://c@account.dfs.core.chinacloudapi.cn/k"],
      ["az://c@account/k", "az://c@account/k"],
      ["azure://c/k", "az://c/k"],
      ["https://a.b/c", "https://a.b/c"],
      ["/data/a b.nc", "file:///data/a%20b.nc"],
      ["file:///data/a%.nc", "file:///data/a%25.nc"],
      ["simplecache::s3://b/k", undefined],
      ["zip://a.nc::s3://b/k.zip", undefined],
      ["a.nc", undefined],
      ["s3://b", undefined]
    ] as const) {
      const found = Locations.of(url)
      assert.strictEqual(found._tag === "Success" ? found.success : undefined, location, url)
    }
    assert.strictEqual(Locations.shown("https://u:p@h/k?token=secret"), "https://h/k?...")
  })

  it.effect("reports what it leaves out, and goes on", () =>
    Effect.gen(function* () {
      const file = yield* refsOf({
        "a/.zarray": plain([9], [1]),
        "a/0": ["s3://bucket/numbers.bin", 0, 4],
        "a/1": ["simplecache::s3://bucket/numbers.bin", 0, 4],
        "a/2": ["s3://bucket/numbers.bin", -1, 4],
        "a/3": ["s3://bucket/numbers.bin", 0, 0],
        "a/4": ["s3://bucket/numbers.bin"],
        "a/5": "base64:*",
        "a/6": [null, 0, 4],
        "a/7": ["https://host/key?token=secret"],
        "a/99": ["s3://bucket/numbers.bin", 0, 4],
        "b/.zarray": { ...plain([1], [1]), compressor: { id: "grib" } },
        "b/0": ["s3://bucket/numbers.bin", 0, 4],
        "e/.zarray": { ...plain([1], [1]), dtype: "<f8", filters: [{ id: "grib", var: "latitude", dtype: "float64" }] },
        "f/.zarray": { ...plain([1], [1]), dtype: "<f4", filters: [{ id: "grib", var: "t", dtype: "float32" }] },
        "g/.zarray": { ...plain([1], [1]), dtype: "<f8", filters: [{ id: "grib", var: "t", dtype: "float64" }] },
        "__c/.zarray": plain([1], [1]),
        "d/.zarray": ["s3://bucket/metadata", 0, 10],
        "nothing/0": "a"
      })
      const { session } = yield* world
      const dataset = yield* Kerchunk.dataset(file)
      const { refs, skipped } = yield* Import.into(session, "/", dataset)
      assert.strictEqual(refs, 1)
      const reports = skipped.map(({ path, problem, reason }) => `${path} ${reason}: ${problem}`)
      for (const part of [
        "chain",
        "`a/2`: its offset",
        "`a/3`: it has no bytes",
        "`a/5`: its bytes are not base64",
        "`target`",
        "tell by `open`",
        "2 key(s)",
        "/b filter",
        "/e filter: its latitudes are computed",
        "/f filter: its fields of GRIB",
        "/g codec",
        "/__c name",
        "/d/.zarray format"
      ]) {
        assert.isTrue(
          reports.some((report) => report.includes(part)),
          part
        )
      }
      assert.notInclude(reports.join("\n"), "secret")
    })
  )

  it.effect("takes templates, a target and locations from its options", () =>
    Effect.gen(function* () {
      const file = yield* refsOf(
        {
          "a/.zarray": plain([3], [1]),
          "a/0": ["{{u}}/k", 0, 4],
          "a/1": [null, 0, 4],
          "a/2": ["relative.nc", 0, 4]
        },
        { templates: { u: "s3://old" } }
      )
      const dataset = yield* Kerchunk.dataset(file, {
        templates: { u: "s3://new" },
        target: "s3://t/k",
        location: (url) => (url.includes("://") ? url : `s3://base/${url}`)
      })
      const { session } = yield* world
      yield* Import.into(session, "/", dataset, { validateContainers: false })
      const locations: Array<string> = []
      for (const i of [0, 1, 2]) locations.push(JSON.stringify(yield* session.chunkRef("/a", [i])))
      for (const [i, at] of ["s3://new/k", "s3://t/k", "s3://base/relative.nc"].entries())
        assert.include(locations[i]!, at)
    })
  )

  it.effect("refuses what is not kerchunk, and generators without bounds", () =>
    Effect.gen(function* () {
      const { put } = yield* World.make
      const gen = (dimensions: Dataset.Json, url = "s3://b/k") => ({
        version: 1,
        refs: { "a/.zarray": plain([1], [1]) },
        gen: [{ key: "a/{{i}}", url, offset: "0", length: "{{4}}", dimensions }]
      })
      for (const [content, tag, part] of [
        [new TextEncoder().encode("{"), "WrongFormat", "JSON"],
        [encode([]), "WrongFormat", "object"],
        [zstd(encode({})), "WrongFormat", "compressed"],
        [encode({ ".zgroup": "x" }), "WrongFormat", "no metadata"],
        [encode({ version: 2 }), "WrongFormat", "version `2`"],
        [encode({ version: 1, refs: {} }), "WrongFormat", "no metadata"],
        [encode(gen({ i: { stop: 1e15 } })), "WrongFormat", "maxGenerated"],
        [encode(gen({ i: { stop: 4, step: 0 } })), "WrongFormat", "dimension"],
        [encode(gen({ i: { stop: 4 } }, "{% raw %}")), "WrongFormat", "Jinja"],
        [encode({ ...gen({ i: [0] }), templates: { i: "x" } }), "WrongFormat", "template"]
      ] as const) {
        const { file } = yield* put("refs.json", content)
        const error = yield* Effect.flip(Kerchunk.dataset(file))
        assert.strictEqual(error._tag, tag)
        assert.include(error.message, part)
      }
    })
  )

  const runs = Number(process.env["FUZZ_RUNS"] ?? 300)

  it.effect(
    "ends on JSON of wrong types, absurd numbers and odd names",
    () =>
      Effect.gen(function* () {
        const few = Object.entries(document["refs"] as Dataset.JsonObject).slice(-20)
        // Metadata as objects, so that what is in it is mutated too.
        const refs = few.map(([key, value]) => [
          key,
          typeof value === "string" && value.startsWith("{")
            ? (JSON.parse(value.replaceAll("NaN", "0")) as Dataset.Json)
            : value
        ])
        const text = JSON.stringify({ ...document, refs: Object.fromEntries(refs) })
        const counts = { Success: 0, Failure: 0 }
        for (let seed = 1; seed <= runs; seed++) {
          const { file } = yield* Files.inMemory(JsonFuzz.mutate(text, seed))
          const { session } = yield* World.make
          const result = yield* Effect.result(Kerchunk.dataset(file, { maxGenerated: 1000 }))
          counts[result._tag]++
          // What is accepted can be written.
          if (result._tag === "Success") yield* Import.into(session, "/", result.success, { validateContainers: false })
        }
        assert.isAbove(counts.Success, runs / 10)
        assert.isAbove(counts.Failure, runs / 10)
      }).pipe(Effect.scoped),
    3_600_000
  )

  it.effect(
    "ends on damaged JSON",
    () =>
      Effect.gen(function* () {
        const small = { ...document, refs: Object.fromEntries(Object.entries(document["refs"] as object).slice(-20)) }
        yield* Fuzz.run({
          content: encode(small),
          runs,
          seed: 11,
          importer: (file) => Kerchunk.dataset(file, { maxGenerated: 1000 })
        })
      }),
    600_000
  )
})
