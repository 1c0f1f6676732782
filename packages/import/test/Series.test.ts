/**
 * Files that are appended to a series, one after another: those that fit, those that do not, and those that fail or are interrupted on
 * the way, with commits, sessions that are begun again, and files that are replaced. A list of what has to be there is the model.
 */
import { assert, describe, it } from "@effect/vitest"
import { Concatenation, Import } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import { file, read } from "./support/Series.ts"
import * as World from "./support/World.ts"

const flaws = ["grid", "units", "packing", "gone", "interrupted", "refused"] as const

type Step =
  | { readonly _tag: "Append"; readonly length: number; readonly flaw: (typeof flaws)[number] | undefined }
  | { readonly _tag: "Commit" }
  | { readonly _tag: "Begin" }
  | { readonly _tag: "Replace"; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      _tag: fc.constant("Append" as const),
      length: fc.constantFrom(2, 2, 4, 1, 3),
      flaw: fc.option(fc.constantFrom(...flaws), { nil: undefined, freq: 2 })
    })
  },
  { weight: 2, arbitrary: fc.constant({ _tag: "Commit" } as const) },
  { weight: 1, arbitrary: fc.constant({ _tag: "Begin" } as const) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Replace" as const), which: fc.nat({ max: 9 }) }) }
)

/** A file of the series: where it is and its times. */
interface Part {
  readonly key: string
  readonly times: ReadonlyArray<number>
}

const flawed = (flaw: Extract<Step, { readonly _tag: "Append" }>["flaw"]) =>
  flaw === "grid"
    ? { x: [10, 21] }
    : flaw === "units"
      ? { units: "days since 2001-01-01" }
      : flaw === "packing"
        ? { attributes: { scale_factor: 2 } }
        : {}

/** A session that fails, or is interrupted, when refs are set the second time. */
const failing = (session: World.World["session"], flaw: string | undefined): World.World["session"] => {
  if (flaw !== "interrupted" && flaw !== "refused") return session
  let calls = 0
  const setVirtualRefs = (...[path, refs, options]: Parameters<typeof session.setVirtualRefs>) =>
    Effect.suspend(() => {
      if (++calls === 1) return session.setVirtualRefs(path, refs, options)
      return flaw === "interrupted"
        ? Effect.interrupt
        : session.setVirtualRefs(path, { ...refs, locations: "?" }, options)
    })
  return { ...session, setVirtualRefs: setVirtualRefs as typeof session.setVirtualRefs }
}

const run = Effect.fnUntraced(function* (steps: ReadonlyArray<Step>) {
  const { objects, put, repository, session: begun } = yield* World.make
  let session = begun
  let now: ReadonlyArray<Part> = []
  const replaced = new Set<string>()
  let names = 0
  const lengthOf = (parts: ReadonlyArray<Part>) => parts.reduce((sum, { times }) => sum + times.length, 0)
  const made = Effect.fnUntraced(function* (length: number, flaw?: (typeof flaws)[number]) {
    const key = `f${names++}`
    const times = Array.from({ length }, (_, i) => lengthOf(now) + i)
    return { part: { key, times }, source: yield* file(put, key, times, flawed(flaw)) }
  })

  const first = yield* made(2)
  yield* Import.into(session, "/runs", first.source.dataset, { capture: true })
  yield* session.commit("first")
  now = [first.part]
  let committed = now

  const agrees = Effect.gen(function* () {
    if (!now.some(({ key }) => replaced.has(key))) {
      const times = now.flatMap((part) => part.times)
      const wind = times.flatMap((time) => [time * 10, time * 10 + 1])
      assert.deepStrictEqual(yield* read(session, "/runs/time"), { values: times, shape: [times.length] })
      assert.deepStrictEqual(yield* read(session, "/runs/wind"), { values: wind, shape: [times.length, 2] })
    }
    // By chunks, where files were replaced: theirs are errors, and all others as before.
    let at = 0
    for (const { key, times } of now) {
      for (let from = 0; from < times.length; from += 2) {
        const chunk = yield* Effect.result(session.chunk("/runs/time", [at++]))
        assert.strictEqual(Result.isFailure(chunk), replaced.has(key))
        if (Result.isFailure(chunk)) assert.strictEqual(chunk.failure._tag, "ChecksumMismatch")
        else assert.strictEqual(new Int32Array(chunk.success!.slice().buffer)[0], times[from], key)
      }
    }
  })

  for (const one of steps) {
    switch (one._tag) {
      case "Append": {
        const { part, source } = yield* made(one.length, one.flaw)
        if (one.flaw === "gone") yield* objects.delete([`bucket/${part.key}`])
        const exit = yield* Effect.exit(
          Concatenation.append(failing(session, one.flaw), "/runs", source, { dimension: "time", capture: true })
        )
        const fits = one.flaw === undefined && lengthOf(now) % 2 === 0 && !replaced.has(now[0]!.key)
        if (fits) assert.isTrue(Exit.isSuccess(exit), String(exit))
        if (Exit.isSuccess(exit)) {
          assert.isTrue(one.flaw === undefined && lengthOf(now) % 2 === 0, String(one.flaw))
          assert.deepStrictEqual([exit.value.from, exit.value.to], [lengthOf(now), lengthOf(now) + one.length])
          now = [...now, part]
        }
        break
      }
      case "Commit":
        if (now !== committed) yield* session.commit("more")
        else assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
        committed = now
        break
      case "Begin":
        session = yield* repository.writableSession("main")
        now = committed
        break
      case "Replace": {
        const { key } = now[one.which % now.length]!
        yield* put(key, new Uint8Array(200).fill(9))
        replaced.add(key)
      }
    }
    yield* agrees
  }
})

describe("a series of files", () => {
  it("is what was appended to it, whatever fails in between", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) =>
        run(steps).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 60 }
    ))
})
