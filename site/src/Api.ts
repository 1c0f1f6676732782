/**
 * The reference of the public modules, a page for each, from their sources: what is declared, as it is written there, the
 * comment above it, its examples, and the tags of the errors that it fails with.
 */
import * as path from "node:path"
import ts from "typescript"
import * as DocComment from "./DocComment.ts"
import type { Group } from "./Navigation.ts"
import * as PublicModules from "./PublicModules.ts"

export interface Api {
  /** Markdown by page. */
  readonly pages: ReadonlyMap<string, string>
  readonly groups: ReadonlyArray<Group>
}

interface Entry {
  readonly name: string
  readonly doc: DocComment.DocComment
  readonly signature: string
  readonly fails: ReadonlyArray<ts.Symbol>
  readonly members: ReadonlyArray<Member>
  /** The module that has it, when this one passes it on. */
  readonly elsewhere: string | undefined
}

interface Member {
  readonly name: string
  readonly doc: DocComment.DocComment
  readonly signature: string
  readonly fails: ReadonlyArray<ts.Symbol>
}

/** What fails with the second of its type parameters. */
const canFail = new Set(["Effect", "Stream", "Layer"])

const commentOf = (node: ts.Node): string | undefined => {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  return comments.at(-1)?.getText()
}

const docOf = (node: ts.Node): DocComment.DocComment => {
  const comment = commentOf(node)
  return comment === undefined ? DocComment.none : DocComment.parse(comment)
}

/** Text whose first line is not indented: neither are the others beyond what they are by themselves. */
const outdented = (text: string): string => {
  const last = text.slice(text.lastIndexOf("\n") + 1)
  const depth = /^ */.exec(last)![0].length
  const indent = last === text ? 0 : /^[)}\]>]/.test(last.trimStart()) ? depth : depth - 2
  return indent <= 0 ? text : text.replaceAll(new RegExp(`\n {1,${indent}}`, "g"), "\n")
}

/** A name with the type that it stands for, also where that is a list of alternatives. */
const defined = (text: string): string => (text.startsWith("|") ? `\n  ${text}` : ` ${text}`)

const isPrivate = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) &&
  (ts.getModifiers(node) ?? []).some(
    ({ kind }) => kind === ts.SyntaxKind.PrivateKeyword || kind === ts.SyntaxKind.ProtectedKeyword
  )

/** The parameters and the result of a function, as they are written. */
const headOf = (node: ts.SignatureDeclaration, arrow: string, checker: ts.TypeChecker): string => {
  const parameters =
    node.typeParameters === undefined ? "" : `<${node.typeParameters.map((each) => each.getText()).join(", ")}>`
  const names = node.parameters.map((each) => outdented(each.getText()))
  const long = names.join(", ").length > 80
  const list = long
    ? `(\n  ${names.map((each) => each.replaceAll("\n", "\n  ")).join(",\n  ")}\n)`
    : `(${names.join(", ")})`
  const signature = checker.getSignatureFromDeclaration(node)
  const result =
    node.type?.getText().replace(/^Effect\.fn\.Return\b/, "Effect.Effect") ??
    (signature === undefined
      ? "unknown"
      : checker.typeToString(signature.getReturnType(), node, ts.TypeFormatFlags.NoTruncation))
  return `${parameters}${list}${arrow}${result}`
}

/** The function that a constant is, also as the argument of `Effect.fn` and `Effect.fnUntraced`. */
const functionOf = (initializer: ts.Expression): ts.ArrowFunction | ts.FunctionExpression | undefined => {
  if (ts.isArrowFunction(initializer)) return initializer
  const argument = ts.isCallExpression(initializer) ? initializer.arguments[0] : undefined
  const isOfEffect = initializer.getText().startsWith("Effect.fn")
  return isOfEffect && argument !== undefined && ts.isFunctionExpression(argument) && argument.type !== undefined
    ? argument
    : undefined
}

export const generate = (root: string): Api => {
  const packages = PublicModules.packages(root)
  const modules = packages.flatMap((directory) => PublicModules.modules(root, directory))
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.check.json"), (file) => ts.sys.readFile(file)) as {
    readonly config: object
  }
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, files: modules.map(({ source }) => source), include: [] },
    ts.sys,
    root,
    { incremental: false, types: [] }
  )
  const program = ts.createProgram(
    modules.map(({ source }) => source),
    options
  )
  const checker = program.getTypeChecker()

  const pageOf = (module: PublicModules.PublicModule): string => `api/${module.directory}/${module.subpath}`
  const bySource = new Map(modules.map((module) => [path.resolve(module.source), module]))
  const resolved = (symbol: ts.Symbol): ts.Symbol =>
    (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol
  const exportsOf = (module: PublicModules.PublicModule): ReadonlyArray<readonly [name: string, symbol: ts.Symbol]> => {
    const source = program.getSourceFile(module.source)
    const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source)
    if (symbol === undefined) return []
    return checker.getExportsOfModule(symbol).map((each) => [each.name, resolved(each)] as const)
  }

  // Each symbol is described once: where it is declared when that is a public module, else in the first that passes it on,
  // where the collection of all errors counts as the last.
  const owners = new Map<ts.Symbol, PublicModules.PublicModule>()
  const asOwners = modules.toSorted((a, b) => Number(a.name === "Errors") - Number(b.name === "Errors"))
  for (const module of asOwners) {
    for (const [, symbol] of exportsOf(module)) {
      const file = symbol.declarations?.[0]?.getSourceFile().fileName
      const declaring = file === undefined ? undefined : bySource.get(path.resolve(file))
      if (!owners.has(symbol)) owners.set(symbol, declaring ?? module)
    }
  }
  const linkTo = (symbol: ts.Symbol): string => {
    const owner = owners.get(symbol)
    return owner === undefined ? `\`${symbol.name}\`` : `[\`${symbol.name}\`](/${pageOf(owner)}.md#${symbol.name})`
  }

  /** The errors of what an effect, a stream or a layer can fail with, of a value or of the results of a function. */
  const failsOf = (type: ts.Type, depth = 0): ReadonlyArray<ts.Symbol> => {
    const symbol = type.aliasSymbol ?? type.symbol
    if (type.symbol !== undefined && canFail.has(type.symbol.name) && (type.flags & ts.TypeFlags.Object) !== 0) {
      const error = checker.getTypeArguments(type as ts.TypeReference)[1]
      if (error === undefined) return []
      const parts = error.isUnion() ? error.types : [error]
      return parts.flatMap((part) =>
        part.symbol !== undefined && (part.isClassOrInterface() || owners.has(part.symbol)) ? [part.symbol] : []
      )
    }
    if (symbol === undefined || depth > 1) return []
    return type.getCallSignatures().flatMap((signature) => failsOf(signature.getReturnType(), depth + 1))
  }
  const distinct = (symbols: ReadonlyArray<ts.Symbol>): ReadonlyArray<ts.Symbol> =>
    Array.from(new Map(symbols.map((each) => [each.name, each])).values()).toSorted((a, b) =>
      a.name < b.name ? -1 : 1
    )

  const memberOf = (symbol: ts.Symbol): Member | undefined => {
    const node = symbol.declarations?.[0]
    if (node === undefined || isPrivate(node) || symbol.name.startsWith("__")) return undefined
    if (node.getSourceFile().fileName.includes("node_modules")) return undefined
    const rest = { doc: docOf(node), name: symbol.name }
    const type = checker.getTypeOfSymbol(symbol)
    const fails = distinct(failsOf(type))
    if (ts.isMethodDeclaration(node) || ts.isMethodSignature(node)) {
      return { ...rest, fails, signature: `${symbol.name}${headOf(node, ": ", checker)}` }
    }
    if (ts.isGetAccessorDeclaration(node)) {
      return {
        ...rest,
        fails,
        signature: `readonly ${symbol.name}: ${node.type?.getText() ?? checker.typeToString(type, node, ts.TypeFormatFlags.NoTruncation)}`
      }
    }
    if (ts.isPropertySignature(node)) {
      const text = outdented(node.getText())
      return { ...rest, fails, signature: text }
    }
    if (ts.isPropertyDeclaration(node)) {
      if (node.initializer !== undefined && node.type === undefined) return undefined
      return { ...rest, fails, signature: outdented(node.getText()).replace(/ = [^]*$/, "") }
    }
    return undefined
  }

  const isFunctional = ({ doc, signature }: Member): boolean =>
    doc.text !== "" || /=>|Effect\.Effect|Stream\.Stream/.test(signature)

  /** A declaration as it is written, without what it does inside. */
  const describe = (
    name: string,
    symbol: ts.Symbol
  ): Pick<Entry, "doc" | "signature" | "fails" | "members"> | undefined => {
    const node = symbol.declarations?.find((each) => !ts.isNamespaceExportDeclaration(each))
    if (node === undefined) return undefined
    if (ts.isVariableDeclaration(node)) {
      const type = checker.getTypeOfSymbol(symbol)
      const initializer = node.initializer
      const text =
        node.type !== undefined
          ? `: ${outdented(node.type.getText())}`
          : initializer !== undefined && functionOf(initializer) !== undefined
            ? `: ${headOf(functionOf(initializer)!, " => ", checker)}`
            : `: ${checker.typeToString(type, node, ts.TypeFormatFlags.NoTruncation)}`
      return {
        doc: docOf(node.parent.parent),
        signature: `const ${name}${text}`,
        fails: distinct(failsOf(type)),
        members: []
      }
    }
    if (ts.isFunctionDeclaration(node)) {
      const overloads = (symbol.declarations ?? [])
        .filter(ts.isFunctionDeclaration)
        .filter((each) => each.body === undefined)
      const shown = overloads.length > 0 ? overloads : [node]
      return {
        doc: docOf(node),
        signature: shown.map((each) => `function ${name}${headOf(each, ": ", checker)}`).join("\n"),
        fails: distinct(failsOf(checker.getTypeOfSymbol(symbol))),
        members: []
      }
    }
    if (ts.isTypeAliasDeclaration(node)) {
      const parameters =
        node.typeParameters === undefined ? "" : `<${node.typeParameters.map((each) => each.getText()).join(", ")}>`
      return {
        doc: docOf(node),
        signature: `type ${name}${parameters} =${defined(outdented(node.type.getText()))}`,
        fails: [],
        members: []
      }
    }
    if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) {
      const type = checker.getDeclaredTypeOfSymbol(symbol)
      const parameters =
        node.typeParameters === undefined ? "" : `<${node.typeParameters.map((each) => each.getText()).join(", ")}>`
      const heritage = (node.heritageClauses ?? [])
        .map((each) => ` ${outdented(each.getText()).replace("/*#__PURE__*/ ", "")}`)
        .join("")
      const head = `${ts.isClassDeclaration(node) ? "class" : "interface"} ${name}${parameters}${heritage}`
      // Members of what is public itself are described there.
      const others = new Set(
        (node.heritageClauses ?? []).flatMap(({ types }) =>
          types.flatMap((each) => {
            const base = checker.getTypeAtLocation(each)
            return base.symbol !== undefined && owners.has(base.symbol)
              ? base.getProperties().map((member) => member.name)
              : []
          })
        )
      )
      const own = new Set(
        (node.members as ts.NodeArray<ts.ClassElement | ts.TypeElement>).map((each) => each.name?.getText())
      )
      // What an error has is in the text of what it extends.
      const isError = heritage.includes("TaggedError(")
      const members = type
        .getProperties()
        .filter((member) => own.has(member.name) || (!isError && !others.has(member.name)))
        .filter((member) => !isError || member.name !== "message")
        .flatMap((member) => memberOf(member) ?? [])
      const isService =
        members.some(({ fails, signature }) => fails.length > 0 || signature.includes("=>")) &&
        members.filter(isFunctional).length > 2
      if (!isService) {
        const body = members
          .map(
            ({ doc, signature }) =>
              `${doc.text === "" ? "" : `  /** ${doc.text.replaceAll("\n", "\n   * ")} */\n`}  ${signature.replaceAll("\n", "\n  ")}`
          )
          .join("\n")
        const fields = ts.isClassDeclaration(node) && body === "" ? "" : body === "" ? " {}" : ` {\n${body}\n}`
        return { doc: docOf(node), signature: `${head}${fields}`, fails: [], members: [] }
      }
      return { doc: docOf(node), signature: head, fails: [], members }
    }
    return undefined
  }

  const entriesOf = (module: PublicModules.PublicModule): ReadonlyArray<Entry> =>
    exportsOf(module).flatMap(([name, symbol]) => {
      const owner = owners.get(symbol)
      const described = describe(name, symbol)
      if (described === undefined) return []
      return [{ name, ...described, elsewhere: owner === module ? undefined : linkTo(symbol) }]
    })

  const failsText = (fails: ReadonlyArray<ts.Symbol>): string =>
    fails.length === 0 ? "" : `Errors: ${fails.map(linkTo).join(", ")}\n\n`

  const fenced = (code: string): string => `\`\`\`ts\n${code}\n\`\`\`\n\n`
  const examplesText = (examples: ReadonlyArray<string>): string =>
    examples.map((example) => `**Example**\n\n${example}\n\n`).join("")

  const entryText = (entry: Entry): string => {
    const heading = `### ${entry.name} {#${entry.name}}\n\n`
    if (entry.elsewhere !== undefined) return `${heading}See ${entry.elsewhere}.\n\n`
    const members = entry.members
      .map(
        (member) =>
          `#### ${member.name} {#${entry.name}-${member.name}}\n\n${fenced(member.signature)}${member.doc.text === "" ? "" : `${member.doc.text}\n\n`}${failsText(member.fails)}${examplesText(member.doc.examples)}`
      )
      .join("")
    return `${heading}${fenced(entry.signature)}${entry.doc.text}\n\n${failsText(entry.fails)}${examplesText(entry.doc.examples)}${members}`
  }

  const moduleDoc = (module: PublicModules.PublicModule): DocComment.DocComment => {
    const comment = /^\/\*\*[^]*?\*\//.exec(program.getSourceFile(module.source)?.text ?? "")
    return comment === null ? DocComment.none : DocComment.parse(comment[0])
  }

  const importOf = ({ directory, isInIndex, name, specifier }: PublicModules.PublicModule): string =>
    isInIndex ? `import { ${name} } from "@effect-icechunk/${directory}"` : `import * as ${name} from "${specifier}"`

  const pageText = (module: PublicModules.PublicModule): string => {
    const entries = entriesOf(module)
    const doc = moduleDoc(module)
    const first = ["constructors", "layers", "services", "models"]
    const rank = (category: string): number => first.indexOf(category) + 1 || first.length + 1
    const categories = Array.from(new Set(entries.map((entry) => entry.doc.category))).toSorted(
      (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)
    )
    const body = categories
      .map((category) => {
        const title = category[0]!.toUpperCase() + category.slice(1)
        const inside = entries.filter((entry) => entry.doc.category === category)
        return `## ${title} {#category-${category.replaceAll(" ", "-")}}\n\n${inside.map(entryText).join("")}`
      })
      .join("")
    return `---\noutline: [2, 3]\n---\n\n# ${module.name}\n\n${fenced(importOf(module))}${doc.text}\n\n${examplesText(doc.examples)}${body}`
  }

  const pages = new Map(modules.map((module) => [pageOf(module), pageText(module)]))
  const firstSentence = (text: string): string => /^[^]*?\.(?=\s|$)/.exec(text)?.[0].replaceAll("\n", " ") ?? text
  const index = packages
    .map((directory) => {
      const rows = modules
        .filter((module) => module.directory === directory)
        .map(
          (module) =>
            `| [\`${module.subpath}\`](/${pageOf(module)}.md) | ${firstSentence(moduleDoc(module).text).replaceAll("|", "\\|")} |`
        )
      return `## @effect-icechunk/${directory}\n\n| module | what |\n|---|---|\n${rows.join("\n")}\n`
    })
    .join("\n")
  pages.set(
    "api/index",
    `# API\n\nThe public modules, each with what it declares. A module that the index of its package has is imported from there; each can also be imported by a path of its own, as \`@effect-icechunk/core/Repository\`.\n\n${index}`
  )
  const groups = packages.map((directory) => ({
    text: directory,
    collapsed: directory !== "core",
    items: modules
      .filter((module) => module.directory === directory)
      .map((module) => ({ text: module.subpath, link: `/${pageOf(module)}` }))
  }))
  return { pages, groups: [{ text: "API", items: [{ text: "All modules", link: "/api/" }] }, ...groups] }
}
