/**
 * What the public modules of a package declare, from the declarations that the compiler makes: their own statements, and those
 * of modules that nobody can import which they pass on or speak of. Pure.
 */

/** A statement of a module, by the name that it declares. */
interface Statement {
  readonly name: string
  readonly text: string
}

/** What a name of a module stands for: another one's name, or all of a module. */
interface Origin {
  readonly module: string
  readonly name: string | undefined
}

interface Module {
  readonly statements: ReadonlyArray<Statement>
  readonly imports: ReadonlyMap<string, Origin>
  /** What it passes on of others. */
  readonly passes: ReadonlyMap<string, Origin>
  readonly passesAll: ReadonlyArray<string>
}

/** The path of a module as another one names it; `undefined` for a package. */
const resolved = (from: string, specifier: string): string | undefined => {
  if (!specifier.startsWith(".")) return undefined
  const path = from.split("/").slice(0, -1)
  for (const part of specifier.replace(/\.(?:ts|js)$/, "").split("/")) {
    if (part === "..") path.pop()
    else if (part !== ".") path.push(part)
  }
  return path.join("/")
}

/** `a, type B, C as D` as pairs of the name there and the name here. */
const names = (list: string): ReadonlyArray<readonly [there: string, here: string]> =>
  list.split(",").flatMap((one) => {
    const [, there, here = there] = /^\s*(?:type )?(\w+)(?: as (\w+))?\s*$/.exec(one) ?? []
    return there === undefined ? [] : [[there, here!] as const]
  })

/** Statements begin in the first column; the compiler indents what goes on. */
const statementsOf = (text: string): ReadonlyArray<string> =>
  text
    .replaceAll("\r\n", "\n")
    .trimEnd()
    .split(/\n(?=(?:export|declare|import|interface|type|class|const|function|namespace)\b)/)

const parse = (path: string, text: string): Module => {
  const statements: Array<Statement> = []
  const imports = new Map<string, Origin>()
  const passes = new Map<string, Origin>()
  const passesAll: Array<string> = []
  for (const statement of statementsOf(text)) {
    const from = /from "([^"]+)";$/.exec(statement)?.[1]
    if (from === undefined) {
      const [, name] =
        /^(?:export )?(?:declare )?(?:abstract )?(?:const|class|interface|type|function|namespace) (\w+)/.exec(
          statement
        ) ?? []
      if (name !== undefined) statements.push({ name, text: statement })
      const list = /^export \{([^}]*)\};$/.exec(statement)?.[1] ?? ""
      for (const [there, here] of names(list)) passes.set(here, imports.get(there) ?? { module: path, name: there })
      continue
    }
    const module = resolved(path, from)
    if (module === undefined) continue
    const into = statement.startsWith("import") ? imports : passes
    const all = /^(?:import|export) (?:type )?\*(?: as (\w+))?/.exec(statement)
    if (all?.[1] !== undefined) into.set(all[1], { module, name: undefined })
    else if (all !== null) passesAll.push(module)
    const list = /\{([^}]*)\}/.exec(statement)?.[1] ?? ""
    for (const [there, here] of names(list)) into.set(here, { module, name: there })
  }
  return { statements, imports, passes, passesAll }
}

/** `declare const X_base`, of which only `X` is visible, as it was written. */
const withoutBase = (text: string): string =>
  text
    .replace(
      /^declare const \w+_base: new <A extends Record<string, any> = \{\}>\(args: import\("effect\/Types"\)[^]*?YieldableError & \{\n\s+readonly _tag: "\w+";\n\} & Readonly<A>;$/,
      ""
    )
    .replace(/^(export declare class )(\w+) extends \2_base</, '$1$2 extends Data.TaggedError("$2")<')

const shown = (text: string): string =>
  withoutBase(text).replace(/^( {4})+/gm, (indentation) => " ".repeat(indentation.length / 2))

/** A module of a package and what it declares. */
export interface Declared {
  readonly module: string
  readonly text: string
}

/**
 * The declarations of the public modules, and after those what they need of modules that are not public. `files` are the
 * declarations of all modules by their paths, without an ending.
 */
export const of = (
  files: ReadonlyMap<string, string>,
  publicModules: ReadonlyArray<string>
): { readonly open: ReadonlyArray<Declared>; readonly reached: ReadonlyArray<Declared> } => {
  const parsed = new Map<string, Module>()
  const moduleAt = (path: string): Module | undefined => {
    const known = parsed.get(path) ?? (files.has(path) ? parse(path, files.get(path)!) : undefined)
    if (known !== undefined) parsed.set(path, known)
    return known
  }
  const isPublic = new Set(publicModules)
  const needed = new Map<string, Set<string>>()
  const waiting: Array<{ readonly module: string; readonly text: string }> = []

  /** Notes that a name of a module is needed, wherever it is declared. */
  const need = (path: string, name: string): void => {
    const module = moduleAt(path)
    if (module === undefined) return
    const own = module.statements.filter((statement) => statement.name === name)
    if (own.length > 0) {
      const known = needed.get(path) ?? new Set()
      needed.set(path, known)
      if (isPublic.has(path) || known.has(name)) return
      known.add(name)
      for (const { text } of own) waiting.push({ module: path, text })
      return
    }
    const origin = module.passes.get(name) ?? module.imports.get(name)
    if (origin?.name !== undefined) return need(origin.module, origin.name)
    for (const all of module.passesAll) need(all, name)
  }

  /** Notes the names that a statement speaks of; one before a colon is that of a field or a parameter. */
  const follow = (path: string, text: string): void => {
    const module = moduleAt(path)!
    const code = text.replaceAll(/"[^"]*"/g, '""')
    for (const [, first, second] of code.matchAll(/(?<![\w.])([A-Za-z_]\w*)(?:\.(\w+))?\b(?!\??:)/g)) {
      const origin = module.imports.get(first!)
      if (origin === undefined) need(path, first!)
      else if (origin.name !== undefined) need(origin.module, origin.name)
      else if (second !== undefined) need(origin.module, second)
    }
    for (const [, specifier, name] of text.matchAll(/import\("([^"]+)"\)\.(\w+)/g)) {
      const target = resolved(path, specifier!)
      if (target !== undefined) need(target, name!)
    }
  }

  const open = publicModules.map((path): Declared => {
    const module = moduleAt(path)!
    // What a `make` of the engine takes nobody has who can only import these.
    for (const { name, text } of module.statements) if (name !== "make") follow(path, text)
    for (const { module: from, name } of module.passes.values()) if (name !== undefined) need(from, name)
    const passed = statementsOf(files.get(path)!).filter((statement) =>
      /^export (?:type )?(?:\*|\{.+\})/.test(statement)
    )
    const own = module.statements.map(({ text }) => shown(text)).filter((text) => text !== "")
    return { module: path, text: [...passed, ...own].join("\n") }
  })
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) follow(next.module, next.text)
  const reached = Array.from(needed, ([path, names]): Declared => {
    const own = moduleAt(path)!.statements.filter(({ name }) => names.has(name))
    return {
      module: path,
      text: own
        .map(({ text }) => shown(text))
        .filter((text) => text !== "")
        .join("\n")
    }
  })
  return { open, reached: reached.filter(({ text }) => text !== "").toSorted((a, b) => (a.module < b.module ? -1 : 1)) }
}
