/**
 * The public surface of every package, pinned in `packages/<name>/api.md`. After a wanted change:
 * `pnpm vitest test/api -u`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { describe, expect, it } from "vitest"

const packages = path.resolve(import.meta.dirname, "../../packages")

const publicModules = (src: string): ReadonlyArray<string> =>
  fs
    .readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.split(path.sep).includes("internal"))
    .map((file) => file.replaceAll(path.sep, "/"))
    .toSorted()

/** Names that the module has at run time, and the types it declares. */
const exportsOf = async (file: string): Promise<ReadonlyArray<string>> => {
  const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>
  const source = fs.readFileSync(file, "utf8")
  const types = Array.from(
    source.matchAll(/^export (?:declare )?(interface|type) (\w+)/gm),
    ([, kind, name]) => `${kind} ${name}`
  )
  return [...Object.keys(module), ...types].toSorted()
}

describe.each(fs.readdirSync(packages).toSorted())("packages/%s", (name) => {
  const directory = path.join(packages, name)
  const modules = publicModules(path.join(directory, "src"))

  it("exports what api.md says", async () => {
    let text = `# Public API of @effect-icechunk/${name}\n`
    for (const module of modules) {
      const names = await exportsOf(path.join(directory, "src", module))
      if (names.length === 0) continue
      text += `\n## ${module === "index.ts" ? "." : module.replace(/\.ts$/, "")}\n\n`
      text += names.map((exported) => `- \`${exported}\`\n`).join("")
    }
    await expect(text).toMatchFileSnapshot(path.join(directory, "api.md"))
  })

  it("closes every internal directory to importers", () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
      readonly exports: Readonly<Record<string, unknown>>
      readonly publishConfig: { readonly exports: Readonly<Record<string, unknown>> }
    }
    const internal = fs
      .readdirSync(path.join(directory, "src"), { recursive: true, encoding: "utf8" })
      .filter((entry) => path.basename(entry) === "internal")
      .map((entry) => `./${entry.replaceAll(path.sep, "/")}/*`)
    for (const pattern of internal) {
      expect(manifest.exports).toHaveProperty([pattern], null)
      expect(manifest.publishConfig.exports).toHaveProperty([pattern], null)
    }
    expect(Object.keys(manifest.publishConfig.exports)).toEqual(Object.keys(manifest.exports))
  })
})
