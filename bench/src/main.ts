/**
 * Benchmarks beside the official engine, in one run on one machine:
 *
 *   pnpm bench [ID...] [--rounds N] [--small] [--dry]
 *   pnpm bench sizes [refs|splits|commits|nodes|gaps ...]
 *   pnpm bench all
 *   pnpm bench page
 *
 * Without ids, the whole table; an id stands for all that begin with it. Each measurement is a process of its own, ours
 * and the peer's in turn; the table shows medians. Rows that were measured replace those in `bench/results.json`, and
 * `sizes`, cost against size, replaces curves in `bench/sizes.json`; both write `docs/performance.md` and its pictures
 * anew, which `page` does alone. `all` is the table, then all sizes. A dry run writes nothing, nor does a small one, which
 * only shows that everything works.
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
const isKept = !isSmall && !values.dry
const rounds = isSmall ? 1 : Number(values.rounds)

// What they are depends on whether the run is a small one.
const { families, rows } = await import("./Works.ts")
const Bench = await import("./Bench.ts")
const Page = await import("./Page.ts")
const Results = await import("./Results.ts")
const Sizes = await import("./Sizes.ts")

const report = (failures: ReadonlyArray<string>): void => {
  if (failures.length === 0) return
  console.error(`\nFailed: ${failures.join(", ")}`)
  process.exitCode = 1
}

const measureSizes = async (chosen: ReadonlyArray<string>): Promise<void> => {
  const bench = Bench.make({ rounds, wants: () => true })
  try {
    const points = await Sizes.measure(bench, chosen)
    if (isKept) {
      Sizes.write(Sizes.merged(Sizes.read(), points))
      Page.write(rows, { isMeasured: false })
    }
    report(bench.failures)
  } finally {
    await bench.close()
  }
}

const measureRows = async (wanted: ReadonlyArray<string>): Promise<void> => {
  const unknown = wanted.filter((id) => !rows.some((row) => row.id.startsWith(id)))
  if (unknown.length > 0) {
    console.error(`There is no ${unknown.map((id) => `\`${id}\``).join(", ")}. There are:`)
    for (const { id, title } of rows) console.error(`  ${id.padEnd(26)}${title}`)
    process.exitCode = 1
    return
  }
  const chosen = new Set(
    rows.map(({ id }) => id).filter((id) => wanted.length === 0 || wanted.some((start) => id.startsWith(start)))
  )
  const bench = Bench.make({ rounds, wants: (...ids) => ids.some((id) => chosen.has(id)) })
  try {
    for (const family of families) {
      if (family.rows.some(({ id }) => chosen.has(id))) await family.run(bench)
    }
  } finally {
    await bench.close()
  }
  const results = Results.ofRun(rows, bench).filter(({ id }) => chosen.has(id))
  console.log(`\n${Results.table(results)}`)
  if (bench.samples.peer.size === 0) {
    console.log("\nNothing of the official engine: its native build does not load here, or it does not do this.")
  }
  if (isKept) {
    Results.write(Results.merged(rows, Results.read(), results))
    Page.write(rows, { isMeasured: true })
  }
  report(bench.failures)
}

switch (positionals[0]) {
  case "sizes":
    await measureSizes(positionals.slice(1))
    break
  case "all":
    await measureRows([])
    await measureSizes([])
    break
  case "page":
    Page.write(rows, { isMeasured: false })
    break
  default:
    await measureRows(positionals)
}
