/**
 * The runtimes that there are beside the Node that runs the tests. Those of `binaries/package.json`, once
 * `pnpm runtimes` has installed them, else what is on the PATH.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Command } from "../writers/Writers.ts"

const binaries = path.join(import.meta.dirname, "binaries/node_modules")

export type Name = "Node 22" | "Bun" | "Deno" | "workerd"

export interface Runtime {
  readonly program: string
  readonly version: string
}

interface Kind {
  /** Where it is in the package of a platform, whose name matches `packages`. */
  readonly packages: RegExp
  readonly file: string
  readonly command: string
  /** What `--version` says, when it is one that will do. */
  readonly version: RegExp
}

const kinds: Readonly<Record<Name, Kind>> = {
  "Node 22": { packages: /^node-/, file: "bin/node", command: "node", version: /^v(22\.(?:19|[2-9]\d)\.\d+)$/ },
  Bun: { packages: /^@oven\/bun-/, file: "bin/bun", command: "bun", version: /^(\d.*)$/ },
  Deno: { packages: /^@deno\//, file: "deno", command: "deno", version: /^deno (\S+)/ },
  workerd: { packages: /^@cloudflare\/workerd-/, file: "bin/workerd", command: "workerd", version: /^workerd (\S+)/ }
}

const installed: ReadonlyArray<string> = fs.existsSync(binaries)
  ? fs
      .readdirSync(binaries)
      .flatMap((name) =>
        name.startsWith("@") ? fs.readdirSync(path.join(binaries, name)).map((own) => `${name}/${own}`) : [name]
      )
  : []

/** Only what starts is there: a binary may be for another C library than that of this machine. */
const find = (name: Name): Runtime | undefined => {
  const { command, file, packages, version } = kinds[name]
  const own = installed.filter((one) => packages.test(one)).map((one) => path.join(binaries, one, file))
  for (const program of [...own, command]) {
    const { error, status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" })
    const found = error === undefined && status === 0 ? version.exec(stdout.trim()) : null
    if (found !== null) return { program, version: found[1]! }
  }
  return undefined
}

export const runtimes: Readonly<Record<Name, Runtime | undefined>> = {
  "Node 22": find("Node 22"),
  Bun: find("Bun"),
  Deno: find("Deno"),
  workerd: find("workerd")
}

/** What a test that is skipped says. */
export const missing = (name: Name): string =>
  `Skipped: what runs on ${name}, which is not there or does not start here. \`npx -y pnpm@12 runtimes\` installs it.`

/** Those that run a program of several files with packages. */
export type Host = Exclude<Name, "workerd">

/** What runs a module of this repository from its sources, with no more permissions than it needs. */
export const command = (name: Host, runtime: Runtime): Command => {
  const source = "--conditions=@effect-icechunk/source"
  const flags: Readonly<Record<Host, ReadonlyArray<string>>> = {
    "Node 22": ["--disable-warning=ExperimentalWarning", source],
    Bun: [source],
    Deno: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      "--allow-sys",
      "--allow-net=127.0.0.1,localhost",
      source
    ]
  }
  return { program: runtime.program, args: flags[name] }
}
