/**
 * Gets, heads and puts of single objects without the SDK's layers: signed here, over connections of our own, the answer
 * read into one buffer. What they mean, which failures there are and what is in doubt is the same as through the SDK.
 */
import type { S3Client } from "@aws-sdk/client-s3"
import type * as HttpPool from "@effect-icechunk/core/node/HttpPool"
import type * as Credentials from "@effect-icechunk/core/Credentials"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as S3Error from "../S3Error.ts"
import * as Answers from "./Answers.ts"
import * as ObjectRequest from "./ObjectRequest.ts"
import type { Route } from "./Route.ts"
import type * as Signature from "./Signature.ts"

export interface Settings {
  readonly pool: HttpPool.HttpPool
  readonly route: Route
  readonly signer: Signature.Signer
  readonly credentials: Credentials.Credentials
  /** Has the credentials of the environment, and the store's clock. */
  readonly config: Pick<S3Client["config"], "credentials" | "systemClockOffset">
  /** Further headers of reads and writes, names in lower case. */
  readonly headers: { readonly read: ReadonlyMap<string, string>; readonly write: ReadonlyMap<string, string> }
  readonly timeout: Duration.Duration
  readonly secrets: () => ReadonlyArray<string>
}

export type Direct = <A>(request: ObjectRequest.ObjectRequest<A>) => Effect.Effect<A, S3Error.S3Failure>

/** Why an attempt was given up. */
export const overdue = (received: number, timeout: Duration.Duration): S3Error.S3Failure =>
  S3Error.failure(
    "Unavailable",
    received === 0
      ? `no answer came within ${Duration.format(timeout)}`
      : `the answer stopped coming, or came too slowly, after ${received} bytes; the limit is \`requestTimeout\`, now ${Duration.format(timeout)}`,
    { isRetryable: true, mayBeApplied: true }
  )

const identityOf = (
  settings: Settings
): Signature.Identity | undefined | Effect.Effect<Signature.Identity, S3Error.S3Failure> => {
  const { config, credentials, secrets } = settings
  switch (credentials._tag) {
    case "AccessKey":
      return {
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: Redacted.value(credentials.secretAccessKey),
        sessionToken: credentials.sessionToken === undefined ? undefined : Redacted.value(credentials.sessionToken)
      }
    case "Environment":
      return Effect.tryPromise({
        // The SDK keeps them until they expire.
        try: () => config.credentials(),
        catch: (error) => S3Error.classify(error, { secrets: secrets() })
      })
    default:
      return undefined
  }
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const textOf = (xml: string, element: string): string | undefined =>
  new RegExp(`<${element}>([^<]*)</${element}>`)
    .exec(xml)?.[1]
    ?.replaceAll(/&(?:#(\d{1,7})|(\w+));/g, (all, code: string | undefined, name: string | undefined) =>
      code === undefined ? (entities[name!] ?? all) : String.fromCodePoint(Math.min(0x10ffff, Number(code)))
    )

/** An error as the SDK throws it, from an answer and what of its body counts. */
const errorOf = ({ headers, status }: HttpPool.Head, said: Uint8Array): object => {
  const xml = new TextDecoder().decode(said)
  return {
    Code: textOf(xml, "Code") ?? (status === 404 ? "NotFound" : undefined),
    message: textOf(xml, "Message"),
    Region: textOf(xml, "Region"),
    $metadata: { httpStatusCode: status, requestId: headers["x-amz-request-id"] },
    $response: { headers, statusCode: status }
  }
}

const nothing = new Uint8Array(0)

export const make = (settings: Settings): Direct => {
  const { config, pool, route, secrets, signer } = settings
  const timeout = Duration.toMillis(settings.timeout)
  const identity = identityOf(settings)

  const connectionFailed = ({ code, isOverdue, problem, received }: HttpPool.ConnectionFailed): S3Error.S3Failure => {
    if (isOverdue) return overdue(received, settings.timeout)
    const failure = S3Error.classify({ code, message: problem }, { secrets: secrets() })
    // Nothing opens it again.
    return code === "ERR_CLOSED" ? new S3Error.S3Failure({ ...failure, isRetryable: false }) : failure
  }

  const wireHeaders = (
    request: ObjectRequest.Wire,
    path: string,
    who: Signature.Identity | undefined
  ): ReadonlyArray<string> => {
    const headers = ObjectRequest.headers(request)
    headers.set("host", route.host)
    headers.set("user-agent", "effect-icechunk")
    for (const [name, value] of request.method === "PUT" ? settings.headers.write : settings.headers.read)
      headers.set(name, value)
    const unsigned = { method: request.method, path, headers, body: request.body }
    const all =
      who === undefined ? headers : signer.sign(unsigned, who, route.purpose, Date.now() + config.systemClockOffset)
    const flat: Array<string> = []
    for (const [name, value] of all) flat.push(name, value)
    return flat
  }

  const refusal = (head: HttpPool.Head, said: Uint8Array, now: number): S3Error.S3Failure => {
    const failure = S3Error.classify(errorOf(head, said), { secrets: secrets(), now })
    const date = Date.parse(head.headers["date"] ?? "")
    if (failure.code === "RequestTimeTooSkewed" && !Number.isNaN(date)) config.systemClockOffset = date - Date.now()
    return failure
  }

  const exchange = <A>(
    request: ObjectRequest.ObjectRequest<A>,
    who: Signature.Identity | undefined
  ): Effect.Effect<A, S3Error.S3Failure> => {
    const isPut = request.method === "PUT"
    const path = route.base + ObjectRequest.pathOf(request.objectKey)
    let expected: ObjectRequest.Expectation<A> | S3Error.S3Failure | undefined

    const open = (head: HttpPool.Head): ObjectRequest.Expectation<A> | S3Error.S3Failure => {
      try {
        return request.open(ObjectRequest.output(head))
      } catch (failure) {
        if (failure instanceof S3Error.S3Failure) return failure
        throw failure
      }
    }

    const limit = (head: HttpPool.Head): number => {
      if (isPut || head.status >= 300) return Answers.limit(head.status, "nothing")
      expected = open(head)
      return expected instanceof S3Error.S3Failure ? 0 : expected.length
    }

    const conclude = (answer: HttpPool.Answer, now: number): A => {
      const body = answer.complete ? answer.body : undefined
      if (answer.status >= 300) throw refusal(answer, Answers.said(body), now)
      if (isPut) {
        const judged = { statusCode: answer.status, headers: answer.headers }
        if (Answers.judge(judged, "nothing", body) === "Error") throw refusal({ ...answer, status: 503 }, body!, now)
        expected = open(answer)
      }
      if (expected instanceof S3Error.S3Failure) throw expected
      return expected!.done(isPut ? nothing : body)
    }

    return Effect.clockWith((clock) =>
      pool
        .send(
          { method: request.method, path, headers: wireHeaders(request, path, who), body: request.body },
          { limit, timeout }
        )
        .pipe(
          Effect.matchEffect({
            onFailure: (failed) => Effect.fail(connectionFailed(failed)),
            onSuccess: (answer) => {
              try {
                return Effect.succeed(conclude(answer, clock.currentTimeMillisUnsafe()))
              } catch (failure) {
                if (failure instanceof S3Error.S3Failure) return Effect.fail(failure)
                throw failure
              }
            }
          })
        )
    )
  }

  return (request) =>
    Effect.isEffect(identity)
      ? Effect.flatMap(identity, (who) => exchange(request, who))
      : Effect.suspend(() => exchange(request, identity))
}
