/**
 * One HTTP request on a connection of the store's own: bytes as the server sent them (nothing is
 * decompressed, no redirect followed, nothing retried), and an abort that reaches the wire.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import * as https from "node:https"

export interface Request {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: ReadonlyArray<Uint8Array>
}

/** Status and headers (names in lower case, repeated ones joined with a comma). */
export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

export interface Answer extends Head {
  /** At most as many bytes as `limit` allowed; empty when the body was refused. */
  readonly body: Uint8Array
  /** False when the body has more bytes than `limit` allowed: the rest was not read. */
  readonly complete: boolean
}

/** The connection failed before the answer was complete. */
export class ConnectionFailed extends Data.TaggedError("ConnectionFailed")<{
  /** Node's error code, as in `ECONNRESET`. */
  readonly code: string | undefined
  /** Whether status and headers had arrived. */
  readonly answered: boolean
  /** Bytes of the body that had arrived. */
  readonly received: number
}> {}

export interface Options {
  readonly agent: http.Agent
  /** Milliseconds without a byte in either direction after which the request fails. */
  readonly idleTimeout: number
  /** Bytes of the body to read, decided when the headers are there; the connection is dropped beyond. */
  readonly limit: (head: Head) => number
}

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host)

/**
 * An agent that keeps its connections open for the next request. From Node 22.21 and 24.5 on it uses the
 * proxy that the environment names, as Google's client does.
 */
export const makeAgent = (endpoint: URL, maxSockets: number): http.Agent => {
  const options: https.AgentOptions = {
    keepAlive: true,
    maxSockets,
    scheduling: "lifo",
    ...(isLoopback(endpoint.hostname) ? {} : { proxyEnv: process.env })
  }
  return endpoint.protocol === "https:" ? new https.Agent(options) : new http.Agent(options)
}

const flatten = (headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]]
    )
  )

const concat = (chunks: ReadonlyArray<Buffer>): Uint8Array => {
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Sends a request and reads its answer. Interruption closes the connection. */
export const send = (request: Request, options: Options): Effect.Effect<Answer, ConnectionFailed> =>
  Effect.callback((resume) => {
    const { body, headers, method, url } = request
    let answer: Head | undefined
    let received = 0
    const fail = (error: NodeJS.ErrnoException): void =>
      resume(Effect.fail(new ConnectionFailed({ code: error.code, answered: answer !== undefined, received })))
    let outgoing: http.ClientRequest
    try {
      outgoing = (url.protocol === "https:" ? https : http).request(url, { agent: options.agent, headers, method })
    } catch (cause) {
      // A header that HTTP cannot carry.
      return fail(cause as NodeJS.ErrnoException)
    }
    const succeed = (chunks: ReadonlyArray<Buffer>, complete: boolean): void =>
      resume(Effect.succeed({ ...answer!, body: concat(chunks), complete }))

    outgoing.setTimeout(options.idleTimeout, () =>
      outgoing.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" }))
    )
    outgoing.on("error", fail)
    outgoing.on("response", (incoming) => {
      answer = { status: incoming.statusCode ?? 0, headers: flatten(incoming.headers) }
      const limit = options.limit(answer)
      const announced = Number(answer.headers["content-length"] ?? 0)
      const chunks: Array<Buffer> = []
      const refuse = (): void => {
        succeed([], false)
        outgoing.destroy()
      }
      incoming.on("error", fail)
      if (method !== "HEAD" && announced > limit) return refuse()
      incoming.on("data", (chunk: Buffer) => {
        received += chunk.length
        if (received > limit) refuse()
        else chunks.push(chunk)
      })
      incoming.on("end", () => succeed(chunks, true))
      // After `end` this has no effect.
      incoming.on("close", () => fail(Object.assign(new Error("closed early"), { code: "ECONNRESET" })))
    })
    for (const part of body) outgoing.write(part)
    outgoing.end()
    return Effect.sync(() => outgoing.destroy())
  })
