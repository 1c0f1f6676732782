/**
 * What the page does: it reads from servers of other origins, as well and as badly as they let it, and sends what came
 * of it to its own server.
 */
import { ByteRange, Credentials, type ObjectStore } from "@effect-icechunk/core"
import { HttpObjectStore, type HttpOptions } from "@effect-icechunk/http"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const options: Readonly<Record<string, Partial<HttpOptions.HttpOptions>>> = {
  trusted: { trustHiddenRanges: true },
  followed: { redirects: "follow" },
  secretFollowed: { redirects: "follow", credentials: Credentials.bearerToken({ token: Redacted.make("secret") }) },
  secret: { credentials: Credentials.bearerToken({ token: Redacted.make("secret") }) }
}

const gets: Readonly<Record<string, ObjectStore.GetOptions>> = {
  whole: {},
  checked: { range: ByteRange.bounded(100, 50), ifMatch: '"one"' },
  changed: { range: ByteRange.bounded(100, 50), ifMatch: '"two"' },
  known: { ifNoneMatch: '"one"' },
  range: { range: ByteRange.bounded(100, 50) },
  suffix: { range: ByteRange.suffix(50) },
  beyond: { range: ByteRange.bounded(990, 50) }
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const run = Effect.gen(function* () {
  const servers = (yield* Effect.promise(async () => (await fetch("/setup")).json())) as Readonly<
    Record<string, string>
  >
  const outcomes: Record<string, string> = {}
  for (const [name, url] of Object.entries(servers)) {
    const store = yield* HttpObjectStore.make({ url, retry: { times: 1, baseDelay: "1 millis" }, ...options[name] })
    for (const [what, get] of Object.entries(gets)) {
      for (const key of ["a", "chunks/A"]) {
        outcomes[`${name} ${what} ${key}`] = yield* Effect.match(store.get(key, get), {
          onFailure: ({ message, reason }) => `${reason._tag}: ${message}`,
          onSuccess: ({ bytes, meta }) => `${hex(bytes)} of ${meta.size}, ${meta.version.etag}`
        })
      }
    }
    outcomes[`${name} head`] = yield* Effect.match(store.head("a"), {
      onFailure: ({ message, reason }) => `${reason._tag}: ${message}`,
      onSuccess: ({ size }) => `${size}`
    })
  }
  return outcomes
})

const outcome = await Effect.runPromise(Effect.catchCause(run, (cause) => Effect.succeed({ error: String(cause) })))
await fetch("/report", { method: "POST", body: JSON.stringify(outcome) })
