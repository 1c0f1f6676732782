/** What a pool of connections makes of servers that keep their word, and of those that do not. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as diagnostics from "node:diagnostics_channel"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import type { AddressInfo, Socket } from "node:net"
import * as tls from "node:tls"
import * as HttpPool from "../../src/node/HttpPool.ts"
import * as certificate from "./certificate.ts"

interface Server {
  readonly origin: string
  readonly open: () => number
  readonly total: () => number
  readonly closed: (count: number) => Effect.Effect<void>
}

const listening = (server: net.Server): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const sockets = new Set<Socket>()
        const waiting = new Set<() => void>()
        let total = 0
        server.on("connection", (socket: Socket) => {
          total += 1
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => {
            sockets.delete(socket)
            for (const look of waiting) look()
          })
        })
        await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
        const closed = (count: number): Effect.Effect<void> =>
          Effect.callback((resume) => {
            const look = (): void => {
              if (sockets.size <= count) resume(Effect.void)
            }
            waiting.add(look)
            look()
          })
        const origin = `${server instanceof tls.Server ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`
        return { sockets, shown: { origin, open: () => sockets.size, total: () => total, closed } }
      }),
      ({ sockets }) =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              server.close(() => resolve())
              for (const socket of sockets) socket.destroy()
            })
        )
    ),
    ({ shown }) => shown
  )

const serving = (listener: http.RequestListener): Effect.Effect<Server, never, Scope.Scope> =>
  listening(http.createServer({ keepAliveTimeout: 60_000 }, listener))

/** A server that says what it is told, byte by byte, to each request that has come whole. */
const saying = (answer: (request: number, socket: Socket) => void): Effect.Effect<Server, never, Scope.Scope> => {
  let requests = 0
  return listening(
    net.createServer((socket) => {
      socket.on("data", () => answer(requests++, socket))
    })
  )
}

const ok = (body: string, length = body.length): string => `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`

const get: HttpPool.Request = { method: "GET", path: "/", headers: [] }
const bounds = { limit: () => 1_000_000, timeout: 60_000 }
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const poolOn = (server: Server, connections = 4): Effect.Effect<HttpPool.HttpPool, never, Scope.Scope> =>
  HttpPool.make(server.origin, { connections })

describe("an exchange", () => {
  it.live("sends what it was given, and reads what came, in a buffer of its own", () =>
    Effect.gen(function* () {
      const server = yield* serving((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          response.writeHead(207, { "x-a": ["1", "2"], "X-Method": request.method, "x-path": request.url })
          response.end(Buffer.concat([Buffer.from(`${request.headers["x-b"] as string}:`), ...chunks]))
        })
      })
      const pool = yield* poolOn(server)
      const put = { method: "PUT", path: "/a//b/../%2e?x", headers: ["x-b", "c"] } as const
      const whole = yield* pool.send({ ...put, body: Buffer.from("body") }, bounds)
      expect(whole).toMatchObject({
        status: 207,
        complete: true,
        headers: { "x-a": "1, 2", "x-method": "PUT", "x-path": "/a//b/../%2e?x" }
      })
      expect(text(whole.body)).toBe("c:body")
      expect(whole.body.buffer.byteLength).toBe(6)
      const large = new Uint8Array(700_000).fill(7)
      const parts = yield* pool.send({ ...put, body: [Buffer.from("a"), large, Buffer.from("z")] }, bounds)
      expect(parts.body).toEqual(new Uint8Array(Buffer.concat([Buffer.from("c:a"), large, Buffer.from("z")])))
      const larger = yield* pool.send({ ...put, body: [large, large] }, { ...bounds, limit: () => 2_000_000 })
      expect(larger.body.length).toBe(1_400_002)
      expect(text((yield* pool.send({ ...put, body: new Uint8Array(0) }, bounds)).body)).toBe("c:")
    })
  )

  it.live("keeps one connection for exchanges one after another, HEAD and empty answers too", () =>
    Effect.gen(function* () {
      const server = yield* serving((request, response) => {
        const status = Number(request.url!.slice(1))
        response.writeHead(status, status === 200 ? { "content-length": 5 } : {})
        response.end(status === 200 && request.method !== "HEAD" ? "hello" : undefined)
      })
      const pool = yield* poolOn(server)
      for (const [method, status] of [
        ["GET", 200],
        ["HEAD", 200],
        ["GET", 304],
        ["DELETE", 204],
        ["PUT", 404],
        ["GET", 200]
      ] as const) {
        const answer = yield* pool.send({ method, path: `/${status}`, headers: [] }, bounds)
        expect([answer.status, text(answer.body)]).toEqual([status, method === "GET" && status === 200 ? "hello" : ""])
      }
      expect(server.total()).toBe(1)
    })
  )

  it.live("reads no more than the limit: an announced excess not at all, another as far as it goes", () =>
    Effect.gen(function* () {
      let sent = 0
      const server = yield* serving((request, response) => {
        if (request.url === "/announced") {
          // Nothing has to come for that.
          response.setHeader("content-length", 2_000_000_000)
          return response.flushHeaders()
        }
        const pour = (): void => {
          while (!response.destroyed && sent < 2_000_000_000) {
            sent += 65_536
            if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", pour)
          }
        }
        pour()
      })
      const pool = yield* poolOn(server)
      for (const path of ["/announced", "/poured"]) {
        const answer = yield* pool.send({ ...get, path }, bounds)
        expect([answer.status, answer.complete, answer.body.length]).toEqual([200, false, 0])
      }
      yield* server.closed(0)
      expect(sent).toBeLessThan(64 * 1024 ** 2)
    })
  )

  it.live("takes no memory on a promise: what is announced comes in as it comes", () =>
    Effect.gen(function* () {
      const size = 40 * 1024 ** 2
      const server = yield* saying((request, socket) => {
        if (request === 0) socket.write(ok("few bytes", 8_000_000_000_000))
        else {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
          for (let i = 0; i < 40; i++) socket.write(Buffer.alloc(1024 ** 2, i))
        }
      })
      const pool = yield* poolOn(server)
      const fiber = yield* Effect.forkChild(pool.send(get, { ...bounds, limit: () => 10 ** 13 }), {
        startImmediately: true
      })
      const before = process.memoryUsage().arrayBuffers
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 ** 2)
      yield* Fiber.interrupt(fiber)
      const { body } = yield* pool.send(get, { ...bounds, limit: () => size })
      expect([body.length, body[0], body[size / 2], body[size - 1]]).toEqual([size, 0, 20, 39])
      expect(body.buffer.byteLength).toBe(size)
    })
  )

  it.live("that ends early is a failure, never a shorter body, and what is too long is no other answer", () =>
    Effect.gen(function* () {
      const server = yield* saying((request, socket) => {
        if (request === 0) socket.end(ok("01234", 10))
        else if (request === 1) socket.write(ok("hello") + ok("smuggled"))
        else if (request === 2) socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        else if (request === 3) socket.write("HTTP/9.9 what\r\n\r\n")
        else socket.write(ok("next"))
      })
      const pool = yield* poolOn(server, 1)
      const short = yield* Effect.flip(pool.send(get, bounds))
      expect(short).toMatchObject({ code: "ECONNRESET", answered: true, received: 5 })
      expect(text((yield* pool.send(get, bounds)).body)).toBe("hello")
      const cut = yield* Effect.flip(pool.send(get, bounds))
      expect(cut).toMatchObject({ code: "ECONNRESET", answered: true, received: 5 })
      expect((yield* Effect.flip(pool.send(get, bounds))).answered).toBe(false)
      expect(text((yield* pool.send(get, bounds)).body)).toBe("next")
    })
  )

  it.live("with early hints gets the answer after them", () =>
    Effect.gen(function* () {
      const server = yield* saying((_, socket) => {
        socket.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${ok("hello")}`)
      })
      const pool = yield* poolOn(server)
      const judged: Array<number> = []
      const limit = ({ status }: HttpPool.Head): number => {
        judged.push(status)
        return 5
      }
      const { body, headers } = yield* pool.send(get, { ...bounds, limit })
      expect([text(body), headers["link"], judged]).toEqual(["hello", undefined, [200]])
    })
  )

  it.live("that HTTP cannot carry fails before it is sent, and one that nobody serves is not sent", () =>
    Effect.gen(function* () {
      const server = yield* serving((_, response) => void response.end())
      const pool = yield* poolOn(server)
      const failed = yield* Effect.flip(pool.send({ ...get, headers: ["x-a", "b\r\nx-c: d"] }, bounds))
      expect(failed.code).toBe("ERR_INVALID_CHAR")
      expect(server.total()).toBe(0)
      const nowhere = yield* HttpPool.make("http://127.0.0.1:1", { connections: 1 })
      expect(yield* Effect.flip(nowhere.send(get, bounds))).toMatchObject({ code: "ECONNREFUSED", answered: false })
    })
  )

  it.live("whose limit is a defect dies, and closes its connection", () =>
    Effect.gen(function* () {
      const server = yield* serving((_, response) => void response.end("hello"))
      const pool = yield* poolOn(server)
      const limit = (): number => {
        throw new Error("a bug")
      }
      const exit = yield* Effect.exit(pool.send(get, { ...bounds, limit }))
      expect(Exit.isFailure(exit) && exit.cause.reasons[0]?._tag).toBe("Die")
      yield* server.closed(0)
    })
  )
})

/** Other bytes for each seed. */
const bytesOf = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8) * 7 + seed
  return bytes
}

describe("an answer in pieces", () => {
  const sizes = [0, 1, 2047, 2048, 2049, 16_384, 65_536, 300_000]
  /** An answer with a body of that many bytes, and headers that are longer than what is read at once. */
  const answerOf = (length: number, isChunked: boolean, seed: number): Buffer => {
    const body = bytesOf(length, seed)
    const head = `HTTP/1.1 200 OK\r\nx-long: ${String(seed).repeat(1000)}\r\nx-seed: ${seed}\r\n`
    if (!isChunked) return Buffer.concat([Buffer.from(`${head}content-length: ${length}\r\n\r\n`), body])
    const parts: Array<Buffer> = [Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`)]
    for (let at = 0; at < length; at += 1 + (at % 7000)) {
      const part = body.subarray(at, at + 1 + (at % 7000))
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"))
    }
    return Buffer.concat([...parts, Buffer.from("0\r\nx-trailer: some value\r\n\r\n")])
  }
  const ways: Readonly<Record<string, (all: number, at: number) => number>> = {
    "all at once": (all) => all,
    "byte by byte at first and at last": (all, at) => (at < 1500 || at > all - 30 ? 1 : 9000),
    "in thirds": (all) => Math.ceil(all / 3),
    "of ever other sizes": (_, at) => 1 + ((at * 7919) % 5000)
  }
  for (const [name, next] of Object.entries(ways)) {
    it.live(`${name} has the same headers and bytes, which no later answer changes`, () =>
      Effect.gen(function* () {
        const asked = sizes.flatMap((size) => [false, true].map((isChunked) => ({ size, isChunked })))
        const server = yield* saying((request, socket) => {
          const { isChunked, size } = asked[request]!
          const all = answerOf(size, isChunked, request)
          socket.setNoDelay(true)
          const say = (at: number): void => {
            if (at >= all.length || socket.destroyed) return
            const piece = all.subarray(at, at + next(all.length, at))
            socket.write(piece)
            setImmediate(say, at + piece.length)
          }
          say(0)
        })
        const trailers: Array<string> = []
        const note = (message: unknown): void => {
          trailers.push((message as { readonly trailers: ReadonlyArray<Buffer> }).trailers.join(" "))
        }
        yield* Effect.acquireRelease(
          Effect.sync(() => diagnostics.subscribe("undici:request:trailers", note)),
          () => Effect.sync(() => diagnostics.unsubscribe("undici:request:trailers", note))
        )
        const pool = yield* poolOn(server, 1)
        const answers: Array<HttpPool.Answer> = []
        for (let i = 0; i < asked.length; i++) answers.push(yield* pool.send(get, bounds))
        for (const [i, { body, complete, headers }] of answers.entries()) {
          expect([complete, headers["x-seed"], headers["x-long"]]).toEqual([true, `${i}`, `${i}`.repeat(1000)])
          expect(Buffer.compare(body, bytesOf(asked[i]!.size, i))).toBe(0)
          expect(body.buffer.byteLength).toBe(body.length)
        }
        // Which only undici sees: what it keeps of an answer stays as it came.
        expect(trailers).toEqual(asked.map(({ isChunked }) => (isChunked ? "x-trailer some value" : "")))
        expect(server.total()).toBe(1)
      })
    )
  }

  it.live("comes to its own exchange when many come at once", () =>
    Effect.gen(function* () {
      const server = yield* serving((request, response) => {
        const seed = Number(request.url!.slice(1))
        const body = bytesOf(100_000 + seed * 1000, seed)
        response.writeHead(200, { "content-length": body.length })
        for (let at = 0; at < body.length; at += 30_000) response.write(body.subarray(at, at + 30_000))
        response.end()
      })
      const pool = yield* poolOn(server, 8)
      const bodies = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, seed) => seed),
        (seed) => Effect.map(pool.send({ ...get, path: `/${seed}` }, bounds), ({ body }) => [body, seed] as const),
        { concurrency: "unbounded" }
      )
      for (const [body, seed] of bodies) expect(Buffer.compare(body, bytesOf(100_000 + seed * 1000, seed))).toBe(0)
    })
  )

  it.live("that is longer than any buffer made on a promise is whole", () =>
    Effect.gen(function* () {
      const body = bytesOf(20 * 1024 ** 2, 5)
      const server = yield* serving((_, response) => {
        response.writeHead(200, { "content-length": body.length })
        response.end(body)
      })
      const pool = yield* poolOn(server)
      const answer = yield* pool.send(get, { ...bounds, limit: () => body.length })
      expect(Buffer.compare(answer.body, body)).toBe(0)
    })
  )

  it.live("that is left in the middle leaves no bytes in another, on whichever connection", () =>
    Effect.gen(function* () {
      const server = yield* serving((request, response) => {
        const isLeft = request.url === "/left"
        response.writeHead(200, { "content-length": 200_000 })
        response.write(bytesOf(isLeft ? 90_000 : 100_000, isLeft ? 1 : 2))
        setTimeout(() => response.end(bytesOf(isLeft ? 110_000 : 100_000, isLeft ? 1 : 2)), 10)
      })
      const pool = yield* poolOn(server, 2)
      for (let i = 0; i < 10; i++) {
        const left = yield* Effect.forkChild(pool.send({ ...get, path: "/left" }, bounds), { startImmediately: true })
        const kept = yield* Effect.forkChild(pool.send(get, bounds), { startImmediately: true })
        yield* Effect.sleep(i)
        yield* Fiber.interrupt(left)
        const half = bytesOf(100_000, 2)
        expect(Buffer.compare((yield* Fiber.join(kept)).body, Buffer.concat([half, half]))).toBe(0)
      }
    })
  )

  // Bun and Deno resume none; `test/runtimes` has TLS on them.
  const isNode = process.versions["bun"] === undefined && !("Deno" in globalThis)
  it.live.skipIf(!isNode)("comes over TLS as well, and a further connection resumes the session", () =>
    Effect.gen(function* () {
      const { cert, key } = certificate.make()
      const trusted = tls.getCACertificates("default")
      yield* Effect.acquireRelease(
        Effect.sync(() => tls.setDefaultCACertificates([...trusted, cert])),
        () => Effect.sync(() => tls.setDefaultCACertificates(trusted))
      )
      const resumed: Array<boolean> = []
      const secure = https.createServer({ cert, key }, (request, response) => {
        if (request.url === "/small") return void response.end("hello")
        response.writeHead(200, { "content-length": 1_000_000 })
        response.end(bytesOf(1_000_000, 3))
      })
      secure.on("secureConnection", (socket) => void resumed.push(socket.isSessionReused()))
      const server = yield* listening(secure)
      const pool = yield* poolOn(server)
      expect(text((yield* pool.send({ ...get, path: "/small" }, bounds)).body)).toBe("hello")
      const large = yield* Effect.all([pool.send(get, bounds), pool.send(get, bounds)], { concurrency: 2 })
      for (const { body } of large) expect(Buffer.compare(body, bytesOf(1_000_000, 3))).toBe(0)
      expect(resumed).toEqual([false, true])
    })
  )
})

describe("a connection", () => {
  it.live("that the server closed while it was idle is not used again", () =>
    Effect.gen(function* () {
      const server = yield* saying((_, socket) => {
        socket.write(ok("hello"))
        setImmediate(() => socket.end())
      })
      const pool = yield* poolOn(server, 1)
      for (let i = 0; i < 20; i++) {
        expect(text((yield* pool.send(get, bounds)).body)).toBe("hello")
        yield* server.closed(0)
      }
      expect(server.total()).toBe(20)
    })
  )

  it.live("that the server closes as the next request comes fails that request, which nobody repeats", () =>
    Effect.gen(function* () {
      let puts = 0
      const server = yield* saying((request, socket) => {
        if (request === 0) return void socket.write(ok("hello"))
        puts += 1
        socket.resetAndDestroy()
      })
      const pool = yield* poolOn(server)
      yield* pool.send(get, bounds)
      const put: HttpPool.Request = { method: "PUT", path: "/", headers: [], body: new Uint8Array(10) }
      const failed = yield* Effect.flip(pool.send(put, bounds))
      expect(failed).toMatchObject({ code: "ECONNRESET", answered: false, isOverdue: false })
      expect(puts).toBe(1)
    })
  )

  it.live("is closed by an interruption in the middle of the body, and no other one is", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const server = yield* serving((request, response) => {
        if (request.url === "/") return void response.end("hello")
        response.writeHead(200, { "content-length": 100 })
        response.write("01234")
        setImmediate(() => Deferred.doneUnsafe(begun, Effect.void))
      })
      const pool = yield* poolOn(server)
      yield* pool.send(get, bounds)
      const stalled = yield* Effect.forkChild(pool.send({ ...get, path: "/stalls" }, bounds))
      yield* Deferred.await(begun)
      yield* pool.send(get, bounds)
      expect(server.open()).toBe(2)
      yield* Fiber.interrupt(stalled)
      yield* server.closed(1)
      for (let i = 0; i < 5; i++) expect(text((yield* pool.send(get, bounds)).body)).toBe("hello")
      // The place of the closed one is taken by one that is made anew.
      expect(server.total()).toBe(3)
      expect(server.open()).toBe(2)
    })
  )

  it.live("that one waited for who then left is not used for that one", () =>
    Effect.gen(function* () {
      const paths: Array<string | undefined> = []
      const begun = yield* Deferred.make<http.ServerResponse>()
      const server = yield* serving((request, response) => {
        paths.push(request.url)
        if (request.url === "/first") Deferred.doneUnsafe(begun, Effect.succeed(response))
        else response.end("hello")
      })
      const pool = yield* poolOn(server, 1)
      const first = yield* Effect.forkChild(pool.send({ ...get, path: "/first" }, bounds))
      const response = yield* Deferred.await(begun)
      const gone = yield* Effect.forkChild(pool.send({ ...get, path: "/gone" }, bounds), { startImmediately: true })
      const third = yield* Effect.forkChild(pool.send({ ...get, path: "/third" }, bounds), { startImmediately: true })
      yield* Fiber.interrupt(gone)
      response.end("hello")
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      expect(paths).toEqual(["/first", "/third"])
    })
  )

  it.live("none is left behind by a hundred interruptions, whenever they come", () =>
    Effect.gen(function* () {
      const server = yield* serving((_, response) => {
        setTimeout(() => {
          if (!response.destroyed) response.end(Buffer.alloc(100_000))
        }, 2)
      })
      const pool = yield* poolOn(server, 100)
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(pool.send(get, bounds), { startImmediately: true })
            yield* Effect.sleep((i * 7) / 100)
            yield* Fiber.interrupt(fiber)
          }),
        { concurrency: "unbounded" }
      )
      const answers = yield* Effect.forEach(Array.from({ length: 100 }), () => pool.send(get, bounds), {
        concurrency: "unbounded"
      })
      expect(answers.every(({ body }) => body.length === 100_000)).toBe(true)
      expect(server.open()).toBeLessThanOrEqual(100)
    })
  )

  it.live("all are closed with the scope, and what comes then fails", () =>
    Effect.gen(function* () {
      const server = yield* serving((request, response) => void (request.url === "/" && response.end("hello")))
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(poolOn(server), scope)
      yield* pool.send(get, bounds)
      const hanging = yield* Effect.forkChild(Effect.flip(pool.send({ ...get, path: "/hangs" }, bounds)), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      yield* server.closed(0)
      expect((yield* Fiber.join(hanging)).answered).toBe(false)
      expect((yield* Effect.flip(pool.send(get, bounds))).code).toBe("ERR_CLOSED")
    })
  )
})

describe("time", () => {
  it.effect("an exchange is given up when nothing comes, each at its own time, with one timer for all", () =>
    Effect.gen(function* () {
      const arrived: Array<() => void> = []
      const server = yield* serving((request, response) => {
        if (request.url === "/answers") response.end("hello")
        arrived.shift()?.()
      })
      const pool = yield* poolOn(server, 10)
      const start = (
        path: string,
        timeout: number
      ): Effect.Effect<Fiber.Fiber<HttpPool.ConnectionFailed, HttpPool.Answer>> =>
        Effect.gen(function* () {
          const here = new Promise<void>((resolve) => void arrived.push(resolve))
          const fiber = yield* Effect.forkChild(Effect.flip(pool.send({ ...get, path }, { ...bounds, timeout })), {
            startImmediately: true
          })
          yield* Effect.promise(() => here)
          return fiber
        })
      const slow = yield* start("/slow", 60_000)
      yield* TestClock.adjust("10 seconds")
      const fast = yield* start("/fast", 20_000)
      yield* Effect.flip(Fiber.join(yield* start("/answers", 5_000)))
      yield* TestClock.adjust("19 seconds")
      expect([slow.pollUnsafe(), fast.pollUnsafe()]).toEqual([undefined, undefined])
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fast)).toMatchObject({ code: "ETIMEDOUT", isOverdue: true })
      expect(slow.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("30 seconds")
      expect(yield* Fiber.join(slow)).toMatchObject({ code: "ETIMEDOUT", isOverdue: true })
      yield* server.closed(1)
    })
  )
})
