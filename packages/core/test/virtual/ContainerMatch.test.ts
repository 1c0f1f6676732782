import { assert, describe, it } from "@effect/vitest"
import * as Location from "@effect-icechunk/core/Location"
import * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as Result from "effect/Result"
import * as fc from "fast-check"

type Containers = ReadonlyArray<Container.VirtualChunkContainer>

const parse = (text: string): Location.Location => Result.getOrThrow(Location.parse(text))

const resolveText = (set: ContainerMatch.ContainerSet, text: string) => ContainerMatch.resolve(set, parse(text))

/** Name of the container and path that a location resolves to. */
const found = (set: ContainerMatch.ContainerSet, text: string): readonly [name: string, path: string] => {
  const { container, path } = Result.getOrThrow(resolveText(set, text))
  return [container.name, path]
}

const failure = (set: ContainerMatch.ContainerSet, text: string) =>
  Result.getOrThrow(Result.flip(resolveText(set, text)))

const s3 = (name: string, bucket_prefix: string): Container.VirtualChunkContainer => ({
  name,
  protocol: "s3",
  platform: "s3",
  bucket_prefix
})
const onFs = (name: string, protocol: string, bucket_prefix?: string): Container.VirtualChunkContainer => ({
  name,
  protocol,
  platform: "fs",
  ...(bucket_prefix === undefined ? {} : { bucket_prefix })
})

const segment = fc.constantFrom("a", "b", "ab", "a-b", "A", "..", "", "%61", "é")
const path = fc.array(segment, { maxLength: 4 }).map((segments) => ["bucket", ...segments].join("/"))
const prefix = fc.oneof(
  fc.constant(undefined),
  fc.constant(""),
  fc.tuple(path, fc.constantFrom("", "/", "//")).map(([path, slashes]) => path + slashes)
)
const protocol = fc.constantFrom("s3", "gcs", "models")
const container = fc
  .tuple(fc.constantFrom("one", "two", "three", "s3", "gcs"), protocol, prefix, fc.nat({ max: 99 }))
  .map(([name, protocol, bucket_prefix, tag]): Container.VirtualChunkContainer => ({
    name,
    protocol,
    platform: protocol === "models" ? "s3" : protocol,
    bucket_prefix,
    additional_fields: { tag }
  }))
const containers = fc.uniqueArray(container, { maxLength: 5, selector: ({ name }) => name })

/** The rule of the design, as literally as possible. */
const naive = (
  sources: { readonly default: Containers; readonly persisted: Containers; readonly override: Containers },
  protocol: string,
  path: string
): ReadonlyArray<Container.VirtualChunkContainer> => {
  const segmentsOf = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split("/"))
  const all = (["override", "persisted", "default"] as const)
    .flatMap((source, rank) => sources[source].map((container) => ({ container, rank })))
    // A name replaces the same name of a lower source.
    .filter(
      (one, _, all) => !all.some(({ container, rank }) => container.name === one.container.name && rank < one.rank)
    )
  const matching = all
    .filter(({ container }) => container.protocol === protocol)
    .map(({ container, rank }) => ({ container, rank, prefix: (container.bucket_prefix ?? "").replace(/\/+$/, "") }))
    .filter(({ prefix }) => segmentsOf(prefix).every((segment, i) => segmentsOf(path)[i] === segment))
  const longest = Math.max(...matching.map(({ prefix }) => prefix.length))
  const best = matching.filter(({ prefix }) => prefix.length === longest)
  const first = Math.min(...best.map(({ rank }) => rank))
  return best.filter(({ rank }) => rank === first).map(({ container }) => container)
}

describe("ContainerMatch.resolve", () => {
  it("agrees with a naive statement of the rule", () => {
    fc.assert(
      fc.property(
        containers,
        containers,
        containers,
        protocol,
        path,
        (defaults, persisted, overrides, protocol, path) => {
          const set = ContainerMatch.make({ defaults, persisted, overrides })
          const expected = naive({ default: defaults, persisted, override: overrides }, protocol, path)
          const resolved = ContainerMatch.resolve(set, Location.absolute(protocol, path))
          if (Result.isFailure(resolved)) {
            assert.deepStrictEqual(expected, [])
            assert.strictEqual(resolved.failure._tag, "MissingContainer")
          } else {
            assert.include(expected, resolved.success.container)
            assert.strictEqual(resolved.success.path, path)
          }
        }
      ),
      { numRuns: 1000 }
    )
  })

  it("does not depend on the order in which containers are listed, unless two match equally well", () => {
    fc.assert(
      fc.property(
        containers.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        protocol,
        path,
        ([persisted, shuffled], protocol, path) => {
          const expected = naive({ default: Container.defaults, persisted, override: [] }, protocol, path)
          fc.pre(expected.length <= 1)
          const location = Location.absolute(protocol, path)
          const names = [persisted, shuffled].map((persisted) =>
            Result.match(ContainerMatch.resolve(ContainerMatch.make({ persisted }), location), {
              onFailure: ({ _tag }) => _tag,
              onSuccess: ({ container }) => container.name
            })
          )
          assert.strictEqual(names[0], names[1])
        }
      )
    )
  })

  it("matches prefixes on whole segments", () => {
    const set = ContainerMatch.make({
      persisted: [s3("a", "bucket/virtual-a"), s3("b", "bucket/virtual-a/b")],
      without: ["s3"]
    })
    assert.deepStrictEqual(found(set, "s3://bucket/virtual-a/x"), ["a", "bucket/virtual-a/x"])
    assert.deepStrictEqual(found(set, "s3://bucket/virtual-a/b/x"), ["b", "bucket/virtual-a/b/x"])
    assert.deepStrictEqual(found(set, "s3://bucket/virtual-a/bb"), ["a", "bucket/virtual-a/bb"])
    for (const text of [
      "bucket/virtual-a-private/x",
      "bucket/virtual-",
      "bucket",
      "Bucket/virtual-a/x",
      "bucket//virtual-a/x"
    ]) {
      assert.strictEqual(failure(set, `s3://${text}`)._tag, "MissingContainer", text)
    }
  })

  it("keeps keys opaque: `..` in a key of an object store leads nowhere", () => {
    const set = ContainerMatch.make({ persisted: [s3("a", "bucket/a")], without: ["s3"] })
    assert.deepStrictEqual(found(set, "s3://bucket/a/../b%2F?#"), ["a", "bucket/a/../b%2F?#"])
    assert.deepStrictEqual(found(set, "vcc://a/../b%2F?#"), ["a", "bucket/a/../b%2F?#"])
    assert.strictEqual(failure(set, "s3://bucket/b/../a/x")._tag, "MissingContainer")
  })

  it("matches every path with an empty prefix, however it is spelled", () => {
    for (const bucket_prefix of ["", "/", undefined]) {
      const persisted = [
        { name: "all", protocol: "models", platform: "s3", ...(bucket_prefix === undefined ? {} : { bucket_prefix }) }
      ]
      assert.deepStrictEqual(found(ContainerMatch.make({ persisted }), "models://any/key"), ["all", "any/key"])
    }
  })

  it("has one default container for each platform", () => {
    const set = ContainerMatch.make({})
    assert.deepStrictEqual(found(set, "s3://bucket/key"), ["s3", "bucket/key"])
    assert.deepStrictEqual(found(set, "gs://bucket/key"), ["gcs", "bucket/key"])
    assert.deepStrictEqual(found(set, "tigris://bucket/key"), ["tigris", "bucket/key"])
    assert.deepStrictEqual(found(set, "fs:///data/a%20b"), ["file", "/data/a b"])
    assert.strictEqual(Result.getOrThrow(resolveText(set, "s3://b/k")).source, "default")
  })

  it("lets a container replace the default of its name, also by one that matches less", () => {
    const set = ContainerMatch.make({ persisted: [s3("s3", "only-this")] })
    assert.deepStrictEqual(found(set, "s3://only-this/key"), ["s3", "only-this/key"])
    assert.strictEqual(failure(set, "s3://other/key")._tag, "MissingContainer")
    const renamed = ContainerMatch.make({ persisted: [{ name: "s3", protocol: "models", platform: "s3" }] })
    assert.strictEqual(failure(renamed, "s3://bucket/key")._tag, "MissingContainer")
  })

  it("prefers an override to a persisted container, and that to a default, at equal length only", () => {
    const persisted = [s3("p", "bucket/x"), s3("p2", "")]
    const overrides = [s3("o", "bucket/x"), s3("o2", "bucket")]
    const set = ContainerMatch.make({ persisted, overrides })
    assert.strictEqual(found(set, "s3://bucket/x/key")[0], "o")
    assert.strictEqual(found(ContainerMatch.make({ persisted }), "s3://bucket/x/key")[0], "p")
    assert.strictEqual(
      found(ContainerMatch.make({ persisted, overrides: [s3("o", "bucket")] }), "s3://bucket/x/key")[0],
      "p"
    )
    assert.strictEqual(found(set, "s3://elsewhere/key")[0], "p2", "not the default, which is as long")
    const same = ContainerMatch.make({ persisted: [s3("n", "bucket/x")], overrides: [s3("n", "bucket")] })
    assert.deepStrictEqual(Result.getOrThrow(resolveText(same, "s3://bucket/x/k")).container, s3("n", "bucket"))
    assert.strictEqual(Result.getOrThrow(resolveText(same, "s3://bucket/x/k")).source, "override")
  })

  it("takes access away with `without`, whatever the container's source", () => {
    const options = { persisted: [s3("p", "p")], overrides: [s3("o", "o")] }
    const set = ContainerMatch.make({ ...options, without: ["p", "o", "s3", "unheard of"] })
    for (const text of ["s3://p/k", "s3://o/k", "s3://x/k", "vcc://p/k", "vcc://o/k", "vcc://s3/b/k"]) {
      assert.strictEqual(failure(set, text)._tag, "MissingContainer", text)
    }
    // An override is taken away with what it replaced.
    const both = ContainerMatch.make({ persisted: [s3("n", "n")], overrides: [s3("n", "n")], without: ["n", "s3"] })
    assert.strictEqual(failure(both, "s3://n/k")._tag, "MissingContainer")
  })

  it("finds `vcc` by the container's name alone, below its prefix", () => {
    const set = ContainerMatch.make({
      persisted: [s3("a", "bucket/a/"), { name: "m", protocol: "models", platform: "s3" }]
    })
    assert.deepStrictEqual(found(set, "vcc://a/x"), ["a", "bucket/a/x"])
    assert.deepStrictEqual(found(set, "vcc://a//x"), ["a", "bucket/a//x"])
    assert.deepStrictEqual(found(set, "vcc://m/bucket/x"), ["m", "bucket/x"])
    assert.deepStrictEqual(found(set, "vcc://s3/bucket/x"), ["s3", "bucket/x"])
    assert.strictEqual(failure(set, "vcc://models/bucket/x")._tag, "MissingContainer", "a protocol is no name")
    assert.strictEqual(failure(set, "vcc://A/x")._tag, "MissingContainer")
  })
})

describe("ContainerMatch on file systems", () => {
  const set = ContainerMatch.make({
    persisted: [onFs("data", "geoid", "/srv/data"), onFs("percent", "percent", "/srv/100%/a%20b"), onFs("all", "all")]
  })

  it("finds files below the directory, decoded and normalised", () => {
    assert.deepStrictEqual(found(set, "vcc://data/x/./y//z%20.nc"), ["data", "/srv/data/x/y/z .nc"])
    assert.deepStrictEqual(found(set, "vcc://data/x/../y"), ["data", "/srv/data/y"])
    assert.deepStrictEqual(found(set, "vcc://all/etc/x"), ["all", "/etc/x"])
    assert.deepStrictEqual(found(set, "vcc://file/etc/x"), ["file", "/etc/x"])
    assert.deepStrictEqual(found(set, "geoid:///srv/data/x/./y"), ["data", "/srv/data/x/y"])
    assert.deepStrictEqual(found(set, "geoid:///srv//data/a%20b"), ["data", "/srv/data/a b"])
  })

  it("takes a container's directory literally, percent signs included", () => {
    assert.deepStrictEqual(found(set, "vcc://percent/x%20y"), ["percent", "/srv/100%/a%20b/x y"])
    assert.deepStrictEqual(found(set, "percent:///srv/100%25/a%2520b/x"), ["percent", "/srv/100%/a%20b/x"])
  })

  const escapes = [
    "vcc://data/../secret",
    "vcc://data/x/../../secret",
    "vcc://data/%2e%2e/secret",
    "vcc://data/x%2F..%2f..%2fsecret",
    "vcc://data/../data-private/x",
    "vcc://data/../../../../etc/passwd",
    "geoid:///srv/data/../secret",
    "geoid:///srv/data/%2e%2e/secret",
    "geoid:///srv/data/x/..%2F..%2fsecret",
    "geoid:///srv/data/../data-private/x",
    "geoid:///srv/data/../../../../etc/passwd"
  ]
  it.each(escapes)("lets nothing lead out of its container: %s", (text) => {
    const error = failure(set, text)
    assert.include(["InvalidLocation", "MissingContainer"], error._tag)
    assert.strictEqual(error.location, text)
    assert.include(error.message, `\`${text}\``)
  })

  it("says that a location leads out of its container", () => {
    const error = failure(set, "vcc://data/../secret")
    assert.strictEqual(error._tag, "InvalidLocation")
    assert.include(error.message, "leads out of its container `data`")
  })

  it.each([
    ["vcc://data/100%", "percent-encoded"],
    ["vcc://data/a%00b", "NUL"],
    ["geoid:///srv/data/100%", "percent-encoded"],
    ["geoid://srv/data/x", "absolute path"]
  ])("refuses %s, which is no file's location", (text, problem) => {
    const error = failure(set, text)
    assert.strictEqual(error._tag, "InvalidLocation")
    assert.include(error.message, problem)
  })

  it("never resolves to a path outside of the container, whatever the location", () => {
    const part = fc.constantFrom("/", "/", "..", ".", "%2e", "%2F", "%25", "a", "srv", "data", "-", " ")
    const text = fc.tuple(
      fc.constantFrom("vcc://data/", "geoid:///srv/data/", "geoid:///"),
      fc.array(part, { maxLength: 10 })
    )
    fc.assert(
      fc.property(text, ([start, parts]) => {
        const location = Location.parse(start + parts.join(""))
        if (Result.isFailure(location)) return
        const resolved = ContainerMatch.resolve(set, location.success)
        if (Result.isFailure(resolved)) return
        const { path } = resolved.success
        assert.isTrue(path === "/srv/data" || path.startsWith("/srv/data/"), path)
        assert.notInclude(path.split("/").slice(1), "..")
      }),
      { numRuns: 2000 }
    )
  })
})

describe("ContainerMatch.stored", () => {
  const store = (set: ContainerMatch.ContainerSet, text: string): string =>
    Location.format(ContainerMatch.stored(parse(text), Result.getOrThrow(resolveText(set, text))))

  it("leaves locations alone that every Icechunk client reads", () => {
    const set = ContainerMatch.make({ persisted: [s3("a", "bucket"), onFs("f", "file", "/data")] })
    for (const text of ["s3://bucket/a//b%20?#", "gcs://b/k", "tigris://b/k", "file:///data/a%20b", "vcc://a/x"]) {
      assert.strictEqual(store(set, text), text)
    }
  })

  it("makes locations with a custom protocol relative to their container", () => {
    const set = ContainerMatch.make({
      persisted: [
        { name: "m", protocol: "models", platform: "s3", bucket_prefix: "bucket/out/" },
        { name: "any", protocol: "models", platform: "s3" },
        onFs("d", "geoid", "/srv/data"),
        onFs("root", "geoid", "/")
      ]
    })
    assert.strictEqual(store(set, "models://bucket/out/a%20b?"), "vcc://m/a%20b?")
    assert.strictEqual(store(set, "models://bucket/out//a"), "vcc://m//a")
    assert.strictEqual(store(set, "models://other/key"), "vcc://any/other/key")
    assert.strictEqual(store(set, "geoid:///srv/data/a.gtx"), "vcc://d/a.gtx")
    assert.strictEqual(store(set, "geoid:///opt/a.gtx"), "vcc://root/opt/a.gtx")
  })

  it("resolves to the same path of the same container as before, and reads back from its text", () => {
    const key = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.string({ unit: fc.constantFrom("/", ".", "..", "%", "%20", "?", "#", " ", "a", "é"), maxLength: 12 })
    )
    const custom = fc.constantFrom<Container.VirtualChunkContainer>(
      { name: "m", protocol: "c", platform: "s3", bucket_prefix: "bucket/out" },
      { name: "m", protocol: "c", platform: "s3", bucket_prefix: "bucket" },
      { name: "m", protocol: "c", platform: "gcs" },
      { name: "m", protocol: "c", platform: "fs", bucket_prefix: "/bucket/out" },
      { name: "m", protocol: "c", platform: "fs", bucket_prefix: "/bucket/100%/a%20b" },
      { name: "m", protocol: "c", platform: "fs" },
      { name: "m", protocol: "s3", platform: "tigris", bucket_prefix: "bucket" }
    )
    const start = fc.constantFrom(
      "bucket",
      "bucket/",
      "bucket/out",
      "bucket/out/",
      "/bucket/out/",
      "/bucket/100%25/a%2520b/"
    )
    fc.assert(
      fc.property(custom, start, key, (container, start, key) => {
        const location = Location.parse(`${container.protocol}://${start}${key}`)
        fc.pre(Result.isSuccess(location))
        const set = ContainerMatch.make({ persisted: [container] })
        const resolved = ContainerMatch.resolve(set, Result.getOrThrow(location))
        fc.pre(Result.isSuccess(resolved))
        const before = Result.getOrThrow(resolved)
        const text = Location.format(ContainerMatch.stored(Result.getOrThrow(location), before))
        assert.deepStrictEqual(resolveText(set, text), Result.succeed(before))
      }),
      { numRuns: 3000 }
    )
  })
})

describe("MissingContainer", () => {
  it("names the location, what to configure, and the containers of the repository", () => {
    const set = ContainerMatch.make({ persisted: [s3("a", "bucket/a"), s3("b", "b")], without: ["s3"] })
    const { message } = failure(set, "models://bucket/key")
    assert.include(
      message,
      "No container matches `models://bucket/key`. Add one with `protocol` `models` and a `bucket_prefix` that `bucket/key` starts with to the repository's configuration, or pass it in `config` when the repository is opened."
    )
    assert.match(message, /ontainers.*: .*`a`, `b`/)
    assert.include(failure(set, "vcc://c/key").message, "Add one with the name `c`")
    assert.match(failure(ContainerMatch.make({ defaults: [] }), "vcc://b/key").message, /ontainers.*: none\.$/)
  })
})
