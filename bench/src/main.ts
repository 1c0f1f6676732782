/**
 * Benchmarks beside the official engine, in one run on one machine:
 *
 *   pnpm bench [ID...] [--rounds N] [--small] [--dry]
 *
 * Without ids, all of them; an id stands for all that begin with it. Each measurement is a process of its own, ours and the
 * peer's in turn; the table shows medians. Rows that were measured replace those in `bench/results.json`, unless it is a
 * dry run or a small one, which only shows that everything works.
 */
import { parseArgs } from "node:util"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    small: { type: "boolean", default: false },
    dry: { type: "boolean", default: false }
  }
})
const isSmall = values.small || process.env["BENCH_SMALL"] === "1"
if (isSmall) process.env["BENCH_SMALL"] = "1"

// What they are depends on whether the run is a small one.
const { families, rows } = await import("./Works.ts")
const Bench = await import("./Bench.ts")
const Results = await import("./Results.ts")

const unknown = positionals.filter((wanted) => !rows.some(({ id }) => id.startsWith(wanted)))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.map((id) => `\`${id}\``).join(", ")}. There are:`)
  for (const { id, title } of rows) console.error(`  ${id.padEnd(26)}${title}`)
  process.exit(1)
}

const chosen = new Set(
  rows
    .map(({ id }) => id)
    .filter((id) => positionals.length === 0 || positionals.some((wanted) => id.startsWith(wanted)))
)

const bench = Bench.make({
  rounds: isSmall ? 1 : Number(values.rounds),
  wants: (...ids) => ids.some((id) => chosen.has(id))
})
const failed: Array<string> = []
try {
  for (const family of families) {
    if (!family.rows.some(({ id }) => chosen.has(id))) continue
    try {
      await family.run(bench)
    } catch (error) {
      failed.push(family.name)
      console.error(error)
    }
  }
} finally {
  await bench.close()
}

const results = Results.ofRun(rows, bench).filter(({ id }) => chosen.has(id))
console.log(`\n${Results.table(results)}`)
if (bench.samples.peer.size === 0) console.log("\nThe official engine's native build does not load here.")
if (!isSmall && !values.dry) Results.write(Results.merged(rows, Results.read(), results))
if (failed.length > 0) {
  console.error(`\nNot measured to the end: ${failed.join(", ")}`)
  process.exitCode = 1
}
