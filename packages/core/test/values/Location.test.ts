import { assert, describe, it } from "@effect/vitest"
import * as Location from "@effect-icechunk/core/Location"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const parse = (text: string): Location.Location => Result.getOrThrow(Location.parse(text))

const refusal = (text: string): Location.InvalidLocation => {
  const parsed = Location.parse(text)
  assert.isTrue(Result.isFailure(parsed), `\`${text}\` is refused`)
  return Result.getOrThrow(Result.flip(parsed))
}

/** Keys with everything that a URL parser would change. */
const key = fc.oneof(
  fc.string({ minLength: 1, maxLength: 40, unit: "binary" }),
  fc.string({
    minLength: 1,
    maxLength: 20,
    unit: fc.constantFrom("/", ".", "..", "%", "%2e", "%2F", "?", "#", " ", "+", "a", "é", "🧊", "\\", ":", "://", "\n")
  })
)
const protocol = fc.constantFrom("s3", "gcs", "tigris", "http", "models", "my-data.v2+x")
const segment = fc
  .string({ minLength: 1, maxLength: 12, unit: "binary" })
  .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..")
const filePath = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join("/")}`)

describe("Location.parse", () => {
  it("takes keys of object stores as they are", () => {
    fc.assert(
      fc.property(protocol, key, (protocol, key) => {
        assert.deepStrictEqual(parse(`${protocol}://bucket/${key}`), Location.absolute(protocol, `bucket/${key}`))
      })
    )
    for (const key of [
      "a//b",
      "a/../b",
      "./a",
      "a%20b",
      "a%2Fb",
      "a?versionId=1",
      "a#b",
      "日本/🧊.nc",
      " a b ",
      "/a",
      "a/"
    ]) {
      assert.deepStrictEqual(parse(`s3://bucket/${key}`), Location.absolute("s3", `bucket/${key}`))
    }
  })

  it("gives back what was formatted", () => {
    const locations = fc.oneof(
      fc.tuple(protocol, key).map(([protocol, key]) => Location.absolute(protocol, `bucket/${key}`)),
      filePath.map((path) => Location.absolute("file", path)),
      fc.tuple(segment, key).map(([container, path]) => Location.relative(container, path))
    )
    fc.assert(
      fc.property(locations, (location) => {
        const text = Location.format(location)
        if (Buffer.byteLength(text) <= 1024) assert.deepStrictEqual(parse(text), location)
      })
    )
  })

  it("formats what it parsed to a text that means the same", () => {
    fc.assert(
      fc.property(fc.oneof(protocol, fc.constantFrom("file", "fs", "GS", "vcc")), key, (protocol, key) => {
        const once = Location.parse(`${protocol}:///x/${key}`)
        if (Result.isSuccess(once)) assert.deepStrictEqual(parse(Location.format(once.success)), once.success)
      })
    )
  })

  it("knows `gs` and `fs` as aliases, and protocols in any case", () => {
    assert.deepStrictEqual(parse("gs://bucket/Key"), Location.absolute("gcs", "bucket/Key"))
    assert.deepStrictEqual(parse("GS://bucket/Key"), Location.absolute("gcs", "bucket/Key"))
    assert.deepStrictEqual(parse("S3://Bucket/Key"), Location.absolute("s3", "Bucket/Key"))
    assert.deepStrictEqual(parse("fs:///Data/A"), Location.absolute("file", "/Data/A"))
    assert.deepStrictEqual(parse("File:///Data/A"), Location.absolute("file", "/Data/A"))
    assert.strictEqual(Location.format(parse("gs://bucket/key")), "gcs://bucket/key")
    assert.strictEqual(Location.format(parse("FS:///data/a")), "file:///data/a")
    assert.strictEqual(Location.canonicalProtocol("Gs"), "gcs")
    assert.strictEqual(Location.canonicalProtocol("Models"), "models")
  })

  it("splits at the first `://` only", () => {
    assert.deepStrictEqual(parse("s3://bucket/s3://other"), Location.absolute("s3", "bucket/s3://other"))
  })

  it("reads `vcc` as a place in a named container, whatever its case and key", () => {
    assert.deepStrictEqual(parse("vcc://model/a/b"), Location.relative("model", "a/b"))
    assert.deepStrictEqual(parse("VCC://Model/a"), Location.relative("Model", "a"))
    assert.deepStrictEqual(parse("vcc://model//a/../b%20?#"), Location.relative("model", "/a/../b%20?#"))
  })

  it.each([
    ["", "no `protocol://`"],
    ["bucket/key", "no `protocol://`"],
    ["s3:/bucket/key", "no `protocol://`"],
    ["/data/a.nc", "no `protocol://`"],
    ["://bucket/key", "protocol is empty"],
    ["a/b://c", "protocol contains `/`"],
    ["s3://", "names no bucket"],
    ["models://", "names no bucket"],
    ["vcc://", "names no container"],
    ["vcc:///key", "names no container"],
    ["vcc://model", "no object in it"],
    ["vcc://model/", "no object in it"],
    ["s3://bucket/\ud800", "not well-formed Unicode"],
    ["file://", "absolute path and no host"],
    ["file://localhost/data", "absolute path and no host"],
    ["file://data/a.nc", "absolute path and no host"],
    ["fs://./a", "absolute path and no host"],
    ["file:///", "names a directory"],
    ["file:///.", "names a directory"],
    ["file:////a/..//", "names a directory"],
    ["file:///..", "above the root"],
    ["file:///a/../../b", "above the root"],
    ["file:///%2e%2e/b", "above the root"],
    ["file:///a/%2E%2e/.%2e/b", "above the root"],
    ["file:///..%2fb", "above the root"],
    ["file:///a%00b", "no NUL"],
    ["file:///a\0b", "no NUL"],
    ["file:///100%", "no percent-encoded character"],
    ["file:///%zz", "no percent-encoded character"],
    ["file:///%ff", "no percent-encoded character"],
    ["file:///%ed%a0%80", "no percent-encoded character"]
  ])("refuses `%s`", (text, problem) => {
    const error = refusal(text)
    assert.strictEqual(error._tag, "InvalidLocation")
    assert.strictEqual(error.location, text)
    assert.include(error.problem, problem)
    assert.include(error.message, `\`${text}\``)
    assert.include(error.message, problem)
    assert.include(error.message, "Write it as `protocol://bucket/key`")
  })

  it("normalises files: percent-decoded once, without empty, `.` and `..` segments", () => {
    for (const [text, path] of [
      ["file:///a//b/./c/", "/a/b/c"],
      ["file:///a/x/../b", "/a/b"],
      ["file:///a/x/%2e%2E/b", "/a/b"],
      ["file:///a%20b/%C3%A9", "/a b/é"],
      ["file:///a b", "/a b"],
      ["file:///100%25", "/100%"],
      ["file:///%252e%252e/a", "/%2e%2e/a"],
      ["file:///a%2Fb", "/a/b"],
      ["file:///a?b#c", "/a?b#c"],
      ["file:///a%3Fb%23c", "/a?b#c"],
      ["file:///.../..a", "/.../..a"]
    ] as const) {
      assert.deepStrictEqual(parse(text), Location.absolute("file", path), text)
    }
  })

  it("never leaves a `..`, `.` or empty segment in a file path, and normalising again changes nothing", () => {
    const text = fc
      .array(fc.constantFrom("/", "/", "..", ".", "%2e", "%2F", "%5c", "a", "é", "%25", "%252e", " ", "%20"), {
        maxLength: 14
      })
      .map((parts) => `/${parts.join("")}`)
    fc.assert(
      fc.property(text, (text) => {
        const normalised = Location.normaliseFilePath(text)
        if (Result.isFailure(normalised)) return
        const segments = normalised.success.split("/")
        assert.strictEqual(segments[0], "")
        for (const segment of segments.slice(1)) assert.notInclude(["", ".", ".."], segment)
        const encoded = normalised.success.replaceAll("%", "%25")
        assert.deepStrictEqual(Location.normaliseFilePath(encoded), normalised)
      })
    )
  })

  it("takes 1,024 bytes of UTF-8 and no more", () => {
    const fits = `s3://b/${"a".repeat(1017)}`
    assert.isTrue(Result.isSuccess(Location.parse(fits)))
    assert.include(refusal(`${fits}a`).problem, "longer than 1024 bytes")
    // 3 bytes a character, though each is one UTF-16 unit.
    const wide = `s3://bb/${"語".repeat(338)}`
    assert.strictEqual(Buffer.byteLength(wide), 1022)
    assert.isTrue(Result.isSuccess(Location.parse(wide)))
    assert.include(refusal(`${wide}語`).problem, "longer than 1024 bytes")
  })
})

describe("Location.fromDrivePath", () => {
  it("is how Windows paths are written in locations", () => {
    for (const text of ["file://C:\\data\\a.nc", "file://c:/data/a.nc", "file:///C:/data/a.nc"]) {
      assert.deepStrictEqual(parse(text), Location.absolute("file", "/C:/data/a.nc"))
    }
    for (const path of ["/c:/data", "/data\\a", "data", "host:/data", "c:data", ""]) {
      assert.strictEqual(Location.fromDrivePath(path), path)
    }
  })
})

describe("Location.bucketAndKey", () => {
  it("splits at the first slash and keeps all others", () => {
    assert.deepStrictEqual(Location.bucketAndKey("bucket/a//b/"), { bucket: "bucket", key: "a//b/" })
    assert.deepStrictEqual(Location.bucketAndKey("bucket//a"), { bucket: "bucket", key: "/a" })
    assert.deepStrictEqual(Location.bucketAndKey("bucket"), { bucket: "bucket", key: "" })
    assert.deepStrictEqual(Location.bucketAndKey("bucket/"), { bucket: "bucket", key: "" })
  })
})

describe("Location.shown", () => {
  it("leaves out what may be secret in a URL of the web, and shows keys of stores as they are", () => {
    for (const [location, shown] of [
      ["https://host/a.nc?sig=1&b=2#c", "https://host/a.nc?..."],
      ["HTTP://anna:word@host/a.nc#c", "HTTP://host/a.nc#..."],
      ["https://host/a@b.nc", "https://host/a@b.nc"],
      ["https://host?x=a@b", "https://host?..."],
      ["s3://bucket/a?b#c", "s3://bucket/a?b#c"],
      ["file:///a@b?c", "file:///a@b?c"]
    ] as const) {
      assert.strictEqual(Location.shown(location), shown)
    }
  })
})
