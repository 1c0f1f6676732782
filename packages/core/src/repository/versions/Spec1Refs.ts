/**
 * Branches and tags of spec version 1: each is a file that names its snapshot. A deleted tag keeps its file, beside one
 * that says so.
 *
 * Source: Icechunk spec 1, "Reference Files".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { FormatError } from "../../encoding/FormatError.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import * as Layout from "../Layout.ts"
import { RefNotFound } from "./RefNotFound.ts"
import type { VersionRef } from "./Version.ts"

/**
 * Where a branch or tag is, and at which version its file says so.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  readonly snapshotId: SnapshotId
  readonly version: ObjectStore.Version
}

/**
 * All branches and tags, by name, in the order of their names.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refs {
  readonly branches: ReadonlyMap<string, Target>
  readonly tags: ReadonlyMap<string, Target>
  /** Where the deleted tags were, `undefined` where that is not known. */
  readonly deletedTags: ReadonlyMap<string, SnapshotId | undefined>
}

/**
 * Where a migration puts a branch of spec version 1 before it deletes its file: no snapshot has this id. Older clients
 * can then neither read the branch nor commit to it, and it can be told from one that somebody has moved.
 *
 * @category constants
 * @since 0.1.0
 */
export const sealId: SnapshotId = "M1GRATEDT0SPECVERS20" as SnapshotId

/**
 * The snapshots of branches or tags.
 *
 * @category accessors
 * @since 0.1.0
 */
export const ids = (targets: ReadonlyMap<string, Target>): ReadonlyMap<string, SnapshotId> =>
  new Map(Array.from(targets, ([name, { snapshotId }]) => [name, snapshotId] as const))

/**
 * The snapshots of all branches and tags.
 *
 * @category accessors
 * @since 0.1.0
 */
export const tips = ({ branches, tags }: Refs): ReadonlyArray<SnapshotId> =>
  [...branches.values(), ...tags.values()].map(({ snapshotId }) => snapshotId)

/** A ref is 36 bytes; this is room for what others may add. */
const maxBytes = 64 * 1024

/**
 * What the file of a branch or tag says.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, bytes: Uint8Array): Result.Result<SnapshotId, FormatError> => {
  const fail = (field: string, problem: string) => Result.fail(new FormatError({ file, field, problem }))
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    return fail("(whole file)", "it is not JSON")
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fail("(whole file)", "it is not a JSON object")
  }
  const id: unknown = (json as { readonly snapshot?: unknown }).snapshot
  return typeof id !== "string"
    ? fail("snapshot", "it is not a text")
    : Result.mapError(
        ObjectId.parseSnapshotId(id),
        (problem) => new FormatError({ file, field: "snapshot", problem: `\`${id.slice(0, 40)}\`: ${problem}` })
      )
}

const read = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  file: string
): Effect.fn.Return<Target, AssetError> {
  const { bytes, meta } = yield* store.get(file, { maxBytes })
  return { snapshotId: yield* Effect.fromResult(decode(file, bytes)), version: meta.version }
})

/** As `read`, `undefined` where there is no such file. */
const readIfPresent = (
  store: ObjectStore.ObjectStoreShape,
  file: string
): Effect.Effect<Target | undefined, AssetError> =>
  Effect.catchIf(read(store, file), isNotFound, () => Effect.succeed(undefined))

interface Names {
  readonly branches: ReadonlySet<string>
  /** Without those that were deleted. */
  readonly tags: ReadonlySet<string>
  readonly deletedTags: ReadonlySet<string>
}

/** As `branch.main/ref.json`. A name has no slash. */
const pattern = /^(branch|tag)\.([^/]+)\/ref\.json(\.deleted)?$/

/**
 * The names that the keys below `refs/` say. Others count for nothing. Pure.
 *
 * @category decoding
 * @since 0.1.0
 */
export const namesIn = (keys: Iterable<string>): Names => {
  const branches: Array<string> = []
  const tags: Array<string> = []
  const deletedTags = new Set<string>()
  for (const key of keys) {
    const [, kind, name, deleted] = pattern.exec(key.slice(Layout.spec1Refs.length)) ?? []
    if (name === undefined) continue
    if (kind === "branch" && deleted === undefined) branches.push(name)
    else if (deleted === undefined) tags.push(name)
    else if (kind === "tag") deletedTags.add(name)
  }
  const sorted = (names: ReadonlyArray<string>): ReadonlySet<string> => new Set(names.toSorted())
  return {
    branches: sorted(branches),
    tags: sorted(tags.filter((name) => !deletedTags.has(name))),
    deletedTags: sorted([...deletedTags])
  }
}

const list = (store: ObjectStore.ObjectStoreShape): Effect.Effect<Names, ObjectStoreError> =>
  Effect.map(Stream.runCollect(store.list(Layout.spec1Refs)), (found) => namesIn(found.map(({ key }) => key)))

/** The targets of names; one whose file has gone since it was listed is left out. */
const targets = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  names: Iterable<string>,
  keyOf: (name: string) => string
): Effect.fn.Return<ReadonlyMap<string, Target>, AssetError> {
  const all = yield* Effect.forEach(
    names,
    (name) => Effect.map(readIfPresent(store, keyOf(name)), (target) => [name, target] as const),
    { concurrency: 32 }
  )
  return new Map(all.flatMap(([name, target]) => (target === undefined ? [] : [[name, target] as const])))
})

/**
 * All branches.
 *
 * @category reading
 * @since 0.1.0
 */
export const branches = (store: ObjectStore.ObjectStoreShape): Effect.Effect<Refs["branches"], AssetError> =>
  Effect.flatMap(list(store), (names) => targets(store, names.branches, Layout.spec1Branch))

/**
 * All tags that were not deleted.
 *
 * @category reading
 * @since 0.1.0
 */
export const tags = (store: ObjectStore.ObjectStoreShape): Effect.Effect<Refs["tags"], AssetError> =>
  Effect.flatMap(list(store), (names) => targets(store, names.tags, Layout.spec1Tag))

/**
 * All of them. Where a deleted tag was is not known when its file is damaged, which is no failure.
 *
 * @category reading
 * @since 0.1.0
 */
export const all = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<Refs, AssetError> {
  const names = yield* list(store)
  const [branches, tags, deletedTags] = yield* Effect.all(
    [
      targets(store, names.branches, Layout.spec1Branch),
      targets(store, names.tags, Layout.spec1Tag),
      Effect.forEach(
        names.deletedTags,
        (name) =>
          readIfPresent(store, Layout.spec1Tag(name)).pipe(
            Effect.catchTag("FormatError", () => Effect.succeed(undefined)),
            Effect.map((target) => [name, target?.snapshotId] as const)
          ),
        { concurrency: 32 }
      )
    ],
    { concurrency: "unbounded" }
  )
  return { branches, tags, deletedTags: new Map(deletedTags) }
})

const notFound = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  kind: "branch" | "tag",
  name: string
): Effect.fn.Return<never, RefNotFound> {
  // For a better message; not every store can list.
  const names = yield* Effect.option(list(store))
  const known = names._tag === "None" ? [] : kind === "branch" ? [...names.value.branches] : [...names.value.tags]
  return yield* new RefNotFound({ kind, name, known })
})

/**
 * The snapshot of a version, found by name: nothing is listed.
 *
 * @category reading
 * @since 0.1.0
 */
export const find = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  version: VersionRef
): Effect.fn.Return<SnapshotId, RefNotFound | AssetError> {
  if ("snapshotId" in version) {
    const id = ObjectId.parseSnapshotId(version.snapshotId)
    const isThere = Result.isSuccess(id) && (yield* ObjectStore.exists(store, Layout.snapshot(id.success)))
    if (Result.isSuccess(id) && isThere) return id.success
    return yield* new RefNotFound({ kind: "snapshot", name: version.snapshotId, known: [] })
  }
  const [kind, name] = "branch" in version ? (["branch", version.branch] as const) : (["tag", version.tag] as const)
  if (name === "" || name.includes("/")) return yield* notFound(store, kind, name)
  const [target, isDeleted] =
    kind === "branch"
      ? [yield* readIfPresent(store, Layout.spec1Branch(name)), false]
      : yield* Effect.all(
          [readIfPresent(store, Layout.spec1Tag(name)), ObjectStore.exists(store, Layout.spec1Tombstone(name))],
          { concurrency: 2 }
        )
  return target === undefined || isDeleted || target.snapshotId === sealId
    ? yield* notFound(store, kind, name)
    : target.snapshotId
})
