/**
 * One request and its answer. The body is read as far as it is wanted and no further; an interruption ends the request.
 */
import * as Effect from "effect/Effect"
import type { FetchFunction } from "../Fetch.ts"

/** What comes before a body. */
export interface Head {
  readonly status: number
  readonly headers: Headers
  /** Where the answer is from; empty where that is not told. */
  readonly url: string
  readonly type: ResponseType
}

/** How much of a body is read. */
export interface Wanted {
  /** Bytes that it has, where that is known. */
  readonly length?: number | undefined
  /** More than these are not read. */
  readonly limit: number
}

export interface Answer {
  readonly head: Head
  /** `undefined`: there are more than were wanted. Empty where none were. */
  readonly bytes: Uint8Array | undefined
}

/** There was no answer, or no whole one. */
export interface Failed {
  readonly _tag: "Failed"
  readonly isOverdue: boolean
  /** What came before the body broke. */
  readonly head: Head | undefined
  /** Bytes of the body that came. */
  readonly received: number
}

const nothing = new Uint8Array(0)

/** Larger bodies are collected in pieces, whatever their headers announce. */
const mostAllocated = 16 * 1024 * 1024

const collected = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

const discard = (stream: { readonly cancel: () => Promise<void> } | null): void => {
  stream?.cancel().catch(() => {})
}

const read = async (
  body: ReadableStream<Uint8Array>,
  { length, limit }: Wanted,
  note: (bytes: number) => void
): Promise<Uint8Array | undefined> => {
  const reader = body.getReader()
  const whole = length !== undefined && length <= Math.min(limit, mostAllocated) ? new Uint8Array(length) : undefined
  const chunks: Array<Uint8Array> = []
  let received = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    if (received + value.length > limit) {
      discard(reader)
      return undefined
    }
    if (whole === undefined) chunks.push(value)
    // More than was announced is what the caller is to see.
    else if (received + value.length <= whole.length) whole.set(value, received)
    received += value.length
    note(received)
  }
  if (whole === undefined || received > whole.length) return collected(chunks, received)
  return received === whole.length ? whole : whole.slice(0, received)
}

/** Sends a request. `wanted` says how much of the body is read; `undefined`: nothing. */
export const send = (
  fetch: FetchFunction,
  url: string,
  init: RequestInit,
  idleTimeout: number,
  wanted: (head: Head) => Wanted | undefined
): Effect.Effect<Answer, Failed> =>
  Effect.callback((resume) => {
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let received = 0
    let head: Head | undefined
    const fail = (isOverdue: boolean): void => resume(Effect.fail({ _tag: "Failed", isOverdue, head, received }))
    const rearm = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        fail(true)
        controller.abort()
      }, idleTimeout)
    }
    const run = async (): Promise<void> => {
      rearm()
      try {
        const response = await fetch(url, { ...init, signal: controller.signal })
        rearm()
        const { body, headers, status, type } = response
        const came: Head = { status, headers, url: response.url, type }
        head = came
        const want = wanted(came)
        if (want === undefined || body === null) {
          discard(body)
          resume(Effect.succeed({ head: came, bytes: nothing }))
          return
        }
        const bytes = await read(body, want, (count) => {
          received = count
          rearm()
        })
        resume(Effect.succeed({ head: came, bytes }))
      } catch {
        // What it says differs from one platform to the next, and may hold the URL.
        fail(false)
      } finally {
        clearTimeout(timer)
      }
    }
    void run()
    return Effect.sync(() => {
      clearTimeout(timer)
      controller.abort()
    })
  })
