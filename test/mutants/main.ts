/**
 * Takes one rule after the other out of a copy of this workspace and runs the tests that must fail then; prints the rules whose
 * absence nothing notices.
 *
 *   pnpm mutants [words of the rules to try]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Mutant, mutants } from "./Mutants.ts"

const root = path.resolve(import.meta.dirname, "../..")
const copy = fs.mkdtempSync(path.join(os.tmpdir(), "effect-icechunk-mutants-"))

/** The sources, with the packages of the workspace linked to each other as here; what is installed is shared. */
const copyWorkspace = (): void => {
  fs.cpSync(root, copy, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => {
      const [first = ""] = path.relative(root, source).split(path.sep)
      return first !== "node_modules" && first !== ".git" && path.basename(source) !== "dist"
    }
  })
  fs.symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"))
}

const runTests = (tests: ReadonlyArray<string>): "pass" | "fail" => {
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs")
  const args = [vitest, "run", "--bail=1", "--testTimeout=120000", ...tests]
  return spawnSync(process.execPath, args, { cwd: copy, stdio: "ignore" }).status === 0 ? "pass" : "fail"
}

const attempt = ({ file, find, replace, tests }: Mutant): "caught" | "SURVIVES" | "STALE" => {
  const target = path.join(copy, file)
  const source = fs.readFileSync(target, "utf8")
  if (source.split(find).length !== 2) return "STALE"
  fs.writeFileSync(
    target,
    source.replace(find, () => replace)
  )
  try {
    return runTests(tests) === "fail" ? "caught" : "SURVIVES"
  } finally {
    fs.writeFileSync(target, source)
  }
}

try {
  copyWorkspace()
  const wanted = process.argv.slice(2)
  const chosen = mutants.filter(({ name }) => wanted.every((word) => name.includes(word)))
  // Without a mutant they pass; else what fails would prove nothing.
  if (runTests([...new Set(chosen.flatMap(({ tests }) => tests))]) === "fail") {
    throw new Error("The tests fail before any rule is taken out.")
  }
  let survivors = 0
  for (const mutant of chosen) {
    const verdict = attempt(mutant)
    if (verdict !== "caught") survivors++
    console.log(`${verdict.padEnd(8)} ${mutant.name}`)
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} rules cannot be taken out without a failing test`)
  if (survivors > 0) process.exitCode = 1
} finally {
  fs.rmSync(copy, { recursive: true, force: true })
}
