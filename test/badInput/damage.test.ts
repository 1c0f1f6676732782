/**
 * Damaged files of a repository: a typed error that names file and field, and never a crash, a hang, fill values
 * or other data.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { ZarrStore } from "@effect-icechunk/core"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as TransactionLog from "../../packages/core/src/format/TransactionLog.ts"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Support from "../support/DirectoryRepository.ts"

const { refuses } = Support

/** The files of a repository by what they are; those of the tip of `main` where there are several. */
const filesOf = (place: Support.Place) =>
  Support.inRepository(place)((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.readonlySession({ branch: "main" })
      const manifest = (at: string) =>
        Effect.map(session.node(at), ({ data }) => `manifests/${data._tag === "Array" ? data.manifests[0]!.id : ""}`)
      const native = yield* session.chunkRef("/g/native", [0])
      const id = yield* session.snapshotId
      return {
        repo: "repo",
        snapshot: `snapshots/${id}`,
        manifest: yield* manifest("/g/native"),
        otherManifest: yield* manifest("/g/virtual"),
        transaction: `transactions/${id}`,
        chunk: `chunks/${native?._tag === "Native" ? native.id : ""}`
      }
    })
  )

type Files = Effect.Success<ReturnType<typeof filesOf>>

/** A copy of the repository with one of its files changed; with the error that names that file. */
const damaged = (kind: keyof Files, change: (file: string, content: Buffer, directory: string) => void) =>
  Effect.gen(function* () {
    const place = yield* Support.copy
    const files = yield* filesOf(place)
    const file = path.join(place.repository, files[kind])
    change(file, fs.readFileSync(file), place.repository)
    return { place, file: files[kind], files }
  })

/** Everything that reads a file of this kind. */
const readers = (
  place: Support.Place,
  kind: keyof Files
): Readonly<Record<string, Effect.Effect<unknown, Failure>>> => {
  const session = <A, E extends Failure>(f: (store: ZarrStore.ZarrStore, session: Session) => Effect.Effect<A, E>) =>
    Support.inRepository(place)((repository) =>
      Effect.flatMap(repository.readonlySession({ branch: "main" }), (session) => f(ZarrStore.make(session), session))
    )
  switch (kind) {
    case "repo":
      return { open: Support.inRepository(place)(() => Effect.void) }
    case "snapshot":
      return {
        readonlySession: session(() => Effect.void),
        writableSession: Support.inRepository(place)((repository) => repository.writableSession("main"))
      }
    case "chunk":
      return {
        chunk: session((_, session) => session.chunk("/g/native", [0])),
        get: session((store) => store.get("g/native/c/0"))
      }
    default:
      return {
        chunk: session((_, session) => session.chunk("/g/native", [0])),
        chunkRef: session((_, session) => session.chunkRef("/g/native", [1])),
        chunkIndices: session((_, session) => Stream.runCollect(session.chunkIndices("/g/native"))),
        virtualLocations: session((_, session) => Stream.runCollect(session.virtualLocations())),
        get: session((store) => store.get("g/native/c/0")),
        exists: session((store) => store.exists("g/native/c/2")),
        list: session((store) => Stream.runCollect(store.list)),
        listPrefix: session((store) => Stream.runCollect(store.listPrefix("g/native/"))),
        listDir: session((store) => Stream.runCollect(store.listDir("g/native/c")))
      }
  }
}

type Session = Parameters<typeof ZarrStore.make>[0]

interface Failure {
  readonly _tag: string
  readonly message: string
}

/** Every reader of a damaged file fails as expected and leaves the damaged repository as it is. */
const readersRefuse = (place: Support.Place, kind: keyof Files, expected: Support.Expected) =>
  Effect.forEach(Object.values(readers(place, kind)), (read) => refuses(place, read, expected), { discard: true })

describe("a file that ends too early", () => {
  const lengths: Readonly<Record<string, (size: number) => number>> = {
    "is empty": () => 0,
    "has one byte": () => 1,
    "ends in its magic": () => 11,
    "ends after its magic": () => 12,
    "lacks the last byte of its header": () => 38,
    "ends with its header": () => 39,
    "has one byte of its payload": () => 40,
    "ends in the header of its frame": () => 45,
    "ends half-way": (size) => size >> 1,
    "lacks its last bytes": (size) => size - 4,
    "lacks its last byte": (size) => size - 1
  }
  for (const kind of ["repo", "snapshot", "manifest"] as const) {
    for (const [name, length] of Object.entries(lengths)) {
      it.live(`is refused by all that read it, with its name and field: a ${kind} that ${name}`, () =>
        Effect.gen(function* () {
          const { file, place } = yield* damaged(kind, (file, content) => fs.truncateSync(file, length(content.length)))
          yield* readersRefuse(place, kind, { tag: "FormatError", says: [`of \`${file}\``, "The file is damaged"] })
        })
      )
    }
  }

  for (const [name, length] of [
    ["is empty", 0],
    ["lacks its last byte", 999]
  ] as const) {
    it.live(`is refused, and not read shorter: a chunk that ${name}`, () =>
      Effect.gen(function* () {
        const { file, place } = yield* damaged("chunk", (file) => fs.truncateSync(file, length))
        yield* readersRefuse(place, "chunk", {
          tag: "ObjectStoreError",
          reason: "InvalidRange",
          says: [file, `${length} bytes`]
        })
      })
    )
  }

  it.live("is named with its field: a configuration, at every length", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const file = path.join(place.repository, "config.json")
      const content = fs.readFileSync(file)
      // Without the newline at its end the text is still whole.
      for (let length = 0; length < content.length - 1; length += 7) {
        fs.writeFileSync(file, content.subarray(0, length))
        yield* refuses(
          place,
          Support.inRepository(place)(() => Effect.void),
          { tag: "InvalidConfig", says: ["config.json", "(whole file)", "not JSON"] }
        )
      }
    })
  )
})

describe("a file that is gone", () => {
  for (const kind of ["snapshot", "manifest", "chunk"] as const) {
    it.live(`is an error of its own for all that read it, never fill values: a ${kind}`, () =>
      Effect.gen(function* () {
        const { file, place } = yield* damaged(kind, (file) => fs.rmSync(file))
        yield* readersRefuse(place, kind, {
          tag: "ObjectStoreError",
          reason: "NotFound",
          says: [`\`${file}\``, place.repository, "does not exist"]
        })
      })
    )
  }
})

describe("a file that is a directory, or another file", () => {
  for (const kind of ["snapshot", "manifest", "chunk"] as const) {
    it.live(`is not found: a ${kind} that is a directory`, () =>
      Effect.gen(function* () {
        const { file, place } = yield* damaged(kind, (file) => {
          fs.rmSync(file)
          fs.mkdirSync(file)
        })
        yield* readersRefuse(place, kind, { tag: "ObjectStoreError", reason: "NotFound", says: [`\`${file}\``] })
      })
    )
  }

  const others: ReadonlyArray<readonly [keyof Files, keyof Files, string]> = [
    ["repo", "snapshot", "it is a Snapshot where a RepoInfo is expected"],
    ["repo", "chunk", "`header.magic`"],
    ["snapshot", "manifest", "it is a Manifest where a Snapshot is expected"],
    ["snapshot", "transaction", "it is a TransactionLog where a Snapshot is expected"],
    ["snapshot", "repo", "it is a RepoInfo where a Snapshot is expected"],
    ["manifest", "snapshot", "it is a Snapshot where a Manifest is expected"],
    ["manifest", "chunk", "`header.magic`"],
    ["manifest", "otherManifest", "`id`"]
  ]
  for (const [kind, other, says] of others) {
    it.live(`is refused by all that read it: a ${other} in the place of a ${kind}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const files = yield* filesOf(place)
        fs.copyFileSync(path.join(place.repository, files[other]), path.join(place.repository, files[kind]))
        yield* readersRefuse(place, kind, { tag: "FormatError", says: [`of \`${files[kind]}\``, says] })
      })
    )
  }

  it.live("is refused: an older snapshot in the place of the newest", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const files = yield* filesOf(place)
      fs.copyFileSync(
        path.join(place.repository, "snapshots/1CECHNKREP0F1RSTCMT0"),
        path.join(place.repository, files.snapshot)
      )
      yield* readersRefuse(place, "snapshot", {
        tag: "FormatError",
        says: [`\`id\` of \`${files.snapshot}\``, "1CECHNKREP0F1RSTCMT0"]
      })
    })
  )
})

describe("a repository of another version", () => {
  for (const [version, advice] of [
    [1, "newest copy in `overwritten/`"],
    [3, "newer version of this library"],
    [255, "newer version of this library"]
  ] as const) {
    it.live(`is refused with what to do: ${version}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const file = path.join(place.repository, "repo")
        const { payload } = yield* IcechunkFile.decode("repo", new Uint8Array(fs.readFileSync(file)), "RepoInfo")
        const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
        fs.writeFileSync(
          file,
          yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode({ ...info, specVersion: version }))
        )
        yield* readersRefuse(place, "repo", {
          tag: "UnsupportedSpecVersion",
          says: [place.repository, `version ${version}`, advice]
        })
      }).pipe(Effect.provide(NodeZstd.layer))
    )
  }

  it.live("is refused when its header says so", () =>
    Effect.gen(function* () {
      const { place } = yield* damaged("repo", (file, content) => {
        content[36] = 9
        fs.writeFileSync(file, content)
      })
      yield* readersRefuse(place, "repo", { tag: "FormatError", says: ["`header.spec_version` of `repo`", "9"] })
    })
  )
})

describe("a branch whose snapshot the repository object does not know", () => {
  it.live("cannot be: the object says which snapshots there are, and what refers to others is refused", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const file = path.join(place.repository, "repo")
      const { payload } = yield* IcechunkFile.decode("repo", new Uint8Array(fs.readFileSync(file)), "RepoInfo")
      const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
      const bytes = RepoInfo.encode(info)
      // The index of a branch's snapshot is the only place with this number that is read as one.
      let refused = 0
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (let at = 0; at + 4 <= bytes.length; at++) {
        const before = view.getUint32(at, true)
        view.setUint32(at, 0x00ff_ffff, true)
        const result = RepoInfo.decode("repo", bytes)
        if (result._tag === "Failure" && result.failure.field.includes("snapshot_index")) refused++
        view.setUint32(at, before, true)
      }
      assert.isAbove(refused, 0)
    }).pipe(Effect.provide(NodeZstd.layer))
  )
})

/** Deterministic random numbers from 0 up to 1 (mulberry32), so that a failure can be repeated. */
const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe("changed bytes", () => {
  const changes: Readonly<Record<string, (content: Buffer, next: () => number) => Buffer>> = {
    "one bit flipped": (content, next) => {
      content[Math.floor(next() * content.length)]! ^= 1 << Math.floor(next() * 8)
      return content
    },
    "a byte replaced": (content, next) => {
      content[Math.floor(next() * content.length)] = Math.floor(next() * 256)
      return content
    },
    "a byte inserted": (content, next) => {
      const at = Math.floor(next() * content.length)
      return Buffer.concat([content.subarray(0, at), Buffer.of(Math.floor(next() * 256)), content.subarray(at)])
    },
    "a stretch of zeros": (content, next) => {
      const at = Math.floor(next() * content.length)
      return content.fill(0, at, Math.min(content.length, at + Math.floor(next() * 64)))
    }
  }
  for (const kind of ["repo", "snapshot", "manifest", "otherManifest"] as const) {
    it.live(
      `are noticed or make no difference, wherever they are: ${kind}`,
      () =>
        Effect.gen(function* () {
          const place = yield* Support.copy
          const files = yield* filesOf(place)
          const file = path.join(place.repository, files[kind])
          const content = fs.readFileSync(file)
          const good = yield* Support.contents(place)
          const next = random(kind.length)
          for (const [name, change] of Object.entries(changes)) {
            for (let round = 0; round < 40; round++) {
              fs.writeFileSync(file, change(Buffer.from(content), next))
              const exit = yield* Effect.exit(Effect.timeout(Support.contents(place), "10 seconds"))
              const what = `${name}, round ${round}`
              if (Exit.isSuccess(exit)) assert.deepStrictEqual(exit.value, good, what)
              else {
                assert.isFalse(Cause.hasDies(exit.cause), `${what}: ${Cause.pretty(exit.cause)}`)
                const error = yield* Effect.flip(exit)
                assert.strictEqual(error._tag, "FormatError", `${what}: ${error.message}`)
                assert.include(error.message, `of \`${files[kind]}\``, what)
              }
            }
          }
        }),
      120_000
    )
  }
})

describe("a damaged transaction log", () => {
  for (const [name, change] of Object.entries<(content: Buffer) => Buffer | undefined>({
    "that is gone": () => undefined,
    "that is empty": () => Buffer.alloc(0),
    "that ends half-way": (content) => content.subarray(0, content.length >> 1),
    "that is text": () => Buffer.from("log")
  })) {
    it.live(`keeps nobody from reading and committing: one ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const good = yield* Support.contents(place)
        const { transaction } = yield* filesOf(place)
        const file = path.join(place.repository, transaction)
        const content = change(fs.readFileSync(file))
        if (content === undefined) fs.rmSync(file)
        else fs.writeFileSync(file, content)
        assert.deepStrictEqual(yield* Support.contents(place), good)
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* session.createGroup("/late")
            yield* session.commit("late")
          })
        )
        if (content === undefined) return
        const decoded = IcechunkFile.decode(transaction, new Uint8Array(content), "TransactionLog").pipe(
          Effect.flatMap(({ payload }) => Effect.fromResult(TransactionLog.decode(transaction, payload))),
          Effect.provide(NodeZstd.layer)
        )
        Support.assertFailure(yield* Effect.flip(decoded), { tag: "FormatError", says: [`of \`${transaction}\``] })
      })
    )
  }
})

describe("a commit that needs a damaged file", () => {
  for (const kind of ["manifest", "repo"] as const) {
    it.live(`fails with its name, moves no branch, and the session keeps its changes: a ${kind}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const files = yield* filesOf(place)
        const file = path.join(place.repository, files[kind])
        const content = fs.readFileSync(file)
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* session.setChunk("/g/native", [0], Uint8Array.of(1, 2, 3))
            const tip = (yield* repository.branches).get("main")
            fs.truncateSync(file, 50)
            const before = Support.tree(place.repository)
            const error = yield* Effect.flip(session.commit("on a damaged file"))
            Support.assertFailure(error, { tag: "FormatError", says: [`of \`${files[kind]}\``] })
            const after = Support.tree(place.repository)
            for (const [name, was] of Object.entries(before)) assert.strictEqual(after[name], was, name)
            fs.writeFileSync(file, content)
            assert.deepStrictEqual([...(yield* session.status).updatedChunks], [["/g/native", 1]])
            assert.strictEqual((yield* repository.branches).get("main"), tip)
            yield* session.commit("on a whole file")
            assert.deepStrictEqual(yield* session.chunk("/g/native", [0]), Uint8Array.of(1, 2, 3))
            assert.deepStrictEqual(yield* session.chunk("/g/native", [1]), Support.pattern(1000, 1))
          })
        )
      })
    )
  }
})
