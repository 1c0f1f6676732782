/** How long one attempt may take: it is given up when nothing comes, not because there is much to come. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as S3Error from "../S3Error.ts"

/** Bytes a second below which an object that drips in is no download any more. */
const slowestDownload = 1024

/** Bytes a second that an upload is counted with, because nothing tells how far it has come. */
const slowestUpload = 64 * 1024

/** One attempt. Times in milliseconds. */
export interface Transfer {
  readonly timeout: number
  readonly startedAt: number
  /** Bytes of the request's body. */
  readonly sent: number
  /** When the last bytes came. */
  at: number
  /** Bytes of the object that have come. */
  received: number
}

/** When an attempt is to be given up, unless more has come until then. Pure. */
export const deadline = ({ at, received, sent, startedAt, timeout }: Readonly<Transfer>): number => {
  const upload = (sent * 1000) / slowestUpload
  const idle = at === startedAt ? startedAt + upload + timeout : at + timeout
  return Math.min(idle, startedAt + upload + 2 * timeout + (received * 1000) / slowestDownload)
}

/** Runs an attempt, and gives it up at its deadline. `note` is told of bytes as they come. */
export const bounded = <A>(
  options: { readonly timeout: Duration.Duration; readonly sent: number },
  run: (note: (bytes: number) => void) => Effect.Effect<A, S3Error.S3Failure>
): Effect.Effect<A, S3Error.S3Failure> =>
  Clock.clockWith((clock) => {
    const startedAt = clock.currentTimeMillisUnsafe()
    const timeout = Duration.toMillis(options.timeout)
    const transfer: Transfer = { timeout, startedAt, sent: options.sent, at: startedAt, received: 0 }
    const overdue: Effect.Effect<never, S3Error.S3Failure> = Effect.suspend(() => {
      const left = deadline(transfer) - clock.currentTimeMillisUnsafe()
      if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), overdue)
      const detail =
        transfer.received === 0
          ? `no answer came within ${Duration.format(options.timeout)}`
          : `the answer stopped coming, or came too slowly, after ${transfer.received} bytes; the limit is \`requestTimeout\`, now ${Duration.format(options.timeout)}`
      return S3Error.failure("Unavailable", detail, { isRetryable: true, mayBeApplied: true })
    })
    return Effect.raceFirst(
      run((bytes) => {
        transfer.at = clock.currentTimeMillisUnsafe()
        transfer.received += bytes
      }),
      overdue
    )
  })
