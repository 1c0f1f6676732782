/**
 * A web server as one meets them: it serves files with ranges and conditions, and misbehaves as it is told.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { gzipSync } from "node:zlib"

export interface File {
  readonly bytes: Uint8Array
  readonly etag?: string | undefined
  /** Milliseconds since 1970. */
  readonly lastModified?: number | undefined
  readonly type?: string | undefined
}

export interface Asked {
  readonly method: string
  /** Path and query, as they came. */
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
}

/** What is done instead of an answer, or to it. */
export type Fault =
  | {
      readonly _tag: "Status"
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
    }
  /** The whole object for a range; `chunked`: without saying how long it is; `broken`: half of it. */
  | { readonly _tag: "IgnoreRanges"; readonly chunked?: boolean; readonly broken?: boolean }
  /** As it would be, with these headers; `null` takes one away. */
  | { readonly _tag: "Headers"; readonly headers: Readonly<Record<string, string | null>> }
  /** The connection ends after half of the body. */
  | { readonly _tag: "Truncate" }
  /** A body of so many bytes more or less, in a whole answer of unsaid length. */
  | { readonly _tag: "Length"; readonly by: number }
  /** A body that never ends. */
  | { readonly _tag: "Endless" }
  /** Compressed, whatever was asked. */
  | { readonly _tag: "Gzip" }
  /** No answer; the connection ends. */
  | { readonly _tag: "Drop" }
  /** No answer. */
  | { readonly _tag: "Hang" }
  /** The head of an answer, half of its body, and nothing more. */
  | { readonly _tag: "Stall" }

export interface WebServer {
  readonly url: string
  readonly asked: Array<Asked>
  /** Bytes of bodies that were written. */
  readonly sent: () => number
  /** Connections that are open and have an answer to come. */
  readonly underWay: () => number
  /** What is done to a request (default nothing). */
  fault: (asked: Asked, nth: number) => Fault | undefined
  /** Headers of every answer, also of errors. */
  headers: Readonly<Record<string, string>>
  find: (pathname: string, asked: Asked) => File | undefined | Promise<File | undefined>
}

/** The files of a directory. */
export const directory =
  (root: string): WebServer["find"] =>
  (pathname) => {
    const file = path.join(root, pathname)
    const stat = fs.statSync(file, { throwIfNoEntry: false })
    if (stat?.isFile() !== true) return undefined
    return { bytes: fs.readFileSync(file), etag: `"${stat.mtimeMs}-${stat.size}"`, lastModified: stat.mtimeMs }
  }

const httpDate = (time: number): string => new Date(Math.floor(time / 1000) * 1000).toUTCString()

const opaque = (etag: string): string => etag.trim().replace(/^W\//, "")

const matches = (header: string | undefined, etag: string | undefined): boolean =>
  header !== undefined && etag !== undefined && header.split(",").some((one) => opaque(one) === opaque(etag))

const rangeOf = (
  header: string | undefined,
  size: number
): { start: number; end: number } | "none" | "unsatisfiable" => {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? "")
  if (found === null) return "none"
  const [, first = "", last = ""] = found
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  return start >= end ? "unsatisfiable" : { start, end }
}

/** A server on a port of its own, stopped with the Scope. */
export const make: Effect.Effect<WebServer, never, Scope.Scope> = Effect.gen(function* () {
  let sent = 0
  let underWay = 0
  const server = http.createServer()
  const self: Omit<WebServer, "url"> = {
    asked: [],
    sent: () => sent,
    underWay: () => underWay,
    fault: () => undefined,
    headers: {},
    find: () => undefined
  }

  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const asked: Asked = { method: request.method!, url: request.url!, headers: request.headers }
    self.asked.push(asked)
    underWay++
    response.on("close", () => underWay--)
    const fault = self.fault(asked, self.asked.length)
    for (const [name, value] of Object.entries(self.headers)) response.setHeader(name, value)
    const isHead = asked.method === "HEAD"
    const end = (status: number, headers: Readonly<Record<string, string | number | null>>, body: Uint8Array): void => {
      const changed = fault?._tag === "Headers" ? { ...headers, ...fault.headers } : headers
      for (const [name, value] of Object.entries(changed)) if (value !== null) response.setHeader(name, value)
      response.writeHead(status)
      if (!isHead) sent += body.length
      response.end(isHead ? undefined : body)
    }
    if (fault?._tag === "Drop") return void request.socket.destroy()
    if (fault?._tag === "Hang") return
    if (fault?._tag === "Status") return end(fault.status, fault.headers ?? {}, Buffer.from(fault.body ?? ""))
    if (asked.method === "OPTIONS") return end(204, {}, new Uint8Array(0))
    let pathname: string
    try {
      pathname = decodeURIComponent(asked.url.replace(/\?.*$/s, ""))
    } catch {
      return end(400, {}, new Uint8Array(0))
    }
    const file = await self.find(pathname, asked)
    if (file === undefined) return end(404, {}, Buffer.from("not here"))
    const { bytes, etag, lastModified, type = "application/octet-stream" } = file
    const about = {
      "content-type": type,
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { "last-modified": httpDate(lastModified) })
    }
    if (asked.headers["if-match"] !== undefined && !matches(asked.headers["if-match"], etag)) {
      return end(412, about, new Uint8Array(0))
    }
    const since = Date.parse(asked.headers["if-unmodified-since"] ?? "")
    if (!Number.isNaN(since) && lastModified !== undefined && Math.floor(lastModified / 1000) * 1000 > since) {
      return end(412, about, new Uint8Array(0))
    }
    if (matches(asked.headers["if-none-match"], etag)) return end(304, about, new Uint8Array(0))
    const range = fault?._tag === "IgnoreRanges" ? "none" : rangeOf(asked.headers.range, bytes.length)
    if (range === "unsatisfiable")
      return end(416, { ...about, "content-range": `bytes */${bytes.length}` }, new Uint8Array(0))
    const body = range === "none" ? bytes : bytes.subarray(range.start, range.end)
    const status = range === "none" ? 200 : 206
    const headers = {
      ...about,
      ...(range === "none" ? {} : { "content-range": `bytes ${range.start}-${range.end - 1}/${bytes.length}` })
    }
    switch (fault?._tag) {
      case "Gzip": {
        const packed = gzipSync(body)
        return end(status, { ...headers, "content-encoding": "gzip", "content-length": packed.length }, packed)
      }
      case "Truncate":
      case "Stall":
        response.writeHead(status, { ...headers, "content-length": body.length })
        response.write(body.subarray(0, Math.floor(body.length / 2)), () => {
          if (fault._tag === "Truncate") request.socket.destroy()
        })
        return
      case "Length": {
        const changed = new Uint8Array(body.length + fault.by)
        changed.set(body.subarray(0, changed.length))
        response.writeHead(status, headers)
        sent += changed.length
        return void response.end(changed)
      }
      case "Endless": {
        response.writeHead(status, headers)
        const piece = new Uint8Array(64 * 1024)
        const write = (): void => {
          while (!response.destroyed) {
            sent += piece.length
            if (!response.write(piece)) break
          }
        }
        response.on("drain", write)
        return write()
      }
      case "IgnoreRanges":
        if (fault.broken === true) {
          response.writeHead(status, { ...headers, "content-length": body.length })
          response.write(body.subarray(0, Math.floor(body.length / 2)), () =>
            setTimeout(() => request.socket.destroy(), 20)
          )
          return
        }
        if (fault.chunked === true) {
          response.writeHead(status, headers)
          sent += body.length
          return void response.end(body)
        }
        return end(status, { ...headers, "content-length": body.length }, body)
      default:
        return end(status, { ...headers, "content-length": body.length }, body)
    }
  }
  server.on("request", (request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return Object.assign(self, { url: `http://127.0.0.1:${port}` })
})
