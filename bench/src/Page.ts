/**
 * Writes what was measured into `docs/performance.md` and the README, between marks `<!-- bench:NAME -->` and
 * `<!-- /bench:NAME -->`, and draws the pictures.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { root } from "./Bench.ts"
import * as Growth from "./Growth.ts"
import * as Pictures from "./Pictures.ts"
import * as Results from "./Results.ts"
import * as Sizes from "./Sizes.ts"
import type { Row } from "./Work.ts"

const page = path.join(root, "docs/performance.md")
const readme = path.join(root, "README.md")
const images = path.join(root, "docs/images")

const replaced = (text: string, name: string, content: string): string => {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const start = text.indexOf(open)
  const end = text.indexOf(close)
  if (start < 0 || end < start) throw new Error(`the page has no place for \`${name}\``)
  return `${text.slice(0, start)}${open}\n${content}\n${text.slice(end)}`
}

/** Where and when it was measured. */
const machine = (): string => {
  const { model } = os.cpus()[0] ?? { model: "unknown processor" }
  const memory = Math.round(os.totalmem() / 2 ** 30)
  const engine = fs.readFileSync(path.join(root, "bench/node_modules/@earthmover/icechunk/package.json"), "utf8")
  const { version } = JSON.parse(engine) as { readonly version: string }
  const date = new Date().toISOString().slice(0, 10)
  return `${date}: ${os.availableParallelism()} cores (${model.trim()}), ${memory} GiB, ${os.platform()} ${os.release()}, Node ${process.version}, \`@earthmover/icechunk\` ${version}.`
}

const goalOf = (rows: ReadonlyArray<Row>, result: Results.Result): string => {
  const goal = rows.find(({ id }) => id === result.id)?.goal
  if (goal === undefined) return ""
  const reached = result.isMet === true ? "reached" : "not reached"
  const text = "ours" in goal ? `${goal.ours} ${result.unit}` : String(goal.ratio)
  return result.isMet === null ? text : `${text}, ${reached}`
}

const resultTable = (rows: ReadonlyArray<Row>, results: ReadonlyArray<Results.Result>): string => {
  const lines = results.map((result) => {
    const [, ours, peer, unit, ratio, , , requests, bytes, sockets, chain, memory, cpu] = Results.cells(result)
    const title = rows.find(({ id }) => id === result.id)?.title ?? result.title
    return `| \`${result.id}\` | ${title} | ${ours} ${unit} | ${peer} | ${ratio} | ${goalOf(rows, result)} | ${cpu} | ${requests} | ${bytes} | ${sockets} | ${chain} | ${memory} |`
  })
  return [
    "| id | work | ours | peer | ratio | goal | processor | requests | MB | sockets | in a row | peak MB |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...lines
  ].join("\n")
}

/** A few of the ratios, for the README. */
const highlights: Readonly<Record<string, string>> = {
  "set-1m": "set a million virtual refs",
  "commit-1m": "commit them",
  "first-chunk-1m": "first chunk",
  "locations-1m": "all locations",
  "lookup-64": "random small reads",
  "scattered-5k": "scattered reads on S3",
  "s3-chunks": "native chunks on S3",
  "zarr-read": "zarrita on files",
  "commit-small-10k": "small commit after 10,000 others, flushed where the peer's is not",
  "nodes-60k": "60,000 arrays"
}

const line = (results: ReadonlyArray<Results.Result>): string => {
  const parts = Object.entries(highlights).flatMap(([id, name]) => {
    const ratio = results.find((result) => result.id === id)?.ratio
    return ratio === null || ratio === undefined ? [] : [`${name} ${ratio.toFixed(2)}`]
  })
  return `Time beside the official native engine, as a share of its: ${parts.join(", ")}. [All figures](docs/performance.md).`
}

export const write = (rows: ReadonlyArray<Row>, options: { readonly isMeasured: boolean }): void => {
  const results = Results.read()
  const points = Sizes.read()
  let text = fs.readFileSync(page, "utf8")
  text = replaced(text, "results", resultTable(rows, results))
  if (options.isMeasured) text = replaced(text, "machine", machine())
  for (const [name, table] of Object.entries(Growth.all(points))) text = replaced(text, name, table)
  fs.writeFileSync(page, text)
  fs.writeFileSync(readme, replaced(fs.readFileSync(readme, "utf8"), "line", line(results)))
  for (const [name, svg] of Pictures.all(points)) fs.writeFileSync(path.join(images, name), svg)
}
