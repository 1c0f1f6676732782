/**
 * Benchmarks beside the official engine, in one run on one machine: `pnpm bench [rounds]`.
 *
 * Each measurement is a process of its own, ours and the peer's in turn; the table shows medians. The
 * official engine's native build is used, with `../shared/tools/c23-shim` preloaded where the C library
 * needs it. Results are written to `bench/results.json`.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Workload from "./Workload.ts"

const rounds = Number(process.argv[2] ?? 3)
const root = path.resolve(import.meta.dirname, "../..")
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-bench-"))

/** Builds the shim, where there is a compiler and its source. */
const buildShim = (): string | undefined => {
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

const shim = buildShim()

const measure = (who: "ours" | "peer", task: string, directory: string): Workload.Measured | null => {
  const output = execFileSync(
    process.execPath,
    ["--conditions=@effect-icechunk/source", path.join(import.meta.dirname, `${who}.ts`), task, directory],
    {
      encoding: "utf8",
      maxBuffer: 1 << 26,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...(who === "peer" && shim !== undefined ? { LD_PRELOAD: shim } : {}) }
    }
  )
  return JSON.parse(output.trim().split("\n").at(-1)!) as Workload.Measured | null
}

/** Bytes below a directory. */
const sizeOf = (directory: string): number =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0)

const samples = { ours: new Map<string, Array<number>>(), peer: new Map<string, Array<number>>() }

const note = (who: "ours" | "peer", measured: Workload.Measured | null): void => {
  for (const [name, value] of Object.entries(measured ?? {})) {
    samples[who].set(name, [...(samples[who].get(name) ?? []), value])
  }
}

try {
  for (let round = 1; round <= rounds; round++) {
    for (const who of ["ours", "peer"] as const) {
      process.stderr.write(`round ${round} of ${rounds}: ${who}\n`)
      const directory = path.join(temporary, `${who}-${round}`)
      Workload.writeData(Workload.places(directory))
      const written = measure(who, "write", directory)
      note(who, written)
      if (written === null) continue
      note(who, { repositoryBytes: sizeOf(Workload.places(directory).repository) })
      note(who, measure(who, "read", directory))
      note(who, measure(who, "stream", directory))
      fs.rmSync(directory, { recursive: true })
    }
  }
} finally {
  fs.rmSync(temporary, { recursive: true, force: true })
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

const labels: Readonly<Record<string, string>> = {
  set: `set ${Workload.rows.toLocaleString("en")} virtual refs (s)`,
  commit: "commit them (s)",
  read: "open and read one chunk, cold (s)",
  stream: "stream all locations (s)",
  writeMemory: "peak memory while writing (MB)",
  streamMemory: "peak memory while streaming (MB)",
  repositoryBytes: "repository on disk (MB)"
}

const shown = (name: string, value: number | undefined): string =>
  value === undefined ? "-" : /Memory|Bytes/.test(name) ? (value / 1e6).toFixed(1) : value.toFixed(3)

const results = Object.keys(labels).map((name) => {
  const ours = median(samples.ours.get(name) ?? [])
  const peerSamples = samples.peer.get(name)
  const peer = peerSamples === undefined ? undefined : median(peerSamples)
  return { name, ours, peer, ratio: peer === undefined ? undefined : ours / peer }
})

console.log(`\n${"".padEnd(38)}${"ours".padStart(10)}${"peer".padStart(10)}${"ratio".padStart(8)}`)
for (const { name, ours, peer, ratio } of results) {
  const cells = [shown(name, ours).padStart(10), shown(name, peer).padStart(10), (ratio?.toFixed(2) ?? "-").padStart(8)]
  console.log(`${labels[name]!.padEnd(38)}${cells.join("")}`)
}
if (samples.peer.size === 0) {
  console.log("\nThe official engine's native build does not load here; its WebAssembly build sets no virtual refs.")
}

fs.writeFileSync(
  path.join(root, "bench/results.json"),
  `${JSON.stringify(
    {
      date: new Date().toISOString().slice(0, 10),
      machine: { cpu: os.cpus()[0]?.model ?? "", cores: os.cpus().length, node: process.version },
      rounds,
      results
    },
    undefined,
    2
  )}\n`
)
