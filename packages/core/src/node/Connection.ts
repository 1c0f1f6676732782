/**
 * One connection of a pool, from which the system reads bytes of a body right to where the body is to be: without a
 * buffer in between for each read, which Node would make, and the garbage that is left of it.
 *
 * No memory is used twice. Where a body's bytes go is written once, and so are the windows for all else: whatever
 * undici keeps of an answer, as pieces of headers that came apart, stays as it is.
 */
import type { Socket } from "node:net"
import { buildConnector, Client, type Dispatcher } from "undici/index.js"

/** A handler that may have room of its own for what comes next. */
export interface Reader extends Dispatcher.DispatchHandler {
  /** The connection that carries the request. */
  connection: Connection | undefined
  /** Where the next bytes of the connection belong, so many at most: empty unless they can only be bytes of the body. */
  room(most: number): Uint8Array
}

/** What the connections of a pool share. */
export interface Shared {
  /** Milliseconds until a connection stands. */
  readonly connectTimeout: number
  /** Sessions of TLS by server name: with one, a connection needs no whole handshake. */
  readonly sessions: Map<string, Buffer>
}

/** Bytes that are read before it is known whose they are: those of most heads, but little of a body, which is then copied. */
const windowBytes = 2048

/** Fresh memory that windows are cut from. */
const slabBytes = 16 * 1024

/** Read at once into a body: what a processor keeps near, because it is looked at next. */
const maxRead = 256 * 1024

const none = new Uint8Array(0)

/** Fresh memory for what is read without room of its own, piece by piece. */
class Windows {
  private slab = none
  private at = 0
  private last = none

  next(length: number): Uint8Array {
    if (this.slab.length - this.at < windowBytes / 2) {
      this.slab = new Uint8Array(Buffer.allocUnsafeSlow(slabBytes).buffer)
      this.at = 0
    }
    this.last = this.slab.subarray(this.at, this.at + length)
    return this.last
  }

  /** Bytes were read into a piece of memory, which may be the last window. */
  written(into: Uint8Array, count: number): void {
    if (into === this.last) this.at += count
  }
}

/** One connection to a server, made anew when it was closed, as all of undici's clients. */
export class Connection extends Client {
  /** Whose body comes. */
  reader: Reader | undefined
  private readonly shared: Shared

  constructor(origin: URL, options: object, shared: Shared) {
    super(origin, { ...options, connect: (given, callback) => this.open(given, callback) })
    this.shared = shared
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    ;(handler as Reader).connection = this
    return super.dispatch(options, handler)
  }

  private open(options: buildConnector.Options, callback: buildConnector.Callback): void {
    const { connectTimeout, sessions } = this.shared
    const name = options.servername ?? options.hostname
    const windows = new Windows()
    let socket: Socket | undefined
    const settings = {
      timeout: connectTimeout,
      allowH2: false,
      maxCachedSessions: 0,
      session: sessions.get(name),
      // More than one read brings, which therefore does not stop the next.
      highWaterMark: 2 * maxRead,
      onread: {
        buffer: () => {
          const { reader } = this
          if (reader === undefined) return windows.next(windowBytes)
          // While something waits to be parsed, nobody knows where the next bytes belong.
          const room = socket === undefined || socket.readableLength > 0 ? none : reader.room(maxRead)
          return room.length === 0 ? windows.next(slabBytes) : room
        },
        callback: (count: number, buffer: Uint8Array) => {
          // No server speaks before there is a connection.
          if (socket === undefined) return false
          windows.written(buffer, count)
          const wantsMore = socket.push(Buffer.from(buffer.buffer, buffer.byteOffset, count))
          // Undici parses now instead of in the next tick, so that `buffer` knows what comes next.
          socket.emit("readable")
          return wantsMore
        }
      }
    }
    buildConnector(settings)(options, (...connected) => {
      if (connected[0] === null) {
        socket = connected[1]
        socket.on("session", (session: Buffer) => void sessions.set(name, session))
      }
      callback(...connected)
    })
  }
}
