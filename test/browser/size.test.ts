/**
 * What a page loads that opens a repository and reads it through zarrita: how much, and nothing that writes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { loadedOf } from "./Bundle.ts"

const page = (repository: "ReadonlyRepository" | "Repository"): string => `
  import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
  import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
  import * as Platform from "@effect-icechunk/core/Platform"
  import * as ${repository} from "@effect-icechunk/core/${repository}"
  import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
  import * as Effect from "effect/Effect"
  import * as Layer from "effect/Layer"

  export const open = (store, branch) =>
    Effect.gen(function* () {
      const repository = yield* ${repository}.open()
      return ZarritaStore.fromSession(yield* repository.readonlySession({ branch }))
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, BrowserZstd.layer)
      )
    )
`

/** What few readers need, which is loaded when it is asked for. */
const onDemand =
  /\/(?:ChunkStream|Spec1|Spec1Refs|Spec1History|ConfigYaml|SessionQueries|Dependencies|LocationQuery|Glob|History|ZarrStore)\.ts$/

/** What the page has anyhow. */
const external = ["effect", "effect/*", "zarrita"]

/**
 * Modules that are there to write, and packages that only those need. `FlatWriter` is not one of them: what was read of a
 * history is kept in tables.
 */
const writers =
  /\/(?:FlatBuilder|SnapshotWriter|ManifestWriter|TextPlaces|PlainDirectory|ArrayRefsWriter|MergedRefs|EffectiveRows|ChunkRefColumns|TransactionLog|AssetWrites|WritableSession|VirtualRefs|Creation|Publication|ConfigControl|SplitExpressions|OwnWrite|RandomId|Commit|ManifestSplit|Repository|ChangedSnapshot|ChangeSet)\.ts$|\/(?:flatbuffers|re2js)\//

describe("a page that only reads", () => {
  it.live("loads nothing that writes or that few need, and less than 47.5 kB besides `effect` and zarrita", () =>
    Effect.gen(function* () {
      const { later, modules, size } = yield* Effect.promise(() => loadedOf(page("ReadonlyRepository"), external))
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
      assert.include(
        later.map(({ module }) => module),
        "packages/core/src/repository/Queries.ts"
      )
      assert.isTrue(later.some(({ module }) => module.startsWith("yaml/")))
      assert.isBelow(size, 47_500)
    })
  )

  it.live("would be found to load what writes", () =>
    Effect.gen(function* () {
      const { modules } = yield* Effect.promise(() => loadedOf(page("Repository"), external))
      const found = modules.filter((module) => writers.test(`/${module}`))
      assert.include(found, "packages/core/src/repository/WritableSession.ts")
      assert.isAbove(found.length, 15)
    })
  )
})
