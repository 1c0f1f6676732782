import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Repository } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { services } from "../support/FsServices.ts"
import { inline, native } from "./values.ts"

const kills = Number(process.env["TEST_KILLS"] ?? 200)

/** How long a step of a committer took when it was last seen, in milliseconds: where in a step a kill falls. */
let step = 20

/**
 * Starts a committer, kills it within the step after its `lines`-th line, at `share` of the time that a step
 * takes, and returns what it said.
 */
const killed = (directory: string, lines: number, share: number): Promise<ReadonlyArray<string>> =>
  new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ["--conditions=@effect-icechunk/source", path.join(import.meta.dirname, "committer.ts"), directory],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let output = ""
    let seen = 0
    let before = 0
    child.stdout.setEncoding("utf8")
    child.stdout.on("data", (text: string) => {
      output += text
      const now = performance.now()
      for (const _ of text.matchAll(/\n/g)) {
        if (seen > 0) step = Math.min(1000, Math.max(1, now - before))
        before = now
        if (seen++ === lines) setTimeout(() => child.kill("SIGKILL"), share * step)
      }
    })
    child.on("error", reject)
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve(output.split("\n").filter((line) => line !== ""))
      else reject(new Error(`the committer ended by itself with ${String(code)}: ${output}`))
    })
  })

const last = (lines: ReadonlyArray<string>, word: string, before: number): number =>
  lines.reduce((latest, line) => (line.startsWith(`${word} `) ? Number(line.slice(word.length + 1)) : latest), before)

/** What a new program finds, which must be whole. */
const inspect = Effect.scoped(
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    const session = yield* repository.readonlySession({ branch: "main" })
    const history = yield* repository.history({ branch: "main" })
    const number = Number(/\d+/.exec(history[0]!.message)?.[0] ?? 0)
    if (number > 0) {
      assert.deepStrictEqual(yield* session.chunk("/a", [0]), native(number))
      assert.deepStrictEqual(yield* session.chunk("/a", [1]), inline(number))
    }
    const counter = (yield* repository.config.persisted).additional_fields?.["counter"]
    return {
      number,
      counter: (counter as number | undefined) ?? 0,
      messages: history.map(({ message }) => message)
    }
  })
)

/** Kills committers of one repository, one after the other, and looks at what each left. */
const survive = Effect.fnUntraced(function* (rounds: number) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-kill-"))
  yield* Effect.scoped(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", { shape: [2000], chunkShape: [1000], dataType: "uint8", fillValue: 0 })
      yield* session.commit("array")
    })
  ).pipe(Effect.provide(services(directory)))
  let commits = 0
  let counter = 0
  for (let round = 0; round < rounds; round++) {
    // Within the first commit, the first update of the configuration, or the second commit; at points that
    // sweep over each.
    const lines = yield* Effect.promise(() => killed(directory, round % 3, ((round * 37) % 101) / 90))
    const found = yield* Effect.provide(inspect, services(directory))
    const saidCommit = last(lines, "commit", commits)
    const saidCounter = last(lines, "config", counter)
    // What was said is there; what was under way may be.
    assert.include([saidCommit, saidCommit + 1], found.number, `commits after kill ${round}`)
    assert.include([saidCounter, saidCounter + 1], found.counter, `config after kill ${round}`)
    assert.deepStrictEqual(found.messages, [
      ...Array.from({ length: found.number }, (_, i) => `commit ${found.number - i}`),
      "array",
      "Repository initialized"
    ])
    commits = found.number
    counter = found.counter
  }
  assert.isAbove(commits, rounds / 4)
  fs.rmSync(directory, { recursive: true })
})

describe("a process that is killed while it commits and updates the configuration", () => {
  it.live(
    `leaves the old or the new state, ${kills} times, and nothing committed is lost`,
    () => Effect.all([survive(Math.ceil(kills / 2)), survive(Math.floor(kills / 2))], { concurrency: 2 }),
    600_000
  )
})
