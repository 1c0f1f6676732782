/**
 * A web server for a repository and its data, as a public bucket would be: ranges, ETags, CORS. On demand it fails in the
 * ways in which those, and what is between, do fail.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { type Fault, faults } from "../src/Sample.ts"

export interface Request {
  readonly method: string
  /** Below the server's root, such as `/data/egm96_15.gtx`. */
  readonly path: string
  readonly range: string | undefined
  readonly status: number
}

export interface DataServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  /** What was asked for since it was last emptied. */
  readonly requests: Array<Request>
  readonly fault: Fault
  readonly setFault: (fault: Fault) => void
}

/** As buckets say it: of the content alone, so that a file that comes back is the same as before. */
export const etagOf = (content: Uint8Array): string => `"${createHash("md5").update(content).digest("hex")}"`

const exposed = "ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges, Content-Encoding"

const cors: http.OutgoingHttpHeaders = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": exposed
}

const preflight: http.OutgoingHttpHeaders = {
  ...cors,
  "access-control-allow-methods": "GET, HEAD",
  "access-control-allow-headers": "Range, If-Match, If-None-Match, If-Unmodified-Since, Cache-Control, Pragma",
  "access-control-max-age": "600"
}

const loginPage = "<!doctype html><title>Sign in</title><p>Please sign in to use this network.</p>"

interface Content {
  readonly bytes: Buffer
  readonly lastModified: Date
}

/** The file at a path below a directory. */
const fileAt = (directory: string, below: string): Content | undefined => {
  const file = path.join(directory, path.normalize(`/${below}`))
  const stats = fs.statSync(file, { throwIfNoEntry: false })
  return stats?.isFile() === true ? { bytes: fs.readFileSync(file), lastModified: stats.mtime } : undefined
}

/** The file with one bit changed, as whoever replaces it leaves it: with another ETag, and new. */
const changed = ({ bytes }: Content, at: Date): Content => {
  const copy = Buffer.from(bytes)
  copy[copy.length - 1]! ^= 1
  return { bytes: copy, lastModified: at }
}

/** Serves what is in `directory`, of which `data` can change. */
export const start = async (options: { readonly directory: string; readonly port?: number }): Promise<DataServer> => {
  const requests: Array<Request> = []
  /** What a cache on the way has kept, which it gives to all who do not ask for what is new. */
  const cache = new Map<string, Content>()
  let fault: Fault = "none"
  let since = new Date()

  const setFault = (wanted: Fault): void => {
    // Of what was there before the cache came, it knows nothing.
    cache.clear()
    since = new Date()
    fault = wanted
  }

  const contentOf = (url: string, headers: http.IncomingHttpHeaders): Content | undefined => {
    const found = fileAt(options.directory, url)
    if (found === undefined) return undefined
    if (fault === "changed" && url.startsWith("/data/")) return changed(found, since)
    if (fault === "stale") {
      const isFresh = /no-cache|no-store|max-age=0/.test(headers["cache-control"] ?? "")
      const kept = isFresh ? undefined : cache.get(url)
      if (kept !== undefined) return kept
      cache.set(url, found)
    }
    return found
  }

  /** Answers, and says with which status. */
  const answer = (url: string, request: http.IncomingMessage, response: http.ServerResponse): number => {
    const { headers, method } = request
    const send = (status: number, headers: http.OutgoingHttpHeaders, body?: Uint8Array | string): number => {
      response.writeHead(status, headers)
      response.end(method === "HEAD" ? undefined : body)
      return status
    }
    if (method === "OPTIONS") return send(204, preflight)
    if (fault === "unavailable") return send(503, { "content-type": "text/plain" }, "Slow down")
    if (method !== "GET" && method !== "HEAD") return send(405, cors)
    if (fault === "html") return send(200, { ...cors, "content-type": "text/html" }, loginPage)
    const content = contentOf(url, headers)
    if (content === undefined)
      return send(404, { ...cors, "content-type": "application/xml" }, "<Code>NoSuchKey</Code>")
    const { bytes, lastModified } = content
    const etag = etagOf(bytes)
    const common = {
      ...cors,
      etag,
      "last-modified": lastModified.toUTCString(),
      "content-type": "application/octet-stream",
      "cache-control": fault === "stale" ? "public, max-age=86400" : "no-cache",
      "accept-ranges": fault === "noRanges" ? "none" : "bytes"
    }
    const isTruncated = fault === "truncated" && url.startsWith("/data/")
    if (headers["if-none-match"] === etag && !isTruncated) return send(304, common)
    if (headers["if-match"] !== undefined && headers["if-match"] !== etag) return send(412, cors)
    // Browsers ask so for what is missing between the parts that they have: of another version they get all.
    const isOther = headers["if-range"] !== undefined && headers["if-range"] !== etag
    const range = fault === "noRanges" || isOther ? null : /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? "")
    if (range === null) return send(200, { ...common, "content-length": bytes.length }, bytes)
    const start = range[1] === "" ? Math.max(0, bytes.length - Number(range[2])) : Number(range[1])
    const end = range[1] === "" || range[2] === "" ? bytes.length : Math.min(bytes.length, Number(range[2]) + 1)
    if (start >= end) return send(416, { ...cors, "content-range": `bytes */${bytes.length}` })
    const part = bytes.subarray(start, end)
    const partial = {
      ...common,
      "content-length": part.length,
      "content-range": `bytes ${start}-${end - 1}/${bytes.length}`
    }
    if (isTruncated) {
      response.writeHead(206, partial)
      response.write(part.subarray(0, part.length / 2), () => response.destroy())
      return 206
    }
    return send(206, partial, part)
  }

  const server = http.createServer((request, response) => {
    const { method = "GET", url = "/" } = request
    // The switch that the page has; it is no part of what is served.
    if (url === "/fault" && method === "POST") {
      request.setEncoding("utf8")
      let wanted = ""
      request.on("data", (part: string) => {
        wanted = (wanted + part).slice(0, 100)
      })
      request.on("end", () => {
        const known = faults.find(({ name }) => name === wanted)
        if (known !== undefined) setFault(known.name)
        response.writeHead(known === undefined ? 400 : 204, cors).end()
      })
      return
    }
    const decoded = decodeURIComponent(url.replace(/[?#].*/, ""))
    const status = answer(decoded, request, response)
    if (method !== "OPTIONS") requests.push({ method, path: decoded, range: request.headers.range, status })
  })
  await new Promise<void>((listening, failed) => {
    server.once("error", failed)
    server.listen(options.port ?? 0, "127.0.0.1", listening)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get fault() {
      return fault
    },
    setFault,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((closed) => {
        server.closeAllConnections()
        server.close(() => closed())
      })
  }
}
