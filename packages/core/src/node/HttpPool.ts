/**
 * HTTP/1.1 on pooled connections of Node, for stores: one exchange is one request, whose answer comes as the server sent
 * it (nothing is decompressed, no redirect followed, nothing retried) into one buffer, within bounds of bytes and time.
 *
 * Needs the package `undici`.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
// By its file: Bun has a module of its own under the name `undici`, which cannot do what is done here.
import { type Dispatcher, EnvHttpProxyAgent, Pool } from "undici/index.js"
import { Connection, type Reader } from "./Connection.ts"
import * as Transfer from "./Transfer.ts"

/**
 * A request to the pool's origin.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  /** Path and query as they go over the wire: nothing is normalised. */
  readonly path: string
  /** Names and values by turns; without `host`, that of the origin. */
  readonly headers: ReadonlyArray<string>
  /** Sent without a copy, so not to be changed until the answer is there. */
  readonly body?: Uint8Array | ReadonlyArray<Uint8Array> | undefined
}

/**
 * Status and headers (names in lower case, repeated ones joined with a comma).
 *
 * @category models
 * @since 0.1.0
 */
export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A whole answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer extends Head {
  /** In a buffer of its own; at most as many bytes as `limit` allowed, none when the body was refused. */
  readonly body: Uint8Array
  /** False when the body has more bytes than `limit` allowed: the rest was not read. */
  readonly complete: boolean
}

/**
 * There is no whole answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionFailed extends Data.TaggedError("ConnectionFailed")<{
  /**
   * Node's error code, as `ECONNREFUSED`: `ECONNRESET` for all ways in which a server leaves in the middle,
   * `ETIMEDOUT` when nothing came in time, `ERR_INVALID_CHAR` for a request that HTTP cannot carry, `ERR_CLOSED` when the
   * pool is closed.
   */
  readonly code: string | undefined
  /** What Node or undici said. */
  readonly problem: string
  /** Whether status and headers had arrived. */
  readonly answered: boolean
  /** Bytes of the body that had arrived. */
  readonly received: number
  /** It was given up because nothing came in time. */
  readonly isOverdue: boolean
}> {}

/**
 * Bounds of one exchange.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  /** Bytes of the body to read, decided when the headers are there; the connection is dropped beyond. */
  readonly limit: (head: Head) => number
  /** Milliseconds without a byte after which it is given up, see `Transfer`. */
  readonly timeout: number
}

/**
 * Connections to one origin.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpPool {
  /** One exchange. Interruption closes its connection, and no other. */
  readonly send: (request: Request, bounds: Bounds) => Effect.Effect<Answer, ConnectionFailed>
}

/**
 * How a pool connects.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Connections at the same time; further requests wait. */
  readonly connections: number
  /** Milliseconds until a connection stands (default 10 seconds). */
  readonly connectTimeout?: number | undefined
  /** Whether the proxy that the environment names is used, as `HTTPS_PROXY` and `NO_PROXY` (default false). */
  readonly environmentProxy?: boolean | undefined
}

/** Largest buffer that is made because a header says so; beyond, it grows with what comes. */
const maxAnnounced = 16 * 1024 ** 2

/** A connection that nothing used for so many milliseconds is closed, unless the server asked for sooner. */
const keepAlive = 15_000

/** Bodies in several parts are sent from one buffer up to this size, which is cheaper than part by part. */
const maxJoined = 1024 ** 2

const none = new Uint8Array(0)

const codes: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: "ECONNRESET",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "ECONNRESET",
  UND_ERR_CONNECT_TIMEOUT: "ETIMEDOUT",
  UND_ERR_INVALID_ARG: "ERR_INVALID_CHAR",
  UND_ERR_DESTROYED: "ERR_CLOSED",
  UND_ERR_CLOSED: "ERR_CLOSED"
}

const flatten = (headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>): Head["headers"] => {
  for (const name in headers) {
    if (typeof headers[name] !== "string") {
      return Object.fromEntries(
        Object.entries(headers).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, typeof value === "string" ? value : value.join(", ")]]
        )
      )
    }
  }
  return headers as Head["headers"]
}

const isLength = (announced: string | undefined): announced is string =>
  announced !== undefined && /^\d{1,15}$/.test(announced)

/** Room for a body: what the headers announce, so far as that is believed. */
const room = (announced: string | undefined, limit: number): number => {
  const length = isLength(announced) ? Number(announced) : 65_536
  return Math.min(length, limit, maxAnnounced)
}

/** Memory that is not cleared first: all of it is written before anyone sees it. */
const allocate = (length: number): Uint8Array => {
  const { buffer } = Buffer.allocUnsafeSlow(length)
  return new Uint8Array(buffer)
}

/** One request on its way through undici. */
class Exchange implements Reader {
  connection: Connection | undefined
  private controller: Dispatcher.DispatchController | undefined
  private head: Head | undefined
  private limit = 0
  private body: Uint8Array = none
  /** Whether the body is as long as the headers say, and nothing comes between its bytes. */
  private isPlain = false
  private isSettled = false
  private readonly method: string
  private readonly bounds: Bounds
  private readonly clock: Clock.Clock
  private readonly watch: Transfer.Watch
  private readonly transfer: Transfer.Transfer
  private readonly resume: (answer: Effect.Effect<Answer, ConnectionFailed>) => void

  constructor(
    options: {
      readonly method: string
      readonly bounds: Bounds
      readonly sent: number
      readonly clock: Clock.Clock
      readonly watch: Transfer.Watch
    },
    resume: (answer: Effect.Effect<Answer, ConnectionFailed>) => void
  ) {
    this.method = options.method
    this.bounds = options.bounds
    this.clock = options.clock
    this.watch = options.watch
    this.resume = resume
    this.transfer = Transfer.begin(options.bounds.timeout, options.sent, options.clock.currentTimeMillisUnsafe())
    this.watch.add(this.transfer, () => {
      this.fail("ETIMEDOUT", "no answer in time", true)
      this.abandon()
    })
  }

  /** Ends the exchange on the wire. */
  abandon(): void {
    this.end()
    // One that waits for a connection is ended when it gets one.
    this.controller?.abort(new Error("abandoned"))
  }

  fail(code: string | undefined, problem: string, isOverdue = false): void {
    const answered = this.head !== undefined
    const { received } = this.transfer
    this.settle(Effect.fail(new ConnectionFailed({ code, problem, answered, received, isOverdue })))
  }

  private end(): void {
    this.isSettled = true
    this.watch.remove(this.transfer)
    this.hangUp()
  }

  /** The connection has nothing more for this exchange. */
  private hangUp(): void {
    if (this.connection?.reader === this) this.connection.reader = undefined
  }

  room(most: number): Uint8Array {
    const { received } = this.transfer
    return this.isPlain ? this.body.subarray(received, received + most) : none
  }

  private settle(outcome: Effect.Effect<Answer, ConnectionFailed>): void {
    if (this.isSettled) return
    this.end()
    this.resume(outcome)
  }

  private answer(body: Uint8Array, complete: boolean): void {
    this.settle(Effect.succeed({ ...this.head!, body, complete }))
  }

  private refuse(): void {
    this.answer(none, false)
    this.abandon()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.isSettled) controller.abort(new Error("abandoned"))
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | Array<string> | undefined>>
  ): void {
    // More is to come after a 1xx.
    if (this.isSettled || status < 200) return
    this.transfer.at = this.clock.currentTimeMillisUnsafe()
    this.head = { status, headers: flatten(headers) }
    try {
      this.limit = this.bounds.limit(this.head)
    } catch (defect) {
      this.settle(Effect.die(defect))
      return this.abandon()
    }
    if (this.method === "HEAD" || status === 204 || status === 304) return
    const { "content-length": announced, "transfer-encoding": coding } = this.head.headers
    if (Number(announced ?? 0) > this.limit) return this.refuse()
    this.body = allocate(room(announced, this.limit))
    this.isPlain = isLength(announced) && coding === undefined
    if (this.connection !== undefined) this.connection.reader = this
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isSettled) return
    const { transfer } = this
    const end = transfer.received + chunk.length
    if (end > this.limit) return this.refuse()
    if (end > this.body.length) {
      const grown = allocate(Math.min(this.limit, Math.max(end, 2 * this.body.length)))
      grown.set(this.body.subarray(0, transfer.received))
      this.body = grown
    }
    // What was read to its place is there.
    if (chunk.buffer !== this.body.buffer || chunk.byteOffset !== transfer.received) {
      this.body.set(chunk, transfer.received)
    }
    transfer.received = end
    transfer.at = this.clock.currentTimeMillisUnsafe()
  }

  onResponseEnd(): void {
    const { body, transfer } = this
    this.hangUp()
    this.watch.remove(transfer)
    const whole = transfer.received === body.length ? body : body.slice(0, transfer.received)
    // Undici takes a connection back in the next immediate, queued when this returns. Who goes on after that uses it again.
    queueMicrotask(() => setImmediate(() => this.answer(whole, true)))
  }

  onResponseError(_: unknown, error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    this.fail(code === undefined ? undefined : (codes[code] ?? code), error.message)
  }
}

const isProxied = (): boolean =>
  ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"].some((name) => (process.env[name] ?? "") !== "")

/** Bun's sockets take `onread` and then lose bytes. */
const readsInPlace = process.versions["bun"] === undefined

const dispatcherFor = (origin: string, options: Options): Dispatcher => {
  const connectTimeout = options.connectTimeout ?? 10_000
  const settings = {
    connections: options.connections,
    connectTimeout,
    keepAliveTimeout: keepAlive,
    // One clock for all bounds of time: the program's.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false
  }
  if (options.environmentProxy === true && isProxied()) return new EnvHttpProxyAgent(settings)
  if (!readsInPlace) return new Pool(origin, settings)
  const shared = { connectTimeout, sessions: new Map<string, Buffer>() }
  return new Pool(origin, { ...settings, factory: (to, given) => new Connection(to, given, shared) })
}

const joined = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array | Array<Uint8Array> => {
  if (parts.length === 1) return parts[0]!
  return length <= maxJoined ? Buffer.concat(parts, length) : [...parts]
}

const lengthOf = (parts: ReadonlyArray<Uint8Array>): number => parts.reduce((length, part) => length + part.length, 0)

/**
 * Connections to an origin, as `https://host:port`, that whoever made them closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (origin: string, options: Options): HttpPool & { readonly close: Effect.Effect<void> } => {
  const dispatcher = dispatcherFor(origin, options)
  const watches = new WeakMap<Clock.Clock, Transfer.Watch>()
  const watchOf = (clock: Clock.Clock): Transfer.Watch => {
    let found = watches.get(clock)
    if (found === undefined) watches.set(clock, (found = Transfer.watch(clock)))
    return found
  }

  return {
    close: Effect.promise(() => dispatcher.destroy()),
    send: ({ body: given, headers, method, path }, bounds) =>
      Effect.clockWith((clock) =>
        Effect.callback((resume) => {
          const length = given === undefined ? 0 : given instanceof Uint8Array ? given.length : lengthOf(given)
          const body = given === undefined || given instanceof Uint8Array ? given : joined(given, length)
          const exchange = new Exchange({ method, bounds, sent: length, clock, watch: watchOf(clock) }, resume)
          try {
            dispatcher.dispatch(
              {
                origin,
                path,
                method,
                headers: Array.isArray(body) ? [...headers, "content-length", String(length)] : [...headers],
                // Undici takes any iterable; its types do not say so.
                body: (length === 0 ? null : body) as Uint8Array | null,
                // Otherwise the connection is closed after each HEAD.
                reset: false
              },
              exchange
            )
          } catch (error) {
            exchange.onResponseError(undefined, error as Error)
          }
          return Effect.sync(() => exchange.abandon())
        })
      )
  }
}

/**
 * Connections to an origin, as `https://host:port`, closed with the Scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (origin: string, options: Options): Effect.Effect<HttpPool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => makeUnsafe(origin, options)),
    ({ close }) => close
  )
