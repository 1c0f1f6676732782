/** Programs that tests run as processes of their own. */
import { spawn, type ChildProcess } from "node:child_process"
import * as path from "node:path"

export const start = (program: "increment" | "count", ...args: ReadonlyArray<string>): ChildProcess =>
  spawn(
    process.execPath,
    ["--conditions=@effect-icechunk/source", path.join(import.meta.dirname, `${program}.ts`), ...args],
    { stdio: ["ignore", "pipe", "inherit"] }
  )

/** Waits until the process has ended; the signal that ended it, or its exit code. */
export const ended = (child: ChildProcess): Promise<NodeJS.Signals | number | null> =>
  new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)))
