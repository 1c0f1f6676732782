/**
 * A `fetch` under the rules that a browser has for the requests of a page to another origin: what CORS forbids fails
 * without a word, what it hides is not there, redirects that are not followed say nothing.
 *
 * Source: the Fetch standard.
 */
import type { FetchFunction, PageShape } from "../../src/Fetch.ts"

export interface Browser {
  readonly page: PageShape
  readonly fetch: FetchFunction
  /** Requests that asked whether another may be made. */
  readonly preflights: Array<string>
  isOnline: boolean
}

const shown = /^(?:cache-control|content-language|content-length|content-type|expires|last-modified|pragma)$/

const plain = (name: string, value: string): boolean =>
  /^(?:accept|accept-language|content-language)$/.test(name) || (name === "range" && /^bytes=\d+-\d*$/.test(value))

export const make = (origin: string, send: FetchFunction = (url, init) => globalThis.fetch(url, init)): Browser => {
  const self: Browser = {
    page: { origin, isOnline: () => self.isOnline },
    preflights: [],
    isOnline: true,
    fetch: async (url, init) => {
      if (!self.isOnline) throw new TypeError("Failed to fetch")
      if (origin.startsWith("https:") && new URL(url).protocol === "http:" && new URL(url).hostname !== "127.0.0.1") {
        throw new TypeError("Failed to fetch")
      }
      const headers = new Headers(init.headers)
      const unusual = Array.from(headers).filter(([name, value]) => !plain(name, value))
      const allows = (response: Response): boolean =>
        ["*", origin].includes(response.headers.get("access-control-allow-origin") ?? "")
      if (unusual.length > 0) {
        const names = unusual.map(([name]) => name)
        self.preflights.push(names.join())
        const preflight = await send(url, {
          method: "OPTIONS",
          headers: { origin, "access-control-request-headers": names.join() }
        })
        const allowed = (preflight.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(/\s*,\s*/)
        if (!allows(preflight) || !names.every((name) => allowed.includes(name) || allowed.includes("*"))) {
          throw new TypeError("Failed to fetch")
        }
      }
      headers.set("origin", origin)
      const { signal = null } = init
      const response = await send(url, {
        method: init.method ?? "GET",
        headers,
        redirect: init.redirect ?? "follow",
        signal
      })
      if (init.redirect === "manual" && [301, 302, 303, 307, 308].includes(response.status)) {
        const opaque = new Response(null)
        Object.defineProperties(opaque, { type: { value: "opaqueredirect" }, status: { value: 0 } })
        return opaque
      }
      if (!allows(response)) throw new TypeError("Failed to fetch")
      const exposed = (response.headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/\s*,\s*/)
      const visible = Array.from(response.headers).filter(
        ([name]) => shown.test(name) || exposed.includes(name) || exposed.includes("*")
      )
      const { body, status } = response
      const filtered = new Response([204, 304].includes(status) ? null : body, { status, headers: visible })
      Object.defineProperties(filtered, { type: { value: "cors" }, url: { value: response.url } })
      return filtered
    }
  }
  return self
}
