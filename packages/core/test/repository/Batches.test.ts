/**
 * Work that is done together with all that waits.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import * as Batches from "../../src/repository/changes/Batches.ts"

/** Long enough that whoever can go on does. */
const turn = Effect.promise(async () => {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve))
})

/** Batches that each wait until they are let on; what they had in them. */
const held = Effect.fnUntraced(function* (limit = 64) {
  const batches: Array<ReadonlyArray<Batches.Piece<number>>> = []
  const gates: Array<Deferred.Deferred<void>> = []
  let running = 0
  const submit = Batches.make<number, string, string>(
    Effect.fnUntraced(
      function* (batch) {
        assert.strictEqual(++running, 1, "one batch at a time")
        batches.push(batch)
        const gate = yield* Deferred.make<void>()
        gates.push(gate)
        yield* Deferred.await(gate)
        return batch.map(({ work }) => (work < 0 ? Exit.fail(`no ${work}`) : Exit.succeed(`did ${work}`)))
      },
      Effect.ensuring(Effect.sync(() => running--))
    ),
    limit
  )
  /** Lets the batch on that runs. */
  const next = Effect.suspend(() => Effect.andThen(Deferred.succeed(gates.at(-1)!, undefined), turn))
  const start = (work: number) => Effect.tap(Effect.forkChild(submit(work)), () => turn)
  const works = () => batches.map((batch) => batch.map(({ work }) => work))
  return { batches, next, start, works }
})

describe("batches", () => {
  it.effect("begin at once, and take all that has come meanwhile, in its order, up to a limit", () =>
    Effect.gen(function* () {
      const { next, start, works } = yield* held(3)
      const fibers = []
      for (const work of [1, 2, 3, 4, 5]) fibers.push(yield* start(work))
      for (let i = 0; i < 3; i++) yield* next
      assert.deepStrictEqual(works(), [[1], [2, 3, 4], [5]])
      assert.deepStrictEqual(
        yield* Effect.forEach(fibers, Fiber.join),
        [1, 2, 3, 4, 5].map((work) => `did ${work}`)
      )
      // And begin again after a pause.
      const last = yield* start(6)
      yield* next
      assert.strictEqual(yield* Fiber.join(last), "did 6")
    })
  )

  it.effect("answer each piece of work for itself", () =>
    Effect.gen(function* () {
      const { next, start } = yield* held()
      const fibers = []
      for (const work of [0, 1, -2, 3]) fibers.push(yield* start(work))
      yield* next
      yield* next
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, [
        Exit.succeed("did 0"),
        Exit.succeed("did 1"),
        Exit.fail("no -2"),
        Exit.succeed("did 3")
      ])
    })
  )

  it.effect("that die tell all of their pieces, and the next one is done", () =>
    Effect.gen(function* () {
      const mayDie = yield* Deferred.make<void>()
      const submit = Batches.make<number, number, never>(
        (batch) =>
          batch.some(({ work }) => work === 0)
            ? Effect.andThen(Deferred.await(mayDie), Effect.die("broken"))
            : Effect.succeed(batch.map(({ work }) => Exit.succeed(work))),
        2
      )
      const fibers = []
      for (const work of [0, 0, 0, 1]) fibers.push(yield* Effect.forkChild(submit(work)))
      yield* turn
      yield* Deferred.succeed(mayDie, undefined)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(
        exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause))),
        ["broken", "broken", "broken", 1]
      )
    })
  )

  it.effect("do not have what was taken back while it waited", () =>
    Effect.gen(function* () {
      const { next, start, works } = yield* held()
      const [first, second, third] = [yield* start(1), yield* start(2), yield* start(3)]
      yield* Fiber.interrupt(second)
      yield* next
      yield* next
      assert.deepStrictEqual(works(), [[1], [3]])
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(third)], ["did 1", "did 3"])
    })
  )

  it.effect("go on for the others when one of them is interrupted, which is told that it is not wanted and waits", () =>
    Effect.gen(function* () {
      const { batches, next, start } = yield* held()
      const first = yield* start(1)
      const [second, third] = [yield* start(2), yield* start(3)]
      yield* next
      const leaving = yield* Effect.forkChild(Fiber.interrupt(second))
      yield* turn
      assert.deepStrictEqual(
        batches[1]!.map(({ isWanted }) => isWanted()),
        [false, true]
      )
      assert.isUndefined(leaving.pollUnsafe(), "it waits for what has begun")
      yield* next
      yield* Fiber.join(leaving)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(second)))
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(third)], ["did 1", "did 3"])
    })
  )

  it.effect("are interrupted when nobody wants anything of them, and the next one is done", () =>
    Effect.gen(function* () {
      const { next, start, works } = yield* held(2)
      const first = yield* start(1)
      const fibers = [yield* start(2), yield* start(3), yield* start(4)]
      yield* next
      yield* Fiber.interruptAll(fibers.slice(0, 2))
      yield* turn
      assert.deepStrictEqual(works(), [[1], [2, 3], [4]])
      yield* next
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(fibers[2]!)], ["did 1", "did 4"])
    })
  )

  it.effect("go on also when the first is left before its fiber has begun", () =>
    Effect.gen(function* () {
      const submit = Batches.make<number, number, never>(
        (batch) => Effect.succeed(batch.map(({ work }) => Exit.succeed(work))),
        1
      )
      const first = yield* Effect.forkChild(submit(1), { startImmediately: true })
      const second = yield* Effect.forkChild(submit(2), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* turn
      assert.deepStrictEqual(second.pollUnsafe(), Exit.succeed(2))
    })
  )

  it.effect("go on however often their fibers make way for others", () =>
    Effect.gen(function* () {
      let running = 0
      const submit = Batches.make<number, number, never>(
        Effect.fnUntraced(
          function* (batch) {
            assert.strictEqual(++running, 1, "one batch at a time")
            return batch.map(({ work }) => Exit.succeed(work))
          },
          Effect.ensuring(Effect.sync(() => running--))
        ),
        2
      )
      for (let ops = 4; ops <= 60; ops++) {
        const done = yield* Effect.forEach([1, 2, 3, 4, 5], submit, { concurrency: "unbounded" }).pipe(
          Effect.provideService(References.MaxOpsBeforeYield, ops),
          Effect.forkChild
        )
        for (let i = 0; i < 5; i++) yield* turn
        assert.deepStrictEqual(done.pollUnsafe(), Exit.succeed([1, 2, 3, 4, 5]), `${ops} operations`)
      }
    })
  )

  it("answer each piece once, whenever it comes and whoever is interrupted", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(
          fc.record({
            at: fc.nat(60),
            fails: fc.boolean(),
            /** After how long it is interrupted. */
            leaves: fc.option(fc.nat(30), { nil: undefined })
          }),
          { minLength: 1, maxLength: 12 }
        ),
        (limit, pieces) =>
          Effect.gen(function* () {
            const begun: Array<ReadonlyArray<number>> = []
            let running = 0
            const submit = Batches.make<number, number, string>(
              Effect.fnUntraced(
                function* (batch) {
                  assert.strictEqual(++running, 1)
                  assert.isAtMost(batch.length, limit)
                  begun.push(batch.map(({ work }) => work))
                  yield* Effect.sleep(10)
                  return batch.map(({ work }) => (pieces[work]!.fails ? Exit.fail(`no ${work}`) : Exit.succeed(work)))
                },
                Effect.ensuring(Effect.sync(() => running--))
              ),
              limit
            )
            const came: Array<number> = []
            const exits = yield* Effect.forEach(
              pieces,
              ({ at, leaves }, i) =>
                Effect.gen(function* () {
                  yield* Effect.sleep(at)
                  const fiber = yield* Effect.forkChild(
                    Effect.suspend(() => {
                      came.push(i)
                      return submit(i)
                    })
                  )
                  if (leaves !== undefined) {
                    yield* Effect.sleep(leaves)
                    yield* Fiber.interrupt(fiber)
                  }
                  return yield* Fiber.await(fiber)
                }),
              { concurrency: "unbounded" }
            ).pipe(
              Effect.forkChild,
              Effect.tap((all) =>
                Effect.gen(function* () {
                  for (let i = 0; i < 500 && all.pollUnsafe() === undefined; i++) yield* TestClock.adjust(1)
                  assert.isDefined(all.pollUnsafe(), "all are answered")
                })
              ),
              Effect.flatMap(Fiber.join)
            )
            const done = begun.flat()
            assert.deepStrictEqual(done, [...new Set(done)], "each begins once")
            assert.deepStrictEqual(
              done,
              came.filter((work) => done.includes(work)),
              "in the order in which they came"
            )
            exits.forEach((exit, i) => {
              const answer = pieces[i]!.fails ? Exit.fail(`no ${i}`) : Exit.succeed(i)
              if (pieces[i]!.leaves === undefined || !Exit.hasInterrupts(exit)) {
                assert.deepStrictEqual(exit, answer)
                assert.include(done, i)
              }
            })
            assert.strictEqual(running, 0)
          }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
      ),
      { numRuns: 300 }
    ))
})
