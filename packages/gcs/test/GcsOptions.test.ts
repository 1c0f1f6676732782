import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as GcsObjectStore from "../src/GcsObjectStore.ts"
import * as GcsOptions from "../src/GcsOptions.ts"
import { make, text, token } from "./support/Harness.ts"

describe("GcsOptions", () => {
  it.each<readonly [options: Partial<GcsOptions.GcsOptions>, option: string | undefined]>([
    [{}, undefined],
    [{ bucket: "my.bucket_1-a" }, undefined],
    [{ bucket: "" }, "bucket"],
    [{ bucket: "a/b" }, "bucket"],
    [{ prefix: "a//../b/" }, undefined],
    [{ prefix: "\ud800" }, "prefix"],
    [{ prefix: "a\nb" }, "prefix"],
    [{ endpoint: "http://localhost:4443" }, undefined],
    [{ endpoint: "https://storage-x.p.googleapis.com/base/" }, undefined],
    [{ endpoint: "localhost:4443" }, "endpoint"],
    [{ endpoint: "ftp://localhost" }, "endpoint"],
    [{ endpoint: "https://user@example.com" }, "endpoint"],
    [{ endpoint: "https://example.com?a=b" }, "endpoint"],
    [{ userProject: "example.com:project-1" }, undefined],
    [{ userProject: "a\r\nb" }, "userProject"],
    [{ concurrency: 0 }, "concurrency"],
    [{ concurrency: 1.5 }, "concurrency"],
    [{ listPageSize: 1001 }, "listPageSize"],
    [{ retry: { times: -1 } }, "retry.times"]
  ])("of %o the unusable one is %s", (options, option) => {
    expect(GcsOptions.problem({ bucket: "data", ...options })?.option).toBe(option)
  })

  it.effect("what is unusable fails by name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(GcsObjectStore.make({ bucket: "a/b" })))
      expect(error).toMatchObject({ _tag: "InvalidGcsOptions", option: "bucket" })
      expect(error.message).toContain("The GCS store cannot be made: `bucket` is not the name of a bucket")
    })
  )

  it.effect.each<readonly [env: Record<string, string>, credentials: Credentials.Credentials | undefined]>([
    [{}, undefined],
    [{ GCS_BEARER_TOKEN: "t" }, Credentials.bearerToken({ token: Redacted.make("t") })],
    [{ GCS_SERVICE_ACCOUNT: "{}" }, Credentials.serviceAccount(Redacted.make("{}"))],
    [{ GCS_SERVICE_ACCOUNT: "{}", GCS_BEARER_TOKEN: "" }, Credentials.serviceAccount(Redacted.make("{}"))],
    [{ GCS_ANONYMOUS: "true", GCS_BEARER_TOKEN: "t" }, Credentials.anonymous]
  ])("credentials from the environment %o", ([env, credentials]) =>
    Effect.gen(function* () {
      const options = yield* GcsOptions.environment.parse(ConfigProvider.fromUnknown({ GCS_BUCKET: "data", ...env }))
      expect(options).toMatchObject({ bucket: "data", credentials })
    })
  )

  it.live("a store is made from configuration", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.seed("data", "p/a", "x")
      const read = Effect.gen(function* () {
        const store = yield* ObjectStore.ObjectStore
        return text((yield* store.get("a")).bytes)
      })
      const env = ConfigProvider.fromUnknown({
        GCS_BUCKET: "data",
        GCS_PREFIX: "p",
        GCS_ENDPOINT: server.endpoint,
        GCS_BEARER_TOKEN: token,
        MY_BUCKET: "data"
      })
      const fromEnvironment = read.pipe(
        Effect.provide(GcsObjectStore.layerConfig()),
        Effect.provideService(ConfigProvider.ConfigProvider, env)
      )
      expect(yield* fromEnvironment).toBe("x")
      const layer = GcsObjectStore.layerConfig({
        bucket: Config.String("MY_BUCKET"),
        prefix: Config.succeed("p"),
        endpoint: Config.String("GCS_ENDPOINT"),
        credentials: Config.Redacted("GCS_BEARER_TOKEN").pipe(
          Config.map((token): Credentials.Source => Credentials.bearerToken({ token }))
        )
      })
      const fromConfig = read.pipe(Effect.provide(layer), Effect.provideService(ConfigProvider.ConfigProvider, env))
      expect(yield* fromConfig).toBe("x")
      const missing = read.pipe(
        Effect.provide(GcsObjectStore.layerConfig()),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
      )
      expect((yield* Effect.flip(missing))._tag).toBe("ConfigError")
    })
  )
})
