/**
 * An environment for every developer, forked from production in one request.
 *
 * Runs against a simulator of Tigris, which the tests bring along. Against Tigris itself, with an access key that may
 * create buckets:
 *
 *   TIGRIS_STORAGE_ACCESS_KEY_ID=... TIGRIS_STORAGE_SECRET_ACCESS_KEY=... TIGRIS_STORAGE_REGION=iad \
 *     node --conditions=@effect-icechunk/source examples/environments.ts --tigris a-project-name-of-your-own
 */
import { Credentials, ObjectStore, Platform, Repository, type Zstd } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { Environments, ForkRebinding, TigrisBuckets, TigrisPlatform } from "@effect-icechunk/tigris"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Config, Console, Effect, FileSystem, Layer, Redacted, type Scope } from "effect"
import * as TigrisSimulator from "../packages/tigris/test/support/TigrisSimulator.ts"
import * as Unexpected from "./src/Unexpected.ts"

const heading = (text: string): Effect.Effect<void> => Console.log(`\n${text}`)
const line = (label: string, text: string): Effect.Effect<void> => Console.log(`  ${label.padEnd(22)} ${text}`)

/** Prints what was found, and fails unless it is what was expected. */
const expected = (label: string, actual: string, expected: string): Effect.Effect<void, Unexpected.Unexpected> =>
  Effect.andThen(
    Unexpected.unless(actual === expected, `${label} is \`${actual}\`, not \`${expected}\``),
    line(label, actual)
  )

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

/** A menu of two lines, twelve bytes each: the first in a raw file beside the repository, the second in it. */
const rawFile = "raw/menu.txt"
const width = 12

type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope

/** A program over the repository of an environment. */
const inRepository = Effect.fnUntraced(function* <A, E>(environment: string, program: Effect.Effect<A, E, Services>) {
  const environments = yield* Environments.Environments
  const store = yield* environments.store(environment, { prefix: "repository" })
  const services = Layer.mergeAll(
    Layer.succeed(ObjectStore.ObjectStore, store),
    Platform.layer([TigrisPlatform.make]),
    NodeZstd.layer
  )
  return yield* Effect.provide(program, services)
}, Effect.scoped)

const putRaw = Effect.fnUntraced(function* (environment: string, line: string) {
  const environments = yield* Environments.Environments
  const store = yield* environments.store(environment)
  yield* store.put(rawFile, bytes(line))
}, Effect.scoped)

const createMenu = (bucket: string, endpoint: string | undefined) =>
  Effect.gen(function* () {
    const raw = {
      name: "raw",
      protocol: "raw",
      platform: "tigris",
      bucket_prefix: `${bucket}/raw`,
      cloud_client_config: { endpoint_url: endpoint }
    }
    const repository = yield* Repository.create({ persist: { virtual_chunk_containers: [raw] } })
    const session = yield* repository.writableSession("main")
    yield* session.createGroup("/")
    yield* session.createArray("/menu", { shape: [2 * width], chunkShape: [width], dataType: "uint8", fillValue: 32 })
    const location = `raw://${bucket}/${rawFile}`
    yield* session.setVirtualRef("/menu", [0], { location, offset: 0, length: width })
    yield* session.setChunk("/menu", [1], bytes("bread   1.20"))
    yield* session.commit("the menu")
  })

const changeMenu = (line: string) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    const session = yield* repository.writableSession("main")
    yield* session.setChunk("/menu", [1], bytes(line))
    yield* session.commit("another menu")
  })

const readMenu = Effect.gen(function* () {
  const repository = yield* Repository.open()
  const session = yield* repository.readonlySession({ branch: "main" })
  const lines = yield* Effect.forEach([[0], [1]], (index) => session.chunk("/menu", index))
  return lines.map(text).join(" | ")
})

const rebind = (fork: ForkRebinding.Fork & { readonly dryRun?: boolean }) =>
  Effect.flatMap(Repository.open(), (repository) => ForkRebinding.rebind(repository, fork))

const walkThrough = (endpoint: string | undefined) =>
  Effect.gen(function* () {
    const buckets = yield* TigrisBuckets.TigrisBuckets
    const environments = yield* Environments.Environments
    const files = yield* FileSystem.FileSystem
    const list = Effect.map(environments.list, (all) => all.map(({ name }) => name).join(", ") || "none")

    yield* heading("Production")
    const production = yield* environments.create("production")
    yield* line("bucket", production.bucket)
    yield* putRaw("production", "soup    3.50")
    yield* inRepository("production", createMenu(production.bucket, endpoint))
    yield* expected("menu", yield* inRepository("production", readMenu), "soup    3.50 | bread   1.20")

    yield* heading("alice, forked from production")
    const alice = yield* environments.create("alice", { from: { environment: "production" } })
    const info = yield* buckets.info(alice.bucket)
    yield* expected("fork of", info.forkOf?.bucket ?? "nothing", production.bucket)
    const fork = { source: production.bucket, fork: alice.bucket }
    const plan = yield* inRepository("alice", rebind({ ...fork, dryRun: true }))
    for (const { after, before, name } of plan.edits) {
      yield* line(`container ${name}`, `${before.bucket_prefix} -> ${after.bucket_prefix}`)
    }
    yield* inRepository("alice", rebind(fork))
    yield* putRaw("alice", "SOUP    0.01")
    yield* inRepository("alice", changeMenu("BREAD   0.01"))
    yield* expected("menu of alice", yield* inRepository("alice", readMenu), "SOUP    0.01 | BREAD   0.01")
    yield* expected("menu of production", yield* inRepository("production", readMenu), "soup    3.50 | bread   1.20")

    yield* heading("bob, forked from a snapshot of production")
    const snapshot = yield* buckets.createSnapshot(production.bucket, { name: "before the new prices" })
    yield* inRepository("production", changeMenu("bread   1.40"))
    const from = { environment: "production" }
    const bob = yield* environments.create("bob", { from, snapshotVersion: snapshot.version })
    yield* inRepository("bob", rebind({ source: production.bucket, fork: bob.bucket }))
    yield* expected("menu of bob", yield* inRepository("bob", readMenu), "soup    3.50 | bread   1.20")
    yield* expected("menu of production", yield* inRepository("production", readMenu), "soup    3.50 | bread   1.40")

    yield* heading("The current environment")
    yield* expected("nothing is said", yield* environments.current, "dev")
    yield* files.writeFileString(".current-env", "alice\n")
    yield* expected(".current-env", yield* environments.current, "alice")
    const raw = yield* Effect.provide(
      Effect.flatMap(ObjectStore.ObjectStore, (store) => store.get(rawFile)),
      Environments.layerStore()
    )
    yield* expected(`${rawFile} there`, text(raw.bytes), "SOUP    0.01")
    const url = yield* environments.presignedUrl("alice", rawFile, { expiresIn: "5 minutes" })
    const fetched = yield* Effect.promise(async () => (await globalThis.fetch(Redacted.value(url))).text())
    yield* expected("by presigned URL", fetched, "SOUP    0.01")

    yield* heading("All of them")
    yield* expected("environments", yield* list, "alice, bob, production")
    const refused = yield* Effect.flip(environments.delete("production", { contents: true }))
    if (refused._tag !== "BucketError" || refused.reason._tag !== "BucketHasForks") {
      return yield* new Unexpected.Unexpected({ what: "production can be deleted", cause: refused })
    }
    yield* line("delete production", refused.message)
    for (const name of ["alice", "bob"]) yield* environments.delete(name, { contents: true })
    yield* expected("environments", yield* list, "production")
    yield* environments.delete("production", { contents: true })
    yield* expected("environments", yield* list, "none")
  })

/** In a directory of its own, for `.current-env`, and without the variable that has precedence over it. */
const inDirectory = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const directory = yield* files.makeTempDirectoryScoped()
  yield* Effect.sync(() => {
    process.chdir(directory)
    delete process.env["ENV"]
  })
})

const onTigris = (project: string) =>
  Effect.provide(
    Effect.flatMap(Config.String("TIGRIS_STORAGE_ENDPOINT").pipe(Config.withDefault(undefined)), walkThrough),
    Environments.layer({ project }).pipe(Layer.provideMerge(TigrisBuckets.layerConfig()))
  )

const onSimulator = Effect.gen(function* () {
  const { endpoint } = yield* TigrisSimulator.start({ buckets: {} })
  const credentials = Credentials.accessKey({ accessKeyId: "test", secretAccessKey: Redacted.make("secret") })
  yield* Effect.provide(
    walkThrough(endpoint),
    Environments.layer({ project: "restaurant" }).pipe(
      Layer.provideMerge(TigrisBuckets.layer({ endpoint, region: "iad", credentials }))
    )
  )
})

const [flag, project] = process.argv.slice(-2)
const program = flag === "--tigris" && project !== undefined ? onTigris(project) : onSimulator
Effect.andThen(inDirectory, program).pipe(Effect.scoped, Effect.provide(NodeServices.layer), NodeRuntime.runMain)
