/**
 * Who holds a lock or writes a file, and whether that process still lives.
 *
 * Everything that cannot be seen counts as alive here: processes of other hosts, of other PID or time namespaces
 * (containers), and of platforms that do not tell. Those prove that they live by their heartbeat; see `FileLock`.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { createHash, randomBytes } from "node:crypto"
import { hostname } from "node:os"

/** A process, as told from every other one. Only Linux has more than `host`, `pid` and `instance`. */
export interface LockOwner {
  /** The name of the host, as far as a file name can have it. */
  readonly host: string
  readonly pid: number
  /** When the process started, in clock ticks since the boot: process ids are used again. */
  readonly start?: string
  /**
   * The PID and time namespaces: within another PID namespace the same id is another process, within another time
   * namespace the same process has another start.
   */
  readonly namespaces?: string
  /** This run of the machine. */
  readonly boot?: string
  /** The installation, hashed: machines may have equal host names. */
  readonly machine?: string
  /** This copy of the library in the process: a worker thread has one of its own. */
  readonly instance: string
}

/** The owner as a part of a file name. */
export const encode = ({ boot, host, instance, machine, namespaces, pid, start }: LockOwner): string =>
  [host, pid, start ?? "", namespaces ?? "", boot ?? "", machine ?? "", instance].join("+")

/** The owner that a part of a file name tells; `undefined` for one that we did not write. */
export const decode = (text: string): LockOwner | undefined => {
  const [host, pid, start, namespaces, boot, machine, instance, ...rest] = text.split("+")
  if (!host || pid === undefined || !/^\d{1,15}$/.test(pid) || !instance || rest.length > 0) return undefined
  return {
    host,
    pid: Number(pid),
    ...(start ? { start } : {}),
    ...(namespaces ? { namespaces } : {}),
    ...(boot ? { boot } : {}),
    ...(machine ? { machine } : {}),
    instance
  }
}

export const equals = (a: LockOwner, b: LockOwner): boolean => encode(a) === encode(b)

/** A text as a part of a file name: long ones are cut. */
const inName = (text: string): string => text.replaceAll(/[^A-Za-z0-9.-]/g, "_").slice(0, 32) || "_"

const instance = randomBytes(4).toString("hex")

/** This process. */
export const self = (fs: FileSystem.FileSystem): Effect.Effect<LockOwner> =>
  Effect.gen(function* () {
    const line = (file: string): Effect.Effect<string | undefined> =>
      fs.readFileString(file).pipe(
        Effect.map((text) => text.trim() || undefined),
        Effect.orElseSucceed(() => undefined)
      )
    const namespace = (kind: string): Effect.Effect<string> =>
      fs.readLink(`/proc/self/ns/${kind}`).pipe(
        Effect.map((text) => text.replaceAll(/\D/g, "")),
        Effect.orElseSucceed(() => "")
      )
    const status = yield* line("/proc/self/stat")
    const namespaces = `${yield* namespace("pid")}-${yield* namespace("time")}`
    const boot = yield* line("/proc/sys/kernel/random/boot_id")
    const machine = yield* line("/etc/machine-id")
    // A `/proc` of another PID namespace has other processes under our ids.
    const isOurs = status?.startsWith(`${process.pid} `) === true
    const start = isOurs ? statusOf(status)?.start : undefined
    return {
      host: inName(hostname()),
      pid: process.pid,
      ...(start === undefined ? {} : { start }),
      ...(namespaces === "-" ? {} : { namespaces }),
      ...(boot === undefined ? {} : { boot: hash(boot) }),
      ...(machine === undefined ? {} : { machine: hash(machine) }),
      instance
    }
  })

// systemd asks not to publish the id itself: machine-id(5).
const hash = (id: string): string => createHash("sha256").update(`effect-icechunk:${id}`).digest("hex").slice(0, 12)

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
  // Linux tells its namespaces, unless there is no `/proc`.
  if (process.platform === "linux" && here.namespaces === undefined) return Effect.succeed(false)
  if (owner.machine !== here.machine || owner.namespaces !== here.namespaces || owner.pid <= 0) {
    return Effect.succeed(false)
  }
  return Effect.suspend(() => {
    if (!exists(owner.pid)) return Effect.succeed(true)
    const { start } = owner
    if (start === undefined || here.start === undefined) return Effect.succeed(false)
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
