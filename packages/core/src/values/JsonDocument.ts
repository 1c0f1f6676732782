/**
 * JSON documents, from the values that a program gives and from text: only what every reader of JSON reads as the
 * same is accepted. Pure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { type Json, maxDepth } from "./Json.ts"

/**
 * A value that is not JSON, or that other readers would read as something else.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  /** Keys and positions that lead to the value. */
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
}

/** Values that share their parts cannot unfold without bound. */
const maxValues = 1_000_000

const surrogate = "it has an unpaired surrogate, which is not text in any encoding"

/** Whether an object has its fields and nothing else: a literal, of this realm or another, or without a prototype. */
const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const classOf = (value: object): string => {
  const constructor: unknown = Reflect.get(value, "constructor")
  return typeof constructor === "function" && constructor.name !== "" ? `a ${constructor.name}` : "of a class"
}

class Copier {
  private left = maxValues
  private readonly path: Array<string | number> = []
  private readonly above = new Set<object>()

  fail(problem: string): never {
    throw new Refusal({ path: [...this.path], problem })
  }

  private at(key: string | number, value: unknown): Json {
    this.path.push(key)
    const copy = this.copy(value)
    this.path.pop()
    return copy
  }

  copy(value: unknown): Json {
    if (--this.left < 0) this.fail(`there are more than ${maxValues} values`)
    switch (typeof value) {
      case "boolean":
        return value
      case "string":
        return value.isWellFormed() ? value : this.fail(surrogate)
      case "number":
        return Number.isFinite(value) ? value : this.fail(`it is ${value}, for which JSON has no number; write a text`)
      case "undefined":
        return this.fail("there is no value; write null")
      case "object":
        return value === null ? null : this.composite(value)
      default:
        return this.fail(`it is a ${typeof value}, which is not JSON`)
    }
  }

  private composite(value: object): Json {
    if (this.above.has(value)) this.fail("it contains itself")
    if (this.above.size >= maxDepth) this.fail(`its values are nested deeper than ${maxDepth}`)
    this.above.add(value)
    // By position, so that the holes of a sparse list are found.
    const copy = Array.isArray(value) ? Array.from(value, (item: unknown, i) => this.at(i, item)) : this.fields(value)
    this.above.delete(value)
    return copy
  }

  private fields(value: object): Json {
    if (value instanceof Date) this.fail("it is a Date; write a text, such as that of `toISOString`")
    if (!isPlain(value)) this.fail(`it is ${classOf(value)}, not a plain object`)
    const entries: Array<[string, Json]> = []
    for (const [key, item] of Object.entries(value)) {
      if (!key.isWellFormed()) this.fail(`its key ${JSON.stringify(key)} has an unpaired surrogate`)
      // As in every other writer of JSON, a field that is undefined is not there.
      if (item !== undefined) entries.push([key, this.at(key, item)])
    }
    // Not by assignment: a key may be `__proto__`.
    return Object.fromEntries(entries)
  }
}

/** Thrown and caught in this module. */
class Refusal {
  readonly problem: Problem
  constructor(problem: Problem) {
    this.problem = problem
  }
}

const attempt = <A>(f: () => A): Result.Result<A, Problem> => {
  try {
    return Result.succeed(f())
  } catch (error) {
    if (error instanceof Refusal) return Result.fail(error.problem)
    const problem = error instanceof Error ? error.message : "it cannot be read"
    return Result.fail({ path: [], problem: `reading it failed: ${problem}` })
  }
}

/**
 * A copy of a value that a program gave. Fields that are `undefined` are left out; anything else that JSON cannot
 * hold is a problem, where `JSON.stringify` would change it: numbers that are not finite, dates, maps and other
 * objects of classes, holes in lists, functions, big integers, unpaired surrogates, values that contain themselves
 * or are nested deeper than `Json.maxDepth`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromValue = (value: unknown): Result.Result<Json, Problem> => attempt(() => new Copier().copy(value))

const whitespace = /[ \t\n\r]*/y
const string = /"(?:[^"\\]|\\.)*"/sy
const scalar = /[^\s,\]}]+/y

/** What a list or an object has had so far: the keys of an object, `undefined` for a list. */
type Open = Set<string> | undefined

/**
 * The first problem of a text that JSON itself is silent about: a key that occurs twice in an object, of which readers
 * take the first, the last, or neither, and nesting deeper than `maxDepth`. The text is valid JSON, or fails elsewhere.
 */
const lexicalProblem = (text: string): string | undefined => {
  const open: Array<Open> = []
  let at = 0
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ""
    at += found.length
    return found
  }
  while (at < text.length) {
    take(whitespace)
    const character = text[at]
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : undefined)
      if (open.length > maxDepth) return `its values are nested deeper than ${maxDepth}`
      at++
    } else if (character === "}" || character === "]") {
      open.pop()
      at++
    } else if (character === '"') {
      const literal = take(string)
      // Not a text that ends, which is for the parser to say.
      if (literal === "") return undefined
      take(whitespace)
      const keys = open.at(-1)
      if (text[at] !== ":" || keys === undefined) continue
      const key = JSON.parse(literal) as string
      if (keys.has(key)) return `the key ${JSON.stringify(key.slice(0, 100))} occurs twice in an object`
      keys.add(key)
    } else if (character === "," || character === ":" || take(scalar) === "") at++
  }
  return undefined
}

const [quote, colon, openBrace, openBracket, closeBrace, closeBracket] = [...`":{[}]`].map((character) =>
  character.charCodeAt(0)
)

/**
 * How many members the objects of a text have, counting one that occurs twice twice; -1 when it is nested deeper than
 * `maxDepth` or a text in it does not end. The text is valid JSON without escapes, or fails elsewhere.
 */
const membersIn = (text: string): number => {
  let members = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = text.indexOf('"', at + 1)
        if (at < 0) return -1
        break
      case colon:
        members++
        break
      case openBrace:
      case openBracket:
        if (++depth > maxDepth) return -1
        break
      case closeBrace:
      case closeBracket:
        depth--
        break
      default:
    }
  }
  return members
}

/** What `JSON.parse` returned: whether `fromValue` would take all of it, and how many members its objects have. */
class Survey {
  members = 0
  private left = maxValues

  isSound(value: unknown): boolean {
    if (--this.left < 0) return false
    if (typeof value === "string") return value.isWellFormed()
    if (typeof value === "number") return Number.isFinite(value)
    if (typeof value !== "object" || value === null) return true
    if (Array.isArray(value)) return value.every((item) => this.isSound(item))
    const keys = Object.keys(value)
    this.members += keys.length
    return keys.every((key) => key.isWellFormed() && this.isSound((value as Record<string, unknown>)[key]))
  }
}

/** The value of a text, where all is well; `undefined` where it has to be looked at more closely to say what is not. */
const soundValue = (text: string): Json | undefined => {
  // Keys with escapes are not compared by what `JSON.parse` makes of them: V8 13.6 reads some of one character wrongly.
  if (text.includes("\\")) return undefined
  const members = membersIn(text)
  if (members < 0) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const survey = new Survey()
  // Of a key that occurs twice in an object one member is left, and nothing of the other.
  return survey.isSound(value) && survey.members === members ? (value as Json) : undefined
}

/** Larger documents are refused: every session holds all of them in memory. */
const maxBytes = 64 * 1024 * 1024

// A byte order mark is not JSON, and other readers refuse it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const whole = (problem: string): Result.Result<never, Problem> => Result.fail({ path: [], problem })

/**
 * The value in the bytes of a document. Numbers beyond 2^53 are rounded, as `JSON.parse` does; texts that are not UTF-8,
 * keys that occur twice, and whatever `fromValue` refuses are problems.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array): Result.Result<Json, Problem> => {
  if (bytes.length > maxBytes) return whole(`it has ${bytes.length} bytes, more than ${maxBytes}`)
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return whole("it is not JSON: it is not UTF-8")
  }
  const sound = soundValue(text)
  if (sound !== undefined) return Result.succeed(sound)
  try {
    const problem = lexicalProblem(text)
    return problem === undefined ? fromValue(JSON.parse(text)) : whole(problem)
  } catch (cause) {
    return whole(`it is not JSON: ${cause instanceof Error ? cause.message : "it cannot be parsed"}`)
  }
}
