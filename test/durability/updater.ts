/**
 * `updater.ts DIRECTORY NAME COUNT`: adds `NAME:0` ... to the list `seen` of the configuration, `COUNT`
 * updates at once.
 */
import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import { services } from "../support/FsServices.ts"

const [directory = "", name = "", count = "0"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const repository = yield* Repository.open()
  yield* Effect.forEach(
    Array.from({ length: Number(count) }, (_, i) => `${name}:${i}`),
    (mark) =>
      repository.config.update((config) => ({
        ...config,
        additional_fields: {
          ...config.additional_fields,
          seen: [...((config.additional_fields?.["seen"] as ReadonlyArray<string> | undefined) ?? []), mark]
        }
      })),
    { concurrency: "unbounded" }
  )
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(services(directory))))
