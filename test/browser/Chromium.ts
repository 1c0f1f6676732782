/**
 * A Chromium to run a page in, where there is one.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const candidates = [
  process.env["CHROME_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]

/** The program, or `undefined`. */
export const chromium: string | undefined = candidates.find((file) => file !== undefined && fs.existsSync(file))

export interface Browser extends AsyncDisposable {
  /** Rejects when the browser ends by itself, with what it said. */
  readonly ended: Promise<never>
}

/** Opens a page in a browser without a window and without a past. */
export const open = (program: string, url: string): Browser => {
  const userData = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-browser-"))
  const browser = spawn(
    program,
    [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${userData}`,
      url
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  let said = ""
  browser.stderr.on("data", (data: Buffer) => {
    said = (said + data.toString()).slice(-4000)
  })
  const closed = new Promise<void>((resolve) => {
    browser.on("close", () => resolve())
    browser.on("error", () => resolve())
  })
  const ended = new Promise<never>((_, reject) => {
    browser.on("error", reject)
    browser.on("exit", (code) => reject(new Error(`The browser ended with ${code}:\n${said}`)))
  })
  // It is only of interest while somebody waits for the page.
  ended.catch(() => {})
  return {
    ended,
    [Symbol.asyncDispose]: async () => {
      browser.kill("SIGKILL")
      await closed
      // Its other processes may still be writing for a moment.
      fs.rmSync(userData, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}
