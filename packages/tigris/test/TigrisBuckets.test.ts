/** Buckets, snapshots and forks. */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as BucketLocations from "../src/BucketLocations.ts"
import * as TigrisBuckets from "../src/TigrisBuckets.ts"
import * as TigrisHeaders from "../src/TigrisHeaders.ts"
import { bytes, connectionTo, open, text } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

const source = { buckets: { source: { snapshots: true } } }

/** Names and values of Tigris's headers. */
const tigris = ({ headers }: TigrisSimulator.Seen): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => /tigris|cache-control/.test(name)))

const keysOf = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("")), (found) => found.map(({ key }) => key).toSorted())

describe("buckets", () => {
  it.live("are created, listed page by page, asked about and deleted", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: {}, pageSize: 2 })
      yield* buckets.create("plain")
      yield* buckets.create("with-snapshots", { snapshots: true })
      yield* buckets.create("third")
      expect((yield* buckets.list).map(({ name }) => name)).toEqual(["plain", "with-snapshots", "third"])
      expect((yield* buckets.list)[0]?.createdAt).toBeTypeOf("number")
      expect(yield* buckets.info("plain")).toEqual({
        name: "plain",
        snapshots: false,
        forkOf: undefined,
        hasForks: false
      })
      expect((yield* buckets.info("with-snapshots")).snapshots).toBe(true)
      yield* buckets.delete("plain")
      expect([...simulator.buckets.keys()]).toEqual(["with-snapshots", "third"])
      const sent = simulator.requests.map((request) => [request.operation, request.bucket, tigris(request)])
      // `X-Tigris-Regions` and `X-Tigris-Consistent` on a creation would restrict the bucket for good.
      expect(sent.filter(([operation]) => operation !== "HeadBucket").slice(0, 4)).toEqual([
        ["CreateBucket", "plain", {}],
        ["CreateBucket", "with-snapshots", { "x-tigris-enable-snapshot": "true" }],
        ["CreateBucket", "third", {}],
        ["ListBuckets", "", { "x-tigris-consistent": "true", "cache-control": "no-cache" }]
      ])
      for (const { headers, signed } of simulator.requests) {
        const rules = Object.keys(headers).filter((name) => /tigris|cache-control/.test(name))
        expect(signed).toEqual(expect.arrayContaining(rules))
      }
    })
  )

  it.live.each<readonly [BucketLocations.BucketLocations, string | undefined]>([
    [{ type: "global" }, undefined],
    [{ type: "multi", area: "eur" }, "eur"],
    [{ type: "dual", regions: ["fra", "iad"] }, "fra,iad"],
    [{ type: "single", region: "sin" }, "sin"]
  ])("are kept where they are created: %j", ([locations, header]) =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: {} })
      yield* buckets.create("kept", { locations })
      expect(simulator.requests[0]).toMatchObject({ operation: "CreateBucket" })
      expect(simulator.requests[0]?.headers["x-tigris-regions"]).toBe(header)
      expect(yield* buckets.locations("kept")).toEqual(locations)
      expect(yield* Effect.flip(buckets.locations("missing"))).toMatchObject({ reason: { _tag: "BucketNotFound" } })
    })
  )

  it.live.each<readonly [string, unknown]>([
    ["an unknown region", { type: "single", region: "mars" }],
    ["an area as a region", { type: "single", region: "eur" }],
    ["an unknown area", { type: "multi", area: "fra" }],
    ["one region twice", { type: "dual", regions: ["fra", "fra"] }],
    ["three regions", { type: "dual", regions: ["fra", "iad", "sin"] }],
    ["a header", { type: "single", region: "fra\r\nx: y" }],
    ["another type", { type: "triple" }]
  ])("are not created in %s", ([, locations]) =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: {} })
      const error = yield* Effect.flip(
        buckets.create("kept", { locations: locations as BucketLocations.BucketLocations })
      )
      expect(error).toMatchObject({ _tag: "InvalidTigrisOptions", option: "locations" })
      expect(simulator.requests).toHaveLength(0)
    })
  )

  it.live("are not believed to be where the service did not put them", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open({ buckets: {}, plainS3: true })
      const error = yield* Effect.flip(buckets.create("kept", { locations: { type: "single", region: "fra" } }))
      expect(error).toMatchObject({ operation: "create", reason: { _tag: "UnexpectedAnswer" } })
    })
  )

  it.live("are not created by a page that answers for the service", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: {} })
      for (const [type, body] of [
        ["text/html", "<!DOCTYPE html><p>Log in</p>"],
        ["application/json", "{}"],
        ["text/plain", ""]
      ] as const) {
        simulator.servers.get("iad")!.faults = () => ({
          _tag: "Answer",
          status: 200,
          headers: { "content-type": type },
          body
        })
        // An empty answer is all that a service without headers of its own has for a bucket.
        if (body !== "") {
          expect(yield* Effect.flip(buckets.create("new"))).toMatchObject({ reason: { _tag: "UnexpectedAnswer" } })
        }
        expect(yield* Effect.flip(buckets.list)).toMatchObject({ reason: { _tag: "UnexpectedAnswer" } })
      }
    })
  )

  it.live("with contents are deleted only when that is said", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open()
      const store = yield* buckets.store("bucket")
      yield* store.put("key", bytes("1"))
      const error = yield* Effect.flip(buckets.delete("bucket"))
      expect(error).toMatchObject({ operation: "delete", bucket: "bucket", reason: { _tag: "BucketNotEmpty" } })
      expect(error.message).toContain("`contents: true`")
      expect(simulator.buckets.has("bucket")).toBe(true)
      yield* buckets.delete("bucket", { contents: true })
      expect(simulator.buckets.has("bucket")).toBe(false)
    })
  )

  it.live("open as stores, with the region of the service or their own", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open()
      yield* Effect.flatMap(buckets.store("bucket", { prefix: "p" }), (store) => store.put("key", bytes("1")))
      yield* Effect.flatMap(buckets.store("bucket", { region: "sin" }), (store) => store.get("p/key"))
      expect(simulator.requests.map(({ headers }) => headers["x-tigris-regions"])).toEqual(["iad", "sin"])
      const without = yield* TigrisBuckets.make(connectionTo(simulator.endpoint))
      expect((yield* Effect.flip(without.store("bucket")))._tag).toBe("MissingRegion")
    })
  )

  it.live("are reached with options from the environment", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start()
      const names = yield* Effect.flatMap(TigrisBuckets.TigrisBuckets, (buckets) => buckets.list).pipe(
        Effect.provide(TigrisBuckets.layerConfig()),
        Effect.provideService(
          ConfigProvider.ConfigProvider,

          ConfigProvider.fromUnknown({
            TIGRIS_STORAGE_ENDPOINT: simulator.endpoint,
            TIGRIS_STORAGE_ACCESS_KEY_ID: "test",
            TIGRIS_STORAGE_SECRET_ACCESS_KEY: "secret"
          })
        )
      )
      expect(names.map(({ name }) => name)).toEqual(["bucket"])
    })
  )
})

describe("snapshots", () => {
  it.live("are taken, listed newest first, and read without ever changing", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ ...source, pageSize: 2 })
      const store = yield* buckets.store("source")
      yield* store.put("key", bytes("one"))
      yield* store.put("gone", bytes("1"))
      const first = yield* buckets.createSnapshot("source", { name: "before; the = change" })
      yield* store.put("key", bytes("two"))
      yield* store.delete(["gone"])
      const second = yield* buckets.createSnapshot("source")
      const third = yield* buckets.createSnapshot("source")
      expect(first.name).toBe("before; the = change")
      expect(first.createdAt).toBe(Number(first.version.slice(0, -6)))
      expect(yield* buckets.snapshots("source")).toEqual([third, second, first])

      const past = yield* buckets.snapshotStore("source", first.version)
      expect(yield* keysOf(past)).toEqual(["gone", "key"])
      expect(text((yield* past.get("key")).bytes)).toBe("one")
      expect((yield* past.head("gone")).size).toBe(1)
      expect(simulator.requests.at(-1)).toMatchObject({
        headers: {
          "x-tigris-snapshot-version": first.version,
          "x-tigris-regions": "iad",
          "x-tigris-consistent": "true",
          "cache-control": "no-cache"
        }
      })
      expect(simulator.requests.at(-1)?.signed).toContain("x-tigris-snapshot-version")
      const before = simulator.requests.length
      const error = yield* Effect.flip(past.put("key", bytes("1")))
      expect(error._tag).toBe("WriteForbidden")
      expect(error.message).toContain("`TigrisBuckets.fork`")
      expect(simulator.requests.length).toBe(before)
      expect(text((yield* store.get("key")).bytes)).toBe("two")
    })
  )

  it.live("are not taken of a bucket without them, nor of one that is missing", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open()
      for (const [bucket, reason] of [
        ["bucket", "SnapshotsNotEnabled"],
        ["missing", "BucketNotFound"]
      ] as const) {
        for (const request of [
          Effect.asVoid(buckets.createSnapshot(bucket)),
          Effect.asVoid(buckets.snapshots(bucket))
        ]) {
          const error = yield* Effect.flip(request)
          expect(error).toMatchObject({ _tag: "BucketError", bucket, reason: { _tag: reason } })
          expect(error.message).toContain(`\`${bucket}\``)
        }
      }
      // Nothing was created by mistake.
      expect([...simulator.buckets.keys()]).toEqual(["bucket"])
      expect(simulator.requests.some(({ operation }) => operation === "CreateBucket")).toBe(false)
    })
  )

  it.live.each(["", " name", "naïve", "two\r\nlines", "x".repeat(256)])("cannot be named %j", (name) =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open(source)
      expect(yield* Effect.flip(buckets.createSnapshot("source", { name }))).toMatchObject({
        _tag: "InvalidTigrisOptions",
        option: "name"
      })
      expect(simulator.requests).toHaveLength(0)
    })
  )

  it.each([
    [
      "1751631910196672425; name=my first; name=snapshot",
      { version: "1751631910196672425", name: "my first; name=snapshot" }
    ],
    ["1751631910169675092", { version: "1751631910169675092", name: undefined }],
    ["a-bucket", undefined]
  ])("are told from a listed name: %s", (listed, snapshot) => {
    expect(TigrisHeaders.parseSnapshot(listed)).toEqual(snapshot)
  })
})

describe("forks", () => {
  it.live("begin as their source and then go their own way, without a byte copied", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open(source)
      const production = yield* buckets.store("source")
      yield* production.put("shared", bytes("shared"))
      yield* production.put("key", bytes("production"))
      const info = yield* buckets.fork("source", "alice")
      expect(info).toMatchObject({ name: "alice", snapshots: true, hasForks: false, forkOf: { bucket: "source" } })
      expect(TigrisHeaders.isSnapshotVersion(info.forkOf?.snapshotVersion ?? "")).toBe(true)
      expect(simulator.buckets.get("alice")?.latest.get("shared")?.bytes).toBe(
        simulator.buckets.get("source")?.latest.get("shared")?.bytes
      )
      const fork = yield* buckets.store("alice")
      expect(yield* keysOf(fork)).toEqual(["key", "shared"])
      yield* fork.put("key", bytes("alice"))
      yield* fork.put("new", bytes("1"))
      yield* fork.delete(["shared"])
      yield* production.put("later", bytes("1"))
      expect(yield* keysOf(fork)).toEqual(["key", "new"])
      expect(yield* keysOf(production)).toEqual(["key", "later", "shared"])
      expect(text((yield* production.get("key")).bytes)).toBe("production")
      expect((yield* buckets.info("source")).hasForks).toBe(true)
      const creation = simulator.requests.find(({ operation }) => operation === "CreateBucket")!
      expect(tigris(creation)).toEqual({ "x-tigris-fork-source-bucket": "source" })
    })
  )

  it.live("begin at a snapshot, and can be forked themselves", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open(source)
      const production = yield* buckets.store("source")
      yield* production.put("key", bytes("one"))
      const { version } = yield* buckets.createSnapshot("source")
      yield* production.put("key", bytes("two"))
      const info = yield* buckets.fork("source", "past", { snapshotVersion: version })
      expect(info.forkOf).toEqual({ bucket: "source", snapshotVersion: version })
      yield* buckets.fork("past", "past-of-past")
      const store = yield* buckets.store("past-of-past")
      expect(text((yield* store.get("key")).bytes)).toBe("one")
    })
  )

  it.live("are listed, and keep their source from being deleted", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: { source: { snapshots: true }, other: {} } })
      expect(yield* buckets.forks("source")).toEqual([])
      yield* buckets.fork("source", "alice")
      yield* buckets.fork("source", "bob")
      yield* buckets.fork("alice", "carol")
      expect((yield* buckets.forks("source")).map(({ name }) => name)).toEqual(["alice", "bob"])
      for (const contents of [false, true]) {
        const error = yield* Effect.flip(buckets.delete("source", { contents }))
        expect(error.reason._tag).toBe("BucketHasForks")
        expect(error.message).toContain("`TigrisBuckets.forks`")
      }
      for (const name of ["bob", "carol", "alice", "source"]) yield* buckets.delete(name, { contents: true })
      expect([...simulator.buckets.keys()]).toEqual(["other"])
    })
  )

  it.live("need a source that is there and has snapshots, one that has the snapshot, and a free name", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({
        buckets: { source: { snapshots: true }, plain: {} },
        foreign: ["foreign"]
      })
      const failure = (source: string, fork: string, snapshotVersion?: string) =>
        Effect.flip(buckets.fork(source, fork, { snapshotVersion }))
      expect(yield* failure("plain", "fork")).toMatchObject({
        operation: "fork",
        bucket: "fork",
        reason: { _tag: "SnapshotsNotEnabled", bucket: "plain" }
      })
      expect(yield* failure("missing", "fork")).toMatchObject({ reason: { _tag: "BucketNotFound", bucket: "missing" } })
      expect(yield* failure("source", "fork", "12345")).toMatchObject({
        reason: { _tag: "SnapshotNotFound", bucket: "source", version: "12345" }
      })
      expect(yield* failure("source", "plain")).toMatchObject({ reason: { _tag: "BucketAlreadyExists" } })
      expect(yield* failure("source", "foreign")).toMatchObject({ reason: { _tag: "BucketAlreadyExists" } })
      expect(yield* failure("source", "fork", "latest")).toMatchObject({ _tag: "InvalidTigrisOptions" })
      expect(yield* failure("source", "No_Name")).toMatchObject({ _tag: "InvalidBucketName", name: "No_Name" })
      expect([...simulator.buckets.keys()]).toEqual(["source", "plain"])
    })
  )

  it.live("are found on a service that lists all buckets instead of forks", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open({ buckets: { source: { snapshots: true }, other: {} }, noForkList: true })
      yield* buckets.fork("source", "alice")
      expect((yield* buckets.forks("source")).map(({ name }) => name)).toEqual(["alice"])
    })
  )

  it.live("that cannot be told yet are asked about again", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open(source)
      let early = 2
      simulator.servers.get("iad")!.faults = ({ operation }) =>
        operation === "HeadBucket" && (early -= 1) >= 0 ? { _tag: "Answer", status: 404 } : undefined
      expect((yield* buckets.fork("source", "alice")).forkOf?.bucket).toBe("source")
    })
  )

  it.live("are not believed in on a service that has none", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open({ ...source, plainS3: true })
      const error = yield* Effect.flip(buckets.fork("source", "alice"))
      expect(error).toMatchObject({ reason: { _tag: "UnexpectedAnswer" } })
      expect(error.message).toContain("not a fork of `source`")
      expect(yield* Effect.flip(buckets.createSnapshot("source"))).toMatchObject({
        reason: { _tag: "SnapshotsNotEnabled" }
      })
    })
  )
})

describe("a lost answer", () => {
  it.live("to a creation or deletion that was made is no failure", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open(source)
      const server = simulator.servers.get("iad")!
      const loseNext = (operation: string): void => {
        let lost = false
        server.faults = (request) => {
          if (lost || request.operation !== operation) return undefined
          lost = true
          return { _tag: "Reset", apply: true }
        }
      }
      loseNext("CreateBucket")
      yield* buckets.create("new")
      loseNext("CreateBucket")
      expect((yield* buckets.fork("source", "alice")).forkOf?.bucket).toBe("source")
      loseNext("DeleteBucket")
      yield* buckets.delete("new")
      expect([...simulator.buckets.keys()]).toEqual(["source", "alice"])
    })
  )
})

describe("a snapshot", () => {
  it.live("is deleted alone: its bucket and other snapshots stay", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open(source)
      const first = yield* buckets.createSnapshot("source", { name: "first" })
      const second = yield* buckets.createSnapshot("source")
      yield* buckets.deleteSnapshot("source", first.version)
      expect((yield* buckets.snapshots("source")).map(({ version }) => version)).toEqual([second.version])
      expect(simulator.buckets.has("source")).toBe(true)
      const deletion = simulator.requests.find(({ operation }) => operation === "DeleteBucket")
      expect(deletion?.headers["x-tigris-snapshot-version"]).toBe(first.version)
    })
  )

  it.live("that is not there is not deleted, and neither is its bucket", () =>
    Effect.gen(function* () {
      for (const options of [source, { ...source, plainS3: true }, { buckets: { source: {} } }]) {
        const { buckets, simulator } = yield* open(options)
        const missing = yield* Effect.flip(buckets.deleteSnapshot("source", "1751631910000000000"))
        expect(missing).toMatchObject({ operation: "deleteSnapshot", bucket: "source" })
        expect(yield* Effect.flip(buckets.deleteSnapshot("source", "x; y"))).toMatchObject({
          option: "snapshotVersion"
        })
        expect(simulator.buckets.has("source")).toBe(true)
        expect(simulator.requests.some(({ operation }) => operation === "DeleteBucket")).toBe(false)
      }
    })
  )
})
