/**
 * Maintenance of repositories in directories that must not be done, or not so: nothing is deleted, nothing is written.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Maintenance } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Support from "../support/DirectoryRepository.ts"

const { refuses } = Support

const everything = { olderThan: 0, minimumAge: 0 } as const

const collect = (place: Support.Place, options: Maintenance.CollectOptions = everything) =>
  Support.inRepository(place)((repository) => Maintenance.collectGarbage(repository, options))

/** A copy with a file that nothing needs, made a day older. */
const old = Effect.gen(function* () {
  const place = yield* Support.copy
  fs.writeFileSync(path.join(place.repository, "chunks/0000000000000000000G"), "garbage")
  const yesterday = Date.now() / 1000 - 86_400
  for (const name of fs.readdirSync(place.repository, { recursive: true, encoding: "utf8" })) {
    fs.utimesSync(path.join(place.repository, name), yesterday, yesterday)
  }
  return place
})

const files = (place: Support.Place, directory: string): ReadonlyArray<string> =>
  fs.readdirSync(path.join(place.repository, directory)).map((name) => `${directory}/${name}`)

describe("a collection with a damaged file in the way", () => {
  for (const directory of ["snapshots", "manifests"]) {
    it.live(`of ${directory}: each of them is named, and nothing is deleted`, () =>
      Effect.gen(function* () {
        const names = files(yield* Support.copy, directory)
        assert.isAbove(names.length, 1)
        for (let i = 0; i < names.length; i++) {
          const place = yield* old
          const name = files(place, directory)[i]!
          fs.truncateSync(path.join(place.repository, name), 45)
          yield* refuses(place, collect(place), { tag: "FormatError", says: [name] })
        }
      })
    )
  }

  it.live("of the repository object: it cannot be opened, and nothing is deleted", () =>
    Effect.gen(function* () {
      const place = yield* old
      fs.truncateSync(path.join(place.repository, "repo"), 45)
      yield* refuses(place, collect(place), { tag: "FormatError", says: ["`repo`"] })
    })
  )

  it.live("and without one, deletes the garbage and nothing else", () =>
    Effect.gen(function* () {
      const place = yield* old
      const before = yield* Support.contents(place)
      const done = yield* collect(place, { olderThan: "1 hour" })
      assert.deepStrictEqual(done.deleted.total, { files: 1, bytes: 7 })
      assert.deepStrictEqual(yield* Support.contents(place), before)
      const findings = yield* Support.inRepository(place)((repository) =>
        Stream.runCollect(Maintenance.check(repository))
      )
      assert.deepStrictEqual(findings.slice(0, -1), [])
    })
  )
})

describe("cutoffs", () => {
  it.live("that are none, to come, or too late are refused", () =>
    Effect.gen(function* () {
      const place = yield* old
      const tomorrow = DateTime.makeUnsafe(Date.now() + 86_400_000)
      for (const [options, says] of [
        [{ olderThan: "5 minutes" }, "minimumAge"],
        [{ olderThan: "-5 minutes" }, "length of time"],
        [{ before: tomorrow }, "by the clock of the store"],
        [{ before: tomorrow, minimumAge: 0 }, "by the clock of the store"]
      ] as ReadonlyArray<readonly [Maintenance.CollectOptions, string]>) {
        yield* refuses(place, collect(place, options), { tag: "InvalidCutoff", says: [says] })
      }
      yield* refuses(
        place,
        Support.inRepository(place)((repository) => Maintenance.expire(repository, { before: tomorrow })),
        { tag: "InvalidCutoff", says: ["by the clock of the store"] }
      )
      yield* refuses(
        place,
        Support.inRepository(place)((repository) => Maintenance.cleanOverwritten(repository, { olderThan: "1 hour" })),
        { tag: "InvalidCutoff", says: ["minimumAge"] }
      )
    })
  )

  it.live("younger than an open session are refused while it has something to lose", () =>
    Effect.gen(function* () {
      const place = yield* old
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/g/native", [0], Support.pattern(1000, 50))
          yield* Effect.sleep("20 millis")
          // Also by another program part that has opened the directory by itself.
          yield* refuses(
            place,
            collect(place),
            { tag: "InvalidCutoff", says: ["`main`", "Commit it or discard"] },
            session
          )
          yield* session.commit("now")
        })
      )
      yield* collect(place)
      const read = yield* Support.inRepository(place)((repository) =>
        Effect.flatMap(repository.readonlySession({ branch: "main" }), (session) => session.chunk("/g/native", [0]))
      )
      assert.deepStrictEqual(read, Support.pattern(1000, 50))
    })
  )
})

describe("rewriting manifests", () => {
  it.live("of a branch that there is not is refused", () =>
    Effect.gen(function* () {
      const place = yield* old
      yield* refuses(
        place,
        Support.inRepository(place)((repository) => Maintenance.rewriteManifests(repository, { branch: "nope" })),
        { tag: "RefNotFound", says: ["nope", "main"] }
      )
    })
  )
})
