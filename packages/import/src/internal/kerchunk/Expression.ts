/**
 * Texts with `{{ expressions }}`, as kerchunk's references have them: the part of Jinja that does arithmetic, calls templates and
 * formats numbers. Pure. All else is refused, and nothing of it can run for long. Source: kerchunk, "References specification";
 * Jinja, "Template Designer Documentation".
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"

/** Integers are `bigint`, floating point numbers are `number`, as Python has two kinds. */
export type Value = string | bigint | number | Callable

/** A template that takes arguments. */
interface Callable {
  readonly call: (named: Variables) => string
}

export type Variables = ReadonlyMap<string, Value>

/** A text, with its expressions ready to run. Throws a `Refused`. */
export type Template = (variables: Variables) => string

/** What is not understood. Thrown in `internal/kerchunk`, and caught there. */
export class Refused extends Error {}

const refuse = (problem: string): never => {
  throw new Refused(problem)
}

/** What `run` makes, or why it is refused. */
export const attempt = <A>(run: () => A): Result.Result<A, string> =>
  Result.try({
    try: run,
    catch: (error) => (error instanceof Refused ? error.message : `it cannot be computed: ${String(error)}`)
  })

const tokens =
  /\s*(?:(?<number>\d+\.\d+|\d+)|(?<name>[A-Za-z_]\w*)|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<sign>\/\/|\*\*|[-+*/%~|().,=]))/y

interface Token {
  readonly kind: "number" | "name" | "text" | "sign" | "end"
  readonly text: string
}

const tokenize = (source: string): ReadonlyArray<Token> => {
  const found: Array<Token> = []
  const end = source.trimEnd().length
  tokens.lastIndex = 0
  while (tokens.lastIndex < end) {
    const at = tokens.lastIndex
    const groups = tokens.exec(source)?.groups
    if (groups === undefined) return refuse(`\`${source.slice(at, at + 20).trim()}\` is not understood`)
    for (const kind of ["number", "name", "text", "sign"] as const) {
      const text = groups[kind]
      if (text !== undefined) found.push({ kind, text })
    }
    if (found.length > 1000) return refuse("an expression is too long")
  }
  return [...found, { kind: "end", text: "the end" }]
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" }

const unquote = (text: string): string =>
  text.slice(1, -1).replaceAll(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter)

/** Text of a value as Python writes it. */
const show = (value: Value): string => {
  if (typeof value === "string") return value
  if (typeof value === "bigint") return value.toString()
  if (typeof value !== "number") return refuse("a template with arguments is not called")
  const isWritten = Number.isFinite(value) && (value === 0 || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e16))
  if (!isWritten) return refuse("a number is too large or too small to be written")
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

const padded = (text: string, width: number, fill: string, isLeft: boolean): string => {
  if (width > 1000) return refuse("a width is too large")
  if (isLeft) return text.padEnd(width)
  return fill === "0" && text.startsWith("-")
    ? `-${text.slice(1).padStart(width - 1, "0")}`
    : text.padStart(width, fill)
}

/** A number or text in a width, as `05d`, `d`, `s` and `.2f` say. */
const formatted = (value: Value, flags: string, width: string, precision: string | undefined, kind: string): string => {
  const isLeft = flags.includes("-") || flags.includes("<")
  const fill = flags.includes("0") && !isLeft ? "0" : " "
  const count = Number(width)
  if (kind === "s") return padded(show(value), count, " ", isLeft)
  if (kind === "f" || kind === "F") {
    const digits = precision === undefined ? 6 : Number(precision)
    if (typeof value === "string" || typeof value === "object" || digits > 20) return refuse("`f` is for numbers")
    return padded(Number(value).toFixed(digits), count, fill, isLeft)
  }
  if (precision !== undefined) return refuse("a precision is for `f`")
  const whole = typeof value === "number" && kind !== "x" ? BigInt(Math.trunc(value)) : value
  if (typeof whole !== "bigint") return refuse(`\`${kind}\` is for integers`)
  return padded(kind === "x" ? whole.toString(16) : whole.toString(), count, fill, isLeft)
}

const percent = (pattern: string, values: ReadonlyArray<Value>): string => {
  let next = 0
  const text = pattern.replaceAll(
    /%(?:(%)|([-0]*)(\d*)(?:\.(\d+))?([a-zA-Z])|)/g,
    (_, literal: string | undefined, flags: string, width: string, precision: string | undefined, kind: string) => {
      if (literal !== undefined) return "%"
      if (kind === undefined || !"disxfF".includes(kind))
        return refuse(`\`${pattern}\` is a format that is not understood`)
      const value = values[next++]
      if (value === undefined) return refuse(`\`${pattern}\` formats more than there is`)
      return formatted(value, flags, width, precision, kind)
    }
  )
  return next === values.length ? text : refuse(`\`${pattern}\` formats less than there is`)
}

const braces = (pattern: string, values: ReadonlyArray<Value>, named: Variables): string => {
  let next = 0
  return pattern.replaceAll(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (all, inside: string | undefined) => {
    if (all === "{{" || all === "}}") return all.slice(1)
    const parts = inside === undefined ? null : /^(\w*)(?::([<>]?0?)(\d*)(?:\.(\d+))?([dsfF]?))?$/.exec(inside)
    if (parts === null) return refuse(`\`${pattern}\` is a format that is not understood`)
    const [, name, flags = "", width = "", precision, kind = ""] = parts
    const value = name === "" ? values[next++] : /^\d+$/.test(name!) ? values[Number(name)] : named.get(name!)
    if (value === undefined) return refuse(`\`${pattern}\` formats what is not there`)
    const natural = typeof value === "bigint" ? "d" : precision === undefined ? "s" : "f"
    // Texts are to the left, unless they are told otherwise.
    const side = typeof value === "string" && !flags.includes(">") ? `${flags}<` : flags
    return formatted(value, side, width, precision, kind === "" ? natural : kind)
  })
}

const mostDigits = 2n ** 256n

const bounded = (value: bigint): bigint =>
  value < mostDigits && value > -mostDigits ? value : refuse("a number is too large")

const floorDiv = (a: bigint, b: bigint): bigint => {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

const ofIntegers: Readonly<Record<string, (a: bigint, b: bigint) => bigint | number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => (b === 0n ? refuse("it divides by zero") : Number(a) / Number(b)),
  "//": (a, b) => (b === 0n ? refuse("it divides by zero") : floorDiv(a, b)),
  "%": (a, b) => (b === 0n ? refuse("it divides by zero") : a - b * floorDiv(a, b)),
  "**": (a, b) => (b < 0n || b > 256n ? refuse("a power is negative or too large") : a ** b)
}

const ofFloats: Readonly<Record<string, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => (b === 0 ? refuse("it divides by zero") : a / b),
  "//": (a, b) => (b === 0 ? refuse("it divides by zero") : Math.floor(a / b)),
  "%": (a, b) => (b === 0 ? refuse("it divides by zero") : a - b * Math.floor(a / b)),
  "**": (a, b) => a ** b
}

const arithmetic = (sign: string, a: Value, b: Value): Value => {
  if (sign === "~") return show(a) + show(b)
  if (typeof a === "string" && sign === "%") return percent(a, [b])
  if (typeof a === "string" && typeof b === "string" && sign === "+") return a + b
  if (typeof a === "bigint" && typeof b === "bigint") {
    const value = ofIntegers[sign]!(a, b)
    return typeof value === "bigint" ? bounded(value) : value
  }
  const isNumber = (value: Value) => typeof value === "bigint" || typeof value === "number"
  if (!isNumber(a) || !isNumber(b)) return refuse(`\`${sign}\` is not for texts`)
  return ofFloats[sign]!(Number(a), Number(b))
}

const filters: Readonly<Record<string, (value: Value, values: ReadonlyArray<Value>) => Value>> = {
  format: (value, values) => (typeof value === "string" ? percent(value, values) : refuse("`format` is for texts")),
  int: (value) => {
    if (typeof value === "bigint") return value
    if (typeof value === "number") return BigInt(Math.trunc(value))
    return typeof value === "string" && /^\s*[-+]?\d{1,40}\s*$/.test(value) ? BigInt(value.trim().replace("+", "")) : 0n
  },
  string: (value) => show(value),
  lower: (value) => show(value).toLowerCase(),
  upper: (value) => show(value).toUpperCase()
}

type Expression = (variables: Variables) => Value

interface Arguments {
  readonly values: ReadonlyArray<Expression>
  readonly named: ReadonlyArray<readonly [string, Expression]>
}

/** Expressions by how strongly their signs bind, as Jinja has them. */
class Parser {
  at = 0
  depth = 0
  readonly all: ReadonlyArray<Token>
  constructor(all: ReadonlyArray<Token>) {
    this.all = all
  }

  get token(): Token {
    return this.all[this.at]!
  }

  is(text: string): boolean {
    return this.token.kind === "sign" && this.token.text === text
  }

  take(text: string): boolean {
    if (!this.is(text)) return false
    this.at++
    return true
  }

  expect(text: string): void {
    if (!this.take(text)) refuse(`\`${text}\` is expected before \`${this.token.text}\``)
  }

  binary(signs: ReadonlyArray<string>, next: () => Expression): Expression {
    let left = next()
    while (this.token.kind === "sign" && signs.includes(this.token.text)) {
      const sign = this.token.text
      this.at++
      const first = left
      const second = next()
      left = (variables) => arithmetic(sign, first(variables), second(variables))
    }
    return left
  }

  expression(): Expression {
    if (++this.depth > 64) return refuse("an expression is nested too deeply")
    const found = this.sum()
    this.depth--
    return found
  }

  sum(): Expression {
    return this.binary(["+", "-"], () =>
      this.binary(["~"], () =>
        this.binary(["*", "/", "//", "%"], () => this.binary(["**"], () => this.filtered(this.unary())))
      )
    )
  }

  unary(): Expression {
    if (!this.take("-")) return this.postfix(this.primary())
    if (++this.depth > 64) return refuse("an expression is nested too deeply")
    const value = this.unary()
    this.depth--
    return (variables) => arithmetic("-", 0n, value(variables))
  }

  postfix(first: Expression): Expression {
    let value = first
    for (;;) {
      if (this.take(".")) value = this.method(value)
      else if (this.is("(")) value = this.call(value)
      else return value
    }
  }

  filtered(first: Expression): Expression {
    let value = first
    while (this.take("|")) value = this.filter(value)
    return value
  }

  primary(): Expression {
    const { kind, text } = this.token
    this.at++
    if (kind === "number") {
      const value = text.includes(".") ? Number(text) : bounded(BigInt(text))
      return () => value
    }
    if (kind === "text") {
      const value = unquote(text)
      return () => value
    }
    if (kind === "name") {
      return (variables) => variables.get(text) ?? refuse(`there is neither a variable nor a template \`${text}\``)
    }
    if (kind === "sign" && text === "(") {
      const value = this.expression()
      this.expect(")")
      return value
    }
    return refuse(`\`${text}\` is not understood there`)
  }

  name(): string {
    const { kind, text } = this.token
    this.at++
    return kind === "name" ? text : refuse(`a name is expected, not \`${text}\``)
  }

  arguments(): Arguments {
    const values: Array<Expression> = []
    const named: Array<readonly [string, Expression]> = []
    if (!this.take("(")) return { values, named }
    while (!this.take(")")) {
      const next = this.all[this.at + 1]
      if (this.token.kind === "name" && next?.kind === "sign" && next.text === "=") {
        const name = this.name()
        this.at++
        named.push([name, this.expression()])
      } else values.push(this.expression())
      if (!this.is(")")) this.expect(",")
    }
    return { values, named }
  }

  filter(value: Expression): Expression {
    const name = this.name()
    const { named, values } = this.arguments()
    const filter = Object.hasOwn(filters, name) ? filters[name] : undefined
    if (filter === undefined || named.length > 0) return refuse(`the filter \`${name}\` is not understood`)
    return (variables) =>
      filter(
        value(variables),
        values.map((one) => one(variables))
      )
  }

  method(value: Expression): Expression {
    const name = this.name()
    if (name !== "format") return refuse(`\`.${name}\` is not understood`)
    const { named, values } = this.arguments()
    return (variables) => {
      const pattern = value(variables)
      if (typeof pattern !== "string") return refuse("`format` is for texts")
      return braces(
        pattern,
        values.map((one) => one(variables)),
        new Map(named.map(([name, one]) => [name, one(variables)]))
      )
    }
  }

  call(value: Expression): Expression {
    const { named, values } = this.arguments()
    return (variables) => {
      const callee = value(variables)
      if (typeof callee !== "object" || values.length > 0) {
        return refuse("only templates are called, with arguments by name")
      }
      return callee.call(new Map(named.map(([name, one]) => [name, one(variables)])))
    }
  }
}

const longest = 64 * 1024

/** Where an expression ends: `}}` outside of its texts. */
const endOf = (text: string, from: number): number => {
  const pattern = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\}\}/g
  pattern.lastIndex = from
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
    if (found[0] === "}}") return found.index
  }
  return refuse("a `{{` has no `}}`")
}

/** Throws a `Refused`. */
export const compile = (text: string): Template => {
  if (text.length > longest) return refuse("a text with expressions is too long")
  if (/\{[%#]/.test(text)) return refuse("statements and comments of Jinja are not understood, only `{{ }}` is")
  const parts: Array<string | Expression> = []
  let at = 0
  for (let open = text.indexOf("{{"); open >= 0; open = text.indexOf("{{", at)) {
    const end = endOf(text, open + 2)
    const parser = new Parser(tokenize(text.slice(open + 2, end)))
    parts.push(text.slice(at, open), parser.expression())
    if (parser.token.kind !== "end") refuse(`\`${parser.token.text}\` is not understood there`)
    at = end + 2
  }
  parts.push(text.slice(at))
  return (variables) => {
    const shown = parts.map((part) => (typeof part === "string" ? part : show(part(variables)))).join("")
    return shown.length > longest ? refuse("what a text with expressions becomes is too long") : shown
  }
}
