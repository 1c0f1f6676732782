/**
 * A small S3 server for tests: real HTTP on 127.0.0.1, real conditions, signatures verified, requests recorded,
 * faults on demand.
 *
 * `extend` wraps the handling of requests, for servers that are S3 and more.
 */
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3Model from "./S3Model.ts"
import * as S3Service from "./S3Service.ts"

/**
 * What goes wrong with a request. `apply` says whether it is carried out all the same (default not).
 *
 * - `Answer`: this answer instead of the real one;
 * - `Reset`: the connection is closed before an answer;
 * - `Cut`: the connection is closed after so many bytes of the real answer's body;
 * - `Stall`: so many bytes of the real answer's body, and no more, until the client gives up;
 * - `Hang`: no answer, until the client gives up;
 * - `Rewrite`: another answer, made from the real one.
 */
export type Fault =
  | {
      readonly _tag: "Answer"
      readonly status: number
      readonly code?: string
      readonly apply?: boolean
      readonly headers?: Readonly<Record<string, string>>
      /** Instead of the error document of `code`. */
      readonly body?: string
    }
  | { readonly _tag: "Reset"; readonly apply?: boolean }
  | { readonly _tag: "Cut"; readonly after: number }
  | { readonly _tag: "Stall"; readonly after: number }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Rewrite"; readonly rewrite: (answer: S3Model.Answer) => S3Model.Answer }

export interface Recorded extends S3Model.Request {
  /** Undefined until answered. */
  status: number | undefined
  /** The client closed the connection before the answer was complete. */
  aborted: boolean
}

export interface Options extends S3Model.Options {
  readonly buckets?: Readonly<Record<string, { readonly region?: string; readonly isPublic?: boolean }>>
  /** Wraps the service. */
  readonly extend?: (service: S3Model.S3Service) => (request: S3Model.Request) => S3Model.Answer
}

export interface S3Server {
  readonly endpoint: string
  readonly service: S3Model.S3Service
  readonly requests: ReadonlyArray<Recorded>
  /** Connections that are open. */
  readonly openConnections: () => number
  /** Waits until one of the connections that are open is closed. */
  readonly oneClosed: Effect.Effect<void>
  /** Asked for each request, in order, until replaced. */
  faults: (request: S3Model.Request) => Fault | undefined
  /** Runs when a client closed a connection before its answer was complete. */
  onAborted: (request: Recorded) => void
  /** Runs when a request has come, before it is handled. */
  onRequest: (request: Recorded) => void
}

const body = async (request: http.IncomingMessage): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

const headersOf = ({ rawHeaders }: http.IncomingMessage): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {}
  for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i]!.toLowerCase()] = rawHeaders[i + 1]!
  return headers
}

const send = (
  response: http.ServerResponse,
  method: string,
  { body, headers, status }: S3Model.Answer,
  cutAfter = Number.POSITIVE_INFINITY,
  then = (): void => {}
): void => {
  const bytes = S3Model.bytesOf(body)
  response.writeHead(status, {
    "x-amz-request-id": "test",
    ...headers,
    ...(status === 204 ? {} : { "content-length": headers["content-length"] ?? String(bytes.length) })
  })
  if (method === "HEAD") response.end()
  else if (cutAfter === Number.POSITIVE_INFINITY) response.end(bytes)
  else response.write(bytes.subarray(0, cutAfter), then)
}

/** Starts a server; it ends with the Scope. Without options: one bucket `bucket`, access key `test`, secret `secret`. */
export const start = (options: Options = {}): Effect.Effect<S3Server, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const service = S3Service.make(options)
        for (const [name, bucket] of Object.entries(options.buckets ?? { bucket: {} }))
          service.createBucket(name, bucket)
        const handle = options.extend?.(service) ?? service.handle
        const requests: Array<Recorded> = []
        const sockets = new Set<Socket>()
        const state = {
          endpoint: "",
          service,
          requests,
          openConnections: (): number => sockets.size,
          oneClosed: Effect.promise(() =>
            Promise.race(Array.from(sockets, (socket) => new Promise<void>((resolve) => socket.on("close", resolve))))
          ),
          faults: (): Fault | undefined => undefined,
          onAborted: (): void => {},
          onRequest: (): void => {}
        } as { -readonly [K in keyof S3Server]: S3Server[K] }

        const answer = async (incoming: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
          const { method = "", url = "" } = incoming
          const request = service.parse({ method, url, headers: headersOf(incoming), body: await body(incoming) })
          const recorded: Recorded = { ...request, status: undefined, aborted: false }
          requests.push(recorded)
          response.on("close", () => {
            if (response.writableFinished || recorded.status !== undefined) return
            recorded.aborted = true
            state.onAborted(recorded)
          })
          state.onRequest(recorded)
          const fault = state.faults(request)
          switch (fault?._tag) {
            case "Hang":
              return
            case "Reset":
              if (fault.apply === true) handle(request)
              incoming.socket.destroy()
              return
            case "Answer": {
              if (fault.apply === true) handle(request)
              recorded.status = fault.status
              const { body = "", code, headers = {}, status } = fault
              if (code === undefined) return send(response, method, { status, headers, body })
              return send(response, method, S3Model.refusal(new S3Model.Refusal(status, code, code, { headers })))
            }
            case "Cut":
              return send(response, method, handle(request), fault.after, () => response.destroy())
            case "Stall":
              return send(response, method, handle(request), fault.after, () => {})
          }
          const real = handle(request)
          const shown = fault === undefined ? real : fault.rewrite(real)
          recorded.status = shown.status
          send(response, method, shown)
        }

        const server = http.createServer((incoming, response) => {
          answer(incoming, response).catch((error: unknown) => {
            // A client that left in the middle of its request is no error of the server.
            if (incoming.destroyed && !incoming.complete) return
            console.error(error)
            response.writeHead(500).end()
          })
        })
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
        })
        await new Promise<void>((resolve) => {
          server.listen(0, "127.0.0.1", resolve)
        })
        state.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        return { server, state }
      }),
      ({ server }) =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              server.close(() => resolve())
              server.closeAllConnections()
            })
        )
    ),
    ({ state }) => state
  )
