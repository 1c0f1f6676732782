import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { hasReason } from "@effect-icechunk/core/ObjectStoreError"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { Storage } from "@google-cloud/storage"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { JWT } from "google-auth-library"
import { generateKeyPairSync } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Observed from "../../core/test/Observed.ts"
import * as GcsObjectStore from "../src/GcsObjectStore.ts"
import type { GcsServer } from "./support/GcsServer.ts"
import { bytes, make, reason, text, token } from "./support/Harness.ts"

const email = "tests@project.iam.gserviceaccount.com"
const pair = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" }
})
const key = JSON.stringify({
  type: "service_account",
  project_id: "project",
  private_key_id: "1",
  private_key: pair.privateKey,
  client_email: email,
  client_id: "1",
  token_uri: "https://oauth2.googleapis.com/token"
})

/** The key in a file, removed with the Scope. */
const keyFile: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "gcs-key-"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
  ),
  (directory) => {
    const file = path.join(directory, "key.json")
    fs.writeFileSync(file, key)
    return file
  }
)

/** A variable of the environment, for the Scope. */
const variable = (name: string, value: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env[name]
      process.env[name] = value
      return before
    }),
    (before) =>
      Effect.sync(() => {
        if (before === undefined) delete process.env[name]
        else process.env[name] = before
      })
  )

/** A source of tokens that the server accepts until they expire, and how often it was asked. */
const tokens = (server: GcsServer, lifetime: number) => {
  const state = { runs: 0 }
  const source = Effect.gen(function* () {
    state.runs += 1
    const value = `fresh-${state.runs}`
    const expiresAt = (yield* Clock.currentTimeMillis) + lifetime
    server.addToken(value, { expiresAt })
    return Credentials.bearerToken({ token: Redacted.make(value), expiresAt })
  })
  return { source, state }
}

const failureOf = (exit: Exit.Exit<unknown, unknown>): Cause.Cause<unknown> =>
  exit._tag === "Failure" ? exit.cause : Cause.empty

describe("credentials", () => {
  it.live("a token that the server does not know is refused", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const credentials = Credentials.bearerToken({ token: Redacted.make("wrong") })
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ credentials, readApi })
        const isUnauthenticated = hasReason("Unauthenticated")
        expect(isUnauthenticated(yield* Effect.flip(store.get("a")))).toBe(true)
        expect(isUnauthenticated(yield* Effect.flip(store.head("a")))).toBe(true)
        expect(isUnauthenticated(yield* Effect.flip(store.put("a", bytes("x"))))).toBe(true)
        expect(isUnauthenticated(yield* Effect.flip(store.delete(["a"])))).toBe(true)
        const create = store.put("a", bytes("x"), { mode: ObjectStore.create })
        expect(isUnauthenticated(yield* Effect.flip(create))).toBe(true)
      }
    })
  )

  it.effect("a refreshing token is fetched once, and again before it expires", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      server.settings.now = () => 0
      const clock = yield* Clock.Clock
      server.settings.now = () => clock.currentTimeMillisUnsafe()
      const { source, state } = tokens(server, 10 * 60_000)
      const store = yield* open({ credentials: source })
      expect(state.runs).toBe(0)
      yield* Effect.all(
        Array.from({ length: 20 }, () => store.get("a")),
        { concurrency: "unbounded" }
      )
      expect(state.runs).toBe(1)
      yield* TestClock.adjust("8 minutes")
      yield* store.get("a")
      expect(state.runs).toBe(1)
      // A minute is left: enough for what is under way, not for more.
      yield* TestClock.adjust("1 minute")
      yield* Effect.all(
        Array.from({ length: 20 }, () => store.get("a")),
        { concurrency: "unbounded" }
      )
      expect(state.runs).toBe(2)
      expect(server.requests.every(({ status }) => status === 200)).toBe(true)
      expect(server.requests.at(-1)!.headers["authorization"]).toBe("Bearer fresh-2")
    })
  )

  it.live("a refreshing token that is refused is fetched again, once for all", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      const { source, state } = tokens(server, 60 * 60_000)
      const store = yield* open({ credentials: source })
      yield* store.get("a")
      server.settings.tokens.delete("fresh-1")
      yield* Effect.all(
        Array.from({ length: 20 }, () => store.get("a")),
        { concurrency: "unbounded" }
      )
      expect(state.runs).toBe(2)
      // Also for a write on condition, which was not applied.
      server.settings.tokens.delete("fresh-2")
      yield* store.put("b", bytes("x"), { mode: ObjectStore.create })
      expect(state.runs).toBe(3)
    })
  )

  it.live("a source that always gets refused tokens is asked twice for a request, not forever", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      let runs = 0
      const source = Effect.sync(() => {
        runs += 1
        return Credentials.bearerToken({ token: Redacted.make(`wrong-${runs}`) })
      })
      const store = yield* open({ credentials: source })
      expect((yield* reason(store.get("a")))._tag).toBe("Unauthenticated")
      expect([runs, server.requests.length]).toEqual([2, 2])
    })
  )

  it.live("a source that fails says why, and is asked again by the next request", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      let runs = 0
      const store = yield* open({
        credentials: Effect.suspend(() => {
          runs += 1
          return runs === 1
            ? Effect.fail(new Credentials.CredentialsUnavailable({ problem: "the vault is closed" }))
            : Effect.succeed(Credentials.bearerToken({ token: Redacted.make(token) }))
        })
      })
      expect(yield* reason(store.get("a"))).toMatchObject({ _tag: "Unauthenticated", detail: "the vault is closed" })
      expect(server.requests).toEqual([])
      expect(text((yield* store.get("a")).bytes)).toBe("x")
    })
  )

  it.live("anybody reads a public bucket", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.addBucket("public", { isPublic: true })
      server.seed("public", "a", "x")
      const store = yield* open({ bucket: "public", credentials: Credentials.anonymous })
      expect(text((yield* store.get("a")).bytes)).toBe("x")
      expect((yield* Stream.runCollect(store.list(""))).length).toBe(1)
      expect(server.requests.every(({ headers }) => headers["authorization"] === undefined)).toBe(true)
      expect((yield* reason(store.put("b", bytes("x"))))._tag).toBe("Unauthenticated")
    })
  )

  it.live("a service account signs its own tokens", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.settings.serviceAccounts.set(email, pair.publicKey)
      server.seed("data", "a", "x")
      const file = yield* keyFile
      const sources = [
        { credentials: Credentials.serviceAccount(Redacted.make(key)) },
        { credentials: undefined, keyFile: file },
        { credentials: Effect.succeed(Credentials.serviceAccount(Redacted.make(key))) }
      ]
      for (const source of sources) {
        const store = yield* open(source)
        expect(text((yield* store.get("a")).bytes)).toBe("x")
        yield* store.put("b", bytes("y"))
      }
      yield* variable("GOOGLE_APPLICATION_CREDENTIALS", file)
      for (const credentials of [undefined, Credentials.environment()]) {
        const store = yield* open({ credentials })
        expect(text((yield* store.get("a")).bytes)).toBe("x")
      }
      expect(server.requests.every(({ status }) => status === 200)).toBe(true)
    })
  )

  it.live("the key of a service account that the server does not know is refused", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const store = yield* open({ credentials: Credentials.serviceAccount(Redacted.make(key)) })
      expect((yield* reason(store.get("a")))._tag).toBe("Unauthenticated")
    })
  )

  it.live("credentials that are unusable here say so, without a request", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const secret = Redacted.make("s3cret")
      const cases: ReadonlyArray<readonly [options: Parameters<typeof open>[0], expected: string]> = [
        [
          { credentials: Credentials.accessKey({ accessKeyId: "AK", secretAccessKey: secret }) },
          "access keys are for S3"
        ],
        [{ credentials: Credentials.directory("/tmp") }, "a directory is for files"],
        [{ credentials: Credentials.serviceAccount(secret) }, "not a JSON object"],
        [{ credentials: Credentials.serviceAccount(Redacted.make("[]")) }, "not a JSON object"],
        [
          {
            credentials: Credentials.serviceAccount(
              Redacted.make(JSON.stringify({ client_email: email, private_key: "s3cret" }))
            )
          },
          "check the key"
        ],
        [{ credentials: Credentials.serviceAccount(Redacted.make("{}")) }, "no `client_email`"],
        [
          { credentials: Credentials.serviceAccount(Redacted.make('{"type":"authorized_user"}')) },
          "use the environment"
        ],
        [{ credentials: undefined, keyFile: "/does/not/exist.json" }, "`/does/not/exist.json` cannot be read, ENOENT"]
      ]
      for (const [options, expected] of cases) {
        const store = yield* open(options)
        const error = yield* Effect.flip(store.get("a"))
        expect(error).toMatchObject({ reason: { _tag: "Unauthenticated", detail: expect.stringContaining(expected) } })
        expect(Cause.pretty(Cause.fail(error))).not.toContain("s3cret")
      }
      expect(server.requests).toEqual([])
    })
  )

  it.live("a token that no header can carry is no defect", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      const withNewline = yield* open({ credentials: Credentials.bearerToken({ token: Redacted.make(`${token}\n`) }) })
      expect(text((yield* withNewline.get("a")).bytes)).toBe("x")
      const store = yield* open({ credentials: Credentials.bearerToken({ token: Redacted.make("a\nb") }) })
      expect((yield* reason(store.get("a")))._tag).toBe("Unsupported")
    })
  )

  it.live("neither errors nor logs nor spans tell a secret or a query string", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const secret = "ya29.very-secret"
      const told: Array<string> = []
      const { spans, tracer } = Observed.recording()
      const log = Logger.make(({ cause, message }) => told.push(String(message), Cause.pretty(cause)))
      const credentials = Credentials.bearerToken({ token: Redacted.make(secret) })
      const echo = Buffer.from(
        JSON.stringify({
          error: {
            code: 403,
            message: `${secret} and Bearer ${secret} may not GET ${server.endpoint}/storage/v1/b/data/o?prefix=hidden-prefix`,
            errors: [{ reason: "forbidden" }]
          }
        })
      )
      const store = yield* open({ credentials })
      const failing = [
        store.get("a"),
        store.put("a", bytes("hidden-bytes")),
        store.put("a", bytes("hidden-bytes"), { mode: ObjectStore.create }),
        store.delete(["a"]),
        store.copy("a", "b"),
        store.head("a"),
        Stream.runCollect(store.list("x"))
      ]
      for (const status of [403, 503]) {
        for (const operation of failing) {
          server.plan(
            {
              _tag: "Tamper",
              answer: () => ({ status, headers: { "content-length": String(echo.length) }, body: echo })
            },
            { times: 4 }
          )
          const exit = yield* Effect.exit(
            operation.pipe(
              Effect.tapCause(Effect.logError),
              Effect.withTracer(tracer),
              Effect.provide(Logger.layer([log]))
            )
          )
          told.push(JSON.stringify(exit))
          if (exit._tag === "Failure") {
            told.push(Cause.pretty(exit.cause), ...exit.cause.reasons.map((reason) => String(Object.values(reason))))
          }
          server.clearPlans()
        }
      }
      for (const { attributes, events, status } of spans) {
        told.push(
          ...[...attributes, ...events].flat().map(String),
          status._tag === "Ended" ? Cause.pretty(failureOf(status.exit)) : ""
        )
      }
      told.push(JSON.stringify(store), store.description)
      const all = told.join("\n")
      expect(all).toContain("forbidden")
      for (const hidden of [secret, "hidden-prefix", "hidden-bytes"]) expect(all).not.toContain(hidden)
    })
  )

  it.live("a client of Google's lends its endpoint and credentials", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.settings.serviceAccounts.set(email, pair.publicKey)
      server.seed("data", "a", "x")
      const authClient = new JWT({ email, key: pair.privateKey, scopes: ["scope"] })
      authClient.useJWTAccessWithScope = true
      const client = new Storage({ apiEndpoint: server.endpoint, useAuthWithCustomEndpoint: true, authClient })
      const { origin, read } = yield* Effect.gen(function* () {
        const store = yield* ObjectStore.ObjectStore
        return { origin: store.origin, read: yield* store.get("a") }
      }).pipe(Effect.provide(GcsObjectStore.layerClient(client, { bucket: "data" })))
      expect(text(read.bytes)).toBe("x")
      expect(origin).toMatchObject({ platform: "gcs", endpoint: server.endpoint })
      // Its credentials serve other stores at the endpoint.
      const shared = yield* GcsObjectStore.make({
        bucket: "data",
        endpoint: server.endpoint,
        credentials: origin.credentials
      })
      expect(text((yield* shared.get("a")).bytes)).toBe("x")
    })
  )

  it.live("an emulator that only the environment names gets no credentials", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.addBucket("public", { isPublic: true })
      server.seed("public", "a", "x")
      yield* variable("STORAGE_EMULATOR_HOST", server.endpoint)
      const credentials = Credentials.bearerToken({ token: Redacted.make(token) })
      const store = yield* GcsObjectStore.make({ bucket: "public", credentials })
      expect(text((yield* store.get("a")).bytes)).toBe("x")
      expect(server.requests[0]!.headers["authorization"]).toBeUndefined()
      expect(store.origin.endpoint).toBeUndefined()
    })
  )
})
