import { defineConfig } from "vitest/config"
import * as EngineCrashes from "./scripts/EngineCrashes.ts"

/** Packages of the workspace resolve to their TypeScript sources: no build before a test. */
const source = "@effect-icechunk/source"
const conditions = [source, "node", "development|production"]

const crashes = process.env["TEST_ENGINE_CRASHES"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks",
    // WASI, which runs the official engine, is experimental in Node. Deno hands its own flags on.
    execArgv: "Deno" in globalThis ? [] : [`--conditions=${source}`, "--disable-warning=ExperimentalWarning"],
    maxWorkers: "100%",
    // Only what hangs is ended: how long a test takes on a busy machine says nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    setupFiles: process.env["CI"] === undefined ? [] : ["./test/support/fixedSeed.ts"],
    reporters: crashes === undefined ? ["default"] : ["default", EngineCrashes.make(crashes)]
  }
})
