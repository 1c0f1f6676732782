/**
 * `tsc -b` with the Effect diagnostics: the compiler that `@effect/tsgo` ships is TypeScript of the
 * same version with the Effect language service built in, so one pass checks, diagnoses and emits.
 *
 *   node scripts/tsc.ts [arguments of tsc -b]
 */
import { execFileSync, spawnSync } from "node:child_process"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "..")
const effectTsgo = path.join(root, "node_modules/.bin/effect-tsgo")
const tsc = execFileSync(effectTsgo, ["get-exe-path"], { cwd: root, encoding: "utf8" }).trim()

const { error, status } = spawnSync(tsc, ["-b", ...process.argv.slice(2)], { cwd: root, stdio: "inherit" })
if (error) throw error
process.exitCode = status ?? 1
