/**
 * Times as files have them, and as programs do. Pure.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"

/**
 * A time in microseconds since 1970, cut to whole milliseconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofMicros = (micros: number): DateTime.Utc => DateTime.makeUnsafe(Math.floor(micros / 1000))
