// Imports nothing of the engine by itself: that is what is measured.
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { Input, Samples, Tasks } from "../Work.ts"

const seconds = (from: number): number => (performance.now() - from) / 1000

const load = async ({ directory }: Input): Promise<Samples> => {
  const start = performance.now()
  const { default: icechunk } = await import("@earthmover/icechunk")
  const imported = seconds(start)
  if (!("setVirtualRefs" in icechunk.Store.prototype)) return {}
  const repository = await icechunk.Repository.open(await icechunk.Storage.newLocalFilesystem(directory))
  const { store } = await repository.readonlySession({ branch: "main" })
  const bytes = await store.get("data/c/1")
  const inAll = seconds(start)
  const { isChunk } = await import("../works/load.ts")
  if (!isChunk(bytes)) throw new Error("the chunk is another one")
  return { import: { value: imported }, "import-read": { value: inAll } }
}

/** The script of its build for browsers, and the WebAssembly that it loads. */
const bundle = async (): Promise<Samples> => {
  const { compressed, loadedOf } = await import("../../../scripts/webPage.ts")
  const build = path.dirname(
    createRequire(import.meta.url).resolve("@earthmover/icechunk-wasm32-wasi/icechunk.wasi-browser.js")
  )
  const script = await loadedOf({ text: `export * from "./icechunk.wasi-browser.js"`, directory: build, external: [] })
  const wasm = fs.readFileSync(path.join(build, "icechunk.wasm32-wasi.wasm"))
  const worker = fs.readFileSync(path.join(build, "wasi-worker-browser.mjs"))
  const workerScript = await loadedOf({ text: worker.toString(), directory: build, external: [] })
  return { bundle: { value: script.size + workerScript.size + compressed(wasm) } }
}

export const tasks: Tasks = { import: load, bundle }
