/**
 * What a page loads that opens a repository and reads it through zarrita: how much, and nothing that writes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { besides, loadedOf, readingPage } from "../../scripts/webPage.ts"

const loaded = (repository: "ReadonlyRepository" | "Repository") =>
  Effect.promise(() => loadedOf({ text: readingPage(repository), directory: import.meta.dirname, external: besides }))

/** What few readers need, which is loaded when it is asked for. */
const onDemand =
  /\/(?:ChunkStream|Spec1|Spec1Refs|Spec1History|ConfigYaml|SessionQueries|Dependencies|LocationQuery|Glob|History|ZarrStore|ChunkResolver|ContainerMatch|ContainerStores|ContainerAccess|CredentialsPolicy|ObjectPlace|VirtualReadError|Msgpack|ConfigJson|ConfigShape|ConfigFields|Shape|IcechunkSettings|IcechunkConfig|Location|VirtualChunkContainer|MetadataAddress|Endpoint|LoadedStore)\.ts$/

/**
 * Modules that are there to write, and packages that only those need. `FlatWriter` is not one of them: what was read of a
 * history is kept in tables.
 */
const writers =
  /\/(?:FlatBuilder|SnapshotWriter|ManifestWriter|TextPlaces|PlainDirectory|ArrayRefsWriter|MergedRefs|EffectiveRows|ChunkRefColumns|TransactionLog|AssetWrites|WritableSession|VirtualRefs|Creation|Publication|ConfigControl|SplitExpressions|OwnWrite|RandomId|Commit|SessionCommits|Uncommitted|ManifestSplit|Repository|ChangedSnapshot|ChangeSet)\.ts$|\/re2js\//

describe("a page that only reads", () => {
  let plain = 0

  it.live("loads nothing that writes or that few need, and less than 40 kB besides `effect` and zarrita", () =>
    Effect.gen(function* () {
      const { later, modules, size } = yield* loaded("ReadonlyRepository")
      const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`
      console.log(
        [
          `A page that only reads: ${kilobytes(size)}, minified and compressed, to open a repository and read chunks.`,
          ...later.map(({ module, size }) => `  ${kilobytes(size)} more when it needs ${module}`)
        ].join("\n")
      )
      assert.include(modules, "packages/core/src/repository/ReadonlyRepository.ts")
      assert.deepStrictEqual(
        modules.filter((module) => writers.test(`/${module}`) || onDemand.test(module)),
        []
      )
      assert.includeMembers(
        later.map(({ module }) => module),
        ["Configs", "Queries", "Virtual"].map((name) => `packages/core/src/repository/${name}.ts`)
      )
      assert.isTrue(later.some(({ module }) => module.startsWith("yaml/")))
      assert.isBelow(size, 40_000)
      plain = size
    })
  )

  it.live("and reads over HTTP, its chunks in public buckets too, loads less than 13 kB more", () =>
    Effect.gen(function* () {
      const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`
      const of = (exports: string) =>
        Effect.promise(() =>
          loadedOf({
            text: `${exports}\n${readingPage("ReadonlyRepository")}`,
            directory: import.meta.dirname,
            external: besides
          })
        )
      const store = `export { layer } from "@effect-icechunk/http/HttpObjectStore"`
      const platforms = `export { anonymousGcs, anonymousS3, make } from "@effect-icechunk/http/HttpPlatform"`
      const alone = yield* of(store)
      const all = yield* of(`${store}\n${platforms}`)
      console.log(
        `  ${kilobytes(alone.size - plain)} more with a store over HTTP, ${kilobytes(all.size - plain)} with its platforms`
      )
      // A store over HTTP looks at addresses itself.
      assert.deepStrictEqual(
        all.modules.filter((module) => writers.test(`/${module}`) || onDemand.test(module)),
        ["Endpoint", "MetadataAddress"].map((name) => `packages/core/src/values/${name}.ts`)
      )
      assert.isBelow(alone.size - plain, 11_000)
      assert.isBelow(all.size - plain, 13_000)
      assert.deepStrictEqual(
        all.later.map(({ module }) => module),
        alone.later.map(({ module }) => module)
      )
    })
  )

  it.live("and shows the history and the status of a repository loads nothing that writes either", () =>
    Effect.gen(function* () {
      const history = `
        export { ancestry, graph, operations, snapshot } from "@effect-icechunk/core/History"
        export { featureFlags, metadata, status } from "@effect-icechunk/core/RepositoryState"
        ${readingPage("ReadonlyRepository")}
      `
      const { modules, size } = yield* Effect.promise(() =>
        loadedOf({ text: history, directory: import.meta.dirname, external: besides })
      )
      assert.include(modules, "packages/core/src/repository/versions/OperationsLog.ts")
      assert.deepStrictEqual(
        modules.filter((module) => writers.test(`/${module}`)),
        []
      )
      assert.isBelow(size - plain, 4000)
      console.log(`  ${((size - plain) / 1000).toFixed(1)} kB more with its history and status`)
    })
  )

  it.live("would be found to load what writes", () =>
    Effect.gen(function* () {
      const { modules } = yield* loaded("Repository")
      const found = modules.filter((module) => writers.test(`/${module}`))
      assert.include(found, "packages/core/src/repository/WritableSession.ts")
      assert.isAbove(found.length, 15)
    })
  )
})
