/**
 * Requests to one endpoint: credentials, bounds on time and concurrency, one span each, and the policy
 * of retries.
 */
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Auth from "./Auth.ts"
import * as Failures from "./Failures.ts"
import * as Http from "./Http.ts"
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

/** Opens a connection, which is closed with the Scope. */
export const make = Effect.fnUntraced(function* (settings: Settings): Effect.fn.Return<Connection, never, Scope.Scope> {
  const { auth, concurrency, endpoint, idleTimeout, requestTimeout, target } = settings
  const base = parse(endpoint)
  const permits = yield* Semaphore.make(concurrency)
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => Http.makeAgent(base ?? new URL("https://storage.googleapis.com"), concurrency)),
    (agent) => Effect.sync(() => agent.destroy())
  )

  const exchange = Effect.fnUntraced(function* (
    wire: Wire,
    limit: (head: Http.Head) => number
  ): Effect.fn.Return<{ readonly answer: Http.Answer; readonly credentials: Auth.Headers }, ObjectStoreError.Reason> {
    if (base === undefined) {
      return yield* new ObjectStoreError.Unsupported({
        detail: "the endpoint is no http or https URL without user information"
      })
    }
    const credentials = Auth.withPayer(yield* auth.headers, target)
    const answer = yield* Http.send(
      {
        method: wire.method,
        url: new URL(endpoint + wire.path),
        headers: { "user-agent": "effect-icechunk", ...credentials, ...wire.headers },
        body: wire.body
      },
      {
        agent,
        idleTimeout: Duration.toMillis(idleTimeout),
        limit: (head) => (isRefusal(head) ? maxErrorBody : limit(head))
      }
    ).pipe(Effect.mapError(Failures.reasonOfConnection))
    return { answer, credentials }
  })

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
        Effect.andThen(
          Effect.annotateCurrentSpan({
            "http.request.method": wire.method,
            "http.response.status_code": answer.status
          }),
          RequestSpan.bytes(
            wire.body.reduce((length, part) => length + part.length, isRefusal(answer) ? 0 : answer.body.length)
          )
        )
      ),
      RequestSpan.within({ description: store }, operation, key),
      permits.withPermits(1)
    )

  const delays = Schedule.exponential(settings.firstDelay).pipe(
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, settings.maxDelay))),
    Schedule.jittered
  )

  return {
    send: Effect.fnUntraced(function* (wire, purpose) {
      let { answer, credentials } = yield* once(wire, purpose)
      if (answer.status === 401 && (yield* auth.refused(credentials))) {
        ;({ answer, credentials } = yield* once(wire, purpose))
      }
      if (!isRefusal(answer) || purpose.accepts?.(answer.status) === true) return answer
      return yield* Effect.fail(
        Failures.reasonOf(Failures.refusal(answer), purpose.create ?? false, Auth.secretOf(credentials))
      )
    }),
    retry: (attempt) =>
      Effect.suspend(() => {
        // What will not change is asked for once more, because the wrong answer may have been another request's.
        let isSecond = false
        return Effect.retry(attempt, {
          schedule: delays,
          times: settings.retries,
          while: (reason) =>
            reason._tag === "InvalidResponse" && reason.isFinal === true
              ? !isSecond && (isSecond = true)
              : reason.isRetryable
        })
      })
  }
})
