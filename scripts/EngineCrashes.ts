/**
 * Tells crashes of the official engine from failures of tests. Its WebAssembly build dies, once in some thousand runs, of a
 * trap in a thread of its own; what waits for it then waits in vain. Which files that befell is written to a file, when
 * nothing else has failed: they may be run again, in a new process.
 */
import * as fs from "node:fs"
import type { Reporter } from "vitest/node"

/** Thrown below the entry of a thread of the engine, where nothing else runs. */
const isCrash = ({ stack = "" }: { readonly stack?: string | undefined }): boolean => stack.includes("wasi-threads")

/** A reporter that writes to `file`. */
export const make = (file: string): Reporter => ({
  onTestRunEnd(modules, unhandled) {
    const crashed = new Set(unhandled.filter(isCrash).map((error) => String(error["VITEST_TEST_PATH"])))
    const isAll =
      unhandled.every(isCrash) && modules.every((module) => module.state() !== "failed" || crashed.has(module.moduleId))
    fs.writeFileSync(file, isAll ? [...crashed].join("\n") : "")
  }
})
