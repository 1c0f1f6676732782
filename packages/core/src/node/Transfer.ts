/**
 * How long one HTTP exchange may take: it is given up when nothing comes, not because there is much to come.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Bytes a second below which an object that drips in is no download any more. */
const slowestDownload = 1024

/** Bytes a second that an upload is counted with, because nothing tells how far it has come. */
const slowestUpload = 64 * 1024

/**
 * One attempt. Times in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transfer {
  /** Longest time in which nothing comes. */
  readonly timeout: number
  readonly startedAt: number
  /** Bytes of the request's body. */
  readonly sent: number
  /** When the last bytes came. */
  at: number
  /** Bytes of the answer's body that have come. */
  received: number
}

/**
 * An attempt that begins now.
 *
 * @category constructors
 * @since 0.1.0
 */
export const begin = (timeout: number, sent: number, now: number): Transfer => ({
  timeout,
  startedAt: now,
  sent,
  at: now,
  received: 0
})

/**
 * When an attempt is to be given up, unless more has come until then. Pure.
 *
 * @category accessors
 * @since 0.1.0
 */
export const deadline = ({ at, received, sent, startedAt, timeout }: Readonly<Transfer>): number => {
  const upload = (sent * 1000) / slowestUpload
  const idle = at === startedAt ? startedAt + upload + timeout : at + timeout
  return Math.min(idle, startedAt + upload + 2 * timeout + (received * 1000) / slowestDownload)
}

/**
 * What gives attempts up at their deadlines.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watch {
  /** Looks after an attempt from now on; `giveUp` is called once, when it is overdue. */
  readonly add: (transfer: Transfer, giveUp: () => void) => void
  /** The attempt has ended. */
  readonly remove: (transfer: Transfer) => void
}

/**
 * A watch over many attempts with one timer, which runs while there are any.
 *
 * @category constructors
 * @since 0.1.0
 */
export const watch = (clock: Clock.Clock): Watch => {
  const running = new Map<Transfer, () => void>()
  let sleeper: Fiber.Fiber<void> | undefined
  let wakesAt = Number.POSITIVE_INFINITY

  /** Gives up what is overdue, and says when to look again. */
  const look = (): number => {
    const now = clock.currentTimeMillisUnsafe()
    let next = Number.POSITIVE_INFINITY
    for (const [transfer, giveUp] of running) {
      const at = deadline(transfer)
      if (at > now) next = Math.min(next, at)
      else {
        running.delete(transfer)
        giveUp()
      }
    }
    return next
  }

  const sleep: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(clock.sleep(Duration.millis(Math.ceil(wakesAt - clock.currentTimeMillisUnsafe()))), () => {
      wakesAt = look()
      if (wakesAt !== Number.POSITIVE_INFINITY) return sleep
      sleeper = undefined
      return Effect.void
    })
  )

  const stop = (): void => {
    sleeper?.interruptUnsafe()
    sleeper = undefined
    wakesAt = Number.POSITIVE_INFINITY
  }

  return {
    add: (transfer, giveUp) => {
      running.set(transfer, giveUp)
      const at = deadline(transfer)
      // One that sleeps already wakes early enough for all that began before.
      if (at >= wakesAt) return
      stop()
      wakesAt = at
      sleeper = Effect.runFork(sleep)
    },
    remove: (transfer) => {
      if (running.delete(transfer) && running.size === 0) stop()
    }
  }
}

/**
 * Runs an attempt, and gives it up at its deadline. `note` is told of bytes as they come; `orElse` how many had come.
 *
 * @category combinators
 * @since 0.1.0
 */
export const bounded = <A, E, R>(
  options: {
    /** Milliseconds. */
    readonly timeout: number
    readonly sent: number
    readonly orElse: (received: number) => Effect.Effect<A, E>
  },
  run: (note: (bytes: number) => void) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) => {
    const transfer = begin(options.timeout, options.sent, clock.currentTimeMillisUnsafe())
    const overdue: Effect.Effect<A, E> = Effect.suspend(() => {
      const left = deadline(transfer) - clock.currentTimeMillisUnsafe()
      if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), overdue)
      return options.orElse(transfer.received)
    })
    return Effect.raceFirst(
      run((bytes) => {
        transfer.at = clock.currentTimeMillisUnsafe()
        transfer.received += bytes
      }),
      overdue
    )
  })
