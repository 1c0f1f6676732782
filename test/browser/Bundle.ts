/**
 * Bundles modules for a browser, and finds what a browser does not have.
 */
import * as fs from "node:fs"
import { builtinModules } from "node:module"
import * as path from "node:path"
import * as esbuild from "esbuild"

const repository = path.resolve(import.meta.dirname, "../..")

/** The sources of `core`. */
export const coreSources = path.join(repository, "packages/core/src")

/** Every module of `core` that a program may import, but those that are for Node or for tests alone. */
export const browserModules: ReadonlyArray<string> = fs
  .readdirSync(coreSources, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !/^(?:node|testing|internal)\//.test(file.replaceAll(path.sep, "/")))
  .map((file) => path.join(coreSources, file))
  .toSorted()

const builtin = new Set(builtinModules)

/** A module that imports what only Node has. */
export interface NodeImport {
  readonly builtin: string
  /** Which module imports it, which one imports that, and so on, as paths from the root of the repository. */
  readonly importers: ReadonlyArray<string>
}

export interface Bundle {
  readonly code: string
  readonly nodeImports: ReadonlyArray<NodeImport>
}

const relative = (file: string): string => path.relative(repository, file).replaceAll(path.sep, "/")

/** Bundles a program, given as a file or as text, as a web page would load it. */
export const bundle = async (
  program: { readonly file: string } | { readonly text: string; readonly directory: string }
): Promise<Bundle> => {
  const importerOf = new Map<string, string>()
  const found: Array<{ readonly builtin: string; readonly importer: string }> = []
  const notInBrowsers: esbuild.Plugin = {
    name: "not in browsers",
    setup: (build) => {
      build.onResolve({ filter: /.*/ }, async ({ importer, kind, path: wanted, pluginData, resolveDir }) => {
        if (pluginData === "resolved") return undefined
        if (
          wanted.startsWith("node:") ||
          (builtin.has(wanted) && !(await isPackage(build, wanted, resolveDir, kind)))
        ) {
          found.push({ builtin: wanted, importer })
          return { path: wanted, namespace: "not in browsers" }
        }
        const resolved = await build.resolve(wanted, { kind, resolveDir, importer, pluginData: "resolved" })
        if (importer !== "" && !importerOf.has(resolved.path)) importerOf.set(resolved.path, importer)
        return resolved
      })
      build.onLoad({ filter: /.*/, namespace: "not in browsers" }, () => ({ contents: "module.exports = {}" }))
    }
  }
  const { outputFiles } = await esbuild.build({
    ...("file" in program
      ? { entryPoints: [program.file] }
      : { stdin: { contents: program.text, resolveDir: program.directory, loader: "ts" as const } }),
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2022",
    conditions: ["@effect-icechunk/source"],
    logLevel: "silent",
    plugins: [notInBrowsers]
  })
  const chain = (importer: string): ReadonlyArray<string> => {
    const importers: Array<string> = []
    for (let at: string | undefined = importer; at !== undefined && path.isAbsolute(at); at = importerOf.get(at)) {
      if (importers.includes(relative(at))) break
      importers.push(relative(at))
    }
    return importers
  }
  return {
    code: outputFiles[0]!.text,
    nodeImports: found.map(({ builtin, importer }) => ({ builtin, importers: chain(importer) }))
  }
}

/** There are packages with the names of Node's modules, such as `buffer`, which browsers can load. */
const isPackage = async (
  build: esbuild.PluginBuild,
  name: string,
  resolveDir: string,
  kind: esbuild.ImportKind
): Promise<boolean> => (await build.resolve(name, { kind, resolveDir, pluginData: "resolved" })).errors.length === 0

/** What to do about imports that a browser cannot load. */
export const explain = (imports: ReadonlyArray<NodeImport>): string =>
  [
    "`core` must load in a browser, which has no modules of Node:",
    ...imports.map(({ builtin, importers }) => `  \`${builtin}\` is imported by ${importers.join(", imported by ")}`),
    "Put it behind a service, and its layer into `packages/core/src/node`."
  ].join("\n")
