/**
 * Checks the TypeScript of the pages and of the docstrings, in one run of the compiler, and runs what can be run.
 *
 *   node site/snippets.ts
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Snippets from "./src/Snippets.ts"

const site = import.meta.dirname
const root = path.resolve(site, "..")
const directory = path.join(site, ".snippets")

const below = (start: string, suffix: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, start), { recursive: true, encoding: "utf8" })
    .map((file) => path.posix.join(start, file.replaceAll(path.sep, "/")))
    .filter((file) => file.endsWith(suffix) && !file.includes("node_modules/") && !file.includes("/dist/"))
    .toSorted()

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const pages = ["README.md", ...below("docs", ".md"), ...below("packages", "/README.md"), "site/pages/index.md"]
const guides = below("packages", "/AGENTS.md")
const sources = below("packages", ".ts").filter((file) => file.includes("/src/"))

/** All snippets of the repository. */
export const all = (): ReadonlyArray<Snippets.Snippet> => [
  ...[...pages, ...guides].flatMap((file) => Snippets.ofPage(file, read(file))),
  ...sources.flatMap((file) => Snippets.ofSource(file, read(file)))
]

const fileOf = ({ file, line }: Snippets.Snippet): string => `${file.replaceAll(/\W+/g, "-")}-${line}.ts`

/** Writes snippets as modules. */
const writeAll = (snippets: ReadonlyArray<Snippets.Snippet>): ReadonlyMap<string, Written> => {
  fs.rmSync(directory, { recursive: true, force: true })
  fs.mkdirSync(directory, { recursive: true })
  const modules = new Map(
    snippets.map((snippet) => [fileOf(snippet), { snippet, module: Snippets.toModule(snippet) }] as const)
  )
  for (const [name, { module }] of modules) fs.writeFileSync(path.join(directory, name), module.text)
  // The program that a snippet starts.
  fs.writeFileSync(path.join(directory, "main.ts"), "export {}\n")
  const config = {
    extends: "../../tsconfig.check.json",
    compilerOptions: { incremental: false, noUnusedLocals: false, noUnusedParameters: false, types: ["node"] },
    include: ["*.ts"],
    exclude: []
  }
  fs.writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify(config))
  return modules
}

interface Written {
  readonly snippet: Snippets.Snippet
  readonly module: Snippets.Module
}

/** What the compiler says about snippets, by page and line, and which of them are not in the program that their page names. */
export const check = (snippets: ReadonlyArray<Snippets.Snippet>): ReadonlyArray<string> => [
  ...snippets.flatMap((snippet) =>
    snippet.program === undefined ? [] : Snippets.strangers(snippet, read(snippet.program))
  ),
  ...compile(snippets.filter(({ program }) => program === undefined))
]

const compile = (snippets: ReadonlyArray<Snippets.Snippet>): ReadonlyArray<string> => {
  const modules = writeAll(snippets)
  const tsc = path.join(root, "node_modules/.bin/tsc")
  const { error, status, stdout } = spawnSync(tsc, ["-p", directory, "--pretty", "false"], {
    cwd: directory,
    encoding: "utf8"
  })
  if (error) throw error
  const said = stdout.split("\n").filter((line) => line.trim() !== "")
  if (status !== 0 && said.length === 0) return [`The compiler ended with ${status}`]
  return said.map((line) => {
    const match = /^([\w-]+\.ts)\((\d+),(\d+)\): (.*)$/.exec(line)
    const from = match === null ? undefined : modules.get(match[1] ?? "")
    if (match === null || from === undefined) return line
    const { module, snippet } = from
    const at = module.lines[Number(match[2]) - 1]
    return `${snippet.file}:${at ?? snippet.line}: ${match[4]}${at === undefined ? " (in what is not shown)" : ""}`
  })
}

/** Runs snippets that `check` has written, one after the other. What it answers is what those say that fail. */
export const run = (snippets: ReadonlyArray<Snippets.Snippet>): ReadonlyArray<string> => {
  const answer = path.join(directory, "answer.json")
  const program = `import * as fs from "node:fs"
const problems: Array<[number, string]> = []
for (const [i, file] of process.argv.slice(2).entries()) {
  await import(file).catch((error: unknown) => problems.push([i, String(error)]))
}
fs.writeFileSync(${JSON.stringify(answer)}, JSON.stringify(problems))
process.exit(0)
`
  fs.writeFileSync(path.join(directory, "run.ts"), program)
  const files = snippets.map((snippet) => `./${fileOf(snippet)}`)
  const args = ["--conditions=@effect-icechunk/source", "--disable-warning=ExperimentalWarning", "run.ts", ...files]
  const { error, status, stderr } = spawnSync(process.execPath, args, { cwd: directory, encoding: "utf8" })
  if (error) throw error
  if (status !== 0 || !fs.existsSync(answer)) return [`The snippets could not be run: ${stderr}`]
  const problems = JSON.parse(fs.readFileSync(answer, "utf8")) as ReadonlyArray<readonly [number, string]>
  return problems.map(([i, problem]) => `${snippets[i]?.file}:${snippets[i]?.line}: ${problem}`)
}

if (import.meta.main) {
  const snippets = all()
  const found = check(snippets)
  const problems = found.length > 0 ? found : run(snippets.filter(({ runs }) => runs))
  for (const problem of problems) console.log(problem)
  console.log(`${snippets.length} snippets, ${problems.length} problems`)
  if (problems.length > 0) process.exitCode = 1
}
