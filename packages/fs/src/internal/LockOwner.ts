/**
 * Who holds a lock, and whether that process still lives.
 *
 * A wrong "dead" loses data and a wrong "alive" only makes others wait, so everything that cannot be known
 * counts as alive: processes of other hosts, of other PID namespaces (containers), and of platforms that do
 * not tell.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { hostname } from "node:os"

/** A process, as told from every other one. Only Linux has more than `host` and `pid`. */
export interface LockOwner extends Schema.Schema.Type<typeof LockOwner> {}

export const LockOwner = Schema.Struct({
  host: Schema.String,
  pid: Schema.Int,
  /** When the process started, in clock ticks since the boot: process ids are used again. */
  start: Schema.optionalKey(Schema.String),
  /** The PID namespace: within another one the same id is another process. */
  namespace: Schema.optionalKey(Schema.String),
  /** This run of the machine. */
  boot: Schema.optionalKey(Schema.String),
  /** The installation, hashed: machines may have equal host names. */
  machine: Schema.optionalKey(Schema.String)
})

const Text = Schema.fromJsonString(LockOwner)

/** The text of a lock file. */
export const encode: (owner: LockOwner) => string = Schema.encodeSync(Text)

/** The owner that a lock file names; `undefined` for a text that we did not write. */
export const decode = (text: string): LockOwner | undefined =>
  Option.getOrUndefined(Schema.decodeUnknownOption(Text)(text))

/** This process. */
export const self = (fs: FileSystem.FileSystem): Effect.Effect<LockOwner> =>
  Effect.gen(function* () {
    const line = (file: string): Effect.Effect<string | undefined> =>
      fs.readFileString(file).pipe(
        Effect.map((text) => text.trim() || undefined),
        Effect.orElseSucceed(() => undefined)
      )
    const status = yield* line("/proc/self/stat")
    const namespace = yield* fs.readLink("/proc/self/ns/pid").pipe(Effect.orElseSucceed(() => undefined))
    const boot = yield* line("/proc/sys/kernel/random/boot_id")
    const machine = yield* line("/etc/machine-id")
    const start = status === undefined ? undefined : statusOf(status)?.start
    return {
      host: hostname(),
      pid: process.pid,
      ...(start === undefined ? {} : { start }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(boot === undefined ? {} : { boot }),
      ...(machine === undefined ? {} : { machine: hash(machine) })
    }
  })

// systemd asks not to publish the id itself: machine-id(5).
const hash = (machine: string): string =>
  createHash("sha256").update(`effect-icechunk:${machine}`).digest("hex").slice(0, 16)

/** What `/proc/<pid>/stat` says; the name of the command, in parentheses, may contain anything. */
const statusOf = (
  stat: string
): { readonly state: string; readonly threads: number; readonly start: string } | undefined => {
  // Fields 3, 20 and 22 of proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, threads, start] = [fields[0], fields[17], fields[19]]
  return state === undefined || threads === undefined || start === undefined
    ? undefined
    : { state, threads: Number(threads), start }
}

/** Whether the owner certainly no longer lives, seen from the process `here`. */
export const isDead = (fs: FileSystem.FileSystem, here: LockOwner, owner: LockOwner): Effect.Effect<boolean> => {
  if (owner.host !== here.host) return Effect.succeed(false)
  if (owner.boot !== here.boot) {
    // The same installation, started again; without a machine id it may be another one of the same name.
    const restarted = owner.boot !== undefined && here.boot !== undefined
    return Effect.succeed(restarted && owner.machine !== undefined && owner.machine === here.machine)
  }
  if (owner.machine !== here.machine || owner.namespace !== here.namespace || owner.pid <= 0) {
    return Effect.succeed(false)
  }
  return Effect.suspend(() => {
    if (!exists(owner.pid)) return Effect.succeed(true)
    const { start } = owner
    if (start === undefined) return Effect.succeed(false)
    return fs.readFileString(`/proc/${owner.pid}/stat`).pipe(
      Effect.map((text) => {
        const status = statusOf(text)
        if (status === undefined) return false
        // Nobody has waited for a zombie yet. It runs no more once its last other thread has ended.
        return status.start !== start || ((status.state === "Z" || status.state === "X") && status.threads <= 1)
      }),
      // It has ended since, which the next look will see, or it may not be looked at.
      Effect.orElseSucceed(() => false)
    )
  })
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
