/**
 * `config.yaml`, where a repository of spec version 1 has Icechunk's configuration, as the JSON that the repository
 * object has in spec version 2.
 *
 * A tag is the kind of a value: `!s3 { region: x }` is `{ "s3": { "region": "x" } }`. Source: Icechunk spec 1, "Config file".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Yaml from "yaml"
import { FormatError } from "../../encoding/FormatError.ts"
import type { Json } from "../../values/Json.ts"
import * as Layout from "../Layout.ts"

/**
 * The largest file that is read, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxBytes: number = 4 * 1024 * 1024

/** What a file may unfold to, in values, and how deep. */
const maxValues = 50_000
const maxDepth = 64

const damaged = (field: string, problem: string): FormatError =>
  new FormatError({ file: Layout.spec1Config, field, problem })

class Reader {
  readonly #yaml: typeof Yaml
  readonly #document: Yaml.Document.Parsed
  #values = 0

  constructor(yaml: typeof Yaml, document: Yaml.Document.Parsed) {
    this.#yaml = yaml
    this.#document = document
  }

  /** The value of a node. Throws a `FormatError`. */
  read(node: unknown, field: string, depth: number): Json {
    if (++this.#values > maxValues) throw damaged(field, `it stands for more than ${maxValues} values`)
    if (depth > maxDepth) throw damaged(field, `it is nested more than ${maxDepth} times`)
    if (this.#yaml.isAlias(node)) return this.read(node.resolve(this.#document), field, depth + 1)
    if (!this.#yaml.isNode(node)) return null
    const { tag } = node
    const value = this.#plain(node, field, depth)
    if (tag === undefined || !tag.startsWith("!")) return value
    const kind = tag.slice(1)
    return value === null || value === "" ? (this.#isEmpty(node) ? kind : { [kind]: value }) : { [kind]: value }
  }

  /** Whether nothing is written after a tag, not even an empty text. */
  #isEmpty(node: Yaml.Node): boolean {
    return this.#yaml.isScalar(node) && (node.source ?? "") === "" && node.type === this.#yaml.Scalar.PLAIN
  }

  #plain(node: Yaml.Node, field: string, depth: number): Json {
    if (this.#yaml.isMap(node)) {
      return Object.fromEntries(
        node.items.map(({ key, value }): readonly [string, Json] => {
          const name = this.#yaml.isScalar(key) ? String(key.value) : undefined
          if (name === undefined) throw damaged(field, "the name of a field is not a text")
          return [name, this.read(value, field === "" ? name : `${field}.${name}`, depth + 1)]
        })
      )
    }
    if (this.#yaml.isSeq(node)) return node.items.map((item, i) => this.read(item, `${field}[${i}]`, depth + 1))
    if (!this.#yaml.isScalar(node)) return null
    const { source, tag, value } = node
    // A tag of the format's own hides from the parser what the value is.
    if (tag?.startsWith("!") === true && node.type === this.#yaml.Scalar.PLAIN && typeof value === "string") {
      const inner = source ?? value
      return inner === "" ? null : this.read(this.#yaml.parseDocument(inner).contents, field, depth + 1)
    }
    if (value === null || typeof value === "boolean" || typeof value === "string") return value
    if (typeof value === "number" && Number.isFinite(value)) return value
    throw damaged(field, "it is not a value that JSON has")
  }
}

/**
 * The configuration in a file. Fails with `FormatError`, which names the file and the field. The parser is loaded when
 * it is needed first.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse: (bytes: Uint8Array) => Effect.Effect<Json, FormatError> = Effect.fnUntraced(function* (bytes) {
  const yaml = yield* Effect.promise(() => import("yaml"))
  return yield* Effect.try({
    try: () => {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
      const document = yaml.parseDocument(text, { logLevel: "silent" })
      const [error] = document.errors
      if (error !== undefined) throw damaged("(whole file)", error.message.split("\n")[0]!)
      return new Reader(yaml, document).read(document.contents, "", 0)
    },
    catch: (cause) =>
      cause instanceof FormatError
        ? cause
        : damaged("(whole file)", cause instanceof Error ? cause.message : String(cause))
  })
})
