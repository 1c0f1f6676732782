/**
 * The packages as somebody installs them: packed, and installed with npm and with pnpm into an empty project, where
 * TypeScript looks at all of their declarations (`strict`, `skipLibCheck: false`, under `nodenext` and under `bundler`),
 * and where a program runs that imports them and one that requires them. So do the programs of their READMEs, which are
 * checked there. A package finds what it declares and nothing else: pnpm hoists nothing.
 *
 *   node scripts/consumers.ts [--no-build] [npm] [pnpm]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { runtimes } from "../test/runtimes/Runtimes.ts"

const root = path.resolve(import.meta.dirname, "..")

const { positionals, values } = parseArgs({
  options: { "no-build": { type: "boolean", default: false } },
  allowPositionals: true
})

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

interface Package {
  readonly directory: string
  readonly manifest: Manifest
}

type Manager = "npm" | "pnpm"

const manifestOf = (directory: string): Manifest =>
  JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest

const packages: ReadonlyArray<Package> = fs
  .readdirSync(path.join(root, "packages"))
  .toSorted()
  .map((name) => path.join(root, "packages", name))
  .map((directory) => ({ directory, manifest: manifestOf(directory) }))
  .filter(({ manifest }) => manifest.private !== true)

/** What a program of a README may use besides, in the version that is installed here. */
const besides: Readonly<Record<string, string>> = Object.fromEntries(
  ["effect", "@effect/platform-node", "zarrita", "@types/node"].map((name) => {
    const from = [root, path.join(root, "examples")].find((one) => fs.existsSync(path.join(one, "node_modules", name)))
    const { version } = JSON.parse(
      fs.readFileSync(path.join(from ?? root, "node_modules", name, "package.json"), "utf8")
    ) as { readonly version: string }
    return [name, version]
  })
)

interface Ran {
  readonly ok: boolean
  readonly output: string
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string): Ran => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" }
  })
  return { ok: error === undefined && status === 0, output: `${stdout}${stderr}${error?.message ?? ""}` }
}

const failed: Array<string> = []

const step = (name: string, { ok, output }: Ran): boolean => {
  console.log(`${ok ? "ok  " : "FAIL"} ${name}`)
  if (!ok) {
    failed.push(name)
    console.log(output.split("\n").slice(0, 60).join("\n"))
  }
  return ok
}

/** Every module that a program may import, but for the suite of tests and what needs an optional package. */
const modulesOf = ({ directory, manifest }: Package): ReadonlyArray<string> =>
  Object.entries(manifest.exports)
    .filter(([subpath, target]) => target !== null && subpath !== "./package.json")
    .flatMap(([subpath]) =>
      subpath === "./*"
        ? fs
            .readdirSync(path.join(directory, "src"), { encoding: "utf8" })
            .filter((file) => file.endsWith(".ts") && file !== "index.ts")
            .map((file) => `./${file.replace(/\.ts$/, "")}`)
        : [subpath]
    )
    .map((subpath) => `${manifest.name}${subpath.slice(1)}`)
    .filter((module) => !/\/core\/(?:testing\/|node\/HttpPool$)/.test(module))
    .toSorted()

const modules = packages.flatMap(modulesOf)

/** The programs of a README: what is not a part of a longer one. */
const programsOf = ({ directory, manifest }: Package): ReadonlyArray<readonly [file: string, text: string]> =>
  Array.from(fs.readFileSync(path.join(directory, "README.md"), "utf8").matchAll(/^```ts\n([^]*?)^```$/gm))
    .map(([, text = ""]) => text)
    .filter((text) => text.startsWith("import "))
    .map((text, i) => [`readme-${manifest.name.replace(/.*\//, "")}-${i}.ts`, text])

/** Those that need no server. */
const alone = ["readme-core-0", "readme-fs-0"]

const memory = {
  imports: `import { MemoryObjectStore, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
`,
  requires: `import core = require("@effect-icechunk/core")
import NodeZstd = require("@effect-icechunk/core/node/NodeZstd")
import Effect = require("effect/Effect")
import Layer = require("effect/Layer")
const { MemoryObjectStore, Platform, Repository, ZarritaStore } = core
`,
  program: `
const program = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/a", { shape: [4], chunkShape: [2], dataType: "uint8", fillValue: 7 })
  yield* session.setChunk("/a", [1], Uint8Array.of(3, 4))
  yield* session.commit("one")
  const missing = yield* Effect.flip(repository.readonlySession({ branch: "none" }))
  // Cannot be required.
  const zarr = yield* Effect.promise(() => import("zarrita"))
  const array = yield* Effect.promise(() =>
    zarr.open(zarr.root(ZarritaStore.fromSession(session)).resolve("/a"), { kind: "array" })
  )
  const { data } = yield* Effect.promise(() => zarr.get(array))
  console.log(Array.from(data as Uint8Array).join(), missing._tag)
})
const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)
Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(services))).catch((error: unknown) => {
  console.log(error)
  process.exitCode = 1
})
`
}

const said = `${modules.length}\n7,7,3,4 RefNotFound\n`

/** Says how many modules there are with something in them. */
const counts = (names: ReadonlyArray<string>): string =>
  `console.log([${names.join(", ")}].filter((module) => Object.keys(module).length > 0).length)\n`

const names = modules.map((_, i) => `m${i}`)

const sources: Readonly<Record<string, string>> = {
  "import.ts": `${modules.map((module, i) => `import * as m${i} from "${module}"\n`).join("")}${memory.imports}${counts(names)}${memory.program}`,
  "require.cts": `${modules.map((module, i) => `import m${i} = require("${module}")\n`).join("")}${memory.requires}${counts(names)}${memory.program}`
}

const compilerOptions = {
  target: "ES2024",
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  types: ["node"],
  lib: ["ES2024", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"],
  rootDir: "src"
}

/** Files of the project. */
const filesOf = (manager: Manager, tarballs: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
  const own = Object.fromEntries(Object.entries(tarballs).map(([name, file]) => [name, `file:${file}`]))
  const readmes = Object.fromEntries(packages.flatMap(programsOf).map(([file, text]) => [`src/${file}`, text]))
  return {
    "package.json": json({
      name: "consumer",
      private: true,
      type: "module",
      dependencies: { ...besides, ...own },
      ...(manager === "npm" ? { overrides: own } : {})
    }),
    ...(manager === "pnpm"
      ? {
          "pnpm-workspace.yaml": json({
            overrides: own,
            hoist: false,
            strictPeerDependencies: true,
            minimumReleaseAge: 0
          })
        }
      : {}),
    "tsconfig.nodenext.json": json({
      compilerOptions: { ...compilerOptions, module: "nodenext", outDir: "dist" },
      include: ["src"]
    }),
    // What bundlers read has no `require`.
    "tsconfig.bundler.json": json({
      compilerOptions: { ...compilerOptions, module: "esnext", moduleResolution: "bundler", noEmit: true },
      include: ["src/**/*.ts"]
    }),
    ...Object.fromEntries(Object.entries(sources).map(([file, text]) => [`src/${file}`, text])),
    ...readmes
  }
}

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "effect-icechunk-consumers-"))

const pack = (): Readonly<Record<string, string>> => {
  const tarballs: Record<string, string> = {}
  for (const { directory, manifest } of packages) {
    const destination = path.join(temporary, "tarballs", path.basename(directory))
    fs.mkdirSync(destination, { recursive: true })
    if (step(`pack ${manifest.name}`, run("pnpm", ["pack", "--pack-destination", destination], directory))) {
      tarballs[manifest.name] = path.join(destination, fs.readdirSync(destination)[0]!)
    }
  }
  return tarballs
}

const installs: Readonly<Record<Manager, ReadonlyArray<string>>> = {
  npm: ["npm", "install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
  pnpm: ["pnpm", "install", "--prefer-offline", "--ignore-scripts", "--no-frozen-lockfile"]
}

const isOffline = (): boolean => !run("npm", ["ping", "--fetch-retries=0", "--fetch-timeout=10000"], temporary).ok

/** Packages of others whose declarations have errors: the first two come with zarrita, the last one with Google's client. */
const others = /^node_modules\/(?:\.pnpm\/[^/]+\/node_modules\/)?(?:numcodecs|unzipit|gaxios)\//

/** What the compiler says, but for the packages of others. */
const typed = ({ ok, output }: Ran): Ran => {
  const errors = output.split("\n").filter((line) => line !== "" && !/^\s/.test(line))
  const wrong = errors.filter((line) => !others.test(line))
  return { ok: ok || (errors.length > 0 && wrong.length === 0), output: wrong.join("\n") }
}

const tsc = path.join(root, "node_modules/.bin/tsc")

/** What runs the programs: the Node of this repository, and what else there is. */
const hosts: ReadonlyArray<readonly [name: string, program: string, args: ReadonlyArray<string>]> = [
  ["Node 24", process.execPath, []],
  ...(["Node 22", "Bun", "Deno"] as const).flatMap((name) => {
    const runtime = runtimes[name]
    return runtime === undefined ? [] : [[name, runtime.program, name === "Deno" ? ["run", "-A"] : []] as const]
  })
]

const consume = (manager: Manager, tarballs: Readonly<Record<string, string>>): void => {
  const project = path.join(temporary, manager)
  fs.mkdirSync(path.join(project, "src"), { recursive: true })
  for (const [file, text] of Object.entries(filesOf(manager, tarballs))) {
    fs.writeFileSync(path.join(project, file), text)
  }
  const [command = manager, ...args] = installs[manager]
  const installed = run(command, args, project)
  if (!installed.ok && isOffline()) {
    console.log(
      `Skipped: the packages as ${manager} installs them. Not all that they need is here, and no registry answers.`
    )
    return
  }
  if (!step(`${manager}: install`, installed)) return
  step(`${manager}: types, nodenext`, typed(run(tsc, ["-p", "tsconfig.nodenext.json"], project)))
  step(`${manager}: types, bundler`, typed(run(tsc, ["-p", "tsconfig.bundler.json"], project)))
  for (const name of alone) {
    step(`${manager}: ${name}.js`, run(process.execPath, [path.join("dist", `${name}.js`)], project))
  }
  for (const [name, program, args] of hosts) {
    for (const file of ["import.js", "require.cjs"]) {
      const ran = run(program, [...args, path.join("dist", file)], project)
      step(`${manager}: ${file} on ${name}`, { ok: ran.ok && ran.output === said, output: ran.output })
    }
  }
}

try {
  const built =
    values["no-build"] ||
    (step("build", run(process.execPath, ["scripts/tsc.ts"], root)) &&
      step("bundle", run(process.execPath, ["scripts/bundle.ts"], root)))
  if (built) {
    const tarballs = pack()
    for (const manager of ["npm", "pnpm"] as const) {
      if (positionals.length === 0 || positionals.includes(manager)) consume(manager, tarballs)
    }
  }
  if (failed.length > 0) console.log(`\nFAILED: ${failed.join(", ")}`)
  process.exitCode = failed.length === 0 ? 0 : 1
} finally {
  fs.rmSync(temporary, { recursive: true, force: true })
}
