/**
 * The refs of all snapshots of a repository, each manifest looked at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ManifestRows } from "../../format/manifest/ManifestRows.ts"
import type { ManifestId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import type { ChunkResolver } from "../../virtual/ChunkResolver.ts"
import type { ReadContext } from "../ChunkReads.ts"
import * as Dependencies from "../Dependencies.ts"
import type { Versioned } from "./RepoObject.ts"
import * as SessionQueries from "../SessionQueries.ts"

/** Manifests that some snapshot refers to, each once. */
const manifests = (
  { assets }: ReadContext,
  repo: Effect.Effect<Versioned, AssetError>
): Stream.Stream<ManifestId, AssetError> =>
  Stream.unwrap(
    Effect.map(repo, ({ info }) => {
      const seen = new Set<ManifestId>()
      return Stream.fromIterable(info.snapshots.keys()).pipe(
        Stream.mapEffect((id) => assets.snapshot(id)),
        Stream.flatMap(({ nodes }) =>
          Stream.fromIterable(
            nodes.flatMap(({ data }) => (data._tag === "Array" ? data.manifests.map(({ id }) => id) : []))
          )
        ),
        Stream.filter((id) => !seen.has(id) && seen.add(id) !== undefined)
      )
    })
  )

/**
 * What the whole history of a repository depends on. Where snapshots share a manifest its refs count once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries = (
  context: ReadContext,
  resolver: ChunkResolver,
  repo: Effect.Effect<Versioned, AssetError>
): Dependencies.DependencyQueries => {
  const rows: Stream.Stream<ManifestRows, AssetError> = manifests(context, repo).pipe(
    Stream.mapEffect((id) => context.assets.manifest(id)),
    Stream.flatMap((manifest) => Stream.fromIterable(manifest.nodes.map(({ node }) => manifest.rows(node)!)))
  )
  return Dependencies.queries({
    resolver,
    locations: (distinct) =>
      Stream.flatMap(rows, (one) =>
        SessionQueries.rowBatches(one, (from, to) => one.virtualLocations(from, to, { distinct }))
      ),
    count: (tally) => Stream.runForEach(rows, (one) => SessionQueries.countRows(one, tally))
  })
}
