/**
 * Bundles packages for Node: all modules of a package in one file, because Node takes longer to find, read and link a
 * hundred modules than to run them. Browsers and bundlers get the modules as the compiler wrote them, since those are
 * what can be left out when nobody uses them.
 *
 * A package is bundled when its `exports` have the condition `node`; every subpath has it then, or there would be two
 * instances of its classes. What a subpath exports is in the file that the condition names, and all of these share one
 * file, except for modules that import what most programs do without (`apart`).
 *
 *   node scripts/bundle.ts
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { rolldown } from "rolldown"

type Target = Readonly<Record<string, string>>

interface Manifest {
  readonly name: string
  readonly exports?: Readonly<Record<string, Target | string | null>>
}

const packages = path.resolve(import.meta.dirname, "../packages")

/** Where the bundle of a package is, from its root. */
const bundled = "dist/bundled"

/** Rooms whose modules import vitest, a schema library, or a module of Node that few need. */
const apart = /^(?:testing|schema|node|browser|internal\/conformance)\//

/** The source of every file that `exports` names under the condition `node`, by that file's name in the bundle. */
const entriesOf = (directory: string, { exports = {}, name }: Manifest): Readonly<Record<string, string>> => {
  const targets = Object.entries(exports).filter(
    (entry): entry is [string, Target] => typeof entry[1] === "object" && entry[1] !== null
  )
  if (targets.every(([, { node }]) => node === undefined)) return {}
  const expand = (source: string): ReadonlyArray<string> =>
    source.includes("*")
      ? fs
          .readdirSync(path.join(directory, path.dirname(source)), { encoding: "utf8" })
          .filter((file) => file.endsWith(".ts") && file !== "index.ts")
          .map((file) => file.replace(/\.ts$/, ""))
      : [""]
  return Object.fromEntries(
    targets.flatMap(([subpath, { "@effect-icechunk/source": source, node }]) => {
      if (source === undefined || node === undefined || !node.startsWith(`./${bundled}/`)) {
        throw new Error(`\`${subpath}\` of ${name} needs its source, and the condition \`node\` below \`${bundled}\`.`)
      }
      return expand(source).map((module) => [
        path.relative(bundled, node.replace("*", module)).replace(/\.js$/, ""),
        path.join(directory, source.replace("*", module))
      ])
    })
  )
}

const isOfPackage = (id: string): boolean => id.startsWith(".") || path.isAbsolute(id)

const bundle = async (directory: string, entries: Readonly<Record<string, string>>): Promise<void> => {
  const src = path.join(directory, "src")
  const out = path.join(directory, bundled)
  fs.rmSync(out, { recursive: true, force: true })
  await using build = await rolldown({
    input: entries,
    platform: "node",
    external: (id) => !isOfPackage(id),
    onLog: (_, { message }) => {
      throw new Error(message)
    }
  })
  const { output } = await build.write({
    dir: out,
    format: "esm",
    sourcemap: true,
    comments: { jsdoc: false },
    // Closed in `exports`, as the modules in it are.
    chunkFileNames: "internal/[name].js",
    codeSplitting: {
      groups: [{ name: "all", test: (id) => !apart.test(path.relative(src, id).replaceAll(path.sep, "/")) }]
    }
  })
  const sizes = output.flatMap((file) => (file.type === "chunk" ? [file.code.length] : []))
  const size = sizes.reduce((sum, bytes) => sum + bytes, 0)
  console.log(`${path.basename(directory)}: ${sizes.length} files, ${Math.round(size / 1000)} kB`)
}

for (const name of fs.readdirSync(packages).toSorted()) {
  const directory = path.join(packages, name)
  const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest
  const entries = entriesOf(directory, manifest)
  if (Object.keys(entries).length > 0) await bundle(directory, entries)
}
