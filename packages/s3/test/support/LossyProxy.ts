/**
 * A proxy between client and server that loses answers, by a schedule that a seed decides. What it loses, it
 * counts.
 */
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * - `pass`: nothing is wrong;
 * - `lost`: the server has answered, the client sees a reset;
 * - `unsent`: the client sees a reset, the server nothing;
 * - `late`: the client sees a reset at once, and the server the request only after the next one was answered;
 * - `500 after`: the server has answered, the client sees 500;
 * - `500 before`, `503`, `429`: the client sees this, the server nothing;
 * - `cut`: the client sees half of the body, then a reset.
 */
export const kinds = ["pass", "lost", "unsent", "late", "500 after", "500 before", "503", "429", "cut"] as const
export type Kind = (typeof kinds)[number]

export interface LossyProxy {
  readonly endpoint: string
  /** How often each thing has happened. */
  readonly counts: Readonly<Record<Kind, number>>
  /** Lets everything pass from now on, and waits until late requests have arrived. */
  readonly heal: Effect.Effect<void>
}

/** Numbers from 0 to 1 that the seed decides (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Answer {
  readonly status: number
  readonly headers: ReadonlyArray<string>
  readonly body: Buffer
}

const bodyOf = async (message: http.IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Uint8Array> = []
  for await (const chunk of message) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

const failureOf = (status: number, code: string): string =>
  `<Error><Code>${code}</Code><Message>lossy ${status}</Message></Error>`

/** Starts a proxy to an http server; `rate` is the share of requests that do not pass (default 0.3). */
export const start = (options: {
  readonly target: string
  readonly seed: number
  readonly rate?: number
  readonly kinds?: ReadonlyArray<Kind>
}): Effect.Effect<LossyProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const target = new URL(options.target)
        const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
        const next = random(options.seed)
        const faults = (options.kinds ?? kinds).filter((kind) => kind !== "pass")
        const counts = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>
        let late: Array<() => Promise<unknown>> = []
        let healed = false

        const choose = (method: string | undefined): Kind => {
          if (healed || next() >= (options.rate ?? 0.3)) return "pass"
          const chosen = faults[Math.floor(next() * faults.length)]!
          return chosen === "cut" && method !== "GET" ? "lost" : chosen
        }

        const forward = (incoming: http.IncomingMessage, body: Buffer): Promise<Answer> =>
          new Promise((resolve, reject) => {
            // The host stays the one that was signed.
            const request = http.request({
              agent,
              host: target.hostname,
              port: target.port,
              method: incoming.method,
              path: incoming.url,
              headers: incoming.rawHeaders,
              setHost: false
            })
            request.on("error", reject)
            request.on("response", (response) => {
              bodyOf(response).then(
                (body) => resolve({ status: response.statusCode ?? 0, headers: response.rawHeaders, body }),
                reject
              )
            })
            request.end(body)
          })

        const reply = (response: http.ServerResponse, { body, headers, status }: Answer): void => {
          response.writeHead(status, headers as Array<string>)
          response.end(body)
        }
        const refuse = (response: http.ServerResponse, status: number, code: string): void => {
          response.writeHead(status, { "content-type": "application/xml" })
          response.end(response.req.method === "HEAD" ? "" : failureOf(status, code))
        }

        const serve = async (incoming: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
          const body = await bodyOf(incoming)
          const kind = choose(incoming.method)
          counts[kind] += 1
          switch (kind) {
            case "unsent":
              incoming.socket.destroy()
              return
            case "late":
              late.push(() => forward(incoming, body))
              incoming.socket.destroy()
              return
            case "500 before":
              return refuse(response, 500, "InternalError")
            case "503":
              return refuse(response, 503, "SlowDown")
            case "429":
              return refuse(response, 429, "TooManyRequests")
          }
          const answer = await forward(incoming, body)
          const overdue = late
          late = []
          for (const send of overdue) await send()
          switch (kind) {
            case "lost":
              incoming.socket.destroy()
              return
            case "500 after":
              return refuse(response, 500, "InternalError")
            case "cut":
              response.writeHead(answer.status, answer.headers as Array<string>)
              response.write(answer.body.subarray(0, answer.body.length >> 1), () => response.destroy())
              return
          }
          reply(response, answer)
        }

        const sockets = new Set<Socket>()
        const server = http.createServer((incoming, response) => {
          serve(incoming, response).catch(() => incoming.socket.destroy())
        })
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
        })
        await new Promise<void>((resolve) => {
          server.listen(0, "127.0.0.1", resolve)
        })
        const stop = (): Promise<void> =>
          new Promise((resolve) => {
            agent.destroy()
            server.close(() => resolve())
            for (const socket of sockets) socket.destroy()
          })
        const heal = Effect.promise(async () => {
          healed = true
          const overdue = late
          late = []
          for (const send of overdue) await send()
        })
        const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        return { stop, proxy: { endpoint, counts, heal } }
      }),
      ({ stop }) => Effect.promise(stop)
    ),
    ({ proxy }) => proxy
  )
