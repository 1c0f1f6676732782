/**
 * What the demo prints: steps with a tick, facts below them. Colour only on a terminal, and not when
 * `NO_COLOR` is set.
 */
import { Console, Effect } from "effect"

const colored = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === ""
const paint = (code: number) => (text: string) => (colored ? `\u001B[${code}m${text}\u001B[0m` : text)

const bold = paint(1)
const dim = paint(2)
const green = paint(32)
const yellow = paint(33)

const indent = 4
const columnWidth = 22
const lineWidth = 100

export const title = (text: string): Effect.Effect<void> => Console.log(`\n${bold(text)}`)

/** A step that went as it should. */
export const step = (name: string, result = ""): Effect.Effect<void> =>
  Console.log(`\n${green("✔")} ${bold(name)}${result === "" ? "" : `  ${result}`}`)

/** A fact: what, and the value. */
export const fact = (name: string, ...values: ReadonlyArray<string>): Effect.Effect<void> =>
  Console.log(" ".repeat(indent) + dim(name.padEnd(columnWidth)) + values.filter((value) => value !== "").join("  "))

/** Text in lines of at most `lineWidth` characters. */
const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const line = lines.at(-1)
    if (line === undefined || line.length + word.length + 1 > width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

/** The tag of a typed error, and its message as a program would show it. */
export const error = (error: { readonly _tag: string; readonly message: string }): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* fact("fails with", yellow(error._tag))
    for (const line of wrap(error.message, lineWidth - indent - columnWidth)) yield* fact("", line)
  })

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`

export const end: Effect.Effect<void> = Console.log("")

/** `4.15 MB`. */
export const bytes = (n: number): string =>
  n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(2)} MB`
