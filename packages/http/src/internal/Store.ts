/**
 * An object store whose objects are at URLs: what is asked, how often, and what is made of the answers.
 */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { GetOptions, GetResult, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import {
  InvalidRange,
  InvalidResponse,
  ObjectStoreError,
  type Operation,
  type Reason,
  Unavailable,
  Unsupported
} from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Places from "@effect-icechunk/core/store/Places"
import * as Repetition from "@effect-icechunk/core/store/Repetition"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FetchFunction, PageShape } from "../Fetch.ts"
import { defaultConcurrency, defaultWholeBodyLimit, type RequestOptions } from "../HttpOptions.ts"
import type * as Auth from "./Auth.ts"
import * as Connection from "./Connection.ts"
import type * as Exchange from "./Exchange.ts"
import * as Judgement from "./Judgement.ts"
import * as Whole from "./Whole.ts"

export interface Settings {
  readonly description: string
  readonly origin: ObjectStore.Origin
  readonly readOnlyBecause: string
  readonly fetch: FetchFunction
  readonly page: PageShape | undefined
  readonly auth: Auth.Auth
  /** Whether the requests carry what no other origin may see. */
  readonly hasSecrets: boolean
  readonly container: string | undefined
  readonly options: RequestOptions
  readonly urlOf: (key: string) => string
  readonly keyProblem: (key: string) => string | undefined
  /** Whether what has this key never changes. */
  readonly isFixed: (key: string) => boolean
  /** Whether an HTML page is never what is asked for. */
  readonly refusesHtml: boolean
  /** Learns from an answer where the objects are; `true` when that was not known. */
  readonly relocated?: ((headers: Headers, said: string) => boolean) | undefined
  /** What else may be the matter when nothing that a page may see comes back. */
  readonly hint?: (() => string) | undefined
  /** Redirects are followed by `fetch` itself, as far as their end is a place where objects may be. */
  readonly mayEndAt?: ((url: string) => boolean) | undefined
}

/** Bytes of the largest object whose size nobody says, when whoever asks gives no limit. */
const mostUnknown = 2 ** 30

/** HTTP has no words for a range without bytes. */
const isEmptyRange = (range: ByteRange.ByteRange): boolean => range._tag !== "From" && range.length === 0

const truncated = (received: number, expected: number): Reason =>
  new InvalidResponse({
    detail: `${received} of ${expected} bytes came; where it is so again and again, look for a proxy or a server that ends answers early`
  })

const tooLong = (expected: number): Reason =>
  new InvalidResponse({ detail: `the body has more than the ${expected} bytes that were announced` })

const tooLarge = (limit: number): Reason =>
  new Unsupported({ detail: `it has more than the ${limit} bytes that are read of an object of its kind` })

const noList: Reason = new Unsupported({
  detail:
    "over HTTP nothing can be listed. Reading a repository of spec version 2 needs no list; in one of version 1 open branches and tags by name"
})

const endedEarly: Reason = new Unavailable({ detail: "the request that it was read with ended early" })

/** A condition's ETag, as a header holds it; `undefined` for a text that no object has, or that only the answer can be compared with. */
const conditionTag = (etag: string | undefined, isWeakToo: boolean): string | undefined => {
  if (etag === undefined || (!isWeakToo && etag.startsWith("W/"))) return undefined
  const opaque = Checksum.opaqueTag(etag)
  if (!/^[\x21\x23-\x7e]{1,1024}$/.test(opaque)) return undefined
  return `${etag.startsWith("W/") ? "W/" : ""}"${opaque}"`
}

const conditions = ({ ifMatch, ifNoneMatch, ifUnmodifiedSince }: GetOptions): Readonly<Record<string, string>> => {
  const match = conditionTag(ifMatch, false)
  const noneMatch = conditionTag(ifNoneMatch, true)
  return {
    ...(match === undefined ? {} : { "if-match": match }),
    ...(noneMatch === undefined ? {} : { "if-none-match": noneMatch }),
    // HTTP dates are whole seconds; the answer is compared exactly.
    ...(ifUnmodifiedSince === undefined
      ? {}
      : { "if-unmodified-since": new Date(Math.ceil(ifUnmodifiedSince / 1000) * 1000).toUTCString() })
  }
}

export const make = (settings: Settings): ObjectStore.ObjectStoreShape => {
  const { description, isFixed, keyProblem, options, page, readOnlyBecause, refusesHtml } = settings
  const concurrency = options.concurrency ?? defaultConcurrency
  const wholeLimit = options.wholeBodyLimit ?? defaultWholeBodyLimit
  const places = Places.make(concurrency)
  const whole = Whole.make(2 * wholeLimit)
  const connection = Connection.make(settings)
  const { times = 5, baseDelay = "200 millis", maxDelay = "10 seconds" } = options.retry ?? {}
  const delays = Repetition.delays<Reason>({
    firstDelay: baseDelay,
    maxDelay,
    asked: (reason) => ("retryAfter" in reason ? reason.retryAfter : undefined)
  })

  const retrying = <A>(attempt: (isAgain: boolean) => Effect.Effect<A, Reason>): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      let isAgain = false
      const one = Effect.suspend(() => {
        const now = attempt(isAgain)
        isAgain = true
        return now
      })
      return Repetition.afterFailure(one, (again) =>
        Effect.retry(again, { schedule: delays, times, while: (reason: Reason) => reason.isRetryable })
      )
    })

  /** One request in a span and a place of its own. */
  const send = (operation: Operation, key: string, request: Connection.Wire): Effect.Effect<Exchange.Answer, Reason> =>
    connection.send(request).pipe(RequestSpan.within(settings, operation, key), places.within)

  const headersFor = (key: string, get: GetOptions): Readonly<Record<string, string>> => {
    const range = get.range === undefined ? {} : { range: ByteRange.toHttpHeader(get.range) }
    // In a page each of these would make the browser ask first, and turn off its cache, which asks the same of its own accord.
    if (page !== undefined) return range
    return { ...range, ...(isFixed(key) ? {} : { "cache-control": "no-cache" }), ...conditions(get) }
  }

  const askedFor = (key: string, url: string, options: GetOptions): Judgement.Asked => ({
    key,
    options,
    isCors: page !== undefined && URL.parse(url)?.origin !== page.origin,
    trustsHiddenRanges: settings.options.trustHiddenRanges === true,
    refusesHtml
  })

  /** The part of a whole object that was asked for. */
  const partOf = ({ bytes, meta }: Whole.Kept, asked: Judgement.Asked): Effect.Effect<GetResult, Reason> => {
    const changed = Judgement.mismatch(meta, asked.options, asked.isCors)
    if (changed !== undefined) return Effect.fail(changed)
    const span = ByteRange.resolve(asked.options.range, bytes.length)
    if (span === undefined) return Effect.fail(new InvalidRange({ size: bytes.length }))
    const excess = ObjectStore.excess(span.end - span.start, asked.options)
    if (excess !== undefined) return Effect.fail(excess)
    return Effect.succeed({ bytes: bytes.slice(span.start, span.end), span, meta })
  }

  const ignoresRanges = (length: number | undefined): Reason =>
    new Unsupported({
      detail: `the server ignores ranges and sends the whole object, which has ${length ?? `more than ${wholeLimit}`} bytes; up to ${wholeLimit} it is read as a whole (\`wholeBodyLimit\`). Serve it from a server that answers \`Range\` with status 206`
    })

  /** Sends a request, and reads what was asked for: of a server that ignores ranges the whole object, or waits for who is reading it. */
  const read = (key: string, asked: Judgement.Asked, request: Connection.Wire): Effect.Effect<GetResult, Reason> =>
    Effect.suspend(() => {
      const { maxBytes = mostUnknown } = asked.options
      let verdict: Judgement.Verdict | Reason = Judgement.wrong("it has no head")
      let waitsFor: Deferred.Deferred<Whole.Kept, Reason> | undefined
      let ours: Deferred.Deferred<Whole.Kept, Reason> | undefined

      const wanted = (head: Exchange.Head): Exchange.Wanted | undefined => {
        verdict = Judgement.judge(head, asked)
        if (verdict._tag === "Part") {
          const length = verdict.span.end - verdict.span.start
          return { length, limit: length }
        }
        if (verdict._tag === "Whole") return { length: verdict.length, limit: verdict.length ?? maxBytes }
        if (verdict._tag !== "Ignored" || (verdict.length ?? 0) > wholeLimit) return undefined
        waitsFor = whole.underWay.get(key)
        if (waitsFor !== undefined) return undefined
        ours = Deferred.makeUnsafe<Whole.Kept, Reason>()
        whole.underWay.set(key, ours)
        return { length: verdict.length, limit: verdict.length ?? wholeLimit }
      }

      const conclude = (bytes: Uint8Array | undefined): Effect.Effect<GetResult, Reason> => {
        if (verdict._tag === "Part") {
          const { meta, span } = verdict
          const length = span.end - span.start
          if (bytes?.length === length) return Effect.succeed({ bytes, span, meta })
          return Effect.fail(bytes === undefined ? tooLong(length) : truncated(bytes.length, length))
        }
        if (verdict._tag !== "Whole" && verdict._tag !== "Ignored") return Effect.fail(verdict)
        const { length, meta } = verdict
        if (verdict._tag === "Ignored" && ours === undefined) return Effect.fail(ignoresRanges(length))
        if (bytes === undefined) {
          if (length !== undefined) return Effect.fail(tooLong(length))
          return Effect.fail(verdict._tag === "Ignored" ? ignoresRanges(undefined) : tooLarge(maxBytes))
        }
        const size = bytes.length
        return length !== undefined && size !== length
          ? Effect.fail(truncated(size, length))
          : Effect.succeed({ bytes, span: { start: 0, end: size }, meta: { ...meta, size } })
      }

      return send("get", key, { ...request, wanted }).pipe(
        Effect.flatMap(({ bytes }) =>
          waitsFor === undefined
            ? conclude(bytes)
            : Effect.flatMap(Deferred.await(waitsFor), (kept) => partOf(kept, asked))
        ),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (ours === undefined) return
            whole.underWay.delete(key)
            if (exit._tag === "Success") whole.keep(key, exit.value)
            Deferred.doneUnsafe(ours, exit._tag === "Success" ? Effect.succeed(exit.value) : Effect.fail(endedEarly))
          })
        ),
        Effect.flatMap((result) => (ours === undefined ? Effect.succeed(result) : partOf(result, asked)))
      )
    })

  const getOnce = (key: string, get: GetOptions, isAgain: boolean): Effect.Effect<GetResult, Reason> =>
    Effect.suspend(() => {
      const url = settings.urlOf(key)
      const asked = askedFor(key, url, get)
      const kept = get.range === undefined ? undefined : whole.get(key)
      if (kept !== undefined && isFixed(key)) return partOf(kept, asked)
      // What was read as a whole answers further ranges as long as it is the same.
      const known = get.ifNoneMatch === undefined && page === undefined ? kept?.meta.version.etag : undefined
      const request: Connection.Wire = {
        method: "GET",
        key,
        headers: headersFor(key, known === undefined ? get : { ...get, ifNoneMatch: known }),
        cache: cacheMode(key, isAgain, get.range !== undefined)
      }
      const answered = read(key, asked, request)
      return known === undefined ? answered : Effect.catchTag(answered, "NotModified", () => partOf(kept!, asked))
    })

  /**
   * What never changes comes from the browser's cache, and a file that may change is asked for with its ETag. Parts of such a
   * file do not go through the cache: Chromium joins those that it has with those that it gets, under the ETag of the old ones
   * where the server does not know `If-Range`.
   */
  const cacheMode = (key: string, isAgain: boolean, isPart: boolean): RequestCache =>
    isFixed(key) ? (isAgain ? "reload" : "force-cache") : isPart ? "no-store" : "no-cache"

  const headOnce = Effect.fnUntraced(function* (
    operation: Operation,
    key: string,
    isAgain: boolean
  ): Effect.fn.Return<ObjectMeta, Reason> {
    const url = settings.urlOf(key)
    const wire = { key, cache: cacheMode(key, isAgain, false) }
    const asHead = yield* Effect.result(
      send(operation, key, {
        ...wire,
        method: "HEAD",
        headers: page === undefined ? { ...headersFor(key, {}), "accept-encoding": "identity" } : {},
        wanted: () => undefined
      })
    )
    if (asHead._tag === "Success") {
      const meta = Judgement.judgeHead(key, asHead.success.head, refusesHtml)
      if (meta !== undefined) return "_tag" in meta ? yield* Effect.fail(meta) : meta
    } else if (!["PermissionDenied", "Unsupported", "Unauthenticated"].includes(asHead.failure._tag)) {
      return yield* asHead.failure
    }
    // Some servers have no HEAD or send no length, and a signed URL may be for a GET: its first byte says how many there are.
    const range = ByteRange.bounded(0, 1)
    const asked = askedFor(key, url, { range })
    let judged: Judgement.Verdict | Reason | undefined = undefined as Judgement.Verdict | Reason | undefined
    const request = { ...wire, method: "GET" as const, headers: headersFor(key, { range }) }
    yield* send(operation, key, {
      ...request,
      wanted: (head) => {
        judged = Judgement.judge(head, asked)
        return undefined
      }
    }).pipe(Effect.catchTag("InvalidRange", (reason) => (reason.size === 0 ? Effect.void : Effect.fail(reason))))
    if (judged === undefined) return { key, size: 0, lastModified: undefined, version: { etag: undefined } }
    if (judged._tag === "Part") return judged.meta
    if (judged._tag !== "Ignored" && judged._tag !== "Whole") return yield* Effect.fail(judged)
    if (judged.length === undefined) return yield* Judgement.wrong("the answer does not say how many bytes there are")
    return { ...judged.meta, size: judged.length }
  })

  const head = (operation: Operation, key: string): Effect.Effect<ObjectMeta, Reason> =>
    retrying((isAgain) => headOnce(operation, key, isAgain))

  /** A range without bytes, or one that the server cannot satisfy: the object says whether it has it. */
  const emptyRange = Effect.fnUntraced(function* (key: string, get: GetOptions): Effect.fn.Return<GetResult, Reason> {
    const meta = yield* head("get", key)
    const { isCors } = askedFor(key, settings.urlOf(key), get)
    const changed = Judgement.mismatch(meta, get, isCors)
    if (changed !== undefined) return yield* changed
    const span = ByteRange.resolve(get.range, meta.size)
    if (span === undefined || span.start !== span.end) return yield* new InvalidRange({ size: meta.size })
    return { bytes: new Uint8Array(0), span, meta }
  })

  const get = (key: string, options: GetOptions): Effect.Effect<GetResult, Reason> => {
    const { range } = options
    if (range !== undefined && !ByteRange.isValid(range)) {
      return Effect.fail(new InvalidRange({ detail: "offset and length are whole numbers from 0 on" }))
    }
    if (range !== undefined && isEmptyRange(range)) return emptyRange(key, options)
    const answered = retrying((isAgain) => getOnce(key, options, isAgain))
    return range === undefined
      ? answered
      : Effect.catchTag(answered, "InvalidRange", (reason) =>
          reason.detail === undefined ? Effect.fail(reason) : emptyRange(key, options)
        )
  }

  const on = <A>(
    operation: Operation,
    key: string,
    effect: Effect.Effect<A, Reason>
  ): Effect.Effect<A, ObjectStoreError> =>
    Effect.suspend(() => {
      const problem = keyProblem(key)
      return problem === undefined ? effect : Effect.fail(new Unsupported({ detail: problem }))
    }).pipe(Effect.mapError((reason) => new ObjectStoreError({ store: description, operation, key, reason })))

  const forbidden = Effect.fail(new ObjectStore.WriteForbidden({ target: description, because: readOnlyBecause }))

  return {
    description,
    origin: settings.origin,
    capabilities: {
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalGet: page === undefined,
      metadata: false,
      opaqueKeys: false
    },
    readOnlyBecause,
    maxConcurrentRequests: concurrency,
    get: (key, options) => on("get", key, get(key, options ?? {})),
    head: (key) => on("head", key, head("head", key)),
    list: (prefix) =>
      Stream.fail(new ObjectStoreError({ store: description, operation: "list", key: prefix, reason: noList })),
    put: () => forbidden,
    delete: () => forbidden,
    copy: () => forbidden
  }
}
