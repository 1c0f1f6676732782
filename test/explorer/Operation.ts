/**
 * The operations that are tried against each other: what the product does, and the steps of the model that
 * explain it.
 */
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as Rebase from "@effect-icechunk/core/Rebase"
import type * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import type { Session } from "@effect-icechunk/core/Session"
import type { VirtualChunkContainer } from "@effect-icechunk/core/VirtualChunkContainer"
import type { WritableSession } from "@effect-icechunk/core/WritableSession"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Model from "./Model.ts"
import { type Services, startOfTime } from "./World.ts"

/** What a program has at hand, and what it leaves for the look at it afterwards. */
export interface Program {
  /** Names what this program writes. */
  readonly name: string
  /** How new repositories keep their log. */
  readonly log: Log
  /** The snapshot that new refs point at. */
  readonly target: { readonly id: string; readonly message: string }
  /** The snapshot that `main` is at. */
  readonly tip: { readonly id: string; readonly message: string }
  repository?: Repository.RepositoryShape
  session?: WritableSession
  /** How its session commits. */
  rebase?: Rebase.Solver
}

/** The log of operations: one entry in the repository object, or as many as Icechunk keeps by default. */
export type Log = "short" | "default"

/** What new repositories are configured with, besides a container. Chunks are objects of their own. */
export const base = (log: Log): RepositoryConfig.RepositoryConfig => ({
  inline_chunk_threshold_bytes: 0,
  ...(log === "short" ? { num_updates_per_repo_info_file: 1 } : {})
})

type Failure = { readonly _tag: string; readonly message: string }

/** Answers as the steps of the model give them. */
export type Answers = ReadonlyArray<string>

export interface Operation {
  readonly name: string
  /** Whether it starts from a store, or from a repository that is open. */
  readonly from: "store" | "repository"
  /** How many listings it makes at most that show what others write. */
  readonly listings: number
  readonly changesConfig: boolean
  /** Whether it deletes files that others may read, and may do so half when it fails. */
  readonly collects?: boolean
  readonly run: (program: Program) => Effect.Effect<Answers, Failure, Services>
  readonly actions: (program: Program) => ReadonlyArray<Model.Action>
}

const array = "/array"

/** The chunk that tells in which snapshot it was written; none in the first. */
const chunk = (text: string): Uint8Array => new TextEncoder().encode(text)

export const readChunk = (session: Session): Effect.Effect<string, Failure> =>
  session.chunk(array, [0]).pipe(
    Effect.map((bytes) => (bytes === undefined ? "" : new TextDecoder().decode(bytes))),
    Effect.catchTag("NodeNotFound", () => Effect.succeed(Model.root))
  )

/** A group that each commit leaves, to be found in all that come after it. */
const markPrefix = "/by-"

/** Messages of the commits that a session has the marks of. */
export const readMarks = (session: Session): Effect.Effect<ReadonlyArray<string>, Failure> =>
  Effect.map(session.nodes(), (nodes) =>
    nodes.flatMap(({ path }) => (path.startsWith(markPrefix) ? [path.slice(markPrefix.length)] : [])).toSorted()
  )

/** A group that somebody may make a mark of. */
export const spare = "/spare"

/** Writes to a session what a commit of this message holds; its mark is made, or a group is moved to be it. */
export const writeChunk = Effect.fnUntraced(function* (
  session: WritableSession,
  message: string,
  mark: "created" | "moved" = "created"
) {
  const nodes = yield* session.nodes()
  if (!nodes.some((node) => node.path === array)) {
    yield* session.createArray(array, { shape: [1], chunkShape: [1], dataType: "uint8", fillValue: 0 })
  }
  yield* session.setChunk(array, [0], chunk(message))
  yield* mark === "moved"
    ? session.move(spare, `${markPrefix}${message}`)
    : session.createGroup(`${markPrefix}${message}`)
})

export const container = (name: string): VirtualChunkContainer => ({
  name,
  protocol: "s3",
  platform: "s3",
  bucket_prefix: `bucket-${name}`
})

/** Containers that come with every configuration. */
const isOfPlatform = (name: string): boolean => ["s3", "gcs", "tigris", "file", "http", "azure", "https"].includes(name)

export const containerNames = (config: RepositoryConfig.RepositoryConfig): ReadonlyArray<string> =>
  (config.virtual_chunk_containers ?? [])
    .map(({ name }) => name)
    .filter((name) => !isOfPlatform(name))
    .toSorted()

export const addContainer =
  (name: string) =>
  (config: RepositoryConfig.RepositoryConfig): RepositoryConfig.RepositoryConfig => ({
    ...config,
    virtual_chunk_containers: [...(config.virtual_chunk_containers ?? []), container(name)]
  })

const effectiveContainers = (repository: Repository.RepositoryShape) =>
  Effect.map(repository.config.effective, (config) => Model.answerOfContainers(containerNames(config)))

/** An operation on a repository that is open. */
const onRepository = (
  name: string,
  run: (repository: Repository.RepositoryShape, program: Program) => Effect.Effect<unknown, Failure, Services>,
  actions: (program: Program) => ReadonlyArray<Model.Action>,
  options?: { readonly changesConfig?: boolean; readonly collects?: boolean }
): Operation => ({
  name,
  from: "repository",
  listings: options?.collects === true ? 4 : 0,
  changesConfig: options?.changesConfig ?? false,
  collects: options?.collects ?? false,
  run: (program) =>
    Effect.map(
      Effect.suspend(() => run(program.repository!, program)),
      () => actions(program).map(() => "ok")
    ),
  actions
})

export const commit = (branch: string): Operation =>
  onRepository(
    `commit(${branch})`,
    Effect.fnUntraced(function* (repository, program) {
      const session = yield* repository.writableSession(branch)
      yield* writeChunk(session, program.name)
      program.session = session
      yield* session.commit(program.name)
    }),
    ({ name }) => [Model.openSession(branch), Model.commit(branch, name)]
  )

/** The same on top of what others commit meanwhile: its chunk is the one that counts, what else they did is kept. */
export const commitOnTop = (branch: string): Operation =>
  onRepository(
    `commit.rebase(${branch})`,
    Effect.fnUntraced(function* (repository, program) {
      const session = yield* repository.writableSession(branch)
      yield* writeChunk(session, program.name)
      program.session = session
      program.rebase = { ChunkDoubleUpdate: "ours" }
      yield* session.commit(program.name, { rebase: program.rebase })
    }),
    ({ name }) => [Model.openSession(branch), Model.commitOnTop(branch, name)]
  )

/** A commit that moves a node. */
export const commitMove = (branch: string): Operation =>
  onRepository(
    `commit.move(${branch})`,
    Effect.fnUntraced(function* (repository, program) {
      const session = yield* repository.writableSession(branch)
      yield* writeChunk(session, program.name, "moved")
      program.session = session
      yield* session.commit(program.name)
    }),
    ({ name }) => [Model.openSession(branch), Model.commit(branch, name)]
  )

/** Takes the place of the tip, with what it did. */
export const amend = (branch: string): Operation =>
  onRepository(
    `amend(${branch})`,
    Effect.fnUntraced(function* (repository, program) {
      const session = yield* repository.writableSession(branch)
      yield* writeChunk(session, program.name)
      program.session = session
      yield* session.amend(program.name)
    }),
    ({ name }) => [Model.openSession(branch), Model.amend(branch, name)]
  )

export const createBranch = (branch: string): Operation =>
  onRepository(
    `createBranch(${branch})`,
    (repository, program) => repository.createBranch(branch, program.target.id),
    ({ target }) => [Model.createBranch(branch, target.message)]
  )

export const deleteBranch = (branch: string): Operation =>
  onRepository(
    `deleteBranch(${branch})`,
    (repository) => repository.deleteBranch(branch),
    () => [Model.deleteBranch(branch)]
  )

export const resetBranch = (branch: string): Operation =>
  onRepository(
    `resetBranch(${branch})`,
    (repository, program) => repository.resetBranch(branch, program.target.id),
    ({ target }) => [Model.resetBranch(branch, target.message)]
  )

export const createTag = (tag: string): Operation =>
  onRepository(
    `createTag(${tag})`,
    (repository, program) => repository.createTag(tag, program.target.id),
    ({ target }) => [Model.createTag(tag, target.message)]
  )

/** A tag at the tip of `main`. */
export const tagTip = (tag: string): Operation =>
  onRepository(
    `createTag.tip(${tag})`,
    (repository, program) => repository.createTag(tag, program.tip.id),
    ({ tip }) => [Model.createTag(tag, tip.message)]
  )

export const deleteTag = (tag: string): Operation =>
  onRepository(
    `deleteTag(${tag})`,
    (repository) => repository.deleteTag(tag),
    () => [Model.deleteTag(tag)]
  )

export const updateConfig: Operation = onRepository(
  "config.update",
  (repository, program) => repository.config.update(addContainer(program.name)),
  ({ name }) => [Model.addContainer(name)],
  { changesConfig: true }
)

export const publish: Operation = onRepository(
  "publish",
  (repository) => repository.config.publish,
  () => [],
  { changesConfig: true }
)

/** What was there before the two programs is old, and nothing else is. */
const old = { before: DateTime.makeUnsafe(startOfTime + 1) }

export const expire: Operation = onRepository(
  "expire",
  (repository) => Maintenance.expire(repository, old),
  () => [Model.expire]
)

export const collect: Operation = onRepository(
  "collect",
  (repository) => Maintenance.collectGarbage(repository, { ...old, minimumAge: 0 }),
  () => [Model.collect],
  { collects: true }
)

/** Reads what is in force, then the tip of a branch with a chunk of it. */
export const reader = (branch: string): Operation => ({
  name: `reader(${branch})`,
  from: "store",
  listings: 0,
  changesConfig: false,
  run: Effect.fnUntraced(function* () {
    const repository = yield* Repository.open()
    const containers = yield* effectiveContainers(repository)
    const session = yield* repository.readonlySession({ branch })
    return ["ok", containers, `snapshot ${yield* session.snapshotId} ${yield* readChunk(session)}`]
  }),
  actions: () => [Model.open, Model.readContainers, Model.readTip(branch)]
})

export const create: Operation = {
  name: "create",
  from: "store",
  listings: 1,
  changesConfig: true,
  run: Effect.fnUntraced(function* (program) {
    program.repository = yield* Repository.create({ persist: addContainer(program.name)(base(program.log)) })
    return ["ok", yield* effectiveContainers(program.repository)]
  }),
  actions: ({ name }) => [Model.create([name]), Model.readContainers]
}

export const openOrCreate: Operation = {
  ...create,
  name: "openOrCreate",
  run: Effect.fnUntraced(function* (program) {
    program.repository = yield* Repository.openOrCreate({ persist: addContainer(program.name)(base(program.log)) })
    return ["ok", yield* effectiveContainers(program.repository)]
  }),
  actions: ({ name }) => [Model.openOrCreate([name]), Model.readContainers]
}

/** The same operation by a program that has to open the repository first. */
export const opening = (operation: Operation): Operation =>
  operation.from === "store"
    ? operation
    : {
        ...operation,
        from: "store",
        run: Effect.fnUntraced(function* (program) {
          program.repository = yield* Repository.open()
          return ["ok", ...(yield* operation.run(program))]
        }),
        actions: (program) => [Model.open, ...operation.actions(program)]
      }
