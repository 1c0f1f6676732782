/**
 * Serves a page to a browser, and waits for what it reports.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export interface PageServer<Report> extends AsyncDisposable {
  readonly origin: string
  /** What the page sends to `/report`, as JSON. */
  readonly report: Promise<Report>
}

/** A page of one script, which finds `setup` at `/setup`. What else it asks its server for, `others` answers. */
export const serve = async <Report>(options: {
  readonly code: string
  readonly setup: unknown
  readonly others?: (request: http.IncomingMessage, response: http.ServerResponse) => void
}): Promise<PageServer<Report>> => {
  const { promise: report, reject, resolve } = Promise.withResolvers<Report>()
  const server = http.createServer((request, response) => {
    switch (request.url) {
      case "/": {
        const html = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>'
        return void response.writeHead(200, { "content-type": "text/html" }).end(html)
      }
      case "/page.js":
        return void response.writeHead(200, { "content-type": "text/javascript" }).end(options.code)
      case "/setup":
        return void response.end(JSON.stringify(options.setup))
      case "/report": {
        const parts: Array<Buffer> = []
        request.on("data", (part: Buffer) => parts.push(part))
        request.on("end", () => {
          response.end()
          try {
            resolve(JSON.parse(Buffer.concat(parts).toString()) as Report)
          } catch (error) {
            reject(error)
          }
        })
        return
      }
      default:
        return options.others === undefined ? void response.writeHead(404).end() : options.others(request, response)
    }
  })
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening)
  })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    report,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((closed) => {
        server.closeAllConnections()
        server.close(() => closed())
      })
  }
}
