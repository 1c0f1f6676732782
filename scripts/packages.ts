/**
 * Checks what would be published: bundles, packs every package that is not private and runs publint and
 * "are the types wrong" on the tarball. What the bundle of a package exports is what its modules do.
 *
 *   node scripts/packages.ts [--no-build]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"

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
    if (file.startsWith("bundled")) continue
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

/** The subpaths whose module in the bundle does not export what the compiler's does. */
const differing = async (directory: string): Promise<ReadonlyArray<string>> => {
  const bundled = path.join(directory, "dist/bundled")
  if (!fs.existsSync(bundled)) return []
  const { exports } = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, { readonly node?: string; readonly default: string } | string | null>>
  }
  const names = async (file: string): Promise<string> =>
    Object.keys((await import(pathToFileURL(path.join(directory, file)).href)) as object)
      .toSorted()
      .join()
  const wrong: Array<string> = []
  for (const [subpath, target] of Object.entries(exports)) {
    // A suite of tests can only be imported by its runner.
    if (typeof target !== "object" || target?.node === undefined || subpath.startsWith("./testing/")) continue
    const modules = target.node.includes("*") ? entrypoints(directory).filter((module) => module !== ".") : [""]
    for (const module of modules) {
      const [inBundle, alone] = await Promise.all([
        names(target.node.replace("*", module)),
        names(target.default.replace("*", module))
      ])
      if (inBundle !== alone) wrong.push(subpath.replace("*", module))
    }
  }
  return wrong
}

const check = async (directory: string, name: string): Promise<boolean> => {
  removeStale(path.join(directory, "dist"), path.join(directory, "src"))
  const destination = path.join(temporary, path.basename(directory))
  fs.mkdirSync(destination)
  if (!run("pnpm", ["pack", "--pack-destination", destination], directory)) return false
  const tarball = path.join(destination, fs.readdirSync(destination)[0] ?? "missing.tgz")
  const modules = entrypoints(directory)
  const wrong = await differing(directory)
  if (wrong.length > 0) console.log(`The bundle of ${name} has other exports in ${wrong.join(", ")}`)
  const publint = run(bin("publint"), ["run", tarball, "--strict"])
  const attw = run(bin("attw"), [tarball, "--profile", "esm-only", "--format", "ascii", "--entrypoints", ...modules])
  const ok = publint && attw && wrong.length === 0
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${modules.length} modules)`)
  return ok
}

try {
  let ok = process.argv.includes("--no-build") || run(process.execPath, ["scripts/tsc.ts"])
  ok = run(process.execPath, ["scripts/bundle.ts"]) && ok
  for (const entry of fs.readdirSync(path.join(root, "packages")).toSorted()) {
    const directory = path.join(root, "packages", entry)
    const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
      readonly name: string
      readonly private?: boolean
    }
    if (manifest.private !== true) ok = (await check(directory, manifest.name)) && ok
  }
  process.exitCode = ok ? 0 : 1
} finally {
  fs.rmSync(temporary, { recursive: true, force: true })
}
