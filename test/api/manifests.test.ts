/**
 * What npm shows of a package.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"

const packages = path.resolve(import.meta.dirname, "../../packages")
const home = "https://github.com/effect-icechunk/effect-icechunk"

describe.each(fs.readdirSync(packages).toSorted())("packages/%s", (name) => {
  const read = (file: string): string => fs.readFileSync(path.join(packages, name, file), "utf8")

  it("says where its sources, its issues and its guide are", () => {
    expect(JSON.parse(read("package.json"))).toMatchObject({
      name: `@effect-icechunk/${name}`,
      license: "Apache-2.0",
      description: expect.stringMatching(/^[A-Z].{20,}[^.]$/) as string,
      keywords: expect.arrayContaining(["effect", "icechunk", "typescript", "zarr"]) as ReadonlyArray<string>,
      repository: { type: "git", url: `git+${home}.git`, directory: `packages/${name}` },
      homepage: `${home}/tree/main/packages/${name}#readme`,
      bugs: { url: `${home}/issues` },
      publishConfig: { access: "public", provenance: true },
      engines: { node: ">=22.19" }
    })
  })

  it("has a README that stands alone: how to install it, a program, and links that lead somewhere from anywhere", () => {
    const readme = read("README.md")
    expect(readme).toMatch(new RegExp(`^# @effect-icechunk/${name}\n`))
    expect(readme).toMatch(new RegExp(`npm install effect .*@effect-icechunk/${name}\\n`))
    expect(readme).toMatch(/^```ts\nimport [^]*?(?:await )?Effect\.runPromise\(/m)
    const links = Array.from(readme.matchAll(/\]\(([^)]+)\)/g), ([, to]) => to!)
    expect(links.filter((to) => !to.startsWith("https://"))).toEqual([])
    const missing = links.filter((to) => {
      const [, file] = new RegExp(`^${home}/(?:blob|tree)/main/([^#]+)`).exec(to) ?? []
      return file !== undefined && !fs.existsSync(path.join(packages, "..", file))
    })
    expect(missing).toEqual([])
  })
})
