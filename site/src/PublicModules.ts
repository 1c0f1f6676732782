/** The modules of the packages that importers reach: all that `exports` names, and behind `./*` each at the top. */
import * as fs from "node:fs"
import * as path from "node:path"

export interface PublicModule {
  /** The directory of the package below `packages/`. */
  readonly directory: string
  /** What is imported: `@effect-icechunk/core/Repository`. */
  readonly specifier: string
  /** Path below the package: `Repository`, `node/NodeZstd`; empty for the index. */
  readonly subpath: string
  /** The name that programs give it. */
  readonly name: string
  readonly source: string
  /** Whether the index of the package has it under its name. */
  readonly isInIndex: boolean
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly exports: Readonly<Record<string, null | string | { readonly "@effect-icechunk/source"?: string }>>
}

/** The published packages of the repository. */
export const packages = (root: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, "packages"))
    .filter((directory) => fs.existsSync(path.join(root, "packages", directory, "package.json")))
    .filter((directory) => manifestOf(root, directory).private !== true)
    .toSorted((a, b) => Number(b === "core") - Number(a === "core") || (a < b ? -1 : 1))

const manifestOf = (root: string, directory: string): Manifest =>
  JSON.parse(fs.readFileSync(path.join(root, "packages", directory, "package.json"), "utf8")) as Manifest

export const modules = (root: string, directory: string): ReadonlyArray<PublicModule> => {
  const { exports, name } = manifestOf(root, directory)
  const base = path.join(root, "packages", directory)
  const index = fs.readFileSync(path.join(base, "src/index.ts"), "utf8")
  const atTheTop = fs
    .readdirSync(path.join(base, "src"))
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .map((file) => [file.slice(0, -3), `./src/${file}`] as const)
  return Object.entries(exports)
    .flatMap(([key, target]): ReadonlyArray<readonly [string, string]> => {
      const source = typeof target === "object" ? target?.["@effect-icechunk/source"] : undefined
      if (source === undefined || key === ".") return []
      return key === "./*" ? atTheTop : [[key.slice(2), source]]
    })
    .map(([subpath, source]) => ({
      directory,
      specifier: `${name}/${subpath}`,
      subpath,
      name: path.basename(subpath),
      source: path.join(base, source),
      isInIndex: index.includes(`export * as ${path.basename(subpath)} from`)
    }))
    .toSorted((a, b) => (a.subpath < b.subpath ? -1 : 1))
}
