/**
 * `committer.ts DIRECTORY`: commits and updates the configuration until it is killed, and prints a line
 * for each that succeeded: `commit N` or `config N`.
 *
 * Commit `N` writes `N` into one chunk natively and into another inline; config update `N` sets `counter`.
 */
import * as fs from "node:fs"
import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import { services } from "../support/FsServices.ts"
import { native, inline } from "./values.ts"

const [directory = ""] = process.argv.slice(2)

const say = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    // Written at once, so that what was said is said when the process dies.
    fs.writeSync(1, `${line}\n`)
  })

const program = Effect.gen(function* () {
  const repository = yield* Repository.open()
  const session = yield* repository.writableSession("main")
  const [latest] = yield* repository.history({ branch: "main" })
  let number = Number(/\d+/.exec(latest?.message ?? "")?.[0] ?? 0)
  yield* say("ready")
  for (;;) {
    number++
    yield* session.setChunk("/a", [0], native(number))
    yield* session.setChunk("/a", [1], inline(number))
    yield* session.commit(`commit ${number}`)
    yield* say(`commit ${number}`)
    const { additional_fields } = yield* repository.config.update((config) => ({
      ...config,
      additional_fields: {
        ...config.additional_fields,
        counter: ((config.additional_fields?.["counter"] as number | undefined) ?? 0) + 1
      }
    }))
    yield* say(`config ${String(additional_fields?.["counter"])}`)
  }
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(services(directory))))
