/**
 * Processes that commit to one branch at the same time, and what must hold afterwards.
 */
import { execFile } from "node:child_process"
import * as path from "node:path"
import { promisify } from "node:util"
import { ObjectStore, Repository } from "@effect-icechunk/core"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as RepoObject from "../../packages/core/src/repository/versions/RepoObject.ts"
import * as Place from "./Place.ts"

/** Commits of one writer at most. */
const most = 1000

/** Where commit number `i` of a writer is in the array of all. */
export const chunkOf = (writer: number, i: number): number => writer * most + i

/** The array of a writer. */
export const pathOf = (writer: number | string): string => `/of-${writer}`

export interface Size {
  readonly writers: number
  /** Commits of each. */
  readonly each: number
  /** What runs them, in turns; this Node unless given. */
  readonly programs?: ReadonlyArray<Command>
}

/** What runs a module: a program, and its arguments before the module's name. */
export interface Command {
  readonly program: string
  readonly args: ReadonlyArray<string>
}

const node: Command = {
  program: process.execPath,
  args: ["--disable-warning=ExperimentalWarning", "--conditions=@effect-icechunk/source"]
}

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

const array = (length: number) => ({ shape: [length], chunkShape: [1], dataType: "uint8", fillValue: 0 })

const prepare = ({ each, writers }: Size) =>
  Effect.gen(function* () {
    const session = yield* (yield* Repository.create()).writableSession("main")
    yield* session.createArray("/all", array(writers * most))
    for (const writer of range(writers)) yield* session.createArray(pathOf(writer), array(each))
    yield* session.commit("arrays")
  })

const run = promisify(execFile)

const start = ({ args, program }: Command, place: string, writer: number, each: number): Promise<unknown> =>
  run(program, [...args, path.join(import.meta.dirname, "writer.ts"), place, String(writer), String(each)])

/**
 * Every commit is in the branch once, in the order of its writer, after the snapshot that it was done on; its own snapshot
 * has its chunks, those of all commits before it and no others; and the log of operations has each once, in that order.
 */
const check = ({ each, writers }: Size) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    const history = (yield* repository.history({ branch: "main" })).toReversed()
    const made = history.slice(2)
    const names = made.map(({ message }) => message)
    const wanted = range(writers).map((writer) => range(each).map((i) => `${writer}.${i}`))
    assert.deepStrictEqual(names.toSorted(), wanted.flat().toSorted(), "each commit is there once")
    for (const [writer, own] of wanted.entries()) {
      assert.deepStrictEqual(
        names.filter((name) => name.startsWith(`${writer}.`)),
        own,
        "in the order of its writer"
      )
    }
    const placeOf = new Map<string, number>(history.map(({ id }, place) => [id, place]))
    const seen: Array<number> = []
    for (const [at, { id, message }] of made.entries()) {
      const session = yield* repository.readonlySession({ snapshotId: id })
      const [writer = 0, i = 0] = message.split(".").map(Number)
      seen.push(chunkOf(writer, i))
      const [own, all] = yield* Effect.all([
        session.chunk(pathOf(writer), [i]),
        session.chunk("/all", [chunkOf(writer, i)])
      ])
      const text = new TextDecoder().decode(own)
      assert.strictEqual(new TextDecoder().decode(all), text)
      const [name, base = ""] = text.split(" on ")
      assert.strictEqual(name, message)
      assert.isBelow(placeOf.get(base) ?? Infinity, at + 2, `${message} comes after what it was done on`)
      const there = yield* Stream.runCollect(session.chunkIndices("/all"))
      assert.deepStrictEqual(
        there.map(([n]) => n!).toSorted((a, b) => a - b),
        seen.toSorted((a, b) => a - b),
        `${message} has what was committed before it`
      )
    }
    const tip = yield* repository.readonlySession({ branch: "main" })
    for (const name of names) {
      const [writer = 0, i = 0] = name.split(".").map(Number)
      const bytes = yield* tip.chunk("/all", [chunkOf(writer, i)])
      assert.strictEqual(new TextDecoder().decode(bytes).split(" on ")[0], name)
    }
    const { info } = yield* RepoObject.read(yield* ObjectStore.ObjectStore)
    assert.strictEqual(info.snapshots.size, history.length)
    const logged = info.latestUpdates.flatMap(({ update }) =>
      update._tag === "NewCommit" ? [update.newSnapshotId] : []
    )
    assert.deepStrictEqual(
      logged,
      history
        .slice(1)
        .map(({ id }) => id)
        .toReversed()
        .slice(0, logged.length)
    )
  })

/** Lets processes commit, looks at all that they did, and says how many seconds the commits took. */
export const writeAndCheck = Effect.fnUntraced(function* (place: string, size: Size) {
  const inPlace = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.scoped(effect).pipe(Effect.provide(Place.services(place)))
  yield* inPlace(prepare(size))
  const { each, programs = [node], writers } = size
  const begun = performance.now()
  yield* Effect.promise(() =>
    Promise.all(range(writers).map((writer) => start(programs[writer % programs.length]!, place, writer, each)))
  )
  const seconds = (performance.now() - begun) / 1000
  yield* inPlace(check(size))
  return seconds
})
