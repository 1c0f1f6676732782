/**
 * Checks what would be published: packs every package that is not private and runs publint and
 * "are the types wrong" on the tarball.
 *
 *   node scripts/packages.ts [--no-build]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "..")
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "effect-icechunk-packages-"))

const run = (command: string, args: ReadonlyArray<string>, cwd: string = root): boolean => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8" })
  if (error) throw error
  if (status !== 0) process.stdout.write(`${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return status === 0
}

const bin = (name: string): string => path.join(root, "node_modules/.bin", name)

/** Removes what an earlier build left for a source that is gone, so that it is not packed. */
const removeStale = (dist: string, src: string): void => {
  for (const file of fs.readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    const source = file.replace(/\.(d\.ts|js)(\.map)?$/, ".ts")
    if (source !== file && !fs.existsSync(path.join(src, source))) fs.rmSync(path.join(dist, file))
  }
}

/** The subpath of every public module: those that `exports` names, and where it has the pattern `./*`, which attw does not expand, each module. */
const entrypoints = (directory: string): ReadonlyArray<string> => {
  const { exports } = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, unknown>>
  }
  const modules = fs
    .readdirSync(path.join(directory, "src"), { encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .map((file) => file.replace(/\.ts$/, ""))
  return Object.keys(exports)
    .filter((subpath) => exports[subpath] !== null && subpath !== "./package.json")
    .flatMap((subpath) => (subpath === "./*" ? modules : [subpath.replace("./", "")]))
    .toSorted()
}

const check = (directory: string, name: string): boolean => {
  removeStale(path.join(directory, "dist"), path.join(directory, "src"))
  const destination = path.join(temporary, path.basename(directory))
  fs.mkdirSync(destination)
  if (!run("pnpm", ["pack", "--pack-destination", destination], directory)) return false
  const tarball = path.join(destination, fs.readdirSync(destination)[0] ?? "missing.tgz")
  const modules = entrypoints(directory)
  const publint = run(bin("publint"), ["run", tarball, "--strict"])
  const attw = run(bin("attw"), [tarball, "--profile", "esm-only", "--format", "ascii", "--entrypoints", ...modules])
  console.log(`${publint && attw ? "ok  " : "FAIL"} ${name} (${modules.length} modules)`)
  return publint && attw
}

try {
  let ok = process.argv.includes("--no-build") || run(process.execPath, ["scripts/tsc.ts"])
  for (const entry of fs.readdirSync(path.join(root, "packages")).toSorted()) {
    const directory = path.join(root, "packages", entry)
    const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
      readonly name: string
      readonly private?: boolean
    }
    if (manifest.private !== true) ok = check(directory, manifest.name) && ok
  }
  process.exitCode = ok ? 0 : 1
} finally {
  fs.rmSync(temporary, { recursive: true, force: true })
}
