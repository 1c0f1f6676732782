/**
 * An object store with latency, in a process of its own: `main.ts s3|gcs`. Prints its address; ends when its standard
 * input does. Whoever measures sets the delay and reads the counters at paths that begin with `/-/`, which are neither
 * delayed nor counted.
 */
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Gcs from "./Gcs.ts"
import * as Objects from "./Objects.ts"
import * as S3 from "./S3.ts"

const kind = process.argv[2] === "gcs" ? "gcs" : "s3"
const objects: Objects.Objects = new Map()

const counters = {
  requests: 0,
  /** Of bodies, in both directions. */
  bytes: 0,
  /** Connections that carried a request. */
  sockets: new Set<Socket>(),
  underWay: 0,
  mostAtOnce: 0,
  /** The longest chain of requests of which each began after the one before it was answered. */
  chain: 0,
  answered: 0
}
let delay = 0

const reset = (): void => {
  Object.assign(counters, { requests: 0, bytes: 0, mostAtOnce: counters.underWay, chain: 0, answered: 0 })
  counters.sockets.clear()
}

/** Puts an object of chunks, each of which begins and ends with its number. */
const fill = (name: string, chunkBytes: number, chunks: number): void => {
  const bytes = Buffer.alloc(chunks * chunkBytes)
  for (let chunk = 0; chunk < chunks; chunk++) {
    bytes.writeUInt32LE(chunk, chunk * chunkBytes)
    bytes.writeUInt32LE(chunk, (chunk + 1) * chunkBytes - 4)
  }
  Objects.put(objects, name, { bytes, contentType: "application/octet-stream", metadata: {} })
}

const control = (path: string, response: http.ServerResponse): void => {
  const [, , command, argument = "", key, chunkBytes, chunks] = path.split("/")
  const { bytes, chain, mostAtOnce, requests, sockets } = counters
  if (command === "delay") delay = Number(argument)
  if (command === "reset") reset()
  if (command === "fill") fill(`${argument}/${key}`, Number(chunkBytes), Number(chunks))
  response.end(JSON.stringify({ requests, bytes, sockets: sockets.size, mostAtOnce, chain }))
}

const server = http.createServer({ keepAliveTimeout: 120_000 }, (incoming, response) => {
  const url = incoming.url ?? ""
  if (url.startsWith("/-/")) return control(url, response)
  const position = counters.answered + 1
  counters.requests += 1
  counters.sockets.add(incoming.socket)
  counters.underWay += 1
  counters.mostAtOnce = Math.max(counters.mostAtOnce, counters.underWay)
  counters.chain = Math.max(counters.chain, position)
  response.on("close", () => {
    counters.underWay -= 1
  })
  const parts: Array<Buffer> = []
  incoming.on("data", (part: Buffer) => parts.push(part))
  incoming.on("end", () => {
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    const cut = url.indexOf("?")
    const request: Objects.Request = {
      method: incoming.method ?? "",
      path: cut < 0 ? url : url.slice(0, cut),
      query: new URLSearchParams(cut < 0 ? "" : url.slice(cut + 1)),
      headers: incoming.headers as Objects.Request["headers"],
      body
    }
    const reply = (): void => {
      const answer = kind === "gcs" ? Gcs.answer(objects, request) : S3.answer("amz", objects, request)
      counters.bytes += body.length + answer.body.length
      counters.answered = Math.max(counters.answered, position)
      const isBodyless = answer.status === 204 || answer.status === 304
      response.writeHead(answer.status, {
        ...(isBodyless ? {} : { "content-length": String(answer.body.length) }),
        ...answer.headers
      })
      response.end(answer.body)
    }
    if (delay > 0) setTimeout(reply, delay)
    else reply()
  })
})

server.on("connection", (socket) => socket.setNoDelay(true))
server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.stdin.on("close", () => process.exit(0))
process.stdin.resume()
