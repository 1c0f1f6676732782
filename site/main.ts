/**
 * The docs as a site.
 *
 *   node site/main.ts dev                  serves it, and follows changes of docs/
 *   node site/main.ts build [--complete]   builds it into site/dist; fails on dead links and anchors, and with `--complete`
 *                                          also when a page of the navigation is not there
 *
 * The environment variable `SITE_URL` says where it will be.
 */
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { build, createServer } from "vitepress"
import * as Address from "./src/Address.ts"
import * as Api from "./src/Api.ts"
import * as Links from "./src/Links.ts"
import * as LlmsText from "./src/LlmsText.ts"
import * as Navigation from "./src/Navigation.ts"
import * as Pages from "./src/Pages.ts"
import * as PublicModules from "./src/PublicModules.ts"

const site = import.meta.dirname
const root = path.resolve(site, "..")
const content = path.join(site, "content")
const dist = path.join(site, "dist")

const filesBelow = (directory: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => !file.split(path.sep).includes("node_modules"))
    .map((file) => path.posix.join(directory, file.replaceAll(path.sep, "/")))
    .filter((file) => fs.statSync(path.join(root, file)).isFile())
    .toSorted()

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")
const exists = (file: string): boolean => fs.existsSync(path.join(root, file))

const write = (file: string, text: string): void => {
  const target = path.join(content, file)
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.writeFileSync(target, text)
}

/** The reference, which is made anew when a source has changed since. */
const api = (): Api.Api => {
  const packages = PublicModules.packages(root)
  const hash = crypto.createHash("sha256")
  const manifests = packages.map((directory) => `packages/${directory}/package.json`)
  const sources = packages.flatMap((directory) => filesBelow(`packages/${directory}/src`))
  for (const file of [...manifests, ...sources, ...filesBelow("site/src")]) hash.update(file).update(read(file))
  const key = hash.digest("hex")
  const cache = path.join(site, "node_modules/.cache/api.json")
  if (fs.existsSync(cache)) {
    const known = JSON.parse(fs.readFileSync(cache, "utf8")) as {
      readonly key: string
      readonly pages: ReadonlyArray<readonly [string, string]>
      readonly groups: Api.Api["groups"]
    }
    if (known.key === key) return { pages: new Map(known.pages), groups: known.groups }
  }
  const made = Api.generate(root)
  fs.mkdirSync(path.dirname(cache), { recursive: true })
  fs.writeFileSync(cache, JSON.stringify({ key, pages: Array.from(made.pages), groups: made.groups }))
  return made
}

interface Written {
  readonly problems: ReadonlyArray<Pages.Problem>
  readonly missing: ReadonlyArray<string>
}

/** Writes the pages of the repository, as the site has them, into `content/`. */
const writeContent = ({ groups: apiGroups, pages: apiPages }: Api.Api, address: Address.Address): Written => {
  fs.rmSync(content, { recursive: true, force: true })
  const problems: Array<Pages.Problem> = []
  const guides = [
    "README.md",
    ...PublicModules.packages(root).map((directory) => `packages/${directory}/README.md`),
    ...filesBelow("docs").filter((file) => file.endsWith(".md"))
  ]
  const pages = new Map<string, string>()
  for (const file of guides) {
    const target = Pages.targetOf(file)
    if (target?._tag !== "Page") continue
    const staged = Pages.stage(file, read(file), exists)
    pages.set(target.page, staged.text)
    problems.push(...staged.problems)
    for (const other of staged.files) {
      const served = Pages.targetOf(other)
      if (served?._tag !== "File") continue
      const to = path.join(content, "public", served.file)
      fs.mkdirSync(path.dirname(to), { recursive: true })
      fs.copyFileSync(path.join(root, other), to)
    }
  }
  pages.set("index", read("site/pages/index.md"))

  const titles = new Map(Array.from(pages, ([page, text]) => [page, Pages.titleOf(text)]))
  titles.set("api/index", "API")
  const packages = Array.from(titles.keys()).filter((page) => page.startsWith("packages/"))
  const { groups, missing } = Navigation.navigation(
    new Map(Array.from(titles).filter(([page]) => !packages.includes(page)))
  )
  const all = [
    ...groups,
    { text: "Packages", items: packages.map((page) => ({ text: titles.get(page)!, link: `/${page}` })) }
  ]

  // Programs are pages that the guides lead to.
  for (const file of filesBelow("examples")) {
    const target = Pages.targetOf(file)
    if (target?._tag === "Page") pages.set(target.page, Pages.ofProgram(file, read(file)))
  }
  for (const [page, text] of [...pages, ...apiPages]) write(`${page}.md`, text)
  const source = { groups: all, pages: new Map([...pages, ...apiPages]), address }
  write("public/llms.txt", LlmsText.list({ ...source, groups: [...all, ...apiGroups.slice(1)] }))
  write("public/llms-full.txt", LlmsText.full(source))
  write("navigation.json", JSON.stringify({ guides: all, api: apiGroups }))
  return { problems, missing }
}

const buildSite = async (isComplete: boolean): Promise<ReadonlyArray<string>> => {
  const address = Address.parse(process.env["SITE_URL"])
  if ("problem" in address) return [address.problem]
  const { missing, problems } = writeContent(api(), address)
  if (missing.length > 0) console.log(`Pages of the navigation that are not there: ${missing.join(", ")}`)
  const found = [
    ...problems.map(Pages.describe),
    ...(isComplete ? missing.map((page) => `docs/${page}.md is in the navigation and not there`) : [])
  ]
  if (found.length > 0) return found
  fs.rmSync(dist, { recursive: true, force: true })
  try {
    await build(site)
  } catch (error) {
    return [`The site could not be built: ${error instanceof Error ? error.message : String(error)}`]
  }
  const files = fs
    .readdirSync(dist, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll(path.sep, "/"))
  const html = files.filter((file) => file.endsWith(".html"))
  const pages = new Map(html.map((file) => [file, fs.readFileSync(path.join(dist, file), "utf8")]))
  return Links.dead(pages, new Set(files), address.base).map(Links.describe)
}

/** At the top of this machine, wherever it will be. */
const serve = async (): Promise<void> => {
  delete process.env["SITE_URL"]
  const reference = api()
  for (const problem of writeContent(reference, Address.unknown).problems) console.log(Pages.describe(problem))
  const server = await createServer(site, { host: "127.0.0.1" })
  await server.listen()
  server.printUrls()
  let waiting: NodeJS.Timeout | undefined
  fs.watch(path.join(root, "docs"), { recursive: true }, () => {
    clearTimeout(waiting)
    waiting = setTimeout(() => writeContent(reference, Address.unknown), 100)
  })
}

switch (process.argv[2]) {
  case "dev":
    await serve()
    break
  case "build": {
    const problems = await buildSite(process.argv.includes("--complete"))
    for (const problem of problems) console.log(problem)
    if (problems.length > 0) process.exitCode = 1
    break
  }
  default:
    console.log("node site/main.ts dev | build [--complete]")
    process.exitCode = 1
}
