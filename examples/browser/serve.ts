/**
 * Writes the sample, serves it, and opens the page on it:
 *
 *   npx -y pnpm@12 browser
 *
 * `PORT` is where the page is (default 5173), the sample one port further.
 */
import * as path from "node:path"
import { createServer } from "vite"
import { samplePlugin } from "./server/SamplePlugin.ts"
import * as SampleSite from "./server/SampleSite.ts"

const port = Number(process.env["PORT"] ?? 5173)
const directory = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../../demo-output/browser"))

const site = await SampleSite.start({ directory, port: port + 1 })
const page = await createServer({
  configFile: path.join(import.meta.dirname, "vite.config.ts"),
  clearScreen: false,
  logLevel: "warn",
  server: { host: "127.0.0.1", port, strictPort: true },
  plugins: [samplePlugin(site.sample)]
})
await page.listen()

console.log(`The page         http://127.0.0.1:${port}/`)
console.log(`Its repository   ${site.sample.repository}`)
console.log("Ctrl-C ends both.")

const end = async (): Promise<void> => {
  await page.close()
  await site[Symbol.asyncDispose]()
  process.exit()
}
process.once("SIGINT", () => void end())
process.once("SIGTERM", () => void end())
