/**
 * A Google Cloud Storage server for tests: real HTTP on a port of the system's choice, with tokens and
 * permissions, a record of all requests, and faults on demand.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Api from "./GcsApi.ts"
import * as State from "./GcsState.ts"

export interface Recorded {
  readonly method: string
  /** Path and query as they came. */
  readonly url: string
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly bodyLength: number
  /** 0 when there was no answer. */
  status: number
  /** Settled when the answer was sent, or the connection closed before: then `aborted`. */
  readonly ended: Promise<"answered" | "aborted">
}

/**
 * - `Refuse`: an error, nothing applied;
 * - `RefuseAfter`, `DropAfter`: applied, then an error or a closed connection in place of the answer;
 * - `Reset`: the connection is closed, nothing applied;
 * - `Cut`: the connection is closed after so many bytes of the body;
 * - `Hang`: applied, never answered;
 * - `Stall`: headers and so many bytes of the body, then nothing;
 * - `Tamper`: another answer;
 * - `Instead`: this answer, nothing applied;
 * - `Wait`: answered when the promise is settled.
 */
export type Fault =
  | { readonly _tag: "Refuse" | "RefuseAfter"; readonly status: number; readonly reason?: string }
  | { readonly _tag: "DropAfter" | "Reset" | "Hang" }
  | { readonly _tag: "Cut" | "Stall"; readonly after: number }
  | { readonly _tag: "Wait"; readonly until: Promise<unknown> }
  | { readonly _tag: "Instead"; readonly answer: Api.ApiAnswer }
  | { readonly _tag: "Tamper"; readonly answer: (answer: Api.ApiAnswer) => Api.ApiAnswer }

interface Planned {
  readonly fault: Fault
  readonly when: (request: Api.ApiRequest) => boolean
  times: number
}

export interface GcsServer {
  /** Base URL. */
  readonly endpoint: string
  readonly settings: Api.Settings
  readonly requests: ReadonlyArray<Recorded>
  /** Connections that clients opened, and those that are still open. */
  readonly connections: () => number
  readonly openConnections: () => number
  /** Waits until no connection is open. */
  readonly allClosed: Effect.Effect<void>
  /** Largest number of requests that were under way at once. */
  readonly mostAtOnce: () => number
  readonly addBucket: (name: string, options?: Partial<Omit<State.Bucket, "name" | "objects">>) => State.Bucket
  readonly addToken: (
    token: string,
    options?: Partial<Omit<Api.Token, "permissions">> & { readonly permissions?: ReadonlyArray<Api.Permission> }
  ) => void
  /** Puts an object into a bucket without a request. */
  readonly seed: (bucket: string, name: string, bytes: Uint8Array | string, seed?: State.Seed) => State.Stored
  /** The next requests (one, unless `times` says otherwise) for which `when` holds meet this fault. */
  readonly plan: (fault: Fault, options?: { readonly when?: Planned["when"]; readonly times?: number }) => void
  /** Forgets the faults that are still to come. */
  readonly clearPlans: () => void
  /** The first request, from now on, for which `when` holds. */
  readonly next: (when: (request: Recorded) => boolean) => Effect.Effect<Recorded>
}

export const allPermissions: ReadonlyArray<Api.Permission> = ["get", "list", "create", "delete"]

const single = (headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

/** Starts a server, which is stopped with the Scope. */
export const make: Effect.Effect<GcsServer, never, Scope.Scope> = Effect.gen(function* () {
  const requests: Array<Recorded> = []
  const planned: Array<Planned> = []
  const waiting: Array<{ readonly when: (request: Recorded) => boolean; readonly found: (request: Recorded) => void }> =
    []
  let underWay = 0
  let connected = 0
  const sockets = new Set<Socket>()
  let most = 0
  const settings: Api.Settings = {
    buckets: new Map(),
    tokens: new Map(),
    serviceAccounts: new Map(),
    uploads: new Map(),
    keptBytes: Infinity,
    rewrites: new Map(),
    rewriteBytes: Infinity,
    hasXmlApi: true,
    now: Date.now
  }

  const takeFault = (request: Api.ApiRequest): Fault | undefined => {
    const index = planned.findIndex(({ when }) => when(request))
    const found = planned[index]
    if (found === undefined) return undefined
    found.times -= 1
    if (found.times <= 0) planned.splice(index, 1)
    return found.fault
  }

  const send = (request: Recorded, response: http.ServerResponse, answer: Api.ApiAnswer, upTo = Infinity): void => {
    request.status = answer.status
    response.writeHead(answer.status, { ...answer.headers })
    if (upTo < answer.body.length) response.write(answer.body.subarray(0, upTo))
    else if (upTo === Infinity) response.end(request.method === "HEAD" ? undefined : answer.body)
    else response.flushHeaders()
  }

  const fail = (status: number, reason: string): Api.ApiAnswer => {
    const body = Buffer.from(JSON.stringify({ error: { code: status, message: "A fault.", errors: [{ reason }] } }))
    return { status, headers: { "content-type": "application/json", "content-length": String(body.length) }, body }
  }

  const perform = (
    fault: Fault | undefined,
    api: Api.ApiRequest,
    request: Recorded,
    response: http.ServerResponse
  ): void => {
    if (fault === undefined) return send(request, response, Api.answer(settings, api))
    switch (fault._tag) {
      case "Refuse":
        return send(request, response, fail(fault.status, fault.reason ?? "fault"))
      case "RefuseAfter":
        Api.answer(settings, api)
        return send(request, response, fail(fault.status, fault.reason ?? "fault"))
      case "DropAfter":
        Api.answer(settings, api)
        return void response.destroy()
      case "Reset":
        return void response.socket?.resetAndDestroy()
      case "Hang":
        return void Api.answer(settings, api)
      case "Cut": {
        send(request, response, Api.answer(settings, api), fault.after)
        return void setImmediate(() => response.destroy())
      }
      case "Stall":
        return send(request, response, Api.answer(settings, api), fault.after)
      case "Wait":
        return void fault.until.then(() => send(request, response, Api.answer(settings, api)))
      case "Instead":
        return send(request, response, fault.answer)
      case "Tamper":
        return send(request, response, fault.answer(Api.answer(settings, api)))
    }
  }

  const server = http.createServer((incoming, response) => {
    underWay += 1
    most = Math.max(most, underWay)
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const [path = "", query = ""] = (incoming.url ?? "").split("?")
      const api: Api.ApiRequest = {
        method: incoming.method ?? "",
        path: path.slice(1).split("/").map(decodeURIComponent),
        query: new URLSearchParams(query),
        headers: single(incoming.headers),
        body: Buffer.concat(chunks)
      }
      const request: Recorded = {
        ...api,
        url: incoming.url ?? "",
        bodyLength: api.body.length,
        status: 0,
        ended: new Promise((resolve) => {
          response.on("finish", () => resolve("answered"))
          response.on("close", () => resolve("aborted"))
        })
      }
      requests.push(request)
      for (const [i, { found, when }] of [...waiting.entries()].toReversed()) {
        if (!when(request)) continue
        waiting.splice(i, 1)
        found(request)
      }
      perform(takeFault(api), api, request, response)
    })
    response.on("close", () => {
      underWay -= 1
    })
  })

  server.on("connection", (socket) => {
    connected += 1
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })

  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    settings,
    requests,
    connections: () => connected,
    openConnections: () => sockets.size,
    allClosed: Effect.promise(() =>
      Promise.all(Array.from(sockets, (socket) => new Promise((resolve) => socket.on("close", resolve))))
    ),
    mostAtOnce: () => most,
    addBucket: (name, options = {}) => {
      const bucket: State.Bucket = { name, objects: new Map(), requesterPays: false, isPublic: false, ...options }
      settings.buckets.set(name, bucket)
      return bucket
    },
    addToken: (token, { permissions = allPermissions, ...rest } = {}) => {
      settings.tokens.set(token, { permissions: new Set(permissions), ...rest })
    },
    seed: (bucket, name, bytes, seed = {}) => {
      const stored = State.makeObject(name, typeof bytes === "string" ? Buffer.from(bytes) : bytes, seed)
      settings.buckets.get(bucket)!.objects.set(name, stored)
      return stored
    },
    plan: (fault, { times = 1, when = () => true } = {}) => {
      planned.push({ fault, times, when })
    },
    clearPlans: () => {
      planned.length = 0
    },
    next: (when) =>
      Effect.callback((resume) => {
        waiting.push({ when, found: (request) => resume(Effect.succeed(request)) })
      })
  }
})
