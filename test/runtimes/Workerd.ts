/**
 * A Cloudflare Worker on this machine: `workerd` is what runs them in the cloud.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as esbuild from "esbuild"
import type { Runtime } from "./Runtimes.ts"

/** A worker as its deployment bundles it: with the conditions that `wrangler` gives, and the sources of this repository. */
export const bundle = async (file: string): Promise<string> => {
  const { outputFiles } = await esbuild.build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    conditions: ["@effect-icechunk/source", "workerd", "worker", "browser"],
    logLevel: "silent"
  })
  return outputFiles[0]!.text
}

export interface Worker extends AsyncDisposable {
  readonly url: string
  /** What it has written to its log. */
  readonly said: () => string
}

const config = (bindings: Readonly<Record<string, string>>): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-11-01",
      bindings = [${Object.entries(bindings)
        .map(([name, text]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)})`)
        .join(", ")}],
      globalOutbound = "network"
    )),
    (name = "network", network = (allow = ["local"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`

/** Starts a worker, which may reach this machine and nothing else. */
export const serve = async (
  { program }: Runtime,
  code: string,
  bindings: Readonly<Record<string, string>>
): Promise<Worker> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-worker-"))
  fs.writeFileSync(path.join(directory, "worker.js"), code)
  fs.writeFileSync(path.join(directory, "config.capnp"), config(bindings))
  const child = spawn(program, ["serve", "config.capnp", "--control-fd=3"], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe", "pipe"]
  })
  let said = ""
  const listen = (data: Buffer): void => {
    said = (said + data.toString()).slice(-20_000)
  }
  child.stdout!.on("data", listen)
  child.stderr!.on("data", listen)
  const closed = new Promise<void>((resolve) => {
    child.on("close", () => resolve())
    child.on("error", () => resolve())
  })
  const end = async (): Promise<void> => {
    child.kill("SIGKILL")
    await closed
    fs.rmSync(directory, { recursive: true, force: true })
  }
  const port = new Promise<number>((resolve, reject) => {
    let told = ""
    child.stdio[3]!.on("data", (data: Buffer) => {
      told += data.toString()
      const line = told.split("\n").find((line) => line.includes('"port"'))
      if (line !== undefined) resolve((JSON.parse(line) as { readonly port: number }).port)
    })
    child.on("error", reject)
    child.on("exit", (code) => reject(new Error(`workerd ended with ${code}:\n${said}`)))
  })
  try {
    return { url: `http://127.0.0.1:${await port}`, said: () => said, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}
