import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Shape from "../../src/values/Shape.ts"

interface Tree {
  readonly value: number
  readonly below?: ReadonlyArray<Tree> | undefined
}

const tree: Shape.Shape<Tree> = Shape.fields({
  value: Shape.whole(0, 9),
  below: Shape.optional(Shape.list(Shape.later(() => tree)))
})

const problem = (shape: Shape.Shape, value: unknown): string => {
  const { path, problem } = Result.getOrThrow(Result.flip(Shape.read(shape, value)))
  return `${path.join(".")}: ${problem}`
}

describe("Shape.read", () => {
  it("copies objects and lists, without the fields that the shape does not have", () => {
    const value = JSON.parse(
      '{ "value": 1, "below": [{ "value": 2, "other": 3 }], "__proto__": { "value": 9 } }'
    ) as Tree
    const read = Result.getOrThrow(Shape.read(tree, value))
    assert.deepStrictEqual(read, { value: 1, below: [{ value: 2 }] })
    assert.notStrictEqual(read.below, value.below)
  })

  it("takes fields of the object alone, not of its prototype", () => {
    assert.strictEqual(problem(Shape.fields({ constructor: Shape.any }), {}), "constructor: it is missing")
    const polluted: unknown = Object.create({ value: 1 })
    assert.strictEqual(problem(tree, polluted), "value: it is missing")
  })

  it("keeps a field named `__proto__` where any may be", () => {
    const value: unknown = JSON.parse('{ "__proto__": 1 }')
    const read = Result.getOrThrow(Shape.read(Shape.record, value))
    assert.strictEqual(JSON.stringify(read), '{"__proto__":1}')
    assert.notStrictEqual(read, value)
  })

  it.each<readonly [Shape.Shape, unknown, string]>([
    [tree, [], ": it is not an object with `value`"],
    [tree, null, ": it is not an object with `value`"],
    [tree, { value: 1, below: [{ value: 10 }] }, "below.0.value: it is not a whole number from 0 to 9"],
    [tree, { value: 1, below: {} }, "below: it is not a list"],
    [Shape.whole(1), 2 ** 53, ": it is not a whole number, 1 or more"],
    [Shape.whole(0), "1", ": it is not a whole number, 0 or more"],
    [Shape.whole(0), Number.NaN, ": it is not a whole number, 0 or more"],
    [Shape.text, 1, ": it is not a text"],
    [Shape.flag, "true", ": it is not `true` or `false`"],
    [Shape.oneOf("a", "b"), "c", ": it is not `a` or `b`"],
    [Shape.tuple(Shape.text, Shape.text), ["a"], ": it is not a list of 2"],
    [Shape.tuple(Shape.text, Shape.text), ["a", 1], "1: it is not a text"],
    [Shape.record, [], ": it is not an object"],
    [Shape.nullable(Shape.text), 1, ": it is not a text or `null`"]
  ])("says where and why a value does not fit (%#)", (shape, value, said) => {
    assert.strictEqual(problem(shape, value), said)
  })

  it("speaks of the member of a union that was meant", () => {
    const shape = Shape.union(
      Shape.oneOf("any"),
      Shape.fields({ axis: Shape.whole(0) }),
      Shape.fields({ name: Shape.text })
    )
    assert.strictEqual(problem(shape, { name: 1 }), "name: it is not a text")
    assert.strictEqual(problem(shape, { axis: -1 }), "axis: it is not a whole number, 0 or more")
    assert.strictEqual(
      problem(shape, { nome: 1 }),
      ": it is not `any` or an object with `axis` or an object with `name`"
    )
    assert.strictEqual(problem(shape, "all"), ": it is not `any` or an object with `axis` or an object with `name`")
  })
})
