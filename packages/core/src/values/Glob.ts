/**
 * Patterns of texts with `/` between their parts.
 *
 * | in a pattern | stands for |
 * |---|---|
 * | `*` | any characters but `/` |
 * | `?` | one character but `/` |
 * | `**` | any characters |
 * | `[abc]`, `[a-z]`, `[!a]` | one character of these, or but these, and never `/` |
 * | `{a,b}` | one of these patterns |
 * | `\` and a character | that character |
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)

const member = (character: string): string => (character === "-" ? String.raw`\-` : literal(character))

/** Where the class that starts at `start` ends, or -1: a `]` right at its beginning belongs to it. */
const classEnd = (glob: string, start: number): number => {
  const first = glob[start + 1] === "!" ? start + 2 : start + 1
  return glob.indexOf("]", first + 1)
}

const classExpression = (inside: string): string => {
  const negated = inside.startsWith("!")
  const members = Array.from(negated ? inside.slice(1) : inside)
  let text = ""
  for (let i = 0; i < members.length; i++) {
    const isRange = members[i + 1] === "-" && i + 2 < members.length
    text += isRange ? `${member(members[i]!)}-${member(members[i + 2]!)}` : member(members[i]!)
    if (isRange) i += 2
  }
  return negated ? `(?!/)[^${text}]` : `(?!/)[${text}]`
}

/**
 * A test of texts, or a sentence that says what is wrong with the pattern.
 *
 * @category decoding
 * @since 0.1.0
 */
export const compile = (glob: string): Result.Result<(text: string) => boolean, string> => {
  let expression = ""
  let open = 0
  for (let at = 0; at < glob.length; at++) {
    const character = glob[at]!
    switch (character) {
      case "*":
        if (glob[at + 1] === "*") {
          expression += ".*"
          at++
        } else expression += "[^/]*"
        break
      case "?":
        expression += "[^/]"
        break
      case "\\":
        if (at + 1 === glob.length) return Result.fail("it ends with a `\\` that nothing follows")
        expression += literal(String.fromCodePoint(glob.codePointAt(++at)!))
        if (glob.codePointAt(at)! > 0xffff) at++
        break
      case "[": {
        const end = classEnd(glob, at)
        if (end < 0) return Result.fail("a `[` in it is never closed; write a literal one as `\\[`")
        expression += classExpression(glob.slice(at + 1, end))
        at = end
        break
      }
      case "{":
        expression += "(?:"
        open++
        break
      case "}":
        if (open === 0) return Result.fail("a `}` in it closes nothing; write a literal one as `\\}`")
        expression += ")"
        open--
        break
      case ",":
        expression += open > 0 ? "|" : ","
        break
      default:
        expression += literal(character)
    }
  }
  if (open > 0) return Result.fail("a `{` in it is never closed; write a literal one as `\\{`")
  try {
    const whole = new RegExp(`^(?:${expression})$`, "su")
    return Result.succeed((text) => whole.test(text))
  } catch {
    return Result.fail("a range in its `[...]` ends before it begins")
  }
}
