/**
 * How much a repository holds: chunk refs by kind, and files by kind.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Zstd } from "../../encoding/Zstd.ts"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { Manifest } from "../../format/manifest/Manifest.ts"
import { Ref } from "../../format/manifest/ManifestRows.ts"
import type { ObjectStoreShape } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Internals from "../Internals.ts"
import * as Layout from "../Layout.ts"
import type { ReadonlyRepositoryShape } from "../ReadonlyRepository.ts"
import * as Collection from "./Collection.ts"
import * as IdTable from "./IdTable.ts"
import * as Progress from "./Progress.ts"
import * as Reparenting from "./Reparenting.ts"
import * as RepositoryFiles from "./RepositoryFiles.ts"

/**
 * Chunks that refs lead to. A chunk that several refs name, in one manifest or in several, counts once among the chunks and
 * the bytes; an inline chunk is where its ref is, and counts each time.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkUse {
  readonly refs: number
  readonly chunks: number
  readonly bytes: number
}

/**
 * What a repository holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Statistics {
  /** Snapshots that a branch or a tag leads to; what follows is of those. */
  readonly snapshots: number
  readonly manifests: number
  readonly native: ChunkUse
  readonly virtual: ChunkUse
  readonly inline: ChunkUse
  /** Files that are there, whether they are needed or not. */
  readonly files: Collection.FileCounts & { readonly overwritten: IdTable.FileCount }
}

interface Tally {
  refs: number
  chunks: number
  bytes: number
}

/** Counts the refs of manifests, each distinct chunk once. */
class Counter {
  readonly native: Tally = { refs: 0, chunks: 0, bytes: 0 }
  readonly virtual: Tally = { refs: 0, chunks: 0, bytes: 0 }
  readonly inline: Tally = { refs: 0, chunks: 0, bytes: 0 }
  readonly #native = new IdTable.IdTable()
  readonly #virtual = new IdTable.IdTable()
  readonly #locations = new Map<string, number>()
  readonly #key = new Uint8Array(12)
  readonly #view = new DataView(this.#key.buffer)

  add(manifest: Manifest): Result.Result<void, FormatError> {
    return attempt(() => {
      for (const { node } of manifest.nodes) {
        const rows = manifest.rows(node)!
        const numbers: Array<number> = []
        for (let row = 0; row < rows.count; row++) {
          rows.seek(row)
          const { kind } = rows
          if (kind === "Inline") {
            this.inline.refs++
            this.inline.chunks++
            this.inline.bytes += rows.bytes(Ref.inline)!.length
            continue
          }
          const { length, offset } = rows
          if (kind === "Native") {
            this.native.refs++
            this.#key.set(rows.chunkId)
            if (offset !== 0) this.#mix(offset, length)
            if (this.#native.add(this.#key)) count(this.native, length)
            continue
          }
          this.virtual.refs++
          const local = rows.locationId()
          const number = (numbers[local] ??= this.#locationNumber(rows.locations[local]!))
          this.#view.setUint32(0, number)
          this.#view.setUint32(4, offset % 2 ** 32)
          this.#view.setUint32(8, length ^ Math.imul(Math.floor(offset / 2 ** 32), 0x9e37_79b1))
          if (this.#virtual.add(this.#key)) count(this.virtual, length)
        }
      }
    })
  }

  #locationNumber(location: string): number {
    const known = this.#locations.get(location)
    if (known !== undefined) return known
    this.#locations.set(location, this.#locations.size)
    return this.#locations.size - 1
  }

  /** Makes a key of its own for a part of a chunk file. */
  #mix(offset: number, length: number): void {
    const view = this.#view
    view.setUint32(0, view.getUint32(0) ^ Math.imul(offset % 2 ** 32, 0x85eb_ca6b))
    view.setUint32(4, view.getUint32(4) ^ Math.imul(Math.floor(offset / 2 ** 32) + 1, 0xc2b2_ae35))
    view.setUint32(8, view.getUint32(8) ^ Math.imul(length % 2 ** 32, 0x9e37_79b1))
  }
}

const count = (tally: Tally, bytes: number): void => {
  tally.chunks++
  tally.bytes += bytes
}

const countFiles = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  options: Progress.ProgressOptions
): Effect.fn.Return<Statistics["files"], ObjectStoreError> {
  const found: Record<RepositoryFiles.Kind, { files: number; bytes: number }> = {
    snapshots: { files: 0, bytes: 0 },
    transactionLogs: { files: 0, bytes: 0 },
    manifests: { files: 0, bytes: 0 },
    chunks: { files: 0, bytes: 0 }
  }
  for (const kind of ["snapshots", "transactionLogs", "manifests", "chunks"] as const) {
    const counted = found[kind]
    yield* RepositoryFiles.list(store, kind, (_, { size }) => {
      counted.files++
      counted.bytes += size
    })
    yield* Progress.tell(options, { phase: "listing", kind, of: counted.files, ...counted })
  }
  const overwritten = { files: 0, bytes: 0 }
  yield* Stream.runForEach(store.list(Layout.overwritten("")), ({ size }) =>
    Effect.sync(() => {
      overwritten.files++
      overwritten.bytes += size
    })
  )
  return { ...Collection.counts((kind) => found[kind]), overwritten }
})

const countRefs = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  snapshots: ReadonlyArray<SnapshotId>,
  options: Progress.ProgressOptions
): Effect.fn.Return<Omit<Statistics, "files">, Assets.AssetError, Zstd> {
  const counter = new Counter()
  const seen = new IdTable.IdTable()
  const withRoom = yield* RepositoryFiles.makeRoom
  const concurrency = RepositoryFiles.concurrency(store)
  let done = 0
  let bytes = 0
  yield* Effect.forEach(
    snapshots,
    Effect.fnUntraced(function* (id) {
      const snapshot = yield* Assets.readSnapshot(store, id)
      const manifests: Array<readonly [ManifestId, number | undefined]> = []
      for (const one of RepositoryFiles.manifestsOf(snapshot)) if (seen.addId(one[0])) manifests.push(one)
      for (const [manifest, size] of manifests) {
        yield* withRoom(size ?? 0)(
          Effect.flatMap(Assets.readManifest(store, manifest), (decoded) => Effect.fromResult(counter.add(decoded)))
        )
        bytes += size ?? 0
      }
      done++
      yield* Progress.tell(options, {
        phase: "reading",
        kind: "snapshots",
        files: done,
        of: snapshots.length,
        bytes
      })
    }),
    { concurrency, discard: true }
  )
  const { inline, native, virtual } = counter
  return { snapshots: snapshots.length, manifests: seen.size, native, virtual, inline }
})

/**
 * Counts what a repository holds: the refs of all snapshots that a branch or a tag leads to, each manifest read once, and
 * the files that are there. Fails about the first file or ref that cannot be read.
 *
 * @category maintenance
 * @since 0.1.0
 */
export const statistics = /*#__PURE__*/ Effect.fn("Maintenance.statistics")(function* (
  repository: ReadonlyRepositoryShape,
  options: Progress.ProgressOptions = {}
): Effect.fn.Return<Statistics, Assets.AssetError> {
  const { readRepo, store, withZstd } = Internals.reading(repository)
  const { info } = yield* readRepo
  const reachable = Reparenting.withAncestors(new Map(info.snapshots), [
    ...info.branches.values(),
    ...info.tags.values()
  ])
  const refs = yield* withZstd(countRefs(store, [...reachable], options))
  return { ...refs, files: yield* countFiles(store, options) }
})
