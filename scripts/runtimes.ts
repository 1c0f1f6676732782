/**
 * What runs where: installs Node 22, Bun, Deno and workerd, as packages from npm that hold their binaries, runs the tests of
 * `test/runtimes` on them, and the suites of the stores on Bun and Deno.
 *
 *   pnpm runtimes [--install | --suites]
 *
 * `--install` does no more than that; `--suites` runs the suites alone.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseArgs } from "node:util"

const root = path.resolve(import.meta.dirname, "..")
const binaries = path.join(root, "test/runtimes/binaries")

const { values } = parseArgs({
  options: { install: { type: "boolean", default: false }, suites: { type: "boolean", default: false } }
})

const run = (command: string, args: ReadonlyArray<string>, cwd: string = root): boolean => {
  const { error, status } = spawnSync(command, args, { cwd, stdio: "inherit" })
  if (error) throw error
  return status === 0
}

/** Whether what is installed is what the lockfile says. */
const isInstalled = (): boolean => {
  const installed = path.join(binaries, "node_modules/.package-lock.json")
  const locked = path.join(binaries, "package-lock.json")
  return fs.existsSync(installed) && fs.statSync(installed).mtimeMs >= fs.statSync(locked).mtimeMs
}

/** No script of a package runs: the binary of a platform is in a package for it. */
const install = (): boolean =>
  isInstalled() || run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], binaries)

const vitest = path.join(root, "node_modules/vitest/vitest.mjs")

/** What a store promises, tried on it; and the connections of S3 and Google Cloud Storage. */
const suites = [
  "packages/core/test/node/HttpPool.test.ts",
  "packages/fs/test/FsObjectStore.test.ts",
  "packages/fs/test/Repository.test.ts",
  "packages/s3/test/conformance.test.ts",
  "packages/s3/test/Direct.test.ts",
  "packages/gcs/test/Conformance.test.ts",
  "packages/tigris/test/conformance.test.ts",
  "packages/http/test"
]

const source = "--conditions=@effect-icechunk/source"

/** How each runs vitest: Bun has no channel to processes that it forks, Deno none to threads that ends. */
const flags = {
  // Its `fetch` makes one slash of several at the start of a path.
  Bun: {
    before: ["--bun", source],
    pool: "threads",
    tests: ["-t", "^(?!HttpObjectStore.*an empty, `.` or `..` segment)"]
  },
  Deno: { before: ["run", "-A", source], pool: "forks", tests: [] }
} as const

const suitesOn = (name: "Bun" | "Deno", program: string): boolean => {
  const { before, pool, tests } = flags[name]
  console.log(`=> the suites of the stores on ${name}`)
  return run(program, [...before, vitest, "run", `--pool=${pool}`, "--maxWorkers=1", ...tests, ...suites])
}

if (!values.suites && !install()) {
  console.log("The runtimes could not be installed: see above.")
  process.exitCode = 1
} else if (!values.install) {
  const { missing, runtimes } = await import("../test/runtimes/Runtimes.ts")
  let ok = values.suites || run(process.execPath, [vitest, "run", "test/runtimes"])
  for (const name of ["Bun", "Deno"] as const) {
    const found = runtimes[name]
    if (found === undefined) console.log(missing(name))
    else ok = suitesOn(name, found.program) && ok
  }
  process.exitCode = ok ? 0 : 1
}
