import { spawnSync } from "node:child_process"

/** A FIFO: to open one would wait for somebody to open its other end. */
export const make = (path: string): void => {
  const [program, ...args] = ["mkfifo", path]
  const { status } = spawnSync(program, args)
  if (status !== 0) throw new Error(`no FIFO could be made at ${path}`)
}
