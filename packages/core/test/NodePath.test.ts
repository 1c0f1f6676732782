import { assert, describe, it } from "@effect/vitest"
import * as NodePath from "@effect-icechunk/core/NodePath"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const path = (text: string): NodePath.NodePath => Result.getOrThrow(NodePath.parse(text))
const segment = fc
  .string({ minLength: 1, maxLength: 6, unit: "grapheme" })
  .filter((text) => !text.includes("/") && text !== "." && text !== "..")
const segments = fc.array(segment, { maxLength: 4 })
/** Texts around the place where UTF-16 and UTF-8 order differ. */
const edgy = fc.string({
  maxLength: 6,
  unit: fc.constantFrom("a", "/", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{1f9ca}", "\u{10ffff}")
})

describe("NodePath", () => {
  it("parses absolute paths and Zarr keys to the same path", () => {
    fc.assert(
      fc.property(segments, (names) => {
        const absolute = path(`/${names.join("/")}`)
        assert.strictEqual(path(names.join("/")), absolute)
        assert.deepStrictEqual(NodePath.segments(absolute), names)
        assert.strictEqual(NodePath.name(absolute), names.at(-1) ?? "")
        assert.strictEqual(names.reduce<NodePath.NodePath>(NodePath.child, NodePath.root), absolute)
      })
    )
  })

  it("refuses empty, `.` and `..` segments, a last `/` and unpaired surrogates", () => {
    for (const text of ["//", "/a/", "a//b", "/a/./b", "../a", "/..", ".", "a/..", "//a", "\ud800", "/a/\udc00b"]) {
      assert.isTrue(Result.isFailure(NodePath.parse(text)), `\`${text}\` is refused`)
    }
    for (const text of ["", "/", "/...", "/.a", "/a b", "/%2F"]) assert.isTrue(Result.isSuccess(NodePath.parse(text)))
  })

  it("knows its parent, and lies below all its ancestors and no others", () => {
    fc.assert(
      fc.property(segments, segments, (a, b) => {
        const [left, right] = [path(a.join("/")), path(b.join("/"))]
        const below = b.length < a.length && b.every((name, i) => a[i] === name)
        assert.strictEqual(NodePath.isBelow(left, right), below)
        const parent = NodePath.parent(left)
        if (a.length === 0) assert.isUndefined(parent)
        else assert.strictEqual(parent, path(a.slice(0, -1).join("/")))
      })
    )
    assert.isFalse(NodePath.isBelow(path("/ab"), path("/a")))
  })

  it("sorts by the bytes of UTF-8", () => {
    const agree = (a: string, b: string): void =>
      assert.strictEqual(Math.sign(NodePath.compare(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
    fc.assert(fc.property(edgy, edgy, agree))
    fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), agree))
    assert.isBelow(NodePath.compare("/\uffff", "/\u{10000}"), 0)
    assert.deepStrictEqual(["/\u{10000}", "/\uffff"].toSorted(), ["/\u{10000}", "/\uffff"], "JavaScript's own order")
  })

  it("sorts moves segment by segment, a node before all that lies below it", () => {
    fc.assert(
      fc.property(segments, segments, (a, b) => {
        const [left, right] = [path(a.join("/")), path(b.join("/"))]
        const order = Math.sign(NodePath.compareSegments(left, right))
        assert.strictEqual(order, -Math.sign(NodePath.compareSegments(right, left)))
        if (NodePath.isBelow(right, left)) assert.strictEqual(order, -1)
        if (order === 0) assert.strictEqual(left, right)
      })
    )
    const sorted = ["/", "/a", "/a/b", "/a/c", "/a-b", "/a-b/c", "/b"].map(path)
    assert.deepStrictEqual(sorted.toReversed().toSorted(NodePath.compareSegments), sorted)
    assert.isAbove(NodePath.compare("/a/b", "/a-b"), 0)
  })
})
