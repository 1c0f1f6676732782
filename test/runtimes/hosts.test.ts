/**
 * What runs on Node 22, Bun and Deno: the quickstart, writers of all of them at once, S3 and TLS. The binaries come with
 * `pnpm runtimes`, which also runs the suites of the stores there.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { Credentials, Repository, ZarritaStore } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as zarr from "zarrita"
import * as certificate from "../../packages/core/test/node/certificate.ts"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as FsServices from "../support/FsServices.ts"
import * as Writers from "../writers/Writers.ts"
import * as Runtimes from "./Runtimes.ts"

const examples = path.resolve(import.meta.dirname, "../../examples")

const hosts = (["Node 22", "Bun", "Deno"] as const).map((name) => ({ name, runtime: Runtimes.runtimes[name] }))

const commands = hosts.flatMap(({ name, runtime }) => (runtime === undefined ? [] : [Runtimes.command(name, runtime)]))

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-runtimes-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const run = ({ args, program }: Writers.Command, file: string, more: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Effect.promise(() =>
    promisify(execFile)(program, [...args, file, ...more], {
      env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env }
    })
  )

const heightIn = (repository: string) =>
  Effect.gen(function* () {
    const opened = yield* Repository.open({
      credentials: { geoid: Credentials.directory(path.join(examples, "data")) }
    })
    const session = yield* opened.readonlySession({ branch: "main" })
    const root = zarr.root(ZarritaStore.fromSession(session))
    const array = yield* Effect.promise(() => zarr.open(root.resolve("/heights"), { kind: "array" }))
    return Number(yield* Effect.promise(() => zarr.get(array, [360, 0])))
  }).pipe(Effect.scoped, Effect.provide(FsServices.services(repository)))

/** Answers `/N` with N bytes over TLS. */
const secure = Effect.gen(function* () {
  const { cert, key } = certificate.make()
  const server = yield* Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<https.Server>((resolve) => {
          const server = https.createServer({ cert, key }, ({ url = "/0" }, response) => {
            const length = Number(url.slice(1))
            response.writeHead(200, { "content-length": length })
            response.end(Uint8Array.from({ length }, (_, i) => i % 251))
          })
          server.listen(0, "127.0.0.1", () => resolve(server))
        })
    ),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  return { cert, origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
})

describe.each(hosts)("$name", ({ name, runtime }) => {
  if (runtime === undefined) console.log(Runtimes.missing(name))
  const command = runtime === undefined ? undefined : Runtimes.command(name, runtime)

  it.live.skipIf(command === undefined)("runs the quickstart, and Node reads what it wrote", () =>
    Effect.gen(function* () {
      const repository = path.join(yield* directory, "quickstart")
      const { stdout } = yield* run(command!, path.join(examples, "quickstart.ts"), [repository], {})
      assert.strictEqual(stdout, "The geoid at 0° N, 180° W is 21.15 m above the ellipsoid\n")
      assert.approximately(yield* heightIn(repository), 21.15, 0.005)
    })
  )

  it.live.skipIf(command === undefined)("reads whole answers over TLS, on used connections too", () =>
    Effect.gen(function* () {
      const { cert, origin } = yield* secure
      const file = path.join(yield* directory, "certificate.pem")
      fs.writeFileSync(file, cert)
      const { stdout } = yield* run(command!, path.join(import.meta.dirname, "exchange.ts"), [origin], {
        NODE_EXTRA_CA_CERTS: file,
        DENO_CERT: file
      })
      assert.strictEqual(stdout, "0,0,10,10,5000,5000,3000000,3000000,10,10\n")
    })
  )
})

describe("writers on all of them, which commit to one branch at once: all is in, once, in an order that each could have seen", () => {
  const size: Writers.Size = { writers: commands.length, each: 6, programs: commands }

  it.live.skipIf(commands.length === 0)("in a directory", () =>
    Effect.gen(function* () {
      yield* Writers.writeAndCheck(`fs ${yield* directory}`, size)
    })
  )

  it.live.skipIf(commands.length === 0)("on an S3 server", () =>
    Effect.gen(function* () {
      const { endpoint } = yield* S3Server.start()
      yield* Writers.writeAndCheck(`s3 ${endpoint} bucket`, size)
    })
  )
})
