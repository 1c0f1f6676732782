/** Endpoints that are reached through the proxy of the environment, and those that are not. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { bytes, make, reason, text } from "./support/Harness.ts"

interface Proxy {
  readonly url: string
  /** What it was asked for. */
  readonly asked: Array<string>
}

/** Sends what it is asked for to one server, whatever the name; tunnels it refuses. */
const proxyTo = (target: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const asked: Array<string> = []
        const { hostname, port } = new URL(target)
        const server = http.createServer((incoming, answer) => {
          const url = new URL(incoming.url ?? "")
          asked.push(`${incoming.method} ${url.host}`)
          const { headers, method } = incoming
          const forwarded = http.request(
            { hostname, port, method, headers, path: url.pathname + url.search },
            (response) => {
              answer.writeHead(response.statusCode ?? 0, response.headers)
              response.pipe(answer)
            }
          )
          incoming.pipe(forwarded)
        })
        server.on("connect", ({ method, url }, socket) => {
          asked.push(`${method} ${url}`)
          socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")
        })
        await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
        return { server, asked }
      }),
      ({ server }) =>
        Effect.promise(() => {
          const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
          server.closeAllConnections()
          return closed
        })
    ),
    ({ asked, server }) => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked })
  )

const names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]

/** The environment has these of the names, and not the others, until the Scope is closed. */
const environment = (given: Readonly<Record<string, string>>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = names.map((name) => [name, process.env[name]] as const)
        for (const name of names) delete process.env[name]
        Object.assign(process.env, given)
        return before
      }),
      (before) =>
        Effect.sync(() => {
          for (const [name, value] of before) {
            if (value === undefined) delete process.env[name]
            else process.env[name] = value
          }
        })
    )
  )

describe("a proxy of the environment", () => {
  it.live("gets the requests to an http endpoint", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const proxy = yield* proxyTo(server.endpoint)
      yield* environment({ HTTP_PROXY: proxy.url })
      const store = yield* open({ endpoint: "http://storage.invalid" })
      yield* store.put("a", bytes("hello"))
      expect(text((yield* store.get("a")).bytes)).toBe("hello")
      expect(proxy.asked).toEqual(["POST storage.invalid", "GET storage.invalid"])
    })
  )

  it.live("is asked for a tunnel to an https endpoint", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const proxy = yield* proxyTo(server.endpoint)
      yield* environment({ HTTPS_PROXY: proxy.url })
      const store = yield* open({ endpoint: "https://storage.invalid", retry: { times: 0 } })
      yield* reason(store.get("a"))
      expect(proxy.asked).toEqual(["CONNECT storage.invalid:443"])
    })
  )

  it.live("is not asked for what NO_PROXY names, nor for this machine", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", bytes("hello"))
      const proxy = yield* proxyTo(server.endpoint)
      const endpoint = server.endpoint.replace("127.0.0.1", "0.0.0.0")
      yield* environment({ HTTP_PROXY: proxy.url })
      yield* (yield* open({ endpoint })).get("a")
      expect(proxy.asked).toEqual([`GET ${new URL(endpoint).host}`])
      yield* (yield* open()).get("a")
      yield* environment({ HTTP_PROXY: proxy.url, NO_PROXY: "0.0.0.0" })
      yield* (yield* open({ endpoint })).get("a")
      expect(proxy.asked).toHaveLength(1)
    })
  )
})
