/** Virtual chunks on Tigris. */
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as ChunkResolver from "@effect-icechunk/core/ChunkResolver"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as ContainerStores from "../../core/src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../core/src/virtual/ObjectReads.ts"
import { RequestGate } from "../../core/src/store/RequestGate.ts"
import * as CredentialsPolicy from "../../core/src/virtual/CredentialsPolicy.ts"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TigrisObjectStore from "../src/TigrisObjectStore.ts"
import * as TigrisPlatform from "../src/TigrisPlatform.ts"
import { accessKey, bytes, fast, storeIn, text } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

const containerAt = (
  endpoint: string,
  more: Partial<Container.VirtualChunkContainer> = {},
  client: Container.CloudClientConfig = {}
): Container.VirtualChunkContainer => ({
  name: "data",
  protocol: "tigris",
  platform: "tigris",
  cloud_client_config: { endpoint_url: endpoint, ...client },
  ...more
})

const open = (
  container: Container.VirtualChunkContainer,
  region: string | undefined,
  credentials: Credentials.Source = accessKey("test", "secret")
) =>
  Effect.flatMap(TigrisPlatform.makeWith({ retry: fast }), (platform) =>
    platform.open({ container, bucket: "bucket", region, credentials })
  )

/** A simulator with one object, which only `iad` knows yet. */
const simulate = Effect.gen(function* () {
  const simulator = yield* TigrisSimulator.start()
  const writer = yield* storeIn(simulator, "iad")
  yield* writer.put("dir/a", bytes("0123456789"))
  return simulator
})

describe("TigrisPlatform", () => {
  it.live("reads consistently from the region that was chosen, and never writes", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const store = yield* open(containerAt(simulator.endpoints["fra"]!), "iad")
      expect(text((yield* store.get("dir/a")).bytes)).toBe("0123456789")
      expect(simulator.requests.at(-1)?.headers).toMatchObject({
        "x-tigris-regions": "iad",
        "x-tigris-consistent": "true",
        "cache-control": "no-cache"
      })
      const before = simulator.requests.length
      expect((yield* Effect.flip(store.put("key", bytes("1"))))._tag).toBe("WriteForbidden")
      expect(simulator.requests.length).toBe(before)
    })
  )

  it.live("reads from the nearest region where the container says so", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const store = yield* open(
        containerAt(simulator.endpoints["fra"]!, {}, { unsafe_use_distributed_reads: true }),
        undefined
      )
      expect((yield* Effect.flip(store.get("dir/a"))).reason._tag).toBe("NotFound")
      expect(Object.keys(simulator.requests.at(-1)!.headers).filter((name) => name.includes("tigris"))).toEqual([])
      simulator.settle()
      expect(text((yield* store.get("dir/a")).bytes)).toBe("0123456789")
    })
  )

  it.live.each<readonly [string, string | undefined, string]>([
    ["without a region", undefined, "it has no `region`"],
    ["with `auto` for a region", "auto", "`region` is `auto`"]
  ])("says with each read of a container %s what is missing", ([, region, problem]) =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const before = simulator.requests.length
      const store = yield* open(containerAt(simulator.endpoint), region)
      const error = yield* Effect.flip(store.get("dir/a"))
      expect(error.reason._tag).toBe("Unsupported")
      expect(error.message).toContain("container `data`")
      expect(error.message).toContain(problem)
      expect(simulator.requests.length).toBe(before)
    })
  )

  it.live("wants credentials that it has a use for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(open(containerAt("http://127.0.0.1:9"), "iad", Credentials.directory("/")))
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "data", platform: "tigris" })
    })
  )
})

describe("virtual chunks on Tigris", () => {
  const resolver = (
    repository: {
      readonly endpoint: string | undefined
      readonly region: string | undefined
      readonly platform?: string
    },
    containers: ReadonlyArray<Container.VirtualChunkContainer>,
    byContainer: Readonly<Record<string, Credentials.Entry>> = {}
  ): Effect.Effect<ChunkResolver.ChunkResolver, never, Scope.Scope> =>
    Effect.gen(function* () {
      const stores = yield* ContainerStores.make({
        platforms: new Map([["tigris", yield* TigrisPlatform.makeWith({ retry: fast })]]),
        policy: {
          byContainer,
          fallback: "same-endpoint",
          repository: { platform: "tigris", credentials: accessKey("test", "secret"), ...repository }
        }
      })
      return ChunkResolver.make({
        containers: ContainerMatch.make({ persisted: containers }),
        stores,
        reads: new ObjectReads(stores.scope, new RequestGate({ requests: 256, bytes: 64 * 1024 * 1024 }), undefined)
      })
    })
  const ref = { location: "tigris://bucket/dir/a", offset: 2, length: 3, checksum: undefined }

  it.live("take region and credentials of a repository on Tigris, or the container's own region", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const endpoint = simulator.endpoints["fra"]!
      const chunks = yield* resolver({ endpoint, region: "iad" }, [containerAt(endpoint)])
      expect(text(yield* chunks.read(ref, { checks: "fail" }))).toBe("234")
      expect(simulator.requests.at(-1)?.servedBy).toBe("iad")
      const own = yield* resolver({ endpoint, region: "iad" }, [containerAt(endpoint, { region: "sin" })])
      expect(text(yield* own.read(ref, { checks: "fail" }))).toBe("234")
      expect(simulator.requests.at(-1)?.servedBy).toBe("sin")
    })
  )

  it.live("need a region where the repository is on another platform", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const elsewhere = { platform: "s3", endpoint: undefined, region: "us-east-1" }
      const credentials = {
        data: Credentials.grant({ credentials: accessKey("test", "secret"), endpoints: [simulator.endpoint] })
      }
      const without = yield* resolver(elsewhere, [containerAt(simulator.endpoint)], credentials)
      const error = yield* Effect.flip(without.read(ref, { checks: "fail" }))
      expect(error.message).toContain("it has no `region`")
      const chunks = yield* resolver(elsewhere, [containerAt(simulator.endpoint, { region: "iad" })], credentials)
      expect(text(yield* chunks.read(ref, { checks: "fail" }))).toBe("234")
    })
  )
})

describe("the endpoint of Tigris itself", () => {
  it.effect.each<readonly [string, string | undefined, string | undefined, boolean]>([
    ["neither names it", undefined, undefined, true],
    ["the container names it", undefined, "https://t3.storage.dev", true],
    ["the repository names it", "https://t3.storage.dev/", undefined, true],
    ["the container names another", undefined, "https://evil.example", false],
    ["the repository names another", "http://127.0.0.1:9", undefined, false]
  ])("shares the repository's credentials or not, where %s", ([, repository, container, shares]) =>
    Effect.gen(function* () {
      const platform = yield* TigrisPlatform.make
      const store = yield* TigrisObjectStore.make({
        bucket: "bucket",
        region: "iad",
        endpoint: repository,
        credentials: accessKey("test", "secret")
      })
      const found = CredentialsPolicy.credentialsFor(
        { byContainer: {}, fallback: "same-endpoint", repository: store.origin },
        platform,
        {
          container: {
            name: "data",
            protocol: "tigris",
            platform: "tigris",
            cloud_client_config: { endpoint_url: container }
          },
          source: "persisted"
        }
      )
      expect(found._tag).toBe(shares ? "Success" : "Failure")
    })
  )
})
