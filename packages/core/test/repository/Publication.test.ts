import { assert, describe, it } from "@effect/vitest"
import * as Publication from "../../src/repository/config/Publication.ts"
import type { Json, JsonObject } from "../../src/values/Json.ts"
import * as fc from "fast-check"

const { isSettled, publication, same, updatedBase } = Publication

const small = fc.constantFrom<Json>(1, 2, 3)
const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })
const withoutUndefined = (fields: Readonly<Record<string, Json | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

const settings = fc
  .record({
    inline_chunk_threshold_bytes: optional(small),
    compression: optional(fc.record({ level: optional(small), algorithm: optional(small) }).map(withoutUndefined)),
    manifest: optional(
      fc
        .record({
          preload: optional(
            fc
              .record({
                max_total_refs: optional(small),
                preload_if: optional(fc.constantFrom<Json>("true", { and: ["true"] }, { or: ["true"] }, { or: [] }))
              })
              .map(withoutUndefined)
          ),
          splitting: optional(fc.constantFrom<Json>({ split_sizes: [] }, { split_sizes: [["any_array", []]] }))
        })
        .map(withoutUndefined)
    )
  })
  .map(withoutUndefined)

const entry = (name: string | null, prefix: string, region: Json): JsonObject => ({
  name,
  url_prefix: prefix,
  store: { s3: { region } }
})
const prefixes = fc.constantFrom("s3://a/", "s3://b/", "s3://c/")

/** What `IcechunkConfig.publishable` makes. */
const ours: fc.Arbitrary<JsonObject> = fc
  .tuple(settings, fc.dictionary(fc.constantFrom("a", "b", "c"), fc.tuple(prefixes, small), { noNullPrototype: true }))
  .map(([fields, all]): JsonObject => {
    const containers = Object.entries(all).map(
      ([name, [prefix, region]]) => [name, entry(name, prefix, region)] as const
    )
    return Object.assign(
      fields,
      containers.length === 0 ? {} : { virtual_chunk_containers: Object.fromEntries(containers) }
    )
  })

/** What a repository object carries: entries by prefix, some without a name, and what only other clients know. */
const theirs: fc.Arbitrary<JsonObject> = fc
  .tuple(
    settings,
    fc.dictionary(prefixes, fc.tuple(fc.constantFrom("a", "b", "other", null), small), { noNullPrototype: true }),
    optional(small)
  )
  .map(([fields, all, caching]): JsonObject => {
    const names = new Set<string | null>()
    const containers = Object.entries(all).flatMap(([prefix, [name, region]]) => {
      if (name !== null && names.has(name)) return []
      names.add(name)
      return [[prefix, entry(name, prefix, region)] as const]
    })
    return Object.assign(
      fields,
      caching === undefined ? {} : { caching: { num_chunk_refs: caching } },
      containers.length === 0 ? {} : { virtual_chunk_containers: Object.fromEntries(containers) }
    )
  })

type Leaves = ReadonlyMap<string, Json>

/** Fields by path; a container by its name, and those without one by their place. */
const leaves = (json: JsonObject): Leaves => {
  const found = new Map<string, Json>()
  const walk = (path: string, value: Json): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value) || path.endsWith("preload_if")) {
      found.set(path, value)
      return
    }
    for (const [name, inner] of Object.entries(value)) {
      if (path === "/virtual_chunk_containers") {
        const named = (inner as JsonObject)["name"]
        found.set(typeof named === "string" ? `container ${named}` : `unnamed ${name}`, inner)
      } else walk(`${path}/${name}`, inner)
    }
  }
  walk("", json)
  return found
}

describe("publication", () => {
  it("gives each field to config.json where it is as it was published, and to others where it is not", () => {
    fc.assert(
      fc.property(ours, ours, theirs, (base, next, there) => {
        const result = leaves(publication([base], next, there))
        const [b, o, t] = [leaves(base), leaves(next), leaves(there)]
        for (const path of new Set([...b.keys(), ...o.keys(), ...t.keys()])) {
          const isOurs = (b.has(path) || o.has(path)) && same(b.get(path), t.get(path))
          assert.deepStrictEqual(result.get(path), isOurs ? o.get(path) : t.get(path), path)
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("done again after it is noted changes nothing, whatever others do", () => {
    fc.assert(
      fc.property(fc.array(ours, { maxLength: 3 }), ours, theirs, (base, next, there) => {
        const once = publication(base, next, there)
        assert.strictEqual(publication([next], next, once), once)
        assert.strictEqual(publication([next], next, there), there)
      })
    )
  })

  it("is what was asked for when nobody else changed anything", () => {
    fc.assert(
      fc.property(ours, ours, (before, after) => {
        const first = publication([], before, {})
        const second = publication([before], after, first)
        assert.deepStrictEqual(leaves(second), leaves(after))
      })
    )
  })

  it("removes what was removed, in sections too, and leaves no empty section", () => {
    assert.deepStrictEqual(
      publication(
        [
          {
            inline_chunk_threshold_bytes: 1,
            compression: { level: 3, algorithm: "zstd" },
            manifest: { splitting: { split_sizes: [] } }
          }
        ],
        { compression: { algorithm: "zstd" } },
        {
          inline_chunk_threshold_bytes: 1,
          compression: { level: 3, algorithm: "zstd" },
          manifest: { splitting: { split_sizes: [] } },
          caching: {}
        }
      ),
      { compression: { algorithm: "zstd" }, caching: {} }
    )
  })

  it("keeps what another client changed, removed or added, and null is not set", () => {
    const base = { inline_chunk_threshold_bytes: 1, max_concurrent_requests: 5 }
    const there = { inline_chunk_threshold_bytes: 2, compression: { level: null, algorithm: null } }
    assert.deepStrictEqual(publication([base], { ...base, compression: { level: 4 } }, there), {
      ...there,
      compression: { level: 4, algorithm: null }
    })
  })

  it("never mixes the two kinds of a condition", () => {
    const preload = (preload_if: Json): JsonObject => ({ manifest: { preload: { preload_if } } })
    const there = preload({ and: ["true", "false"] })
    assert.strictEqual(publication([preload({ and: ["true"] })], preload({ or: ["true"] }), there), there)
  })

  it("keeps entries that are malformed, and what is no map at all", () => {
    const odd = { virtual_chunk_containers: { "x://odd/": 5, "s3://n/": { name: 7 } } }
    const next = { virtual_chunk_containers: { a: entry("a", "s3://a/", null) } }
    assert.deepStrictEqual(publication([], next, odd), {
      virtual_chunk_containers: { ...odd.virtual_chunk_containers, "s3://a/": entry("a", "s3://a/", null) }
    })
    const none = { virtual_chunk_containers: [] }
    assert.strictEqual(publication([], {}, none), none)
  })
})

describe("what an update notes", () => {
  it("makes the fields that it changes ours, whatever they were, and no others", () => {
    fc.assert(
      fc.property(ours, ours, theirs, (before, after, there) => {
        const base = updatedBase([before], before, after, there)
        const result = leaves(publication(base, after, there))
        const [b, a, t] = [leaves(before), leaves(after), leaves(there)]
        for (const path of new Set([...b.keys(), ...a.keys(), ...t.keys()])) {
          const isChanged = !same(b.get(path), a.get(path))
          assert.deepStrictEqual(result.get(path), isChanged ? a.get(path) : t.get(path), path)
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("publishes the last of several updates, whichever of them somebody has published meanwhile", () => {
    fc.assert(
      fc.property(ours, fc.array(ours, { minLength: 1, maxLength: 5 }), fc.nat(), (first, updates, which) => {
        const published = publication([], first, {})
        let base: Publication.Base = [first]
        const states = [published]
        let before = first
        for (const after of updates) {
          base = updatedBase(base, before, after, published)
          states.push(publication(base, after, published))
          before = after
        }
        const meanwhile = states[which % states.length]!
        assert.deepStrictEqual(leaves(publication(base, before, meanwhile)), leaves(before))
      }),
      { numRuns: 1000 }
    )
  })

  it("leaves to others what they change after it", () => {
    const first = { inline_chunk_threshold_bytes: 1 }
    const after = { inline_chunk_threshold_bytes: 2 }
    const base = updatedBase([first], first, after, first)
    const there = { inline_chunk_threshold_bytes: 3 }
    assert.strictEqual(publication(base, after, there), there)
    assert.deepStrictEqual(
      publication(
        updatedBase(base, after, { inline_chunk_threshold_bytes: 4 }, there),
        { inline_chunk_threshold_bytes: 4 },
        there
      ),
      {
        inline_chunk_threshold_bytes: 4
      }
    )
  })

  it("is bounded, and settled only by what is published", () => {
    let base: Publication.Base = []
    for (let i = 0; i < 200; i++) {
      base = updatedBase(base, { inline_chunk_threshold_bytes: i }, { inline_chunk_threshold_bytes: i + 1 }, {})
    }
    assert.isAtMost(base.length, 20)
    assert.isFalse(isSettled(base, { inline_chunk_threshold_bytes: 200 }))
    assert.isTrue(isSettled([{ a: 1, b: null }], { a: 1 }))
    assert.isTrue(isSettled([], {}))
    assert.isFalse(isSettled([], { a: 1 }))
  })
})
