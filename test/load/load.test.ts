/**
 * What is loaded by a program that imports `core` and `fs`. Every module takes Node half a millisecond, before the
 * program does anything.
 */
import { execFile } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Modules of packages by their specifier, other than those of the packages of this repository. */
const nameOf = (url: string): string => {
  if (!url.startsWith("file:")) return url
  const file = fileURLToPath(url).replaceAll(path.sep, "/")
  const at = file.lastIndexOf("/node_modules/")
  return at < 0
    ? path.relative(path.resolve(import.meta.dirname, "../.."), file).replaceAll(path.sep, "/")
    : file.slice(at + "/node_modules/".length).replace(/^effect\/(?:dist|src)\/(.*)\.[jt]s$/, "effect/$1")
}

/** Every module that is loaded for these, with the way that leads there. */
const loadedFor = (...specifiers: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.promise(async () => {
    const program = path.join(import.meta.dirname, "loaded.ts")
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--conditions=@effect-icechunk/source", program, ...specifiers],
      { maxBuffer: 16 * 1024 * 1024 }
    )
    const importers = new Map(JSON.parse(stdout) as ReadonlyArray<readonly [url: string, importer: string | undefined]>)
    const way = (url: string): string => {
      const importer = importers.get(url)
      return importer === undefined || importer === null ? nameOf(url) : `${nameOf(url)} <- ${way(importer)}`
    }
    return new Map([...importers.keys()].map((url) => [nameOf(url), way(url)]))
  })

/**
 * What opening, reading and committing do without: schemas and all that they bring, which takes as long as the rest
 * of Effect; what is for a single option or for programs of another kind.
 */
const avoidable =
  /^(?:effect\/(?:Schema\w*|RequestResolver|Random|Config|ConfigProvider|(?:persistence|sql|http|net|crypto|reactivity)\/.*)|re2js\/.*|vitest\/.*|@effect\/.*|node:(?:zlib|worker_threads|child_process|http|https|net|stream))$/

const assertNone = (loaded: ReadonlyMap<string, string>): void => {
  const found = [...loaded].filter(([name]) => avoidable.test(name)).map(([, way]) => way)
  assert.deepStrictEqual(found, [], "Import types only, or load it where it is needed.")
}

describe("importing", () => {
  it.live("core and fs loads no schemas, and nothing else that opening and reading do without", () =>
    Effect.gen(function* () {
      const loaded = yield* loadedFor("@effect-icechunk/core", "@effect-icechunk/fs")
      assert.include([...loaded.keys()], "packages/core/src/repository/Repository.ts")
      assert.include([...loaded.keys()], "packages/fs/src/FsObjectStore.ts")
      assertNone(loaded)
    })
  )

  it.live("a module that does would be found, with the way that leads there", () =>
    Effect.gen(function* () {
      const loaded = yield* loadedFor("@effect-icechunk/core/schema/ErrorSchema")
      assert.match(
        loaded.get("effect/Schema") ?? "",
        /^effect\/Schema <- packages\/core\/src\/schema\/ErrorSchema\.ts <- /
      )
      assert.throws(() => assertNone(loaded))
    })
  )
})
