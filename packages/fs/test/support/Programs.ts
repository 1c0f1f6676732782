/** Programs that tests run as processes of their own. */
import { spawn, type ChildProcess } from "node:child_process"
import * as path from "node:path"

const commandOf = (program: string, args: ReadonlyArray<string>): ReadonlyArray<string> => [
  process.execPath,
  "--conditions=@effect-icechunk/source",
  path.join(import.meta.dirname, `${program}.ts`),
  ...args
]

export const start = (program: "increment" | "count", ...args: ReadonlyArray<string>): ChildProcess => {
  const [command, ...rest] = commandOf(program, args)
  return spawn(command!, rest, { stdio: ["ignore", "pipe", "inherit"] })
}

/** Starts a program that may have so many files open. */
export const startLimited = (limit: number, program: "readAll", ...args: ReadonlyArray<string>): ChildProcess =>
  spawn("sh", ["-c", `ulimit -n ${limit} && exec "$@"`, "sh", ...commandOf(program, args)], {
    stdio: ["ignore", "ignore", "inherit"]
  })

/** Waits until the process has ended; the signal that ended it, or its exit code. */
export const ended = (child: ChildProcess): Promise<NodeJS.Signals | number | null> =>
  new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)))
