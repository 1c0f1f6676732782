/** Requests with what proves who asks, their redirects, and what their failures mean. */
import { InvalidResponse, type Reason, Unauthenticated, Unavailable } from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Endpoint from "@effect-icechunk/core/values/Endpoint"
import { isMetadataHost } from "@effect-icechunk/core/values/MetadataAddress"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { PageShape } from "../Fetch.ts"
import type { Unsigned } from "../HttpOptions.ts"
import type * as Auth from "./Auth.ts"
import * as Exchange from "./Exchange.ts"
import * as Judgement from "./Judgement.ts"
import type { Settings } from "./Store.ts"

/** A request before anybody has signed it. */
export interface Wire {
  readonly method: "GET" | "HEAD"
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  /** What a browser does with its cache. */
  readonly cache: RequestCache
  /** How much is read of the body of a success. */
  readonly wanted?: ((head: Exchange.Head) => Exchange.Wanted | undefined) | undefined
}

export interface Connection {
  /** Sends a request once; twice when that may help. Refusals are failures. */
  readonly send: (wire: Wire) => Effect.Effect<Exchange.Answer, Reason>
}

const maxErrorBody = 16 * 1024

const maxRedirects = 5

const isSuccess = (status: number): boolean => status === 200 || status === 206

const isRedirect = ({ status, type }: Exchange.Head): boolean =>
  type === "opaqueredirect" || [301, 302, 303, 307, 308].includes(status)

/** Only what says something in a few words; pages of HTML say nothing. */
const says = ({ headers }: Exchange.Head): boolean =>
  /^(?:application|text)\/xml\b/i.test(headers.get("content-type") ?? "")

const codeIn = (said: string): string => {
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(said)?.[1]
  return code === undefined ? "" : ` \`${code}\``
}

const textOf = (bytes: Uint8Array | undefined): string => (bytes === undefined ? "" : new TextDecoder().decode(bytes))

const originOf = (url: string): string => URL.parse(url)?.origin ?? ""

/** Headers that a page may send without asking the server first, by the Fetch standard. */
const safelisted = /^(?:range|accept|accept-language|content-language)$/

/** Why there is no answer, as far as one can tell from here. Pure. */
const unanswered = (
  { head, isOverdue, received }: Exchange.Failed,
  request: {
    readonly origin: string
    readonly headers: ReadonlyArray<string>
    readonly idleTimeout: Duration.Duration
    readonly hint: string
  },
  page: PageShape | undefined
): Reason => {
  const { headers, hint, idleTimeout, origin } = request
  if (page?.isOnline() === false) return new Unavailable({ because: "the browser is offline" })
  if (isOverdue) {
    const since = received === 0 ? "no answer came" : `nothing more of the answer came after ${received} bytes`
    return new Unavailable({ because: `${since} for ${Duration.format(idleTimeout)} (\`idleTimeout\`)` })
  }
  if (head !== undefined) {
    return new InvalidResponse({
      detail: `the connection broke after ${received} bytes of the body; where it does so again and again, look for a proxy or a server that ends answers early, and read smaller chunks`
    })
  }
  if (page === undefined || page.origin === origin) {
    return new Unavailable({ because: `\`${origin}\` could not be reached. Check its name, its port and the network` })
  }
  const asked = headers.filter((name) => !safelisted.test(name))
  const allow = `\`Access-Control-Allow-Origin: ${page.origin}\`${asked.length === 0 ? "" : ` and \`Access-Control-Allow-Headers: ${asked.join(", ")}\``}`
  return new Unavailable({
    because: `\`${origin}\` gave no answer that a page of \`${page.origin}\` may see. It is down, its name is wrong, or CORS forbids it, which looks the same from here, also for errors of the server. Open the URL in a tab of its own: if that works, it is CORS, and the server has to send ${allow}${hint}`
  })
}

export const make = (settings: Settings): Connection => {
  const { auth, fetch, hasSecrets, mayEndAt, options, page } = settings
  const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? "30 seconds")
  const timeout = Duration.toMillis(idleTimeout)
  // Not every platform has all of a request's options; without a page there are neither cookies nor a cache.
  const ofPage = (cache: RequestCache): RequestInit => (page === undefined ? {} : { credentials: "omit", cache })
  let isFollowing = false

  const redirected = (to: string | undefined): Reason =>
    Judgement.wrong(
      to === undefined || to === ""
        ? 'the server redirects; give the URL that it redirects to, or make the store with `redirects: "follow"`'
        : `the server redirects to \`${to}\`; give a URL there, or make the store with \`redirects: "follow"\``
    )

  /** Where a redirect leads, or why it is not followed. */
  const target = (from: string, location: string): string | Reason => {
    const url = URL.parse(location, from)
    if (url === null || !/^https?:$/.test(url.protocol)) return redirected(undefined)
    if (from.startsWith("https:") && url.protocol === "http:") {
      return Judgement.wrong(`the server redirects from https to \`${url.origin}\`, which is never followed`)
    }
    if (isMetadataHost(url.hostname)) {
      return Judgement.wrong("the server redirects to an address of cloud metadata, which is never followed")
    }
    return url.href
  }

  const exchange = Effect.fnUntraced(function* (
    wire: Wire,
    url: string,
    given: Auth.AuthHeaders
  ): Effect.fn.Return<Exchange.Answer, Reason> {
    let at = url
    let secrets = given
    const mode = mayEndAt !== undefined ? "follow" : "manual"
    for (let hops = 0; ; hops++) {
      const headers = { ...options.headers, ...wire.headers, ...secrets }
      const redirect = isFollowing && !hasSecrets ? "follow" : mode
      const init: RequestInit = { method: wire.method, headers, redirect, ...ofPage(wire.cache) }
      const request = {
        origin: originOf(at),
        headers: Object.keys(headers),
        idleTimeout,
        hint: settings.hint?.() ?? ""
      }
      const answer: Exchange.Answer = yield* Exchange.send(fetch, at, init, timeout, (head) =>
        isSuccess(head.status)
          ? wire.wanted?.(head)
          : wire.method === "GET" && says(head)
            ? { limit: maxErrorBody }
            : undefined
      ).pipe(
        Effect.catch((failed) =>
          // A status says more than the body that was to explain it.
          failed.head !== undefined && !isSuccess(failed.head.status)
            ? Effect.succeed({ head: failed.head, bytes: undefined })
            : Effect.fail(unanswered(failed, request, page))
        )
      )
      const { head } = answer
      if (mayEndAt !== undefined && head.url !== "" && !mayEndAt(head.url)) {
        return yield* redirected(originOf(head.url))
      }
      if (!isRedirect(head) || mayEndAt !== undefined) {
        if (redirect === "follow" && at.startsWith("https:") && head.url.startsWith("http:")) {
          return yield* Judgement.wrong("the server redirects from https to http, which is never followed")
        }
        return answer
      }
      const location = head.headers.get("location")
      if (options.redirects !== "follow") {
        return yield* redirected(location === null ? undefined : URL.parse(location, at)?.origin)
      }
      if (hops >= maxRedirects) return yield* Judgement.wrong(`the server redirects more than ${maxRedirects} times`)
      if (head.type === "opaqueredirect") {
        if (hasSecrets) {
          return yield* Judgement.wrong(
            "the server redirects, and a browser does not say where, so that credentials could reach another origin; give the URL that it redirects to"
          )
        }
        isFollowing = true
        continue
      }
      if (location === null) return yield* redirected(undefined)
      const next = target(at, location)
      if (typeof next !== "string") return yield* next
      if (originOf(next) !== originOf(at)) secrets = {}
      at = next
    }
  })

  const attempt = Effect.fnUntraced(function* (
    wire: Wire
  ): Effect.fn.Return<{ readonly answer: Exchange.Answer; readonly used: Auth.AuthHeaders }, Reason> {
    const used = yield* auth.headers
    const plain = settings.urlOf(wire.key)
    if (options.sign === undefined) return { answer: yield* exchange(wire, plain, used), used }
    const unsigned: Unsigned = {
      method: wire.method,
      url: plain,
      headers: { ...options.headers, ...wire.headers, ...used },
      container: settings.container
    }
    const signed = yield* Effect.mapError(
      options.sign(unsigned),
      ({ problem }) => new Unauthenticated({ detail: problem, unavailable: problem })
    )
    const url = signed.url ?? plain
    const host = URL.parse(url)
    if (host === null || (Endpoint.isExposed(host.origin) && !Endpoint.isExposed(originOf(plain)))) {
      return yield* Judgement.wrong("the signed URL is not an https URL")
    }
    return { answer: yield* exchange(wire, url, { ...used, ...signed.headers }), used }
  })

  const concluded = Effect.fnUntraced(function* (
    method: string,
    { bytes, head }: Exchange.Answer
  ): Effect.fn.Return<Exchange.Answer, Reason> {
    const isRefused = !isSuccess(head.status)
    const detail = isRefused ? `HTTP status ${head.status}${codeIn(textOf(bytes))}` : ""
    yield* RequestSpan.noting(() => ({
      "http.request.method": method,
      "http.response.status_code": head.status,
      bytes: isRefused ? 0 : (bytes?.length ?? 0)
    }))
    if (!isRefused) return { bytes, head }
    return yield* Judgement.refusal(head.status, head.headers, detail, yield* Clock.currentTimeMillis)
  })

  return {
    send: Effect.fnUntraced(function* (wire: Wire): Effect.fn.Return<Exchange.Answer, Reason> {
      const { answer, used } = yield* attempt(wire)
      const { bytes, head } = answer
      const again =
        (head.status === 401 && auth.refused(used)) ||
        (!isSuccess(head.status) && settings.relocated?.(head.headers, textOf(bytes)) === true)
      return yield* concluded(wire.method, again ? (yield* attempt(wire)).answer : answer)
    })
  }
}
