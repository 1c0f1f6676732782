/**
 * What goes over the wire: a `fetch` that tells of each request, and how many bytes came.
 */

export interface Exchange {
  readonly id: number
  readonly url: string
  /** As the request says it, `bytes=0-39`. */
  readonly range: string | undefined
  /** Milliseconds since the page was opened. */
  readonly startedAt: number
  /** `undefined` while there is no answer; 0 when there never will be. */
  readonly status: number | undefined
  readonly bytes: number
  /** When the last byte came. */
  readonly endedAt: number | undefined
}

export interface Totals {
  readonly requests: number
  readonly bytes: number
}

export const totals = (exchanges: ReadonlyArray<Exchange>): Totals =>
  exchanges.reduce(({ bytes, requests }, exchange) => ({ requests: requests + 1, bytes: bytes + exchange.bytes }), {
    requests: 0,
    bytes: 0
  })

/** The response, whose body tells of each part that is read of it. */
const counted = (response: Response, onBytes: (bytes: number) => void, onEnd: () => void): Response => {
  const { body } = response
  if (body === null) {
    onEnd()
    return response
  }
  const reader = body.getReader()
  const counting = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read()
        if (done) {
          onEnd()
          controller.close()
          return
        }
        onBytes(value.length)
        controller.enqueue(value)
      } catch (error) {
        onEnd()
        throw error
      }
    },
    cancel: (reason) => {
      onEnd()
      return reader.cancel(reason)
    }
  })
  const copy = new Response(counting, response)
  // What a response is made with does not say these.
  for (const name of ["url", "type", "redirected"] as const)
    Object.defineProperty(copy, name, { value: response[name] })
  return copy
}

/** As `fetch`, with each change of an exchange told to `onChange`. */
export const counting = (
  fetch: (url: string, init: RequestInit) => Promise<Response>,
  onChange: (exchange: Exchange) => void
): typeof fetch => {
  let next = 0
  return async (url, init) => {
    let exchange: Exchange = {
      id: next++,
      url: url.replace(/[?#].*/, ""),
      range: new Headers(init.headers).get("range") ?? undefined,
      startedAt: performance.now(),
      status: undefined,
      bytes: 0,
      endedAt: undefined
    }
    const change = (part: Partial<Exchange>): void => {
      exchange = { ...exchange, ...part }
      onChange(exchange)
    }
    change({})
    try {
      const response = await fetch(url, init)
      change({ status: response.status })
      return counted(
        response,
        (bytes) => change({ bytes: exchange.bytes + bytes }),
        () => change({ endedAt: performance.now() })
      )
    } catch (error) {
      change({ status: 0, endedAt: performance.now() })
      throw error
    }
  }
}
