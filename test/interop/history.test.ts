/**
 * History as the official engine writes it and as it reads ours: what it says itself is compared, and what it does not say,
 * such as the net effect of moves, is found out by asking it for the nodes of both versions.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type icechunk from "@earthmover/icechunk"
import {
  History,
  Inspection,
  MemoryObjectStore,
  type ObjectStore,
  Repository,
  RepositoryState
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as RepoObject from "../../packages/core/src/repository/versions/RepoObject.ts"
import { services } from "../support/FsServices.ts"
import * as Interop from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const { cases, json, zarrJson } = Interop

const group = (title: string) => Buffer.from(json({ zarr_format: 3, node_type: "group", attributes: { title } }))

const array = (chunks: number, title = "") =>
  Buffer.from(
    json({
      ...zarrJson({ ...cases[0]!, path: title, shape: [chunks, 2], chunkShape: [1, 1] }),
      dimension_names: ["y", "x"]
    })
  )

const chunk = (seed: number) => Buffer.from(Interop.bytes(8, seed))

const parsed = (bytes: Uint8Array | null): unknown => JSON.parse(Buffer.from(bytes!).toString())

/** A store with both engines on it. */
const together = Effect.gen(function* () {
  const store = yield* MemoryObjectStore.make()
  const place = Interop.placeOn(store)
  const engine = yield* Effect.promise(async () => Engine.Repository.create(await place.storage()))
  return { store, place, engine, ours: Interop.inRepository(place) }
})

/** All lists of a diff with the indices collected, as plain data. */
const collected = (repository: Repository.RepositoryShape, from: string, to: string) =>
  Effect.gen(function* () {
    const { updatedChunks, ...diff } = yield* History.diff(repository, { snapshotId: from }, { snapshotId: to })
    const chunks = yield* Effect.forEach(updatedChunks, ({ count, indices, path }) =>
      Effect.map(Stream.runCollect(indices), (all) => {
        assert.strictEqual(all.length, count)
        return [path, all] as const
      })
    )
    return { ...diff, updatedChunks: Object.fromEntries(chunks) }
  })

type Diff = Effect.Success<ReturnType<typeof collected>>

/** The path and type of every node by its id, as the engine says. */
const nodesOf = async (engine: icechunk.Repository, snapshotId: string) => {
  const session = await engine.readonlySession({ snapshotId })
  const keys = (await session.store.list()).filter((key) => key.endsWith("zarr.json"))
  const found = new Map<string, { readonly path: string; readonly isArray: boolean }>()
  for (const key of keys) {
    const path = `/${key.slice(0, -"/zarr.json".length)}`
    const document = parsed(await session.store.get(key)) as { readonly node_type: string }
    found.set(await session.getNodeId(path), { path, isArray: document.node_type === "array" })
  }
  return found
}

const byUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** What the engine's diff and its nodes say together. */
const expected = async (engine: icechunk.Repository, from: string, to: string): Promise<Omit<Diff, "missingLogs">> => {
  const theirs = await engine.diff({ fromSnapshotId: from, toSnapshotId: to })
  const [before, after] = [await nodesOf(engine, from), await nodesOf(engine, to)]
  const pathsOf = (nodes: typeof before, others: typeof before, isWanted: boolean): ((path: string) => boolean) => {
    const paths = new Set([...nodes].filter(([id]) => others.has(id) === isWanted).map(([, { path }]) => path))
    return (path) => paths.has(path)
  }
  const isKept = pathsOf(after, before, true)
  const isThere = new Set([...after.values()].map(({ path }) => path))
  return {
    from,
    to,
    newGroups: theirs.newGroups.toSorted(byUtf8),
    newArrays: theirs.newArrays.toSorted(byUtf8),
    deletedGroups: theirs.deletedGroups.toSorted(byUtf8),
    deletedArrays: theirs.deletedArrays.toSorted(byUtf8),
    updatedGroups: theirs.updatedGroups.filter(isKept).toSorted(byUtf8),
    updatedArrays: theirs.updatedArrays.filter(isKept).toSorted(byUtf8),
    movedNodes: [...after]
      .flatMap(([id, { isArray, path }]) => {
        const old = before.get(id)?.path
        return old === undefined || old === path ? [] : [{ from: old, to: path, type: isArray ? "Array" : "Group" }]
      })
      .toSorted((a, b) => byUtf8(a.to, b.to)),
    updatedChunks: Object.fromEntries(
      Object.entries(theirs.updatedChunks as Record<string, ReadonlyArray<ReadonlyArray<number>>>).filter(([path]) =>
        isThere.has(path)
      )
    )
  } as unknown as Omit<Diff, "missingLogs">
}

/** Compares our diff with theirs for every pair of snapshots of which one descends from the other. */
const compareAll = ({
  engine,
  place
}: {
  readonly engine: icechunk.Repository
  readonly place: Pick<Interop.Place, "services">
}) =>
  Interop.inRepository(place)((repository) =>
    Effect.gen(function* () {
      const all = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
      let pairs = 0
      for (const [i, to] of all.entries()) {
        for (const from of all.slice(i + 1)) {
          const { missingLogs, movedNodes, ...ours } = yield* collected(repository, from.id, to.id)
          assert.deepStrictEqual(missingLogs, [])
          assert.deepStrictEqual(
            { ...ours, movedNodes: movedNodes.toSorted((a, b) => byUtf8(a.to, b.to)) },
            yield* Effect.promise(() => expected(engine, from.id, to.id))
          )
          pairs++
        }
      }
      return pairs
    })
  )

/** One step of a random history; the numbers choose among what there is. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("group" as const), at: fc.nat(99), name: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("array" as const), at: fc.nat(99), name: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("update" as const), at: fc.nat(99), name: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("chunk" as const), at: fc.nat(99), name: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), at: fc.nat(99), name: fc.nat(3) }) }
)
const commits = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ move: fc.nat(99), to: fc.nat(99), name: fc.nat(3) }) }
  ),
  { minLength: 2, maxLength: 7 }
)
const names = ["a", "b", "ü", "c d"]

/** Writes a history with the official engine. Names are never used twice, so that a path tells which node is meant. */
const write = async (
  engine: icechunk.Repository,
  history: typeof commits extends fc.Arbitrary<infer A> ? A : never
) => {
  const nodes = new Map<string, "group" | "array">([["", "group"]])
  let count = 0
  const pick = <A>(all: ReadonlyArray<A>, number: number): A | undefined => all[number % all.length]
  const paths = (type: "group" | "array") => [...nodes].filter(([, one]) => one === type).map(([path]) => path)
  const below = (path: string) => [...nodes.keys()].filter((one) => one === path || one.startsWith(`${path}/`))
  {
    const first = await engine.writableSession("main")
    await first.store.set("zarr.json", group("root"))
    await first.commit("root")
  }
  for (const commit of history) {
    if ("move" in commit) {
      const from = pick(
        [...nodes.keys()].filter((path) => path !== ""),
        commit.move
      )
      if (from === undefined) continue
      const parents = paths("group").filter((path) => path !== from && !path.startsWith(`${from}/`))
      const to = `${pick(parents, commit.to)!}/${names[commit.name]!}${count++}`
      const session = await engine.rearrangeSession("main")
      await session.moveNode(from, to)
      const moved = below(from).map((path) => [path, nodes.get(path)!] as const)
      for (const [path] of moved) nodes.delete(path)
      for (const [path, type] of moved) nodes.set(to + path.slice(from.length), type)
      await session.commit(`move ${from} to ${to}`)
      continue
    }
    const session = await engine.writableSession("main")
    const key = (path: string, rest: string) => `${path}/${rest}`.slice(1)
    for (const { at, do: what, name } of commit.steps) {
      if (what === "group" || what === "array") {
        const path = `${pick(paths("group"), at)!}/${names[name]!}${count++}`
        await session.store.set(key(path, "zarr.json"), what === "group" ? group(path) : array(4, path))
        nodes.set(path, what)
      } else if (what === "update") {
        const path = pick([...nodes.keys()], at)!
        const document = nodes.get(path) === "group" ? group(`${count++}`) : array(1 + name, `${count++}`)
        await session.store.set(key(path, "zarr.json"), document)
      } else if (what === "chunk") {
        const path = pick(paths("array"), at)
        if (path === undefined) continue
        const document = parsed(await session.store.get(key(path, "zarr.json"))) as { shape: [number] }
        const index = `${(name >> 1) % document.shape[0]}/${name % 2}`
        if (at % 5 === 0) await session.store.delete(key(path, `c/${index}`))
        else await session.store.set(key(path, `c/${index}`), chunk(count++))
      } else {
        const path = pick(
          [...nodes.keys()].filter((one) => one !== ""),
          at
        )
        if (path === undefined) continue
        await session.store.deleteDir(path.slice(1))
        for (const one of below(path)) nodes.delete(one)
      }
    }
    if (session.hasUncommittedChanges) await session.commit("steps")
  }
}

describe("a history that the official engine wrote", () => {
  it.live("has the same snapshots, manifests and refs", () =>
    Effect.gen(function* () {
      const { engine, ours, store } = yield* together
      const flushed = yield* Effect.promise(async () => {
        const session = await engine.writableSession("main")
        await session.store.set("zarr.json", group("root"))
        await session.store.set("a/zarr.json", array(4))
        await session.store.set("a/c/0/0", chunk(1))
        const one = await session.commit("one")
        await engine.createTag("v1", one)
        await engine.createBranch("dév", one)
        const other = await engine.writableSession("dév")
        await other.store.set("a/c/1/0", chunk(2))
        await other.commit("on dév")
        const again = await engine.writableSession("main")
        await again.store.set("a/c/2/1", chunk(3))
        await again.commit("two")
        const amended = await engine.writableSession("main")
        await amended.store.set("a/c/3/1", chunk(4))
        await amended.amend("two, amended")
        const detached = await engine.writableSession("main")
        await detached.store.set("a/c/3/0", chunk(5))
        await engine.createTag("gone", one)
        await engine.deleteTag("gone")
        return detached.flush("nowhere")
      })
      yield* ours((repository) =>
        Effect.gen(function* () {
          for (const version of [{ branch: "main" }, { branch: "dév" }, { tag: "v1" }, { snapshotId: flushed }]) {
            const theirs = yield* Effect.promise(() => engine.ancestry(version))
            const all = yield* Stream.runCollect(History.ancestry(repository, version))
            assert.deepStrictEqual(
              all.map(({ id, message, metadata, parentId }) => ({ id, parentId, message, metadata })),
              theirs.map(({ id, message, metadata, parentId }) => ({
                id,
                parentId,
                message,
                metadata: metadata as (typeof all)[number]["metadata"]
              }))
            )
            for (const [i, { flushedAt, id, writtenAt }] of all.entries()) {
              const at = DateTime.makeUnsafe(theirs[i]!.writtenAt)
              assert.strictEqual(writtenAt.epochMilliseconds, at.epochMilliseconds)
              assert.strictEqual(Math.floor(flushedAt / 1000), at.epochMilliseconds)
              assert.deepStrictEqual(
                yield* History.manifests(repository, { snapshotId: id }),
                (yield* Effect.promise(() => engine.lookupManifestFiles(id))) as never
              )
            }
          }
          const theirBranches = yield* Effect.promise(() => engine.listBranches())
          for (const name of theirBranches) {
            const theirs = yield* Effect.promise(() => engine.lookupBranch(name))
            assert.strictEqual(yield* History.branch(repository, name), theirs)
          }
          const v1 = yield* Effect.promise(() => engine.lookupTag("v1"))
          assert.strictEqual(yield* History.tag(repository, "v1"), v1)
          assert.strictEqual((yield* Effect.flip(History.tag(repository, "gone")))._tag, "RefNotFound")

          const graph = yield* Stream.runCollect(History.graph(repository))
          const node = (id: string) => graph.find((one) => one.id === id)!
          assert.deepStrictEqual([node(v1).tags, node(v1).branches, node(v1).isReachable], [["v1"], [], true])
          assert.deepStrictEqual([node(flushed).tags, node(flushed).isReachable], [[], false])
          assert.strictEqual(node(flushed).message, "nowhere")
          // The amended snapshot is not in the list any more, or no ref leads to it.
          const two = graph.filter(({ message }) => message === "two")
          assert.deepStrictEqual(
            two.filter(({ isReachable }) => isReachable),
            []
          )

          const log = yield* Stream.runCollect(History.operations(repository))
          assert.deepStrictEqual(log.map(({ update: { _tag } }) => _tag).toReversed(), [
            "RepoInitialized",
            "NewCommit",
            "TagCreated",
            "BranchCreated",
            "NewCommit",
            "NewCommit",
            "CommitAmended",
            "TagCreated",
            "TagDeleted",
            "NewDetachedSnapshot"
          ])
          for (const [i, { file, updatedAt }] of log.entries()) {
            assert.isTrue(i === 0 || updatedAt < log[i - 1]!.updatedAt)
            // The file that is named is the repository as the operation left it.
            const { info } = yield* Effect.provide(RepoObject.readAt(store, file!), NodeZstd.layer)
            assert.strictEqual(info.latestUpdates[0]!.updatedAt, updatedAt)
          }
        })
      )
    })
  )

  it.live(
    "differs between any two of its versions as the official engine says, node by node and chunk by chunk",
    () =>
      Effect.gen(function* () {
        let pairs = 0
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(commits, (history) =>
              Effect.runPromise(
                Effect.gen(function* () {
                  const at = yield* together
                  yield* Effect.promise(() => write(at.engine, history))
                  pairs += yield* compareAll(at)
                })
              )
            ),
            { numRuns: 25 }
          )
        )
        assert.isAbove(pairs, 100)
      }),
    { timeout: 300_000 }
  )
})

/** Replaces the repository object by what `f` makes of it, as another client would. */
const rewrite = (store: ObjectStore.ObjectStoreShape, f: (info: RepoInfo.RepoInfo) => RepoInfo.RepoInfo) =>
  Effect.gen(function* () {
    const { info } = yield* RepoObject.readAt(store, "repo")
    yield* store.put("repo", yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(f(info))))
  }).pipe(Effect.provide(NodeZstd.layer))

/** The snapshots without some of them, as expiration leaves them: what came after takes over their logs. */
const expired = (info: RepoInfo.RepoInfo, gone: ReadonlySet<string>): RepoInfo.RepoInfo => {
  const kept = new Map(
    [...info.snapshots].flatMap(([id, snapshot]) => {
      if (gone.has(id)) return []
      const pruned = [snapshot.prunedAncestorTxLogs]
      let parentId = snapshot.parentId
      while (parentId !== undefined && gone.has(parentId)) {
        const parent = info.snapshots.get(parentId)!
        pruned.unshift([...parent.prunedAncestorTxLogs, parentId])
        parentId = parent.parentId
      }
      return [[id, { ...snapshot, parentId, prunedAncestorTxLogs: pruned.flat() }] as const]
    })
  )
  return { ...info, snapshots: kept }
}

describe("a history whose middle has expired", () => {
  it.live("differs as the logs of the expired snapshots say, and says which of them are not there any more", () =>
    Effect.gen(function* () {
      const at = yield* together
      const { engine, ours, store } = at
      const ids = yield* Effect.promise(async () => {
        const found: Array<string> = []
        const commit = async (values: Readonly<Record<string, Buffer>>) => {
          const session = await engine.writableSession("main")
          for (const [key, value] of Object.entries(values)) await session.store.set(key, value)
          found.push(await session.commit(`commit ${found.length}`))
        }
        await commit({ "zarr.json": group("root"), "a/zarr.json": array(4), "b/zarr.json": array(4) })
        await commit({ "a/c/0/0": chunk(1), "b/zarr.json": array(3) })
        await commit({ "a/c/1/1": chunk(2), "new/zarr.json": array(2), "new/c/0/1": chunk(3) })
        const session = await engine.writableSession("main")
        await session.store.deleteDir("b")
        found.push(await session.commit("delete"))
        await commit({ "a/c/0/0": chunk(4), "a/c/3/0": chunk(5) })
        return found
      })
      yield* rewrite(store, (info) => expired(info, new Set([ids[1]!, ids[2]!, ids[3]!])))
      yield* ours((repository) =>
        Effect.gen(function* () {
          const [first, last] = [ids[0]!, ids[4]!]
          const infos = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
          assert.deepStrictEqual(infos[0]!.prunedAncestorTxLogs, ids.slice(1, 4) as never)
          const { missingLogs, ...whole } = yield* collected(repository, first, last)
          assert.deepStrictEqual(missingLogs, [])
          assert.deepStrictEqual(whole, yield* Effect.promise(() => expected(engine, first, last)))
          assert.deepStrictEqual(whole.updatedChunks, {
            "/a": [
              [0, 0],
              [1, 1],
              [3, 0]
            ],
            "/new": [[0, 1]]
          })
          // A client before Icechunk 2.1 has collected one of the logs.
          yield* store.delete([`transactions/${ids[2]!}`])
          const { missingLogs: missing, ...less } = yield* collected(repository, first, last)
          assert.deepStrictEqual(missing, [ids[2]!] as never)
          assert.deepStrictEqual(less.updatedChunks, {
            "/a": [
              [0, 0],
              [3, 0]
            ]
          })
          // What came and went is seen in the snapshots all the same.
          assert.deepStrictEqual([less.newArrays, less.deletedArrays], [["/new"], ["/b"]] as never)
          const theirs = yield* Effect.promise(() => engine.diff({ fromSnapshotId: first, toSnapshotId: last }))
          assert.deepStrictEqual(theirs.updatedChunks, less.updatedChunks)
          // The log of a snapshot that has not expired is needed.
          yield* store.delete([`transactions/${last}`])
          const error = yield* Effect.flip(collected(repository, first, last))
          assert.strictEqual(error._tag, "ObjectStoreError")
          assert.include(error.message, `transactions/${last}`)
        })
      )
    })
  )
})

describe("a history that this library wrote", () => {
  it.live("is the same for the official engine, which compares its versions as we do", () =>
    Effect.gen(function* () {
      const at = yield* together
      const { engine, ours } = at
      yield* ours((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* Interop.writeOurs(session, [
            ["zarr.json", group("root")],
            ["a/zarr.json", array(4)],
            ["a/c/1/1", chunk(1)]
          ])
          yield* session.commit("one", { metadata: { author: "me", n: 1 } })
          yield* Interop.writeOurs(session, [
            ["g/zarr.json", group("g")],
            ["g/b/zarr.json", array(2)],
            ["g/b/c/0/0", chunk(2)],
            ["a/zarr.json", array(6, "other")],
            ["a/c/5/0", chunk(3)]
          ])
          const two = yield* session.commit("two")
          yield* session.deleteNode("/g")
          yield* session.deleteChunk("/a", [1, 1])
          yield* session.commit("three")
          yield* repository.createTag("v2", two)
          const theirs = yield* Effect.promise(() => engine.ancestry({ branch: "main" }))
          const all = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
          assert.deepStrictEqual(
            all.map(({ id, message, metadata, writtenAt }) => [id, message, metadata, writtenAt.epochMilliseconds]),
            theirs.map(({ id, message, metadata, writtenAt }) => [
              id,
              message,
              metadata as (typeof all)[number]["metadata"],
              Date.parse(writtenAt)
            ])
          )
          for (const { id } of all) {
            assert.deepStrictEqual(
              (yield* Effect.promise(() => engine.lookupManifestFiles(id))) as unknown,
              yield* History.manifests(repository, { snapshotId: id })
            )
          }
        })
      )
      assert.strictEqual(yield* compareAll(at), 6)
    })
  )
})

describe("the operations log of a repository that both engines write", () => {
  it.live("goes on over pages of both, until one that is gone", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const place = Interop.placeOn(store)
      yield* Effect.scoped(Repository.create({ persist: { num_updates_per_repo_info_file: 3 } })).pipe(
        Effect.provide(place.services)
      )
      // The engine finds the number in the repository object, where ours is published.
      yield* Interop.inRepository(place)((repository) => repository.config.publish)
      const engine = yield* Effect.promise(async () => Engine.Repository.open(await place.storage()))
      const names = Array.from({ length: 12 }, (_, i) => `v${i}`)
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const id = yield* History.branch(repository, "main")
          for (const [i, name] of names.entries()) {
            if (i % 5 < 3) yield* Effect.promise(() => engine.createTag(name, id))
            else yield* repository.createTag(name, id)
          }
          const { info } = yield* Effect.provide(RepoObject.readAt(store, "repo"), NodeZstd.layer)
          assert.strictEqual(info.latestUpdates.length, 3)
          const tagsOf = (log: ReadonlyArray<History.Operation>) =>
            log.flatMap(({ update }) => (update._tag === "TagCreated" ? [update.name] : []))
          const log = yield* Stream.runCollect(History.operations(repository))
          assert.deepStrictEqual(tagsOf(log), names.toReversed())
          assert.strictEqual(log.at(-1)!.update._tag, "RepoInitialized")
          yield* store.delete([log[6]!.file!])
          const found: Array<History.Operation> = []
          const error = yield* Effect.flip(
            Stream.runForEach(History.operations(repository), (one) => Effect.sync(() => found.push(one)))
          )
          assert.strictEqual(error._tag, "OperationsLogIncomplete")
          assert.include(error.message, log[6]!.file!)
          assert.deepStrictEqual(tagsOf(found), names.slice(-6).toReversed())
        })
      )
    })
  )
})

describe("what a repository says of itself", () => {
  it.live("read-only is read-only for both engines, wherever it is set, until it is set online again", () =>
    Effect.gen(function* () {
      const { engine, ours } = yield* together
      yield* ours((repository) =>
        Effect.gen(function* () {
          const id = yield* History.branch(repository, "main")
          const begun = yield* Effect.promise(() => engine.writableSession("main"))
          yield* Effect.promise(() => begun.store.set("zarr.json", group("root")))
          const refused = (what: string, f: () => Promise<unknown>) =>
            Effect.map(
              Effect.promise(() =>
                f().then(
                  () => "done",
                  (error: unknown) => String(error)
                )
              ),
              (outcome) => assert.include(outcome, "read-only", what)
            )
          yield* RepositoryState.setStatus(repository, "ReadOnly", { reason: "we move to another bucket" })
          yield* refused("a session", () => engine.writableSession("main"))
          yield* refused("a commit of a session that is open", () => begun.commit("late"))
          yield* refused("a branch", () => engine.createBranch("other", id))
          yield* refused("a tag", () => engine.createTag("other", id))
          yield* refused("a flag", () => engine.setFeatureFlag("create_tag", false))
          yield* Effect.promise(() => engine.readonlySession({ branch: "main" }))
          yield* RepositoryState.setStatus(repository, "Online")
          yield* Effect.promise(() => begun.commit("in time"))
          yield* Effect.promise(() => engine.createTag("other", id))
          const log = yield* Stream.runCollect(History.operations(repository))
          assert.deepStrictEqual(
            log.map(({ update: { _tag } }) => _tag),
            ["TagCreated", "NewCommit", "RepoStatusChanged", "RepoStatusChanged", "RepoInitialized"]
          )
        })
      )
    })
  )

  it.live("the official engine takes offline for online, and its next change makes it so", () =>
    Effect.gen(function* () {
      const { engine, ours } = yield* together
      yield* ours((repository) =>
        Effect.gen(function* () {
          yield* RepositoryState.setStatus(repository, "Offline", { reason: "for a test" })
          assert.strictEqual(
            (yield* Effect.flip(repository.readonlySession({ branch: "main" })))._tag,
            "RepositoryOffline"
          )
          const id = yield* History.branch(repository, "main")
          yield* Effect.promise(() => engine.createTag("v1", id))
          assert.strictEqual((yield* RepositoryState.status(repository)).availability, "Online")
          yield* repository.readonlySession({ branch: "main" })
        })
      )
    })
  )

  it.live("feature flags that one engine sets are kept by the other, and mean the same", () =>
    Effect.gen(function* () {
      const { engine, ours } = yield* together
      yield* ours((repository) =>
        Effect.gen(function* () {
          const id = yield* History.branch(repository, "main")
          const assertSame = Effect.gen(function* () {
            const theirs = yield* Effect.promise(() => engine.featureFlags())
            assert.deepStrictEqual(
              yield* RepositoryState.featureFlags(repository),
              theirs
                .map(({ defaultEnabled, enabled, id, name, setting }) => ({
                  id,
                  name,
                  defaultEnabled,
                  setting: setting ?? undefined,
                  enabled
                }))
                .toSorted((a, b) => a.id - b.id) as never
            )
          })
          yield* assertSame
          for (const setting of [false, true, undefined, false, undefined]) {
            for (const name of ["create_tag", "delete_tag", "move_node"] as const) {
              yield* RepositoryState.setFeatureFlag(repository, name, setting)
              yield* assertSame
              yield* Effect.promise(() => engine.setFeatureFlag(name, setting === undefined ? false : undefined))
              yield* assertSame
              yield* RepositoryState.setFeatureFlag(repository, name, setting)
            }
          }
          const outcome = (f: () => Promise<unknown>) =>
            Effect.promise(() =>
              f().then(
                () => "done",
                (error: unknown) => String(error)
              )
            )
          yield* RepositoryState.setFeatureFlag(repository, "create_tag", false)
          assert.include(yield* outcome(() => engine.createTag("v1", id)), "create_tag")
          yield* RepositoryState.setFeatureFlag(repository, "create_tag", undefined)
          assert.strictEqual(yield* outcome(() => engine.createTag("v1", id)), "done")
          yield* RepositoryState.setFeatureFlag(repository, "delete_tag", false)
          assert.include(yield* outcome(() => engine.deleteTag("v1")), "delete_tag")
          yield* RepositoryState.setFeatureFlag(repository, "move_node", false)
          assert.include(yield* outcome(() => engine.rearrangeSession("main")), "move_node")
          yield* Effect.promise(() => engine.setFeatureFlag("create_tag", false))
          const error = yield* Effect.flip(repository.createTag("v2", id))
          assert.strictEqual(error._tag, "RefForbidden")
          assert.include(error.message, "create_tag")
          assert.include((yield* Effect.flip(repository.deleteTag("v1"))).message, "delete_tag")
        })
      )
    })
  )

  it.live("metadata that we set is kept by the official engine, byte for byte", () =>
    Effect.gen(function* () {
      const { engine, ours, store } = yield* together
      const metadata = { title: "Ölmeß", n: 1, x: [1.5, null, { deep: true }], empty: {} }
      yield* ours((repository) =>
        Effect.gen(function* () {
          yield* RepositoryState.updateMetadata(repository, () => metadata)
          const before = yield* Effect.provide(RepoObject.readAt(store, "repo"), NodeZstd.layer)
          yield* Effect.promise(async () => {
            const session = await engine.writableSession("main")
            await session.store.set("zarr.json", group("root"))
            await session.commit("on top")
          })
          assert.deepStrictEqual(yield* RepositoryState.metadata(repository), metadata)
          const after = yield* Effect.provide(RepoObject.readAt(store, "repo"), NodeZstd.layer)
          assert.deepStrictEqual(after.info.metadata, before.info.metadata)
          assert.deepStrictEqual(
            yield* RepositoryState.updateMetadata(repository, ({ title: _title, ...others }) => ({ ...others, n: 2 })),
            { n: 2, x: metadata.x, empty: {} }
          )
          yield* Effect.promise(() => engine.listBranches())
        })
      )
    })
  )
})

const shared = path.resolve(import.meta.dirname, "../../../shared/data/icechunk-repositories")

/** Every file below a directory, with `/` between names. */
const filesBelow = (directory: string): ReadonlyArray<string> =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"))
    .toSorted()

/** Whatever is not plain JSON becomes something else on this way. */
const assertPlain = (shown: unknown): void =>
  assert.deepStrictEqual(JSON.parse(JSON.stringify(shown)) as unknown, shown)

describe.skipIf(!fs.existsSync(shared))("a repository that Icechunk's Python wrote", () => {
  it.live.each(["split-repo-v2", "test-repo-v2"])(
    "has its history, and each of its files can be looked at: %s",
    (name) =>
      Effect.gen(function* () {
        const directory = path.join(shared, name)
        const engine = yield* Effect.promise(async () =>
          Engine.Repository.open(Engine.customStorage(directory, (_, bytes) => bytes))
        )
        const at = { engine, place: { services: services(directory) } }
        assert.isAbove(yield* compareAll(at), 0)
        yield* Interop.inRepository(at.place)((repository) =>
          Effect.gen(function* () {
            const log = yield* Stream.runCollect(History.operations(repository))
            assert.isAbove(log.length, 4)
            const oldest = log.at(-1)!.update
            assert.include(["RepoInitialized", "RepoMigrated"], oldest._tag)
            const graph = yield* Stream.runCollect(History.graph(repository))
            for (const branch of yield* Effect.promise(() => engine.listBranches())) {
              const tip = yield* Effect.promise(() => engine.lookupBranch(branch))
              assert.include(graph.find(({ id }) => id === tip)!.branches, branch)
              const theirs = yield* Effect.promise(() => engine.ancestry({ branch }))
              const all = yield* Stream.runCollect(History.ancestry(repository, { branch }))
              assert.deepStrictEqual(
                all.map(({ id, parentId }) => [id, parentId]),
                theirs.map(({ id, parentId }) => [id, parentId]) as never
              )
            }
            const sizes = new Map<string, unknown>()
            for (const key of filesBelow(directory)) {
              const shown = yield* Inspection.file(repository, key)
              assertPlain(shown)
              assert.deepInclude(shown["file"], { key, size_bytes: fs.statSync(path.join(directory, key)).size })
              if (key.startsWith("manifests/")) sizes.set(key.slice("manifests/".length), shown["total_chunk_refs"])
            }
            for (const { id } of graph) {
              const theirs = yield* Effect.promise(() => engine.lookupManifestFiles(id))
              const shown = yield* Inspection.snapshot(repository, id)
              assert.deepStrictEqual(
                shown["manifests"],
                theirs.map(({ id, numChunkRefs, sizeBytes }) => ({
                  id,
                  size_bytes: sizeBytes,
                  num_chunk_refs: numChunkRefs
                }))
              )
              for (const { id, numChunkRefs } of theirs) assert.strictEqual(sizes.get(id), numChunkRefs)
            }
          })
        )
      })
  )
})
