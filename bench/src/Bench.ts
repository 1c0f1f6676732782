/**
 * Runs measured processes, ours and the peer's in turn, and keeps their samples.
 */
import { execFile, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import type { Input, Sample, Samples, Side } from "./Work.ts"

export const root = path.resolve(import.meta.dirname, "../..")
const condition = "--conditions=@effect-icechunk/source"

export interface Server {
  readonly url: string
  readonly stop: () => Promise<void>
}

export interface Bench {
  readonly rounds: number
  readonly samples: Readonly<Record<Side, ReadonlyMap<string, ReadonlyArray<Sample>>>>
  /** Whether any of these rows was asked for. */
  readonly wants: (...ids: ReadonlyArray<string>) => boolean
  /** A directory of its own, which is removed at the end. */
  readonly directory: (name: string) => string
  readonly copy: (from: string, name: string) => string
  readonly remove: (directory: string) => void
  /** Bytes of the files below a directory. */
  readonly sizeOf: (directory: string) => number
  /** What a set-up made, once in a run; `null` where the side does not load. */
  readonly once: <A>(key: string, make: () => Promise<A>) => Promise<A>
  /** Tasks that ended with an error, which was shown. */
  readonly failures: ReadonlyArray<string>
  /** Runs a task in a process of its own; `null` where the side does not load, has no such task, or fails. */
  readonly run: (side: Side, family: string, task: string, input: Input) => Promise<Samples | null>
  readonly note: (side: Side, samples: Samples | null) => void
  /** Runs `one` for each side in each round. */
  readonly rounded: (one: (side: Side, round: number) => Promise<void>) => Promise<void>
  readonly server: (kind: "s3" | "gcs") => Promise<Server>
  readonly close: () => Promise<void>
}

/** Builds the library that lets the native build load on systems with an older C library. */
const buildShim = (temporary: string): string | undefined => {
  const source = path.resolve(root, "../shared/tools/c23-shim/shim.c")
  if (process.platform !== "linux" || !fs.existsSync(source)) return undefined
  const shim = path.join(temporary, "shim.so")
  try {
    execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", shim, source], { stdio: "ignore" })
    return shim
  } catch {
    return undefined
  }
}

const startServer = async (kind: "s3" | "gcs"): Promise<Server> => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "servers/main.ts"), kind], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject)
    child.once("exit", () => reject(new Error(`the ${kind} server did not start`)))
    child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()))
  })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null) return resolve()
      child.once("exit", () => resolve())
      child.stdin.end()
    })
  return { url, stop }
}

export const make = (options: {
  readonly rounds: number
  readonly wants: (...ids: ReadonlyArray<string>) => boolean
}): Bench => {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-bench-"))
  const shim = buildShim(temporary)
  const samples = { ours: new Map<string, Array<Sample>>(), peer: new Map<string, Array<Sample>>() }
  const made = new Map<string, Promise<unknown>>()
  const servers: Array<Server> = []
  const failures: Array<string> = []
  let directories = 0

  const directory = (name: string): string => {
    directories += 1
    const made = path.join(temporary, `${name}-${directories}`)
    fs.mkdirSync(made, { recursive: true })
    return made
  }
  const note: Bench["note"] = (side, noted) => {
    for (const [id, sample] of Object.entries(noted ?? {})) {
      samples[side].set(id, [...(samples[side].get(id) ?? []), sample])
    }
  }

  return {
    rounds: options.rounds,
    wants: options.wants,
    samples,
    failures,
    directory,
    note,
    copy: (from, name) => {
      const to = directory(name)
      fs.cpSync(from, to, { recursive: true, preserveTimestamps: true })
      return to
    },
    remove: (directory) => fs.rmSync(directory, { recursive: true, force: true }),
    sizeOf: (directory) =>
      fs
        .readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0),
    once: <A>(key: string, make: () => Promise<A>): Promise<A> => {
      const known = made.get(key) ?? make()
      made.set(key, known)
      return known as Promise<A>
    },
    run: async (side, family, task, input) => {
      const started = performance.now()
      const args = [
        "--disable-warning=ExperimentalWarning",
        ...(family === "load" && side === "ours" ? [] : [condition]),
        path.join(import.meta.dirname, "measured.ts"),
        side,
        family,
        task,
        JSON.stringify(input)
      ]
      const ended = await promisify(execFile)(process.execPath, args, {
        maxBuffer: 1 << 26,
        env: { ...process.env, ...(side === "peer" && shim !== undefined ? { LD_PRELOAD: shim } : {}) }
      }).catch((error: Error & { readonly stderr?: string }) => {
        failures.push(`${side} ${family} ${task}`)
        process.stderr.write(`${side} ${family} ${task} failed:\n${error.stderr ?? error.message}\n`)
        return undefined
      })
      if (ended === undefined) return null
      if (ended.stderr !== "") process.stderr.write(ended.stderr)
      const result = JSON.parse(ended.stdout.trim().split("\n").at(-1)!) as Samples | null
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      const shown = Object.entries(result ?? {}).map(([id, { value }]) => `${id} ${value.toPrecision(4)}`)
      process.stderr.write(
        `${side.padEnd(5)}${family} ${task}: ${seconds} s${shown.length > 0 ? "; " : ""}${shown.join(", ")}\n`
      )
      return result
    },
    rounded: async (one) => {
      for (let round = 1; round <= options.rounds; round++) {
        // In turn also as to who begins.
        const sides: ReadonlyArray<Side> = round % 2 === 1 ? ["ours", "peer"] : ["peer", "ours"]
        for (const side of sides) await one(side, round)
      }
    },
    server: async (kind) => {
      const server = await startServer(kind)
      servers.push(server)
      return server
    },
    close: async () => {
      await Promise.all(servers.map(({ stop }) => stop()))
      fs.rmSync(temporary, { recursive: true, force: true })
    }
  }
}
