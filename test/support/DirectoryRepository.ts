/**
 * Repositories in directories for tests of what must not change: each is a copy of one that has every kind of
 * node and chunk, and every operation that is refused is compared with a listing before and after.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Credentials, Repository, type WritableSession, ZarrStore } from "@effect-icechunk/core"
import { afterAll, assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { services } from "./FsServices.ts"

export const root = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-bad-input-"))
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

export interface Place {
  readonly repository: string
  readonly data: string
}

let places = 0

/** Two directories that do not exist yet. */
export const newPlace = (): Place => {
  const directory = path.join(root, String(places++))
  fs.mkdirSync(directory)
  return { repository: path.join(directory, "repository"), data: path.join(directory, "data") }
}

/** What is at a path; nothing also where it is below a file. */
const statsOf = (at: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(at)
  } catch {
    return undefined
  }
}

/** Every file below a directory with its content, every directory and where every link leads. */
export const tree = (directory: string): Readonly<Record<string, string>> => {
  const found: Record<string, string> = {}
  const walk = (at: string, key: string): void => {
    const stats = statsOf(at)
    if (stats === undefined) found[key] = "nothing"
    else if (stats.isSymbolicLink()) found[key] = `link to ${fs.readlinkSync(at)}`
    else if (stats.isDirectory()) {
      found[`${key}/`] = "directory"
      for (const name of fs.readdirSync(at)) walk(path.join(at, name), `${key}/${name}`)
    } else if (stats.isFile()) {
      const content = fs.readFileSync(at)
      found[key] = `${content.length} bytes, ${createHash("sha256").update(content).digest("hex")}`
    } else found[key] = "no file"
  }
  walk(directory, "")
  return found
}

/** Makes a named pipe: whoever opens it to read waits for a writer. */
export const makePipe = (file: string): void => {
  const [program, ...args] = ["mkfifo", file] as const
  execFileSync(program, args)
}

/** Bytes that tell where they come from, none of them zero. */
export const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => 1 + ((i * 31 + seed * 17) % 251))

export const array = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<number>) => ({
  shape,
  chunkShape,
  dataType: "uint8",
  fillValue: 0
})

export const dataFile = "a.bin"

/** The credentials that the containers of a copy need. */
export const options = (place: Place): Repository.OpenOptions => ({
  credentials: { model: Credentials.directory(place.data), file: Credentials.directory(place.data) }
})

/** Opens a repository as a new program would, and runs `f` on it. */
export const inRepository =
  (place: Place, openOptions?: Repository.OpenOptions) =>
  <A, E>(f: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(Repository.open(openOptions ?? options(place)), f)).pipe(
      Effect.provide(services(place.repository))
    )

/** A container with a protocol of its own for the data of a place. */
export const container = (place: Place) => ({
  name: "model",
  protocol: "model",
  platform: "fs",
  bucket_prefix: place.data
})

const fill = (place: Place, session: WritableSession.WritableSession) =>
  Effect.gen(function* () {
    yield* session.createGroup("/", { title: "all kinds" })
    yield* session.createGroup("/g")
    yield* session.createArray("/g/inline", array([6], [2]))
    yield* session.createArray("/g/native", array([3000], [1000]))
    yield* session.createArray("/g/virtual", array([400], [100]))
    yield* session.createArray("/g/plain", array([2, 100], [1, 100]))
    yield* session.createArray("/scalar", array([], []))
    for (let i = 0; i < 3; i++) {
      yield* session.setChunk("/g/inline", [i], pattern(2, i))
      yield* session.setChunk("/g/native", [i], pattern(1000, i))
    }
    yield* session.setChunk("/scalar", [], pattern(1, 9))
    yield* session.setVirtualRefs("/g/virtual", {
      indices: Uint32Array.of(0, 1, 2, 3),
      offsets: [0, 100, 200, 300],
      lengths: [100, 100, 100, 100],
      locations: `model://${path.join(place.data, dataFile)}`
    })
    yield* session.setVirtualRef("/g/plain", [1, 0], {
      location: `file://${path.join(place.data, dataFile)}`,
      offset: 7,
      length: 100
    })
  })

const build = (place: Place) =>
  Effect.scoped(
    Effect.gen(function* () {
      fs.mkdirSync(place.data)
      fs.writeFileSync(path.join(place.data, dataFile), pattern(400, 3))
      const persist = { virtual_chunk_containers: [container(place)] }
      const repository = yield* Repository.create({ ...options(place), persist })
      const session = yield* repository.writableSession("main")
      yield* fill(place, session)
      const one = yield* session.commit("one", { metadata: { author: "test" } })
      yield* repository.createTag("v1", one)
      yield* repository.createBranch("next", one)
      yield* session.setChunk("/g/inline", [0], pattern(2, 77))
      yield* session.commit("two")
    })
  ).pipe(Effect.provide(services(place.repository)))

let template: Place | undefined

/** A copy of the repository; the data files are one and the same for all copies. */
export const copy = Effect.gen(function* () {
  if (template === undefined) {
    const place = newPlace()
    yield* build(place)
    template = place
  }
  const place = newPlace()
  fs.cpSync(template.repository, place.repository, { recursive: true })
  return { repository: place.repository, data: template.data }
})

/** A writable session with a change in it, on a copy of its own. */
export const withSession = <A, E>(
  f: (
    session: WritableSession.WritableSession,
    place: Place,
    repository: Repository.RepositoryShape
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const place = yield* copy
    return yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setChunk("/g/inline", [2], Uint8Array.of(5, 6))
        return yield* f(session, place, repository)
      })
    )
  })

/** A repository with data files of its own. */
export const fresh = Effect.gen(function* () {
  const place = newPlace()
  yield* build(place)
  return place
})

/** All keys and values of the versions of a repository. */
export const contents = (place: Place) =>
  inRepository(place)((repository) =>
    Effect.gen(function* () {
      const found = new Map<string, string>()
      for (const version of [{ branch: "main" }, { branch: "next" }, { tag: "v1" }]) {
        const store = ZarrStore.make(yield* repository.readonlySession(version))
        for (const key of yield* Stream.runCollect(store.list)) {
          const value = yield* store.get(key)
          found.set(
            `${JSON.stringify(version)} ${key}`,
            value === undefined ? "nothing" : Buffer.from(value).toString("hex")
          )
        }
      }
      for (const { id, message, metadata } of yield* repository.history({ branch: "main" })) {
        found.set(id, `${message} ${JSON.stringify(metadata)}`)
      }
      return found
    })
  )

interface Failure {
  readonly _tag: string
  readonly message: string
}

export interface Expected {
  readonly tag: string
  /** Why an `ObjectStoreError` failed. */
  readonly reason?: string
  /** What the message must say. */
  readonly says: ReadonlyArray<string>
}

export const assertFailure = (error: Failure, { reason, says, tag }: Expected): void => {
  assert.strictEqual(error._tag, tag, error.message)
  if (reason !== undefined) {
    assert.strictEqual((error as unknown as { reason: Failure }).reason._tag, reason, error.message)
  }
  for (const part of says) assert.include(error.message, part)
  // "| undefined" is what a schema says of a field that may be absent.
  assert.notMatch(error.message, /(?<!\| )\bundefined\b/)
  assert.notInclude(error.message, "[object")
  assert.notMatch(error.message, /^\w*Error:/)
}

/** Runs what must fail, and shows that neither the repository nor what a session holds has changed. */
export const refuses = <A, E extends Failure, R>(
  place: Place,
  effect: Effect.Effect<A, E, R>,
  expected: Expected,
  session?: WritableSession.WritableSession
) =>
  Effect.gen(function* () {
    const before = tree(place.repository)
    const status = session === undefined ? undefined : yield* session.status
    const error = yield* Effect.match(effect, {
      onFailure: (error) => error,
      onSuccess: () => assert.fail(`It was not refused with ${expected.tag}`)
    })
    assertFailure(error, expected)
    assert.deepStrictEqual(tree(place.repository), before)
    if (session !== undefined) assert.deepStrictEqual(yield* session.status, status)
    return error
  })
