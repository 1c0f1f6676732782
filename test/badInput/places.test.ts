/**
 * Where a repository is not, cannot be, or cannot be written.
 *
 * Permissions deny nothing to the superuser: where the tests run as root, they give up that right for as long as
 * a test needs, and where that is not possible, the test is skipped by name.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Repository, RepositoryConfig } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Support from "../support/DirectoryRepository.ts"
import { services } from "../support/FsServices.ts"

const { refuses } = Support

const inDirectory =
  (directory: string) =>
  <A, E>(effect: Effect.Effect<A, E, Effect.Services<ReturnType<typeof Repository.create>>>) =>
    Effect.scoped(effect).pipe(Effect.provide(services(directory)))

const open = (place: Support.Place) => inDirectory(place.repository)(Repository.open(Support.options(place)))
const create = (place: Support.Place) => inDirectory(place.repository)(Repository.create())
const openOrCreate = (place: Support.Place) => inDirectory(place.repository)(Repository.openOrCreate())
const exists = (place: Support.Place) => Repository.exists.pipe(Effect.provide(services(place.repository)))

/** A place whose repository is a directory with these files. */
const withFiles = (files: Readonly<Record<string, string>>): Support.Place => {
  const place = Support.newPlace()
  fs.mkdirSync(place.repository)
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(place.repository, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
  }
  return place
}

describe("opening what is no repository", () => {
  const cases: ReadonlyArray<readonly [string, () => Support.Place]> = [
    ["a directory that does not exist", () => Support.newPlace()],
    ["an empty directory", () => withFiles({})],
    ["a directory with other files", () => withFiles({ "notes.txt": "x", "repo.txt": "x", "sub/repo": "x" })],
    [
      "what is left of a repository without its object `repo`",
      () => withFiles({ "config.json": "{}", "snapshots/x": "y" })
    ],
    ["a directory whose `repo` is a directory", () => withFiles({ "repo/x": "y" })],
    [
      "a file",
      () => {
        const place = Support.newPlace()
        fs.writeFileSync(place.repository, "x")
        return place
      }
    ],
    [
      "a directory below a file",
      () => {
        const place = withFiles({ file: "x" })
        return { ...place, repository: path.join(place.repository, "file", "repository") }
      }
    ]
  ]
  for (const [name, make] of cases) {
    it.live(`fails with where it was looked for, and makes nothing: ${name}`, () =>
      Effect.gen(function* () {
        const place = make()
        yield* refuses(place, open(place), {
          tag: "RepositoryNotFound",
          says: [`file://${place.repository}`, "no object `repo`"]
        })
        assert.isFalse(yield* exists(place))
      })
    )
  }

  it.live("fails when `repo` is something else, and what it is", () =>
    Effect.gen(function* () {
      for (const content of ["", "{}", "ICE", "ICE🧊CHUNK"]) {
        const place = withFiles({ repo: content })
        yield* refuses(place, open(place), { tag: "FormatError", says: ["`repo`", "header."] })
        yield* refuses(place, openOrCreate(place), { tag: "FormatError", says: ["`repo`"] })
      }
    })
  )

  it.live.skipIf(process.platform === "win32")("fails, and does not wait, when `repo` is a pipe", () =>
    Effect.gen(function* () {
      const place = withFiles({})
      Support.makePipe(path.join(place.repository, "repo"))
      yield* refuses(place, open(place), { tag: "ObjectStoreError", reason: "Unsupported", says: ["`repo`", "FIFO"] })
    }).pipe(Effect.timeout("5 seconds"))
  )
})

describe("creating a repository", () => {
  it.live("over an existing one is refused, and the one that is there stays as it is", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const before = yield* Support.contents(place)
      yield* refuses(place, create(place), {
        tag: "RepositoryAlreadyExists",
        says: [`file://${place.repository}`, "already", "Open it"]
      })
      const persist = { inline_chunk_threshold_bytes: 1 }
      yield* refuses(place, inDirectory(place.repository)(Repository.create({ persist })), {
        tag: "RepositoryAlreadyExists",
        says: ["already"]
      })
      assert.deepStrictEqual(yield* Support.contents(place), before)
    })
  )

  for (const [name, files, found] of [
    ["a file", { "notes.txt": "mine" }, "notes.txt"],
    ["a file far below", { "a/b/c.txt": "mine" }, "a/b/c.txt"],
    ["a configuration only", { "config.json": "{}" }, "config.json"],
    ["what is left of a repository", { "snapshots/VY76P925PRY57WFEK410": "x" }, "snapshots/VY76P925PRY57WFEK410"]
  ] as const) {
    it.live(`in a directory with ${name} is refused, and names what is there`, () =>
      Effect.gen(function* () {
        const place = withFiles(files)
        const expected = { tag: "RepositoryAlreadyExists", says: ["is not empty", `\`${found}\``] }
        yield* refuses(place, create(place), expected)
        yield* refuses(place, openOrCreate(place), expected)
      })
    )
  }

  it.live("by many at once is done by one of them; the others are told, and can open it", () =>
    Effect.gen(function* () {
      const place = Support.newPlace()
      const exits = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, i) => i),
        () => Effect.exit(create(place)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      for (const exit of exits) {
        if (Exit.isSuccess(exit)) continue
        const error = yield* Effect.flip(exit)
        assert.strictEqual(error._tag, "RepositoryAlreadyExists")
      }
      const repository = yield* inDirectory(place.repository)(Repository.open())
      assert.deepStrictEqual([...(yield* repository.branches)], [["main", "1CECHNKREP0F1RSTCMT0"]])
    })
  )
})

/** Every write that a session and a repository can make, with the directory that each needs. */
const writes = (place: Support.Place) => ({
  chunks: inRepository(place, (session) => session.setChunk("/g/native", [0], new Uint8Array(1000).fill(9))),
  manifests: inRepository(place, (session) =>
    Effect.andThen(session.setChunk("/g/inline", [0], Uint8Array.of(9, 9)), session.commit("late"))
  ),
  snapshots: inRepository(place, (session) => Effect.andThen(session.createGroup("/late"), session.commit("late"))),
  transactions: inRepository(place, (session) => Effect.andThen(session.createGroup("/late"), session.commit("late"))),
  overwritten: inRepository(place, (session) => Effect.andThen(session.createGroup("/late"), session.commit("late")))
})

const inRepository = <A, E>(
  place: Support.Place,
  f: (session: Effect.Success<ReturnType<Repository.RepositoryShape["writableSession"]>>) => Effect.Effect<A, E>
) => Support.inRepository(place)((repository) => Effect.flatMap(repository.writableSession("main"), f))

/** What a failed commit may leave: files that nothing refers to. All that was there is as it was. */
const assertUntouched = (before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>) =>
  Effect.sync(() => {
    for (const [file, content] of Object.entries(before)) assert.strictEqual(after[file], content, file)
    for (const file of Object.keys(after)) {
      if (!(file in before)) assert.match(file, /^\/(chunks|manifests|snapshots|transactions|overwritten)\//)
    }
  })

describe("a part of a repository that cannot be written", () => {
  for (const name of ["chunks", "manifests", "snapshots", "transactions", "overwritten"] as const) {
    it.live(`is refused with its place, and no version changes: a file is where \`${name}\` would be`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const contents = yield* Support.contents(place)
        // Readable as before, for what is there is linked from elsewhere; new files cannot be made in a file.
        const directory = path.join(place.repository, name)
        const aside = path.join(path.dirname(place.repository), `aside-${name}`)
        fs.renameSync(directory, aside)
        fs.writeFileSync(directory, "not a directory")
        const before = Support.tree(place.repository)
        // Without its snapshots a session cannot even be opened.
        const expected: Support.Expected =
          name === "snapshots"
            ? { tag: "ObjectStoreError", reason: "NotFound", says: ["snapshots/"] }
            : name === "manifests"
              ? { tag: "ObjectStoreError", reason: "NotFound", says: ["manifests/"] }
              : {
                  tag: "ObjectStoreError",
                  reason: "Unsupported",
                  says: [`file://${place.repository}`, "object already"]
                }
        const error = yield* Effect.flip(Effect.asVoid(writes(place)[name] as Effect.Effect<unknown, Failure>))
        Support.assertFailure(error, expected)
        yield* assertUntouched(before, Support.tree(place.repository))
        fs.rmSync(directory)
        fs.renameSync(aside, directory)
        assert.deepStrictEqual(yield* Support.contents(place), contents)
      })
    )
  }

  it.live("keeps the changes of the session, which is committed when it can be written again", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const directory = path.join(place.repository, "overwritten")
      yield* inRepository(place, (session) =>
        Effect.gen(function* () {
          yield* session.createGroup("/late")
          fs.renameSync(directory, `${directory}-aside`)
          fs.writeFileSync(directory, "")
          const status = yield* session.status
          const repo = fs.readFileSync(path.join(place.repository, "repo"))
          const error = yield* Effect.flip(session.commit("late"))
          assert.strictEqual(error._tag, "ObjectStoreError")
          assert.deepStrictEqual(yield* session.status, status)
          assert.deepStrictEqual(fs.readFileSync(path.join(place.repository, "repo")), repo)
          fs.rmSync(directory)
          fs.renameSync(`${directory}-aside`, directory)
          yield* session.commit("late")
        })
      )
      assert.isTrue((yield* Support.contents(place)).has('{"branch":"main"} late/zarr.json'))
    })
  )
})

interface Failure {
  readonly _tag: string
  readonly message: string
}

describe("a directory that cannot be made", () => {
  const cases: ReadonlyArray<readonly [string, () => Support.Place]> = [
    [
      "a file is in its place",
      () => {
        const place = Support.newPlace()
        fs.writeFileSync(place.repository, "mine")
        return place
      }
    ],
    [
      "it would be below a file",
      () => {
        const place = Support.newPlace()
        fs.writeFileSync(place.repository, "mine")
        return { ...place, repository: path.join(place.repository, "a", "b") }
      }
    ],
    [
      "it is a link to itself",
      () => {
        const place = Support.newPlace()
        fs.symlinkSync(place.repository, place.repository)
        return place
      }
    ]
  ]
  for (const [name, make] of cases) {
    it.live(`is refused with its place: ${name}`, () =>
      Effect.gen(function* () {
        const place = make()
        yield* refuses(place, create(place), { tag: "ObjectStoreError", says: [`file://${place.repository}`] })
        yield* refuses(place, openOrCreate(place), { tag: "ObjectStoreError", says: [`file://${place.repository}`] })
      })
    )
  }

  it.live.skipIf(process.platform !== "linux")("is refused with its place: the file system makes none (/proc)", () =>
    Effect.gen(function* () {
      const place = { repository: "/proc/icechunk", data: "/proc" }
      const error = yield* Effect.flip(create(place))
      Support.assertFailure(error, { tag: "ObjectStoreError", says: ["file:///proc/icechunk"] })
      assert.isFalse(fs.existsSync(place.repository))
    })
  )
})

/** A user of no rights: `nobody`, where there is one. */
const nobody = 65_534

/** Runs an effect without the rights of the superuser, if the tests have them. */
const unprivileged = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.geteuid?.() === 0
    ? Effect.acquireUseRelease(
        Effect.sync(() => process.seteuid?.(nobody)),
        () => effect,
        () => Effect.sync(() => process.seteuid?.(0))
      )
    : effect

const canBeDenied = ((): boolean => {
  if (process.platform === "win32") return false
  const place = Support.newPlace()
  try {
    fs.mkdirSync(place.repository, { mode: 0o555 })
    fs.accessSync(place.repository)
    if (process.geteuid?.() === 0) process.seteuid?.(nobody)
    try {
      fs.writeFileSync(path.join(place.repository, "x"), "")
      return false
    } finally {
      if (process.getuid?.() === 0) process.seteuid?.(0)
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES"
  }
})()

/** Takes the right to write away, here and below. */
const protect = (directory: string): void => {
  for (let at = directory; at !== path.dirname(Support.root); at = path.dirname(at)) {
    if (at !== directory) fs.chmodSync(at, 0o755)
  }
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    fs.chmodSync(path.join(entry.parentPath, entry.name), entry.isDirectory() ? 0o555 : 0o444)
  }
  fs.chmodSync(directory, 0o555)
}

if (!canBeDenied) console.log("Skipped: directories that may not be written. Nothing can be denied to this user.")

describe.skipIf(!canBeDenied)("a directory that may not be written", () => {
  const denied = (place: Support.Place) => ({
    tag: "ObjectStoreError",
    reason: "PermissionDenied",
    says: [`file://${place.repository}`, "denied"]
  })

  it.live("holds no new repository, and stays empty", () =>
    Effect.gen(function* () {
      const place = withFiles({})
      protect(place.repository)
      yield* refuses(place, unprivileged(create(place)), denied(place))
      yield* refuses(place, unprivileged(openOrCreate(place)), denied(place))
    })
  )

  it.live("is read, and refuses everything that would write", () =>
    Effect.gen(function* () {
      const place = yield* Support.fresh
      protect(place.repository)
      protect(place.data)
      const contents = yield* Support.contents(place)
      assert.deepStrictEqual(yield* unprivileged(Support.contents(place)), contents)
      yield* unprivileged(
        Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            const id = yield* session.snapshotId
            yield* refuses(place, session.setChunk("/g/native", [0], new Uint8Array(2000)), denied(place), session)
            yield* session.createGroup("/late")
            yield* refuses(place, session.commit("late"), denied(place), session)
            yield* refuses(place, repository.createTag("late", id), denied(place), session)
            yield* refuses(place, repository.createBranch("late", id), denied(place), session)
            yield* refuses(place, repository.deleteBranch("next"), denied(place), session)
            yield* refuses(
              place,
              repository.config.update(RepositoryConfig.setContainer({ name: "x", protocol: "x", platform: "s3" })),
              denied(place),
              session
            )
          })
        )
      )
      assert.deepStrictEqual(yield* Support.contents(place), contents)
    })
  )

  it.live("hides what may not be read: a typed error, never fill values", () =>
    Effect.gen(function* () {
      const place = yield* Support.fresh
      protect(place.repository)
      protect(place.data)
      fs.chmodSync(path.join(place.data, Support.dataFile), 0o000)
      fs.chmodSync(path.join(place.repository, "chunks"), 0o000)
      yield* unprivileged(
        Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            const expected = { tag: "ObjectStoreError", reason: "PermissionDenied" }
            Support.assertFailure(yield* Effect.flip(session.chunk("/g/native", [0])), {
              ...expected,
              says: ["chunks/"]
            })
            Support.assertFailure(yield* Effect.flip(session.chunk("/g/virtual", [0])), {
              ...expected,
              says: ["a.bin"]
            })
            assert.deepStrictEqual(yield* session.chunk("/g/inline", [1]), Support.pattern(2, 1))
          })
        )
      )
    })
  )
})
