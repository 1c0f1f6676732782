/**
 * Everything that must hold before a change is merged. Arguments go to vitest:
 *
 *   pnpm test [vitest arguments]
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

interface Step {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const step = (name: string, command: string, ...args: ReadonlyArray<string>): Step => ({ name, command, args })

const node = process.execPath
const bin = (name: string): string => path.resolve(import.meta.dirname, "../node_modules/.bin", name)

const types = step("types and Effect diagnostics", node, "scripts/tsc.ts")
const checks = [
  step("packages (publint, attw)", node, "scripts/packages.ts", "--no-build"),
  step("lint", bin("oxlint")),
  step("format", bin("oxfmt"), "--check"),
  step("unused code (knip)", bin("knip"))
]
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "effect-icechunk-test-"))
/** Files in which the official engine crashed, where nothing else has failed. */
const crashes = path.join(temporary, "crashes")
process.env["TEST_ENGINE_CRASHES"] = crashes
const vitest = (name: string, ...args: ReadonlyArray<string>): Step => step(name, bin("vitest"), "run", ...args)

const failed: Array<string> = []

/** Runs a step and prints its output at once when it fails; with `live`, as it comes. */
const run = ({ args, command, name }: Step, live = false): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const start = performance.now()
    if (live) console.log(`=> ${name}`)
    const child = spawn(command, args, { stdio: live ? "inherit" : ["ignore", "pipe", "pipe"] })
    const output: Array<Buffer> = []
    child.stdout?.on("data", (chunk: Buffer) => output.push(chunk))
    child.stderr?.on("data", (chunk: Buffer) => output.push(chunk))
    child.on("error", reject)
    child.on("close", (code) => {
      const ok = code === 0
      if (!ok) failed.push(name)
      if (!live) {
        if (!ok) process.stdout.write(Buffer.concat(output))
        console.log(`${ok ? "ok  " : "FAIL"} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
      }
      resolve(ok)
    })
  })

await run(types)
await Promise.all(checks.map((check) => run(check)))
if (!(await run(vitest("tests", ...process.argv.slice(2)), true))) {
  const files = (fs.existsSync(crashes) ? fs.readFileSync(crashes, "utf8") : "")
    .split("\n")
    .filter((file) => file !== "")
  if (files.length > 0) {
    console.log(`\nThe official engine crashed in a thread of its own. Once more: ${files.join(", ")}`)
    failed.splice(failed.indexOf("tests"), 1)
    await run(vitest("tests in which the official engine crashed", ...files), true)
  }
}
fs.rmSync(temporary, { recursive: true, force: true })

if (failed.length > 0) {
  console.log(`\nFAILED: ${failed.join(", ")}`)
  process.exitCode = 1
}
