/**
 * The TypeScript that the pages and the docstrings show, made whole, so that a compiler can check it. Pure.
 *
 * A snippet shows what matters and leaves out what every program has. What it needs beside, a comment in the page says that
 * readers do not see: `<!-- snippets … -->` for the rest of the page, `<!-- snippet … -->` for the next snippet. Modules of the
 * packages and of Effect are imported by the names that they have everywhere, and `repository` and `session` are there.
 *
 * A snippet below `<!-- run -->` is run too, with the repository of `Given.ts`.
 */

export interface Snippet {
  readonly file: string
  /** Number of the line that its code begins on. */
  readonly line: number
  readonly code: string
  /** Code that goes before it, and is not shown. */
  readonly preamble: string
  readonly runs: boolean
  /** The file that has the code, and is checked and run by a test. */
  readonly program?: string | undefined
}

/** A snippet as a module, and where the lines of it come from. */
export interface Module {
  readonly text: string
  /** Lines of `text` before the first of `code`. Imports come before all others, and count by themselves. */
  readonly lines: ReadonlyArray<number | undefined>
}

/** Names that a snippet may use without importing them. */
export const names: ReadonlyMap<string, string> = new Map([
  ...[
    "BranchMerge",
    "Checksum",
    "ChunkCache",
    "Conflict",
    "Credentials",
    "Errors",
    "History",
    "Inspection",
    "Maintenance",
    "MemoryObjectStore",
    "Migration",
    "ObjectStore",
    "Pieces",
    "Platform",
    "ReadonlyRepository",
    "Rebase",
    "Repository",
    "RepositoryConfig",
    "RepositoryState",
    "Session",
    "WritableSession",
    "ZarrStore",
    "ZarritaStore"
  ].map((name) => [name, `import { ${name} } from "@effect-icechunk/core"`] as const),
  ["PieceSchema", `import * as PieceSchema from "@effect-icechunk/core/schema/PieceSchema"`],
  ...["Fetch", "HttpObjectStore", "HttpPlatform"].map(
    (name) => [name, `import { ${name} } from "@effect-icechunk/http"`] as const
  ),
  ...["Concatenation", "Grib2", "Hdf5", "Import", "Kerchunk", "NetCdf3", "SourceFile", "ZarrHierarchy"].map(
    (name) => [name, `import { ${name} } from "@effect-icechunk/import"`] as const
  ),
  ["BrowserZstd", `import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"`],
  ["ReadonlyRepository", `import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"`],
  ["NodeZstd", `import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"`],
  ...["FsObjectStore", "FsPlatform"].map((name) => [name, `import { ${name} } from "@effect-icechunk/fs"`] as const),
  ...["S3ObjectStore", "S3Platform", "S3Settings"].map(
    (name) => [name, `import { ${name} } from "@effect-icechunk/s3"`] as const
  ),
  ...["GcsObjectStore", "GcsPlatform", "GcsSettings"].map(
    (name) => [name, `import { ${name} } from "@effect-icechunk/gcs"`] as const
  ),
  ...["Environments", "Fork", "ForkRebinding", "TigrisBuckets", "TigrisObjectStore", "TigrisPlatform"].map(
    (name) => [name, `import { ${name} } from "@effect-icechunk/tigris"`] as const
  ),
  ...["Console", "DateTime", "Duration", "Effect", "Layer", "Redacted", "Schedule", "Schema", "Stream"].map(
    (name) => [name, `import * as ${name} from "effect/${name}"`] as const
  ),
  ...["NodeFileSystem", "NodePath", "NodeRuntime", "NodeServices", "NodeWorker"].map(
    (name) => [name, `import * as ${name} from "@effect/platform-node/${name}"`] as const
  ),
  ["zarr", `import * as zarr from "zarrita"`]
])

/** Values that a snippet may use without declaring them. */
export const values: ReadonlyMap<string, string> = new Map([
  ["repository", `declare const repository: import("@effect-icechunk/core").Repository.RepositoryShape`],
  ["session", `declare const session: import("@effect-icechunk/core").WritableSession.WritableSession`],
  ["accessKeyId", `declare const accessKeyId: string`],
  ["secretAccessKey", `declare const secretAccessKey: import("effect/Redacted").Redacted`],
  ["token", `declare const token: import("effect/Redacted").Redacted`],
  [
    "credentials",
    `declare const credentials: ReturnType<typeof import("@effect-icechunk/core").Credentials.accessKey>`
  ],
  ["environments", `declare const environments: import("@effect-icechunk/tigris").Environments.EnvironmentsShape`],
  ["bytes", `declare const bytes: Uint8Array<ArrayBuffer>`],
  ["program", `declare const program: import("effect/Effect").Effect<void>`],
  [
    "MyObjectStore",
    `declare const MyObjectStore: { layer: (_: { bucket: string }) => import("effect/Layer").Layer<import("@effect-icechunk/core").ObjectStore.ObjectStore> }`
  ]
])

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** Snippets of a page. */
export const ofPage = (file: string, text: string): ReadonlyArray<Snippet> => {
  const parts = text.matchAll(
    /^<!-- (snippets?)\n([^]*?)^-->$|^<!-- snippets of (\S+) -->$|^<!-- (run) -->$|^( *)```tsx?\n([^]*?)^\5```$/gm
  )
  const found: Array<Snippet> = []
  let ofAll = ""
  let ofNext = ""
  let runs = false
  let program: string | undefined
  for (const { 0: whole, 1: kind, 2: preamble, 3: of, 4: run, 6: code, index } of parts) {
    if (kind === "snippets") ofAll += preamble
    else if (kind === "snippet") ofNext += preamble
    else if (of !== undefined) program = of
    else if (run !== undefined) runs = true
    else if (code !== undefined) {
      const line = lineAt(text, index) + whole.slice(0, whole.indexOf("```")).split("\n").length
      found.push({ file, line, code, preamble: ofAll + ofNext, runs, ...(program === undefined ? {} : { program }) })
      ofNext = ""
      runs = false
    }
  }
  return found
}

/** Snippets of the docstrings of a source. */
export const ofSource = (file: string, text: string): ReadonlyArray<Snippet> =>
  Array.from(text.matchAll(/^ *\* ```ts\n([^]*?)^ *\* ```$/gm), ({ 1: code, index }) => ({
    file,
    line: lineAt(text, index) + 1,
    code: code!.replaceAll(/^ *\* ?/gm, ""),
    preamble: "",
    runs: false
  }))

const withoutSpace = (text: string): string => text.replaceAll(/\s+/g, "")

/**
 * What a snippet has that is not in the program that it is said to be of, which others check and run: by line, and where a
 * line is broken elsewhere by paragraph.
 */
export const strangers = ({ code, file, line }: Snippet, program: string): ReadonlyArray<string> => {
  const known = new Set(program.split("\n").map((one) => one.trim()))
  const whole = withoutSpace(program)
  let at = line
  return code.split(/\n(?=\n)/).flatMap((paragraph) => {
    const lines = paragraph.split("\n")
    const first = at
    at += lines.length
    return lines.every((one) => known.has(one.trim())) || whole.includes(withoutSpace(paragraph))
      ? []
      : [`${file}:${first}: it is not in the program`]
  })
}

const importPattern = /^import\b[^"']*["'][^"']+["'];?$/gm

/** What a text declares at its top. */
const declaredIn = (code: string): ReadonlySet<string> =>
  new Set(
    Array.from(
      code.matchAll(/^(?:export )?(?:declare )?(?:const|let|class|function|interface|type) (\w+)/gm),
      ([, name]) => name!
    )
  )

/** A snippet as a module of TypeScript. */
export const toModule = (snippet: Snippet): Module => {
  const text: Array<string> = []
  const lines: Array<number | undefined> = []
  const add = (line: string, from?: number): void => {
    text.push(line)
    lines.push(from)
  }
  const own = snippet.code.split("\n")
  if (own.at(-1) === "") own.pop()

  // Imports go to the top, and leave empty lines where they were.
  const isImport = own.map(() => false)
  for (const match of snippet.code.matchAll(importPattern)) {
    const first = lineAt(snippet.code, match.index) - 1
    for (let i = 0; i < match[0].split("\n").length; i++) isImport[first + i] = true
  }
  const imported = own.filter((_, i) => isImport[i]).join("\n")
  const preambleImports = Array.from(snippet.preamble.matchAll(importPattern), ([line]) => line)
  const preamble = snippet.preamble.replaceAll(importPattern, "").trim()
  const used = `${preamble}\n${snippet.code}`
  const uses = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(used)
  const imports = (name: string): boolean =>
    new RegExp(`\\b${name}\\b`).test([imported, ...preambleImports].join("\n").replaceAll(/from .*/g, ""))

  own.forEach((line, i) => {
    if (isImport[i] === true) add(line, snippet.line + i)
  })
  for (const line of preambleImports) {
    const name = /(\w+)(?: \})? from/.exec(line)?.[1]
    if (name === undefined || !new RegExp(`\\b${name}\\b`).test(imported)) add(line)
  }
  const declared = declaredIn(preamble)
  for (const [name, line] of names) if (uses(name) && !imports(name) && !declared.has(name)) add(line)
  // What the snippet names itself is not there twice, and may have another type.
  const given = new Set([...declared, ...declaredIn(snippet.code)])
  const isGiven = ["repository", "session"].filter((name) => snippet.runs && uses(name) && !given.has(name))
  if (snippet.runs) {
    add(`import { make } from "../src/Given.ts"`)
    add(`const { ${["services: given", ...isGiven].join(", ")} } = await make()`)
  }
  for (const name of isGiven) given.add(name)
  for (const [name, line] of values) if (uses(name) && !imports(name) && !given.has(name)) add(line)
  for (const line of preamble.split("\n")) add(line)

  const isInside = /\byield\*/.test(snippet.code.replaceAll(/function\*[^]*?^\s*\}\)/gm, ""))
  // In a scope of its own, so that it may give names to what is there already.
  const top = isInside || snippet.runs
  if (top) {
    if (!imports("Effect") && !uses("Effect")) add(`import * as Effect from "effect/Effect"`)
    add(`export const snippet = Effect.gen(function* () {`)
  } else add(`export const snippet = async () => {`)
  own.forEach((line, i) =>
    add(
      isImport[i] === true ? "" : line.replace(/^export default /, "const exported = ").replace(/^export /, ""),
      snippet.line + i
    )
  )
  add(top ? "})" : "}")
  if (snippet.runs) {
    add(`await Effect.runPromise(snippet.pipe(Effect.scoped, Effect.provide(given)))`)
  }
  return { text: `${text.join("\n")}\n`, lines }
}
