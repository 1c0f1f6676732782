/** Mutated JSON: members of wrong types, missing ones, absurd numbers, deep nesting, odd names, and odd bytes. */
import type { Dataset } from "@effect-icechunk/import"
import * as Fuzz from "./Fuzz.ts"

type Json = Dataset.Json

const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`

/** Texts of JSON that take the place of a value. */
const values: ReadonlyArray<string> = [
  "null",
  "true",
  "0",
  "1",
  "-1",
  "0.5",
  "2",
  "3",
  "9007199254740993",
  "1e15",
  "1e308",
  "-0",
  "4294967296",
  "4294967297",
  "NaN",
  "Infinity",
  '""',
  '"a"',
  '"NaN"',
  '"\\ud800"',
  '"<i4"',
  '"|S1"',
  '"<M8[ns]"',
  '"|O"',
  '"default"',
  '"/"',
  '"base64:"',
  "[]",
  "[null]",
  "[0]",
  "[1]",
  "[-1]",
  "[1,1,1]",
  "[1e15]",
  "[4294967297]",
  "[[1,2],[3]]",
  '["a","b"]',
  "{}",
  '{"name":"bytes"}',
  '{"name":"gzip","configuration":{"level":99}}',
  '{"id":"zlib","level":1}',
  '{"id":"blosc","shuffle":7}',
  '{"name":"sharding_indexed","configuration":{}}',
  '{"__proto__":{"name":"x"}}',
  '{"constructor":1,"toString":2}',
  deep(50),
  deep(5000)
]

const names = [
  "..",
  ".",
  "__proto__",
  "constructor",
  "a//b",
  "/",
  "",
  "a/../b",
  "\ud800",
  "zarr.json",
  ".zarray",
  "c/0",
  "é",
  "%2e%2e",
  "x".repeat(300)
]

const places = (
  json: Json,
  found: Array<ReadonlyArray<string | number>> = [],
  at: ReadonlyArray<string | number> = []
) => {
  found.push(at)
  if (Array.isArray(json))
    for (const [i, one] of (json as ReadonlyArray<Json>).entries()) places(one, found, [...at, i])
  else if (typeof json === "object" && json !== null) {
    for (const [name, one] of Object.entries(json)) places(one, found, [...at, name])
  }
  return found
}

type Change =
  | { readonly _tag: "Value"; readonly text: string }
  | { readonly _tag: "Drop" }
  | { readonly _tag: "Name"; readonly name: string }

/** JSON as text with a change at a place. Written by hand, for not all of what it says can be had in values. */
const write = (json: Json, at: ReadonlyArray<string | number> | undefined, change: Change): string => {
  if (at?.length === 0 && change._tag === "Value") return change.text
  const next = (key: string | number) => (at !== undefined && at[0] === key ? at.slice(1) : undefined)
  const isDropped = (key: string | number) => change._tag === "Drop" && next(key)?.length === 0
  if (Array.isArray(json)) {
    const list = (json as ReadonlyArray<Json>).flatMap((one, i) => (isDropped(i) ? [] : [write(one, next(i), change)]))
    return `[${list.join(",")}]`
  }
  if (typeof json === "object" && json !== null) {
    const members = Object.entries(json).flatMap(([name, one]) => {
      if (isDropped(name)) return []
      const named = change._tag === "Name" && next(name)?.length === 0 ? change.name : name
      return [`${JSON.stringify(named)}:${write(one, next(name), change)}`]
    })
    return `{${members.join(",")}}`
  }
  return JSON.stringify(json)
}

/** A text of JSON with one to three changes. */
export const mutate = (text: string, seed: number): Uint8Array => {
  const next = Fuzz.random(seed)
  const encoder = new TextEncoder()
  let now = text
  const changes = 1 + next(3)
  for (let i = 0; i < changes; i++) {
    let json: Json
    try {
      json = JSON.parse(now) as Json
    } catch {
      break
    }
    const kind = next(10)
    if (kind === 0) return Fuzz.mutate(encoder.encode(now), seed)
    const all = places(json)
    const at = all[next(all.length)]!
    const change: Change =
      kind < 7
        ? { _tag: "Value", text: values[next(values.length)]! }
        : kind < 9
          ? { _tag: "Drop" }
          : { _tag: "Name", name: names[next(names.length)]! }
    // A value of another place has a better chance to be taken for what is meant.
    const other = all[next(all.length)]!
    const moved =
      kind === 6 ? JSON.stringify(other.reduce<unknown>((value, key) => (value as never)[key], json)) : undefined
    now = write(json, at, moved === undefined ? change : { _tag: "Value", text: moved })
    if (change._tag === "Value" && change.text.startsWith("[[[")) break
  }
  return encoder.encode(now)
}
