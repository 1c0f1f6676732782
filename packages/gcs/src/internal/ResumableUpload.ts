/**
 * Upload of a large object in parts: what has arrived is not sent again when an answer is lost or a connection breaks.
 *
 * Source: "Resumable uploads" of the JSON API. A session is started with the object's metadata and preconditions; each part but the
 * last is a multiple of 256 KiB; 308 says how far the store has come, and the answer to the last part is the object's resource.
 */
import type * as Http from "@effect-icechunk/core/node/HttpPool"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as Connection from "./Connection.ts"
import * as Requests from "./Requests.ts"

/** Objects above this many bytes are uploaded in parts of as many. */
export const partBytes: number = 16 * 1024 * 1024

/** Answers without progress in a row, after which the upload is given up. */
const maxStalls = 8

type Reason = ObjectStoreError.Reason

const invalid = (detail: string, isFinal = false): Reason => new ObjectStoreError.InvalidResponse({ detail, isFinal })

/** Bytes that the store has, from the `Range` of a 308; it has none where that is absent. */
export const received = ({ headers }: Pick<Http.Head, "headers">, size: number): number | undefined => {
  const range = headers["range"]
  if (range === undefined) return 0
  const last = /^bytes=0-(\d+)$/.exec(range)?.[1]
  const bytes = last === undefined ? undefined : Number(last) + 1
  return bytes !== undefined && bytes <= size ? bytes : undefined
}

/** Path and query of a session. Only those: parts are sent to the endpoint that was asked, wherever its answer points. */
export const sessionPath = ({ headers }: Pick<Http.Head, "headers">, endpoint: string): string | undefined => {
  const url = URL.parse(headers["location"] ?? "", `${endpoint}/`)
  return url === null || !url.searchParams.has("upload_id") ? undefined : url.pathname + url.search
}

/** Uploads an object and returns the answer with its resource. */
export const upload = (
  connection: Pick<Connection.Connection, "send" | "retry">,
  options: {
    readonly endpoint: string
    readonly start: Requests.Wire
    readonly bytes: Uint8Array
    readonly purpose: Connection.Purpose
  }
): Effect.Effect<Http.Answer, Reason> => {
  const { bytes, endpoint, purpose, start } = options
  const size = bytes.length
  const inParts: Connection.Purpose = { ...purpose, accepts: (status) => status === 308 }

  const open = Effect.gen(function* () {
    const path = sessionPath(yield* connection.send(start, purpose), endpoint)
    return path ?? (yield* Effect.fail(invalid("the answer names no upload session")))
  })

  const send = (path: string, from: number | undefined): Effect.Effect<Http.Answer, Reason> =>
    connection.send(
      Requests.part(path, bytes, from, from === undefined ? 0 : Math.min(size, from + partBytes)),
      inParts
    )

  const parts = Effect.fnUntraced(function* (path: string) {
    let at: number | undefined = 0
    for (let stalls = 0; ;) {
      const from: number | undefined = at
      // Whatever failed: how far the store has come is asked before anything is sent again.
      const answer: Http.Answer = yield* connection.retry(
        Effect.tapError(
          Effect.suspend(() => send(path, at)),
          () => Effect.sync(() => void (at = undefined))
        )
      )
      if (answer.status !== 308) return answer
      const reached = received(answer, size)
      if (reached === undefined)
        return yield* Effect.fail(invalid("the store says that it has other bytes than were sent", true))
      stalls = from !== undefined && reached > from ? 0 : stalls + 1
      if (stalls > maxStalls) return yield* Effect.fail(invalid("the store takes no more bytes", true))
      at = reached
    }
  })

  return Effect.flatMap(connection.retry(open), (path) =>
    Effect.onExit(parts(path), (exit) =>
      exit._tag === "Success" ? Effect.void : Effect.ignore(connection.send(Requests.cancel(path), purpose))
    )
  )
}
