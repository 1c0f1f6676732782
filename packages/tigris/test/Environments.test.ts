/** Environments of a project. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as BucketName from "../src/BucketName.ts"
import * as Environments from "../src/Environments.ts"
import * as TigrisBuckets from "../src/TigrisBuckets.ts"
import { bytes, connectionTo, fast, open, text } from "./support/TestTigris.ts"
import type * as TigrisSimulator from "./support/TigrisSimulator.ts"

/** A project on a simulator, with a directory for its `.current-env`. */
const project = (options: TigrisSimulator.Options = {}, more: Partial<Environments.Options> = {}) =>
  Effect.gen(function* () {
    const { buckets, simulator } = yield* open({ buckets: {}, ...options })
    const files = yield* FileSystem.FileSystem
    const currentFile = `${yield* files.makeTempDirectoryScoped()}/.current-env`
    const environments = yield* Effect.provideService(
      Environments.make({ project: "shop", currentFile, ...more }),
      TigrisBuckets.TigrisBuckets,
      buckets
    )
    return { buckets, environments, simulator, files, currentFile }
  })

const withVariables =
  (variables: Readonly<Record<string, string>>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(variables))

describe("names", () => {
  it.each([
    ["dev", "shop-bucket-dev"],
    ["pr-1234", "shop-bucket-pr-1234"],
    ["7", "shop-bucket-7"]
  ])("%s is the bucket %s, and back", (environment, bucket) => {
    expect(Environments.bucketName("shop", environment)).toEqual(Result.succeed(bucket))
    expect(Environments.parseBucketName("shop", bucket)).toBe(environment)
  })

  it.each([
    ["", "is empty"],
    ["Alice", "lower-case"],
    ["al ice", "lower-case"],
    ["älice", "lower-case"],
    ["a.b", "lower-case"],
    ["a_b", "lower-case"],
    ["../x", "lower-case"],
    ["-a", "at its ends"],
    ["a-", "at its ends"],
    ["a\n", "lower-case"],
    ["bucket", "`bucket` between hyphens"],
    ["x-bucket-y", "`bucket` between hyphens"],
    ["a".repeat(60), "more than 63"],
    ["x-s3alias", "reserved"]
  ])("%j makes no bucket name", (environment, problem) => {
    const found = Environments.bucketName("shop", environment)
    expect(Result.isFailure(found) && found.failure.message).toContain(problem)
  })

  it("no bucket belongs to two projects", () => {
    expect(Environments.parseBucketName("shop", "shop-bucket-x-bucket-y")).toBeUndefined()
    expect(Environments.parseBucketName("shop-bucket-x", "shop-bucket-x-bucket-y")).toBeUndefined()
    expect(Environments.parseBucketName("shop", "workshop-bucket-dev")).toBeUndefined()
    expect(Environments.parseBucketName("shop", "shop-bucket-")).toBeUndefined()
  })

  it.each([
    ["ab", "fewer than 3"],
    ["a".repeat(64), "more than 63"],
    ["Upper", '"U"'],
    ["under_score", '"_"'],
    [".dot", "begins with `.`"],
    ["hyphen-", "ends with `-`"],
    ["a..b", "`..`"],
    ["xn--a", "reserved"],
    ["a-s3alias", "reserved"],
    ["192.168.5.4", "IP address"]
  ])("%s is not the name of a bucket", (name, problem) => {
    expect(BucketName.problem(name)).toContain(problem)
  })

  it.each(["abc", "www.example.com", "1-2", "a".repeat(63), "256.1.1"])("%s is one", (name) => {
    expect(BucketName.problem(name)).toBeUndefined()
  })
})

describe("environments", () => {
  it.live("are created empty, listed and deleted, beside other buckets", () =>
    Effect.gen(function* () {
      const { environments, simulator } = yield* project({
        buckets: { other: {}, "shop-data": {}, "work-bucket-x": {} }
      })
      expect(yield* environments.create("staging")).toEqual({ name: "staging", bucket: "shop-bucket-staging" })
      yield* environments.create("dev", { snapshots: false })
      expect(yield* environments.list).toEqual([
        { name: "dev", bucket: "shop-bucket-dev" },
        { name: "staging", bucket: "shop-bucket-staging" }
      ])
      expect(simulator.buckets.get("shop-bucket-staging")?.snapshots).toBe(true)
      expect(simulator.buckets.get("shop-bucket-dev")?.snapshots).toBe(false)
      yield* environments.delete("dev")
      expect([...simulator.buckets.keys()].toSorted()).toEqual([
        "other",
        "shop-bucket-staging",
        "shop-data",
        "work-bucket-x"
      ])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are forked from another, or from any bucket, and are isolated", () =>
    Effect.gen(function* () {
      const { buckets, environments } = yield* project({ buckets: { data: { snapshots: true } } })
      yield* environments.create("production")
      const production = yield* environments.store("production")
      yield* production.put("key", bytes("production"))
      yield* environments.create("alice", { from: { environment: "production" } })
      const alice = yield* environments.store("alice")
      expect(text((yield* alice.get("key")).bytes)).toBe("production")
      yield* alice.put("key", bytes("alice"))
      expect(text((yield* production.get("key")).bytes)).toBe("production")
      const { version } = yield* buckets.createSnapshot("shop-bucket-alice")
      yield* alice.put("key", bytes("later"))
      yield* environments.create("bob", { from: { environment: "alice" }, snapshotVersion: version })
      const bob = yield* environments.store("bob")
      expect(text((yield* bob.get("key")).bytes)).toBe("alice")
      yield* environments.create("carol", { from: { bucket: "data" } })
      expect((yield* environments.list).map(({ name }) => name)).toEqual(["alice", "bob", "carol", "production"])
      expect(yield* Effect.flip(environments.delete("bob"))).toMatchObject({ reason: { _tag: "BucketNotEmpty" } })
      expect(yield* Effect.flip(environments.delete("alice", { contents: true }))).toMatchObject({
        reason: { _tag: "BucketHasForks" }
      })
      yield* environments.delete("bob", { contents: true })
      yield* environments.delete("alice", { contents: true })
      expect(text((yield* production.get("key")).bytes)).toBe("production")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("that cannot be created or deleted say why", () =>
    Effect.gen(function* () {
      const { environments, simulator } = yield* project({ buckets: { "shop-bucket-plain": {} } })
      expect(yield* Effect.flip(environments.create("plain"))).toMatchObject({
        reason: { _tag: "BucketAlreadyExists" }
      })
      expect(yield* Effect.flip(environments.create("x", { from: { environment: "plain" } }))).toMatchObject({
        reason: { _tag: "SnapshotsNotEnabled", bucket: "shop-bucket-plain" }
      })
      expect(yield* Effect.flip(environments.create("x", { from: { environment: "none" } }))).toMatchObject({
        reason: { _tag: "BucketNotFound", bucket: "shop-bucket-none" }
      })
      expect(yield* Effect.flip(environments.delete("none"))).toMatchObject({ reason: { _tag: "BucketNotFound" } })
      const before = simulator.requests.length
      const requests: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }, Scope.Scope>> = [
        Effect.asVoid(environments.create("No Name")),
        Effect.asVoid(environments.create("x", { from: { environment: "No Name" } })),
        environments.delete("x-bucket-y"),
        Effect.asVoid(environments.store("")),
        Effect.asVoid(environments.url("No", "key")),
        Effect.asVoid(environments.presignedUrl("No", "key"))
      ]
      for (const request of requests) {
        expect((yield* Effect.flip(request))._tag).toBe("InvalidEnvironment")
      }
      expect(simulator.requests.length).toBe(before)
      expect((yield* Effect.flip(project({}, { project: "My Shop" })))._tag).toBe("InvalidEnvironment")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("the current environment", () => {
  it.live("is that of `ENV`, then of the file, then `dev`", () =>
    Effect.gen(function* () {
      const { currentFile, environments, files } = yield* project()
      const current = (variables: Readonly<Record<string, string>> = {}) =>
        environments.current.pipe(withVariables(variables))
      expect(yield* current()).toBe("dev")
      expect(yield* current({ ENV: "staging" })).toBe("staging")
      yield* files.writeFileString(currentFile, "alice\n")
      expect(yield* current()).toBe("alice")
      expect(yield* current({ ENV: "  " })).toBe("alice")
      expect(yield* current({ ENV: "staging" })).toBe("staging")
      yield* files.writeFileString(currentFile, "\n")
      expect(yield* current()).toBe("dev")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("has a name that makes a bucket, wherever it comes from", () =>
    Effect.gen(function* () {
      const { currentFile, environments, files } = yield* project()
      const fromVariable = yield* Effect.flip(environments.current.pipe(withVariables({ ENV: "PROD" })))
      expect(fromVariable).toMatchObject({ _tag: "InvalidEnvironment", environment: "PROD", source: "ENV" })
      expect(fromVariable.message).toContain("from `ENV`")
      yield* files.writeFileString(currentFile, "two\nlines")
      expect(yield* Effect.flip(environments.current.pipe(withVariables({})))).toMatchObject({
        _tag: "InvalidEnvironment",
        source: currentFile
      })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is not guessed from a file that cannot be read", () =>
    Effect.gen(function* () {
      const { currentFile, environments, files } = yield* project()
      yield* files.makeDirectory(currentFile)
      const error = yield* Effect.flip(environments.current.pipe(withVariables({})))
      expect(error).toMatchObject({ _tag: "CurrentEnvironmentUnreadable", file: currentFile })
      expect(error.message).toContain("`ENV`")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("has a store as a Layer", () =>
    Effect.gen(function* () {
      const { environments, simulator } = yield* project()
      yield* environments.create("alice")
      yield* Effect.provide(
        Effect.flatMap(ObjectStore.ObjectStore, (store) => store.put("key", bytes("1"))),
        Layer.provide(Environments.layerStore({ prefix: "p" }), Layer.succeed(Environments.Environments, environments))
      ).pipe(withVariables({ ENV: "alice" }))
      expect([...simulator.buckets.get("shop-bucket-alice")!.latest.keys()]).toEqual(["p/key"])
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("URLs", () => {
  const key = "dir//ünïcode +&?#%'.json"

  it.live("that are presigned let anyone get or put one key", () =>
    Effect.gen(function* () {
      const { environments } = yield* project()
      yield* environments.create("alice")
      const fetchUrl = (url: Redacted.Redacted, init?: RequestInit) =>
        Effect.promise(() => globalThis.fetch(Redacted.value(url), init))
      const put = yield* environments.presignedUrl("alice", key, { method: "put", expiresIn: "5 minutes" })
      expect((yield* fetchUrl(put, { method: "PUT", body: "hello" })).status).toBe(200)
      const store = yield* environments.store("alice")
      expect(text((yield* store.get(key)).bytes)).toBe("hello")
      const get = yield* environments.presignedUrl("alice", key)
      const answer = yield* fetchUrl(get)
      expect([answer.status, yield* Effect.promise(() => answer.text())]).toEqual([200, "hello"])
      expect(new URL(Redacted.value(get)).searchParams.get("X-Amz-Expires")).toBe("3600")
      expect(JSON.stringify(get)).not.toContain("Signature")
      // Not another method, not another key.
      expect((yield* fetchUrl(get, { method: "PUT", body: "x" })).status).toBe(403)
      expect((yield* fetchUrl(Redacted.make(Redacted.value(get).replace("dir//", "other//")))).status).toBe(403)
      expect((yield* fetchUrl(Redacted.make(yield* environments.url("alice", key)))).status).toBe(403)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.each(["0 seconds", "8 days", -1, Number.NaN] as const)("cannot be presigned for %s", (expiresIn) =>
    Effect.gen(function* () {
      const { buckets } = yield* open()
      expect(yield* Effect.flip(buckets.presignedUrl("bucket", "key", { expiresIn }))).toMatchObject({
        _tag: "InvalidTigrisOptions",
        option: "expiresIn"
      })
    })
  )

  it.live("are presigned with fresh credentials, and not without any", () =>
    Effect.gen(function* () {
      const { simulator } = yield* open()
      let times = 0
      const refreshing = Effect.sync(() => {
        times += 1
        return Credentials.accessKey({ accessKeyId: "test", secretAccessKey: Redacted.make("secret") })
      })
      const connection = connectionTo(simulator.endpoint)
      const buckets = yield* TigrisBuckets.make({ ...connection, credentials: refreshing })
      yield* buckets.presignedUrl("bucket", "key")
      yield* buckets.presignedUrl("bucket", "key")
      expect(times).toBe(2)
      const failing = yield* TigrisBuckets.make({
        ...connection,
        credentials: Effect.fail(new Credentials.CredentialsUnavailable({ problem: "gone" }))
      })
      expect((yield* Effect.flip(failing.presignedUrl("bucket", "key")))._tag).toBe("CredentialsUnavailable")
      const anonymous = yield* TigrisBuckets.make({ ...connection, anonymous: true })
      expect(yield* Effect.flip(anonymous.presignedUrl("bucket", "key"))).toMatchObject({ option: "credentials" })
      expect(yield* Effect.flip(buckets.presignedUrl("bucket", ""))).toMatchObject({ option: "key" })
    })
  )

  it.effect.each<readonly [string, TigrisBuckets.Options, string]>([
    ["Tigris itself", {}, "https://b.t3.tigrisfiles.io/a%20b/c%3F"],
    ["another endpoint", { endpoint: "http://localhost:9000/" }, "http://localhost:9000/b/a%20b/c%3F"],
    [
      "another endpoint with buckets as hosts",
      { endpoint: "http://localhost:9000", forcePathStyle: false },
      "http://b.localhost:9000/a%20b/c%3F"
    ]
  ])("that are plain say where a key is on %s", ([, options, url]) =>
    Effect.gen(function* () {
      const buckets = yield* TigrisBuckets.make({ ...options, retry: fast })
      expect(buckets.url("b", "a b/c?")).toBe(url)
      const both = (["host", "path"] as const).map((style) => buckets.url("b", "a b/c?", { style }))
      const isTigris = options.endpoint === undefined
      expect(both).toEqual([
        isTigris ? "https://b.t3.tigrisfiles.io/a%20b/c%3F" : "http://b.localhost:9000/a%20b/c%3F",
        isTigris ? "https://t3.storage.dev/b/a%20b/c%3F" : "http://localhost:9000/b/a%20b/c%3F"
      ])
    })
  )
})
