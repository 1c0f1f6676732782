/**
 * The public surface of every package, pinned in `packages/<name>/api.md`. After a wanted change:
 * `pnpm vitest test/api -u`.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { describe, expect, it, onTestFinished } from "vitest"
import * as Declarations from "./Declarations.ts"

const packages = path.resolve(import.meta.dirname, "../../packages")

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>
  readonly publishConfig: { readonly exports: Readonly<Record<string, unknown>> }
}

const manifestOf = (directory: string): Manifest =>
  JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest

const topLevel = (directory: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(directory, "src"), { encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .map((file) => file.replace(/\.ts$/, ""))

/** Subpath and source of every module that importers reach: all that `exports` names, and behind `./*` each at the top. */
const publicModules = (directory: string): ReadonlyArray<readonly [subpath: string, source: string]> =>
  Object.entries(manifestOf(directory).exports)
    .flatMap(([subpath, target]): ReadonlyArray<readonly [string, string]> => {
      if (typeof target !== "object" || target === null) return []
      const source = (target as Readonly<Record<string, string>>)["@effect-icechunk/source"]!
      return subpath === "./*"
        ? topLevel(directory).map((name) => [name, `./src/${name}.ts`])
        : [[subpath.replace("./", ""), source]]
    })
    .toSorted(([a], [b]) => (a < b ? -1 : 1))

/** Declarations of a package, made of its sources by the compiler. */
const declarationsOf = (directory: string, outDir: string): void => {
  const plain = ["--composite", "--incremental", "--declarationMap", "--sourceMap", "--rewriteRelativeImportExtensions"]
  const options = ["--emitDeclarationOnly", "--removeComments", "--noCheck", "--outDir", outDir]
  execFileSync(
    path.resolve(packages, "../node_modules/.bin/tsc"),
    ["-p", directory, ...options, ...plain.flatMap((option) => [option, "false"]), "--tsBuildInfoFile", "null"],
    { stdio: "inherit" }
  )
}

const asMarkdown = (title: string, text: string): string =>
  text === "" ? "" : `\n## ${title}\n\n\`\`\`ts\n${text}\n\`\`\`\n`

describe.each(fs.readdirSync(packages).toSorted())("packages/%s", (name) => {
  const directory = path.join(packages, name)

  it("exports what api.md says, names and types", async () => {
    const declarations = fs.mkdtempSync(path.join(os.tmpdir(), "declarations-"))
    onTestFinished(() => fs.rmSync(declarations, { recursive: true, force: true }))
    declarationsOf(directory, declarations)
    const files = new Map(
      fs
        .readdirSync(declarations, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".d.ts"))
        .map((file) => {
          const module = file.replaceAll(path.sep, "/").replace(/\.d\.ts$/, "")
          return [module, fs.readFileSync(path.join(declarations, file), "utf8")]
        })
    )
    const modules = publicModules(directory).map(
      ([subpath, source]) => [subpath, source.replace(/^\.\/src\/|\.ts$/g, "")] as const
    )
    const { open, reached } = Declarations.of(
      files,
      modules.map(([, module]) => module)
    )
    const text = [
      `# Public API of @effect-icechunk/${name}\n`,
      ...open.map(({ text }, i) => asMarkdown(modules[i]![0], text)),
      ...(reached.length === 0 ? [] : ["\n# What it speaks of, of modules that cannot be imported\n"]),
      ...reached.map(({ module, text }) => asMarkdown(module, text))
    ].join("")
    await expect(text).toMatchFileSnapshot(path.join(directory, "api.md"))
  })

  it("has every module that its index names under a path of its own, and closes the rest", () => {
    const { exports, publishConfig } = manifestOf(directory)
    const named = Array.from(
      fs.readFileSync(path.join(directory, "src/index.ts"), "utf8").matchAll(/from "\.\/(?:.*\/)?(\w+)\.ts"/g),
      ([, module]) => module!
    )
    const reached = publicModules(directory).map(([subpath]) => subpath)
    expect(reached.filter((subpath) => subpath !== "." && !subpath.includes("/"))).toEqual(named.toSorted())
    if ("./*" in exports) expect(exports).toHaveProperty(["./internal/*"], null)
    expect(Object.keys(publishConfig.exports)).toEqual(Object.keys(exports))
  })

  it("is bundled for Node with all its modules or none, since there would be two of each class otherwise", () => {
    const { exports, publishConfig } = manifestOf(directory)
    for (const targets of [exports, publishConfig.exports]) {
      const modules = Object.entries(targets).filter(([, target]) => typeof target === "object" && target !== null)
      const bundled = modules.filter(([, target]) => "node" in (target as object))
      expect(bundled.length === 0 ? modules : bundled).toEqual(modules)
    }
  })
})
