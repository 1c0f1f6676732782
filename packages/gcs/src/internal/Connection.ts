/**
 * Requests to one endpoint: credentials, bounds on time and concurrency, one span each, and the policy
 * of retries.
 */
import * as Http from "@effect-icechunk/core/node/HttpPool"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Places from "@effect-icechunk/core/store/Places"
import * as Repetition from "@effect-icechunk/core/store/Repetition"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Auth from "./Auth.ts"
import * as Failures from "./Failures.ts"
import type { Target, Wire } from "./Requests.ts"

export interface Settings {
  /** Without slashes at its end. */
  readonly endpoint: string
  readonly auth: Auth.Auth
  readonly target: Target
  readonly concurrency: number
  readonly idleTimeout: Duration.Duration
  readonly requestTimeout: Duration.Duration | undefined
  readonly retries: number
  readonly firstDelay: Duration.Duration
  readonly maxDelay: Duration.Duration
}

/** What a request is for, as spans name it. */
export interface Purpose {
  readonly store: string
  readonly operation: ObjectStoreError.Operation
  readonly key: string
  /** The request's precondition is that there is no object. */
  readonly create?: boolean | undefined
  /** Statuses that are answers beside those from 200 to 299. */
  readonly accepts?: ((status: number) => boolean) | undefined
  /** Bytes to read of an answer that is no error; by default an amount that metadata never reaches. */
  readonly limit?: ((head: Http.Head) => number) | undefined
}

export interface Connection {
  /** Sends one request once (twice when refreshed credentials may help). Refusals are failures. */
  readonly send: (wire: Wire, purpose: Purpose) => Effect.Effect<Http.Answer, ObjectStoreError.Reason>
  /** Runs an attempt again, with growing, jittered delays, as long as its failure may pass. */
  readonly retry: <A, R>(
    attempt: Effect.Effect<A, ObjectStoreError.Reason, R>
  ) => Effect.Effect<A, ObjectStoreError.Reason, R>
}

const isRefusal = ({ status }: Http.Head): boolean => status < 200 || status > 299

const parse = (endpoint: string): URL | undefined => {
  if (!URL.canParse(endpoint)) return undefined
  const url = new URL(endpoint)
  return ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "" ? url : undefined
}

const maxErrorBody = 64 * 1024
const maxMetadataBody = 64 * 1024 * 1024

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host)

const unusable = Effect.fail(
  new ObjectStoreError.Unsupported({ detail: "the endpoint is not an http or https URL without user information" })
)

/** Opens a connection, which is closed with the Scope. */
export const make = Effect.fnUntraced(function* (settings: Settings): Effect.fn.Return<Connection, never, Scope.Scope> {
  const { auth, concurrency, endpoint, requestTimeout, target } = settings
  const base = parse(endpoint)
  const timeout = Duration.toMillis(settings.idleTimeout)
  const places = Places.make(concurrency)
  const pool =
    base === undefined
      ? undefined
      : yield* Http.make(base.origin, {
          connections: concurrency,
          // As Google's client does.
          environmentProxy: !isLoopback(base.hostname)
        })
  const root = base?.pathname.replace(/\/+$/, "") ?? ""

  interface Exchanged {
    readonly answer: Http.Answer
    readonly credentials: Auth.Headers
  }

  const exchange = (
    wire: Wire,
    limit: (head: Http.Head) => number
  ): Effect.Effect<Exchanged, ObjectStoreError.Reason> => {
    if (pool === undefined) return unusable
    const bounds = { timeout, limit: (head: Http.Head) => (isRefusal(head) ? maxErrorBody : limit(head)) }
    return Effect.flatMap(auth.headers, (given) => {
      const credentials = Auth.withPayer(given, target)
      const headers: Array<string> = []
      for (const layer of [{ "user-agent": "effect-icechunk" }, credentials, wire.headers]) {
        for (const [name, value] of Object.entries(layer)) headers.push(name, value)
      }
      const { body, method, path } = wire
      return Effect.matchEffect(pool.send({ method, path: root + path, headers, body }, bounds), {
        onFailure: (failed) => Effect.fail(Failures.reasonOfConnection(failed)),
        onSuccess: (answer) => Effect.succeed({ answer, credentials })
      })
    })
  }

  const bounded = (wire: Wire, limit: (head: Http.Head) => number): ReturnType<typeof exchange> =>
    requestTimeout === undefined
      ? exchange(wire, limit)
      : Effect.timeoutOrElse(exchange(wire, limit), {
          duration: requestTimeout,
          orElse: () =>
            Effect.fail(
              new ObjectStoreError.Unavailable({ detail: `no answer within ${Duration.format(requestTimeout)}` })
            )
        })

  const once = (wire: Wire, { key, limit, operation, store }: Purpose): ReturnType<typeof exchange> =>
    bounded(wire, limit ?? (() => maxMetadataBody)).pipe(
      Effect.tap(({ answer }) =>
        RequestSpan.noting(() => ({
          "http.request.method": wire.method,
          "http.response.status_code": answer.status,
          bytes: wire.body.reduce((length, part) => length + part.length, isRefusal(answer) ? 0 : answer.body.length)
        }))
      ),
      RequestSpan.within({ description: store }, operation, key),
      places.within
    )

  const delays = Repetition.delays<unknown>(settings)

  const concluded = (
    { answer, credentials }: Exchanged,
    purpose: Purpose
  ): Effect.Effect<Http.Answer, ObjectStoreError.Reason> =>
    !isRefusal(answer) || purpose.accepts?.(answer.status) === true
      ? Effect.succeed(answer)
      : Effect.fail(Failures.reasonOf(Failures.refusal(answer), purpose.create ?? false, Auth.secretOf(credentials)))

  return {
    send: (wire, purpose) =>
      Effect.flatMap(once(wire, purpose), (first) => {
        if (first.answer.status !== 401) return concluded(first, purpose)
        return Effect.flatMap(auth.refused(first.credentials), (renewed) =>
          renewed
            ? Effect.flatMap(once(wire, purpose), (second) => concluded(second, purpose))
            : concluded(first, purpose)
        )
      }),
    retry: (attempt) =>
      Repetition.afterFailure(attempt, (again) =>
        Effect.suspend(() => {
          // What will not change is asked for once more, because the wrong answer may have been another request's.
          let isSecond = false
          return Effect.retry(again, {
            schedule: delays,
            times: settings.retries,
            while: (reason) =>
              reason._tag === "InvalidResponse" && reason.isFinal === true
                ? !isSecond && (isSecond = true)
                : reason.isRetryable
          })
        })
      )
  }
})
