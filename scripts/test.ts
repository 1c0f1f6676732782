/**
 * Everything that must hold before a change is merged. Arguments go to vitest:
 *
 *   pnpm test [vitest arguments]
 */
import { spawn } from "node:child_process"
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
const tests = step("tests", bin("vitest"), "run", ...process.argv.slice(2))

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
await run(tests, true)

if (failed.length > 0) {
  console.log(`\nFAILED: ${failed.join(", ")}`)
  process.exitCode = 1
}
