/**
 * One request at a time to one bucket: with the credentials of now, bounded in number and time, abortable,
 * with a span, and with the store's answers as typed failures. What is above decides what to repeat.
 *
 * @since 0.1.0
 */
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
} from "@aws-sdk/client-s3"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Operation } from "@effect-icechunk/core/ObjectStoreError"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Places from "@effect-icechunk/core/store/Places"
import * as Repetition from "@effect-icechunk/core/store/Repetition"
import * as HttpPool from "@effect-icechunk/core/node/HttpPool"
import * as Transfer from "@effect-icechunk/core/node/Transfer"
import * as Answers from "./internal/Answers.ts"
import * as CredentialsCell from "./internal/CredentialsCell.ts"
import * as Direct from "./internal/Direct.ts"
import * as ObjectRequest from "./internal/ObjectRequest.ts"
import * as Route from "./internal/Route.ts"
import * as Signature from "./internal/Signature.ts"
import * as Client from "./S3Client.ts"
import * as S3Error from "./S3Error.ts"
import * as S3Options from "./S3Options.ts"
import type { S3Dialect } from "./S3Dialect.ts"

/**
 * A command of the SDK.
 *
 * @category models
 * @since 0.1.0
 */
export type Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  S3ClientResolvedConfig
>

/**
 * What a success of a request is: the headers of an object, with a GET and its bytes (`object`); headers alone
 * (`nothing`); or an XML document with this root.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerKind = Answers.Kind

/**
 * Reads the body of an object into a buffer of its own; `undefined` when it has more bytes than the limit, at which
 * reading stops.
 *
 * @category models
 * @since 0.1.0
 */
export type Collect = (body: unknown, limit: number) => Promise<Uint8Array | undefined>

/**
 * A request and how its answer is read. `command` is called for each attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<Input extends ServiceInputTypes, Output extends ServiceOutputTypes, A> {
  /** As spans name it. */
  readonly operation: Operation
  /** Key or prefix within the store, as spans show it. */
  readonly key: string
  /** Which headers of options and dialect the request gets. */
  readonly access: "read" | "write"
  /** Headers of this request alone; they win over those of options and dialect. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly command: () => Command<Input, Output>
  /** What a success is; another answer is an invalid one, and a write that has it is in doubt. */
  readonly answer: AnswerKind
  /** Reads the answer; an `S3Failure` that it throws is kept. */
  readonly read: (output: Output, collect: Collect) => A | Promise<A>
  /** Bytes that are sent, and that the time of the attempt allows for (default 0). */
  readonly sends?: number | undefined
  /** Bytes that came, for the span (default those that were sent, if any). */
  readonly bytes?: ((answer: A) => number) | undefined
}

/**
 * The way to a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface S3Connection {
  readonly bucket: string
  /** The region that was asked for, or found in the environment. */
  readonly region: string | undefined
  /** Makes one request. A redirect to another region is followed once, refused credentials are fetched anew once. */
  readonly send: <Input extends ServiceInputTypes, Output extends ServiceOutputTypes, A>(
    request: Request<Input, Output, A>
  ) => Effect.Effect<A, S3Error.S3Failure>
  /** Makes one request about one object in the same way, past the SDK's layers where its client is the store's own. */
  readonly object: <A>(request: ObjectRequest.ObjectRequest<A>) => Effect.Effect<A, S3Error.S3Failure>
  /** Repeats what fails with a failure that is to be repeated, with the delays and bounds of the options. */
  readonly retrying: <A>(effect: Effect.Effect<A, S3Error.S3Failure>) => Effect.Effect<A, S3Error.S3Failure>
}

const requestTimeout = (options: S3Options.StoreOptions): Duration.Duration =>
  Duration.fromInputUnsafe(options.requestTimeout ?? "2 minutes")

/**
 * Delays and bounds of repetitions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const schedule = (
  options: S3Options.RetryOptions | undefined
): Schedule.Schedule<Duration.Duration, S3Error.S3Failure> =>
  Repetition.delays<S3Error.S3Failure>({
    firstDelay: options?.baseDelay ?? "100 millis",
    maxDelay: options?.maxDelay ?? "10 seconds",
    asked: ({ retryAfter }) => retryAfter
  }).pipe(Schedule.upTo({ times: options?.times ?? 8, duration: options?.budget ?? "3 minutes" }))

/** The SDK client of the next request, and what may change after a failure. */
interface Clients {
  readonly current: Effect.Effect<Current, S3Error.S3Failure>
  /** Whether the same request may be made again at once because something was put right. */
  readonly corrected: (used: Current, failure: S3Error.S3Failure) => boolean
  readonly secrets: () => ReadonlyArray<string>
}

interface Current {
  readonly client: S3Client
  readonly region: string
  readonly credentials: Credentials.Credentials
  /** The way past the SDK's layers; there is none for some buckets, and for clients of users. */
  readonly direct: Effect.Effect<Direct.Direct | undefined>
}

/** Answers to requests that were sent to, or signed for, another region than the bucket's. */
const isElsewhere = (
  failure: S3Error.S3Failure
): failure is S3Error.S3Failure & { readonly region: string; readonly status: number } =>
  failure.region !== undefined && [301, 307, 308, 400].includes(failure.status ?? 0)

/** Further headers of all requests of a kind; later ones win. */
const headerLayers = (
  store: S3Options.StoreOptions,
  dialect: S3Dialect
): Readonly<Record<"read" | "write", ReadonlyArray<Readonly<Record<string, string>> | undefined>>> => ({
  read: [store.readHeaders, dialect.readHeaders],
  write: [store.writeHeaders, dialect.writeHeaders]
})

const lowerCased = (layers: ReadonlyArray<Readonly<Record<string, string>> | undefined>): ReadonlyMap<string, string> =>
  new Map(
    layers.flatMap((layer) => Object.entries(layer ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const))
  )

const connect = (options: {
  readonly store: S3Options.StoreOptions
  readonly dialect: S3Dialect
  readonly description: string
  readonly region: string | undefined
  readonly clients: Clients
}): S3Connection => {
  const { clients, description, dialect, store } = options
  const places = Places.make(store.concurrency ?? S3Options.defaultConcurrency)
  const timeout = requestTimeout(store)
  const retrySchedule = schedule(store.retry)
  const layers = headerLayers(store, dialect)

  const traced = <A>(
    request: { readonly operation: Operation; readonly key: string },
    sent: number | undefined,
    bytes: ((answer: A) => number) | undefined,
    attempt: Effect.Effect<A, S3Error.S3Failure>
  ): Effect.Effect<A, S3Error.S3Failure> =>
    attempt.pipe(
      Effect.tap((answer) => {
        const count = bytes?.(answer) ?? sent
        return count === undefined ? Effect.void : RequestSpan.bytes(count)
      }),
      RequestSpan.within({ description }, request.operation, request.key),
      places.within
    )

  const throughSdk = <Input extends ServiceInputTypes, Output extends ServiceOutputTypes, A>(
    request: Request<Input, Output, A>,
    client: S3Client
  ): Effect.Effect<A, S3Error.S3Failure> =>
    Transfer.bounded(
      {
        timeout: Duration.toMillis(timeout),
        sent: request.sends ?? 0,
        orElse: (received) => Effect.fail(Direct.overdue(received, timeout))
      },
      (note) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.tryPromise({
            try: async (abortSignal) => {
              const command = request.command()
              const [ofStore, ofDialect] = layers[request.access]
              Client.setHeaders(command, ofStore, ofDialect, request.headers)
              Client.onAnswer(command, "effectIcechunkAnswer", (answer) => Answers.admit(answer, request.answer))
              const output = await client.send(command, { abortSignal })
              return await request.read(output, (body, limit) => Answers.collect(body, limit, note))
            },
            catch: (error) => S3Error.classify(error, { secrets: clients.secrets(), now })
          })
        )
    )

  const once = <Input extends ServiceInputTypes, Output extends ServiceOutputTypes, A>(
    request: Request<Input, Output, A>,
    { client }: Current
  ): Effect.Effect<A, S3Error.S3Failure> => traced(request, request.sends, request.bytes, throughSdk(request, client))

  const objectOnce = <A>(
    request: ObjectRequest.ObjectRequest<A>,
    { client, direct }: Current
  ): Effect.Effect<A, S3Error.S3Failure> =>
    traced(
      request,
      request.body?.length,
      request.bytes,
      Effect.flatMap(direct, (send) =>
        send === undefined
          ? ObjectRequest.throughSdk(request, store.bucket, (command) => throughSdk(command, client))
          : send(request)
      )
    )

  /** Runs an attempt, and once more when something was put right because it failed. */
  const corrected = <A>(
    attempt: (current: Current) => Effect.Effect<A, S3Error.S3Failure>
  ): Effect.Effect<A, S3Error.S3Failure> =>
    Effect.flatMap(clients.current, (first) =>
      Effect.catch(attempt(first), (failure) =>
        clients.corrected(first, failure) ? Effect.flatMap(clients.current, attempt) : Effect.fail(failure)
      )
    )

  return {
    bucket: store.bucket,
    region: options.region,
    send: (request) => corrected((current) => once(request, current)),
    object: (request) => corrected((current) => objectOnce(request, current)),
    retrying: (effect) =>
      Repetition.afterFailure(effect, (again) =>
        Effect.retry(again, { schedule: retrySchedule, while: (failure) => failure.isRetryable })
      )
  }
}

/**
 * A connection with clients of its own, released with the Scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: S3Options.S3Options,
  dialect: S3Dialect,
  description: string
): Effect.fn.Return<S3Connection, S3Options.InvalidS3Options, Scope.Scope> {
  const source: Credentials.Source =
    options.anonymous === true ? Credentials.anonymous : (options.credentials ?? Credentials.environment())
  const problem = Effect.isEffect(source) ? undefined : CredentialsCell.kindProblem(source)
  if (problem !== undefined) return yield* new S3Options.InvalidS3Options({ option: "credentials", problem })
  const profile = !Effect.isEffect(source) && source._tag === "Environment" ? source.profile : undefined
  const configured = options.region ?? (yield* Effect.promise(() => Client.environmentRegion(profile)))
  if (!S3Options.isRegion(configured)) {
    return yield* new S3Options.InvalidS3Options({
      option: "region",
      problem: "is not a region: letters, digits and `-`"
    })
  }
  const cell = CredentialsCell.make(source)
  const settings = {
    endpoint: options.endpoint,
    forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
    connectTimeout: Duration.toMillis(options.connectTimeout ?? "5 seconds"),
    connections: options.concurrency ?? S3Options.defaultConcurrency,
    signedHeaders: dialect.signedHeaders
  }
  const layers = headerLayers(options, dialect)
  const shared = {
    signer: Signature.make(dialect.signedHeaders),
    headers: { read: lowerCased(layers.read), write: lowerCased(layers.write) },
    timeout: requestTimeout(options),
    secrets: cell.secrets
  }
  let region = configured
  let current: Current | undefined
  const pools = new Map<string, ReturnType<typeof HttpPool.makeUnsafe>>()
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      current?.client.destroy()
      return Effect.forEach(pools.values(), ({ close }) => close, { discard: true })
    })
  )

  const poolFor = (origin: string): HttpPool.HttpPool => {
    let pool = pools.get(origin)
    if (pool === undefined) {
      pool = HttpPool.makeUnsafe(origin, {
        connections: settings.connections,
        connectTimeout: settings.connectTimeout
      })
      pools.set(origin, pool)
    }
    return pool
  }

  const directWith = (client: S3Client, credentials: Credentials.Credentials): Current["direct"] => {
    let found: { readonly direct: Direct.Direct | undefined } | undefined
    const find = Effect.promise(async () => {
      // Where the SDK cannot say where it would send a request, it says why when it is asked to.
      const route = await Route.find(client, options.bucket).catch(() => undefined)
      if (route === undefined) found = { direct: undefined }
      else {
        const { config } = client
        found = { direct: Direct.make({ ...shared, pool: poolFor(route.origin), route, credentials, config }) }
      }
      return found.direct
    })
    return Effect.suspend(() => (found === undefined ? find : Effect.succeed(found.direct)))
  }

  const clients: Clients = {
    current: Effect.map(cell.get, (credentials) => {
      if (current === undefined || current.credentials !== credentials || current.region !== region) {
        const client = Client.make({ ...settings, region, credentials }, current?.client)
        current = { client, region, credentials, direct: directWith(client, credentials) }
      }
      return current
    }),
    corrected: (used, failure) => {
      if (isElsewhere(failure) && failure.region !== used.region && S3Options.isRegion(failure.region)) {
        if (region === used.region) region = failure.region
        return true
      }
      // The SDK has taken over the store's clock from the answer.
      if (failure.code === "RequestTimeTooSkewed") return true
      return failure.reason._tag === "Unauthenticated" && cell.refused(used.credentials)
    },
    secrets: cell.secrets
  }
  return connect({ store: options, dialect, description, region: configured, clients })
})

/**
 * A connection through a client of the user's, whose own repetitions are left out. Credentials, region and
 * redirects are the client's business.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClient = (
  client: S3Client,
  options: S3Options.StoreOptions & { readonly region?: string | undefined },
  dialect: S3Dialect,
  description: string
): S3Connection => {
  const current: Current = {
    client: Client.withoutRetries(client),
    region: options.region ?? "",
    credentials: Credentials.environment(),
    direct: Effect.undefined
  }
  return connect({
    store: options,
    dialect,
    description,
    region: options.region,
    clients: { current: Effect.succeed(current), corrected: () => false, secrets: () => [] }
  })
}
