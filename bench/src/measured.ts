/**
 * One measured process: `measured.ts ours|peer FAMILY TASK INPUT`. Prints the samples as JSON, or `null` where the
 * official engine's native build does not load.
 */
import * as Meter from "./Meter.ts"
import type { Input, Tasks } from "./Work.ts"

const [side = "", family = "", task = "", input = "{}"] = process.argv.slice(2)

/** Of loading, the peer's task itself finds out: it must be the first to load it. */
const loads = async (): Promise<boolean> =>
  side === "ours" || family === "load" || (await import("./peer/Engine.ts")).isNative

const run = async (): Promise<unknown> => {
  if (!(await loads())) return null
  const { tasks } = (await import(`./${side}/${family}.ts`)) as { readonly tasks: Tasks }
  const found = tasks[task]
  if (found === undefined) return null
  const samples = await found(JSON.parse(input) as Input)
  const peakMemory = Meter.peakMemory()
  return Object.fromEntries(Object.entries(samples).map(([id, sample]) => [id, { peakMemory, ...sample }]))
}

const result = await run()
// What a program leaves open must not keep the next measurement waiting.
process.stdout.write(`\n${JSON.stringify(result)}\n`, () => process.exit(0))
