/**
 * Programs that write one repository on S3 at the same time, and what must hold afterwards. Each program has a store,
 * connections and an open repository of its own, as if it ran on a machine of its own.
 */
import { ObjectStore, Platform, Repository, RepositoryConfig } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as IcechunkConfig from "../../packages/core/src/repository/config/IcechunkConfig.ts"
import * as RepoObject from "../../packages/core/src/repository/versions/RepoObject.ts"
import type { CommitConflict } from "../../packages/core/src/repository/versions/RepoChange.ts"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import type * as S3Options from "@effect-icechunk/s3/S3Options"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const services = (options: S3Options.S3Options) =>
  Layer.mergeAll(S3ObjectStore.layer(options), Platform.layer([]), NodeZstd.layer)

/** Runs as a program of its own, with the repository opened. */
export const program =
  (options: S3Options.S3Options) =>
  <A, E>(f: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(Repository.open(), f)).pipe(Effect.provide(services(options)))

/** Creates the repository. */
export const create = (options: S3Options.S3Options) =>
  Effect.scoped(Effect.asVoid(Repository.create())).pipe(Effect.provide(services(options)))

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

/** The value that commit number `n` of all writes into chunk `n`. */
const value = (n: number): Uint8Array => Uint8Array.of(n % 251, n >> 8)

/** Creates the repository with an array of a chunk for each commit, on `main` and on the other branches. */
export const prepare = Effect.fnUntraced(function* (
  options: S3Options.S3Options,
  commits: number,
  branches: ReadonlyArray<string> = []
) {
  yield* create(options)
  yield* program(options)((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/log", { shape: [commits], chunkShape: [1], dataType: "uint16", fillValue: 0 })
      const id = yield* session.commit("array")
      for (const branch of branches) yield* repository.createBranch(branch, id)
    })
  )
})

/**
 * Makes commits with the messages `writer.0` and so on, each in a session of its own, anew after each conflict.
 * Returns how many conflicts there were.
 */
export const commitAll = (
  options: S3Options.S3Options,
  commits: {
    readonly writer: number
    readonly each: number
    readonly branch?: string
    readonly onConflict?: (conflict: CommitConflict, message: string) => Effect.Effect<void>
  }
) =>
  program(options)((repository) =>
    Effect.gen(function* () {
      const { branch = "main", each, onConflict, writer } = commits
      let conflicts = 0
      for (const i of range(each)) {
        const message = `${writer}.${i}`
        yield* Effect.gen(function* () {
          const session = yield* repository.writableSession(branch)
          yield* session.setChunk("/log", [writer * each + i], value(writer * each + i))
          yield* session.commit(message)
        }).pipe(
          Effect.tapErrorTag("CommitConflict", (conflict) => {
            conflicts++
            return onConflict?.(conflict, message) ?? Effect.void
          }),
          Effect.retry({ while: (error) => error._tag === "CommitConflict" })
        )
      }
      return conflicts
    })
  )

/** Every commit of the writers is in the branch once, in the order of its writer, and the array has all their chunks. */
export const assertComplete = (
  options: S3Options.S3Options,
  expected: {
    readonly writers: ReadonlyArray<number>
    readonly each: number
    readonly branch?: string
    /** Snapshots of other branches. */
    readonly others?: number
  }
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { branch = "main", each, others = 0, writers } = expected
      const repository = yield* Repository.open()
      const history = yield* repository.history({ branch })
      const messages = history.map(({ message }) => message).toReversed()
      assert.deepStrictEqual(messages.slice(0, 2), ["Repository initialized", "array"])
      const made = messages.slice(2)
      const wanted = writers.map((writer) => range(each).map((i) => `${writer}.${i}`))
      assert.deepStrictEqual(made.toSorted(), wanted.flat().toSorted(), "each commit is there once")
      for (const own of wanted) {
        assert.deepStrictEqual(
          made.filter((message) => own.includes(message)),
          own,
          "in the order of its writer"
        )
      }
      const session = yield* repository.readonlySession({ branch })
      for (const writer of writers) {
        const numbers = range(each).map((i) => writer * each + i)
        const chunks = yield* Effect.forEach(numbers, (n) => session.chunk("/log", [n]), { concurrency: 8 })
        assert.deepStrictEqual(chunks, numbers.map(value))
      }
      // The repository object knows these snapshots and no others, and logged each commit once, in order.
      const { info } = yield* RepoObject.read(yield* ObjectStore.ObjectStore)
      assert.strictEqual(info.snapshots.size, history.length + others)
      const logged = info.latestUpdates
        .flatMap(({ update }) =>
          update._tag === "NewCommit" && update.branch === branch ? [update.newSnapshotId] : []
        )
        .slice(0, made.length)
      assert.deepStrictEqual(
        logged,
        history.slice(0, made.length).map(({ id }) => id)
      )
    })
  ).pipe(Effect.provide(services(options)))

/** Adds a word and a container to the configuration. */
const mark =
  (word: string) =>
  (config: RepositoryConfig.RepositoryConfig): RepositoryConfig.RepositoryConfig =>
    RepositoryConfig.setContainer({ name: word, protocol: word, platform: "s3", bucket_prefix: `bucket/${word}` })({
      ...config,
      additional_fields: {
        ...config.additional_fields,
        seen: [...((config.additional_fields?.["seen"] as ReadonlyArray<string> | undefined) ?? []), word]
      }
    })

const words = (updater: number, each: number): ReadonlyArray<string> => range(each).map((i) => `w${updater}-${i}`)

/** Adds the words of one updater to the configuration, one after the other. */
export const updateAll = (options: S3Options.S3Options, updater: number, each: number) =>
  program(options)((repository) =>
    Effect.forEach(words(updater, each), (word) => repository.config.update(mark(word)), { discard: true })
  )

/** Every word is in the configuration once, in the order of its updater, and other clients see every container. */
export const assertUpdated = (options: S3Options.S3Options, updaters: number, each: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const seen = (yield* repository.config.persisted).additional_fields?.["seen"] as ReadonlyArray<string>
      const wanted = range(updaters).map((updater) => words(updater, each))
      assert.deepStrictEqual(seen.toSorted(), wanted.flat().toSorted())
      for (const own of wanted) {
        assert.deepStrictEqual(
          seen.filter((word) => own.includes(word)),
          own
        )
      }
      const { info } = yield* RepoObject.read(yield* ObjectStore.ObjectStore)
      const carried = yield* Effect.fromResult(Flexbuffer.decode("repo", "config", info.config!))
      const published = yield* Effect.fromResult(IcechunkConfig.toConfig("repo", carried))
      assert.deepStrictEqual(
        published.virtual_chunk_containers?.map(({ name }) => name).toSorted(),
        wanted.flat().toSorted()
      )
    })
  ).pipe(Effect.provide(services(options)))
