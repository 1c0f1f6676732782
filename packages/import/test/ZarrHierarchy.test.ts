import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ObjectStoreError, ZarritaStore } from "@effect-icechunk/core"
import { Import, SourceFile, ZarrHierarchy } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import * as World from "./support/World.ts"

interface Written {
  readonly objects: Readonly<Record<string, string>>
  readonly expected: Readonly<Record<string, ReadonlyArray<unknown>>>
}

/** What zarr-python 2.13 wrote, and read again. */
const { expected, objects } = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, "files/written/zarr2.json"), "utf8")
) as Written

const written = Effect.gen(function* () {
  const world = yield* World.make
  for (const [key, text] of Object.entries(objects)) {
    yield* world.put(`z/${key}`, new Uint8Array(Buffer.from(text, "base64")))
  }
  return { ...world, root: SourceFile.make(world.objects, "bucket/z", "s3://bucket/z") }
})

const plain = (value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : Number.isNaN(value) ? "NaN" : value

/** Arrays whose rows zarrita gives in the order that they are stored in. */
const values = Effect.fnUntraced(function* (session: World.World["session"], at: string) {
  const store = yield* ZarritaStore.make(session)
  return yield* Effect.promise(async () => {
    const array = await zarr.open.v3(zarr.root(store).resolve(at), { kind: "array" })
    const read: unknown = await zarr.get(array)
    const data = array.shape.length === 0 ? [read] : (read as { data: Iterable<unknown> }).data
    return Array.from(data, plain)
  })
})

describe("ZarrHierarchy", () => {
  it.effect("reads what zarr-python wrote as Zarr 2, value by value, with and without consolidated metadata", () =>
    Effect.gen(function* () {
      const { objects: store, root, session } = yield* written
      for (const at of ["/with", "/without"]) {
        const dataset = yield* ZarrHierarchy.dataset(root)
        yield* Import.into(session, at, dataset)
        assert.deepStrictEqual(
          dataset.skipped.map(({ path, reason }) => [path, reason]),
          [["/pickled", "filter"]]
        )
        for (const [array, wanted] of Object.entries(expected)) {
          // zarrita keeps the order of columns.
          const got = yield* values(session, `${at}${array}`)
          const isColumns = array === "/fortran" || array === "/deltaF"
          const rows = isColumns ? wanted.map((_, i) => wanted[(i % 5) * 7 + Math.floor(i / 5)]) : wanted
          assert.deepStrictEqual(got, rows, array)
        }
        const { attributes } = yield* World.read(session, `${at}/sparse`)
        assert.deepStrictEqual(attributes, { odd: "NaN", _FillValue: "AAAAAAAA+H8=" })
        yield* Effect.orDie(store.delete(["bucket/z/.zmetadata"]))
      }
    })
  )

  it.effect("reads stores that list nothing, and asks for chunks on demand", () =>
    Effect.gen(function* () {
      const { root, session } = yield* written
      const { store } = root
      const list = (prefix: string) =>
        Stream.fail(
          new ObjectStoreError.ObjectStoreError({
            store: store.description,
            operation: "list",
            key: prefix,
            reason: new ObjectStoreError.Unsupported({ detail: "it is a test" })
          })
        )
      const silent = { ...root, store: { ...store, list } }
      const grid = yield* ZarrHierarchy.dataset(silent)
      assert.deepStrictEqual(
        grid.arrays.map(({ path }) => path),
        ["/plain", "/scalar"]
      )
      const dataset = yield* ZarrHierarchy.dataset(silent, { chunks: "head" })
      yield* Import.into(session, "/", dataset)
      assert.deepStrictEqual(yield* values(session, "/sparse"), [...expected["/sparse"]!])
      assert.deepStrictEqual(yield* values(session, "/sub/inner"), [...expected["/sub/inner"]!])
    })
  )

  it.effect("refuses an Icechunk repository, and a directory without Zarr", () =>
    Effect.gen(function* () {
      const { objects: store, put } = yield* World.make
      yield* put("i/repo", Uint8Array.of(1))
      for (const [key, text] of [
        ["i", "Icechunk"],
        ["n", "neither"]
      ] as const) {
        const error = yield* Effect.flip(
          ZarrHierarchy.dataset(SourceFile.make(store, `bucket/${key}`, `s3://bucket/${key}`))
        )
        assert.strictEqual(error._tag, "WrongFormat")
        assert.include(error.message, text)
      }
    })
  )
})
