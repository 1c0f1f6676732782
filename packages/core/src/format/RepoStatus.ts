/**
 * Whether a repository may be written, as its owner has set it.
 *
 * Source: Icechunk spec 2, `RepoStatus`.
 *
 * @since 0.1.0
 */
import type { FlatBuilder } from "../encoding/FlatBuilder.ts"
import { fields, type FlatTable } from "../encoding/FlatTable.ts"

/**
 * `ReadOnly`: no writes; `Offline`: neither writes nor reads.
 *
 * @category models
 * @since 0.1.0
 */
export type Availability = "Online" | "ReadOnly" | "Offline"

/**
 * The status with the time it was set, in microseconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepoStatus {
  readonly availability: Availability
  readonly setAt: number
  readonly reason: string | undefined
}

/**
 * Every availability, in the order of the codes in the schema.
 *
 * @category constants
 * @since 0.1.0
 */
export const availabilities: ReadonlyArray<Availability> = ["Online", "ReadOnly", "Offline"]

const Status = fields("availability", "set_at", "limited_availability_reason")

/**
 * The status in a table. Throws a `FormatError`, as the methods of `FlatTable` do.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (table: FlatTable): RepoStatus => {
  const code = table.u8(Status.availability)
  return {
    availability: availabilities[code] ?? table.fail(Status.availability, `no availability has the code ${code}`),
    setAt: table.u64(Status.set_at),
    reason: table.optionalString(Status.limited_availability_reason)
  }
}

/**
 * Writes a status as a table.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (builder: FlatBuilder, status: RepoStatus): number => {
  const reason = status.reason === undefined ? undefined : builder.string(status.reason)
  return builder.table(3, (table) => {
    table.u8(Status.availability, availabilities.indexOf(status.availability))
    table.u64(Status.set_at, status.setAt)
    table.offset(Status.limited_availability_reason, reason)
  })
}
