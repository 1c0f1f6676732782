/**
 * `exchange.ts ORIGIN`: reads what `hosts.test.ts` serves over TLS, through the connections that the stores of S3 and
 * Google Cloud Storage use, and prints how many bytes came, all of them right.
 */
import * as HttpPool from "@effect-icechunk/core/node/HttpPool"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const [origin = ""] = process.argv.slice(2)

const bounds: HttpPool.Bounds = { limit: () => 1e8, timeout: 30_000 }

const read = Effect.fnUntraced(function* (pool: HttpPool.HttpPool, length: number) {
  const { body, complete } = yield* pool.send({ method: "GET", path: `/${length}`, headers: [] }, bounds)
  return complete && body.every((byte, i) => byte === i % 251) ? body.length : -1
})

const program = Effect.gen(function* () {
  const pool = yield* HttpPool.make(origin, { connections: 2 })
  // On fresh connections and on used ones, small and larger than a socket's buffer.
  const lengths = yield* Effect.forEach([0, 10, 5000, 3_000_000, 10], (length) =>
    Effect.all([read(pool, length), read(pool, length)], { concurrency: 2 })
  )
  yield* Console.log(lengths.join())
})

await Effect.runPromise(Effect.scoped(program))
