import { assert, describe, it } from "@effect/vitest"
import * as DeferredWrites from "@effect-icechunk/core/DeferredWrites"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as FileIdentity from "@effect-icechunk/fs/FileIdentity"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import { isMainThread } from "node:worker_threads"
import * as Fifo from "./support/Fifo.ts"

const lacking = { metadata: false, opaqueKeys: false }

/** A store in a directory that is still to be made, on a file system that may misbehave. */
const inTemporary = (
  options?: Partial<FsObjectStore.Options>,
  misbehave?: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-store-" })
      return FsObjectStore.layer({ directory: `${directory}/not/yet/there`, ...options }).pipe(
        Layer.provide(Layer.succeed(FileSystem.FileSystem, { ...fs, ...misbehave?.(fs) }))
      )
    })
  ).pipe(Layer.provide(NodeServices.layer))

const failure = (code: string) =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(`${code}: as the test says`), { code })
  })

ObjectStoreConformance.suite("FsObjectStore", inTemporary(), lacking)

ObjectStoreConformance.suite(
  "FsObjectStore without flushing, on a file system without hard links",
  inTemporary({ flush: false }, () => ({ link: () => Effect.fail(failure("EPERM")) })),
  lacking
)

ObjectStoreConformance.readOnlySuite(
  "FsObjectStore that is read-only",
  inTemporary({ readOnlyBecause: "it is an archive; copy it first" })
)

const text = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = ({ bytes }: ObjectStore.GetResult): string => new TextDecoder().decode(bytes)

const keysOf = (store: ObjectStore.ObjectStoreShape, prefix = "") =>
  Effect.map(Stream.runCollect(store.list(prefix)), (found) => found.map(({ key }) => key).toSorted())

/** A fresh directory, its store, and the file system, which may misbehave for the store. */
const opened = (
  options?: Partial<FsObjectStore.Options>,
  misbehave?: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-store-" })
    const store = yield* FsObjectStore.make({ directory, ...options }).pipe(
      Effect.provideService(FileSystem.FileSystem, { ...fs, ...misbehave?.(fs) })
    )
    return { fs, directory, store }
  })

const reasonOf = <A>(request: Effect.Effect<A, Errors.ObjectStoreError | ObjectStore.WriteForbidden>) =>
  Effect.map(Effect.flip(request), (error) => {
    if (error._tag !== "ObjectStoreError") return assert.fail(error.message)
    return error.reason
  })

describe("FsObjectStore", () => {
  it.live("has the ETags of object_store: inode, microseconds and size in hexadecimal", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        FileIdentity.etag({ inode: 0xabcn, size: 255, modified: 1_700_000_000_123_456_789n }),
        "abc-60a2418202240-ff"
      )
      assert.strictEqual(
        FileIdentity.etag({ inode: 1n, size: 0, modified: -5n }),
        "1-0-0",
        "a time before 1970 counts as 0"
      )
      const { directory, store } = yield* opened()
      const { etag } = yield* store.put("key", text("bytes"))
      const { ino, mtimeNs, size } = NodeFs.statSync(`${directory}/key`, { bigint: true })
      assert.strictEqual(etag, `${ino.toString(16)}-${(mtimeNs / 1000n).toString(16)}-${size.toString(16)}`)
      const head = yield* store.head("key")
      assert.strictEqual(head.version.etag, etag)
      assert.strictEqual(head.lastModified, Number(mtimeNs) / 1e6)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("never gives two versions of a key one ETag, however fast they follow each other", () =>
    Effect.gen(function* () {
      const { store } = yield* opened({ flush: false })
      const etags = new Set<string>()
      let last = 0
      yield* store.put("key", text("0000"))
      for (let i = 0; i < 300; i++) {
        const { version } = yield* store.head("key")
        const { etag } = yield* store.put("key", text(`${i}`.padStart(4, "0")), {
          mode: i % 3 === 0 ? ObjectStore.overwrite : ObjectStore.update(version)
        })
        etags.add(etag!)
        const time = Number.parseInt(etag!.split("-")[1]!, 16)
        assert.isAbove(time, last)
        last = time
      }
      assert.strictEqual(etags.size, 300)
      const clock = yield* store.head("key")
      assert.isBelow(Math.abs(clock.lastModified! - Date.now()), 10_000)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("keeps times increasing over a file from the future", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened()
      const first = yield* store.put("key", text("bytes"))
      const future = Math.round(Date.now() / 1000) + 3600
      yield* fs.utimes(`${directory}/key`, future, future)
      assert.strictEqual(
        (yield* reasonOf(store.put("key", text("bytes"), { mode: ObjectStore.update(first) })))._tag,
        "PreconditionFailed"
      )
      const { version } = yield* store.head("key")
      yield* store.put("key", text("bytes"), { mode: ObjectStore.update(version) })
      const { lastModified } = yield* store.head("key")
      assert.isAbove(lastModified!, future * 1000)
      // Deno sets times in whole milliseconds.
      assert.isBelow(lastModified!, future * 1000 + ("Deno" in globalThis ? 2 : 1))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("lists and gives out no files that are being written and no locks", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened()
      yield* store.put("a/b", text("bytes"))
      yield* store.put("a#1/b#c", text("bytes"))
      yield* fs.writeFileString(`${directory}/a/.0123456789abcdef01234567#1`, "unfinished")
      yield* fs.writeFileString(`${directory}/a/b#12`, "unfinished, by object_store")
      yield* fs.makeDirectory(`${directory}/a/.b.icechunk-lock`)
      yield* fs.writeFileString(`${directory}/a/.b.icechunk-lock/x`, "held")
      assert.deepStrictEqual(yield* keysOf(store), ["a#1/b#c", "a/b"])
      assert.deepStrictEqual(yield* keysOf(store, "a/."), [])
      for (const key of ["a/b#12", "a/.b.icechunk-lock/x", "a/.0123456789abcdef01234567#1"]) {
        assert.strictEqual((yield* reasonOf(store.get(key)))._tag, "Unsupported")
        assert.strictEqual((yield* reasonOf(store.put(key, text("x"))))._tag, "Unsupported")
        assert.strictEqual((yield* reasonOf(store.delete([key])))._tag, "Unsupported")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("leaves nothing but the objects behind", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened()
      const version = yield* store.put("a", text("1"))
      yield* store.put("a", text("2"))
      yield* Effect.flip(store.put("a", text("3"), { mode: ObjectStore.create }))
      yield* Effect.flip(store.put("a", text("3"), { mode: ObjectStore.update(version) }))
      yield* store.copy("a", "b")
      yield* store.copy("a", "b")
      yield* store.delete(["a"])
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["b"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a missing directory is an empty store", () =>
    Effect.gen(function* () {
      const { directory } = yield* opened()
      const store = yield* FsObjectStore.make({ directory: `${directory}/missing` })
      assert.deepStrictEqual(yield* keysOf(store), [])
      assert.deepStrictEqual(yield* keysOf(store, "a/b"), [])
      yield* store.delete(["a"])
      assert.strictEqual((yield* reasonOf(store.get("a")))._tag, "NotFound")
      assert.isFalse(NodeFs.existsSync(`${directory}/missing`), "reading makes no directory")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("writes again after its directory was removed", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* opened()
      const store = yield* FsObjectStore.make({ directory: `${directory}/repo` })
      yield* store.put("a/b/c", text("1"))
      yield* fs.remove(`${directory}/repo`, { recursive: true })
      yield* store.put("a/b/c", text("2"))
      assert.strictEqual(textOf(yield* store.get("a/b/c")), "2")
      yield* fs.remove(`${directory}/repo/a`, { recursive: true })
      assert.strictEqual((yield* reasonOf(store.copy("a/b/c", "d/e")))._tag, "NotFound")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("no object can be below another one or over others", () =>
    Effect.gen(function* () {
      const { store } = yield* opened()
      yield* store.put("object", text("bytes"))
      yield* store.put("directory/object", text("bytes"))
      for (const key of ["object/below", "object/far/below", "directory"]) {
        for (const mode of [ObjectStore.overwrite, ObjectStore.create, ObjectStore.update({ etag: "1-1-1" })]) {
          assert.strictEqual((yield* reasonOf(store.put(key, text("x"), { mode })))._tag, "Unsupported")
        }
        assert.strictEqual((yield* reasonOf(store.copy("object", key)))._tag, "Unsupported")
        assert.strictEqual((yield* reasonOf(store.get(key)))._tag, "NotFound")
        yield* store.delete([key])
      }
      assert.deepStrictEqual(yield* keysOf(store), ["directory/object", "object"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("refuses names that no file can have", () =>
    Effect.gen(function* () {
      const { store } = yield* opened()
      for (const key of ["a\0b", "..", "a/..", "/a", "a/", ".", "\ud800", "x".repeat(256)]) {
        for (const request of [store.get(key), store.put(key, text("x")), store.head(key), store.copy("a", key)]) {
          const { _tag } = yield* reasonOf<unknown>(request)
          assert.isTrue(_tag === "Unsupported" || (_tag === "NotFound" && key === "x".repeat(256)), `${_tag}: ${key}`)
        }
      }
      assert.deepStrictEqual(yield* keysOf(store, "../"), [])
      assert.deepStrictEqual(yield* keysOf(store, "/"), [])
      assert.deepStrictEqual(yield* keysOf(store, "\0"), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("follows symbolic links, once", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened()
      yield* store.put("data/a", text("a"))
      yield* fs.symlink(`${directory}/data`, `${directory}/link`)
      yield* fs.symlink(directory, `${directory}/data/loop`)
      yield* fs.symlink(`${directory}/nowhere`, `${directory}/dangling`)
      yield* fs.symlink(`${directory}/data/a`, `${directory}/b`)
      assert.deepStrictEqual(yield* keysOf(store), ["b", "data/a", "link/a"])
      assert.strictEqual(textOf(yield* store.get("link/a")), "a")
      assert.strictEqual((yield* reasonOf(store.get("dangling")))._tag, "NotFound")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("what links lead out of the directory is neither read nor listed nor written, unless that is allowed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const top = yield* fs.makeTempDirectoryScoped({ prefix: "fs-store-" })
      for (const name of ["real", "outside", "outside/empty"]) NodeFs.mkdirSync(`${top}/${name}`)
      for (const name of ["secret", "zero"]) NodeFs.writeFileSync(`${top}/outside/${name}`, name === "zero" ? "" : name)
      // The directory itself may be a link.
      NodeFs.symlinkSync(`${top}/real`, `${top}/store`)
      const store = yield* FsObjectStore.make({ directory: `${top}/store`, lockTimeout: "1 second" })
      yield* store.put("chunks/a", text("a"))
      NodeFs.symlinkSync(`${top}/outside`, `${top}/real/overwritten`)
      NodeFs.symlinkSync("../../outside/secret", `${top}/real/chunks/b`)
      NodeFs.symlinkSync(`${top}/outside/secret`, `${top}/real/repo`)
      const { version } = yield* store.head("chunks/a")
      const requests = {
        get: store.get("chunks/b"),
        "get below": store.get("overwritten/secret"),
        "get of nothing below": store.get("overwritten/zero"),
        head: store.head("chunks/b"),
        "head below": store.head("overwritten/secret"),
        put: store.put("overwritten/new", text("x")),
        "put over": store.put("overwritten/secret", text("x")),
        "put deeper": store.put("overwritten/new/x", text("x")),
        update: store.put("overwritten/secret", text("x"), { mode: ObjectStore.update(version) }),
        delete: store.delete(["overwritten/secret"]),
        copy: store.copy("chunks/b", "c"),
        "copy from below": store.copy("overwritten/secret", "c"),
        "copy to": store.copy("chunks/a", "overwritten/a"),
        list: keysOf(store, "overwritten/"),
        "list of all": keysOf(store)
      }
      for (const [name, request] of Object.entries(requests)) {
        const { _tag, detail } = yield* reasonOf<unknown>(request)
        assert.strictEqual(_tag, "PermissionDenied", name)
        assert.include(detail, "followLinks", name)
      }
      assert.deepStrictEqual(NodeFs.readdirSync(`${top}/outside`).toSorted(), ["empty", "secret", "zero"])
      assert.strictEqual(NodeFs.readFileSync(`${top}/outside/secret`, "utf8"), "secret")
      // What replaces a link replaces the link.
      yield* store.put("repo", text("new"))
      assert.strictEqual(NodeFs.readFileSync(`${top}/outside/secret`, "utf8"), "secret")
      const open = yield* FsObjectStore.make({ directory: `${top}/store`, followLinks: true })
      assert.strictEqual(textOf(yield* open.get("chunks/b")), "secret")
      yield* open.put("overwritten/new", text("x"))
      assert.deepStrictEqual(yield* keysOf(open, "overwritten/"), [
        "overwritten/new",
        "overwritten/secret",
        "overwritten/zero"
      ])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a full disk is an error at once, which says so", () =>
    Effect.gen(function* () {
      for (const code of ["ENOSPC", "EDQUOT"]) {
        const { store } = yield* opened({}, (fs) => ({
          open: (file, options) => (options?.flag === "wx" ? Effect.fail(failure(code)) : fs.open(file, options))
        }))
        const error = yield* Effect.flip(store.put("key", text("bytes")))
        if (error._tag !== "ObjectStoreError") return assert.fail(error.message)
        assert.isFalse(error.isRetryable)
        assert.match(error.message, /disk (is full|quota is used up)/)
        assert.notInclude(error.message, "network")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.skipIf(!isMainThread)(
    "a directory that may not be read is refused before anything is put there that cannot be flushed",
    () =>
      Effect.gen(function* () {
        const { directory, fs, store } = yield* opened()
        yield* fs.makeDirectory(`${directory}/below`)
        yield* fs.chmod(directory, 0o777)
        yield* fs.chmod(`${directory}/below`, 0o333)
        yield* asNobody
        const reason = yield* reasonOf(store.put("below/key", text("x")))
        assert.strictEqual(reason._tag, "PermissionDenied")
        assert.include(reason.detail, "must be readable")
        assert.deepStrictEqual(NodeFs.readdirSync(directory), ["below"])
        assert.isFalse(NodeFs.existsSync(`${directory}/below/key`))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a directory on another file system holds its own temporary files", () =>
    Effect.gen(function* () {
      const far = (from: string, to: string): boolean => from.includes("/chunks/") !== to.includes("/chunks/")
      const { directory, fs, store } = yield* opened({}, (fs) => ({
        link: (from, to) => (far(from, to) ? Effect.fail(failure("EXDEV")) : fs.link(from, to)),
        rename: (from, to) => (far(from, to) ? Effect.fail(failure("EXDEV")) : fs.rename(from, to))
      }))
      const version = yield* store.put("chunks/a", text("1"))
      yield* store.put("chunks/a", text("2"), { mode: ObjectStore.update(version) })
      yield* store.put("repo", text("1"))
      yield* store.delete(["repo"])
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["chunks"])
      assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/chunks`), ["a"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("does not open what is no regular file", () =>
    Effect.gen(function* () {
      const { directory, store } = yield* opened()
      Fifo.make(`${directory}/fifo`)
      const reason = yield* reasonOf(store.get("fifo"))
      assert.strictEqual(reason._tag, "Unsupported")
      assert.include(reason.detail, "FIFO")
      assert.deepStrictEqual(yield* keysOf(store), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.skipIf(!isMainThread)("a directory that may not be written fails with PermissionDenied", () =>
    Effect.gen(function* () {
      const { directory, fs, store } = yield* opened({ lockTimeout: "1 second" })
      const { etag } = yield* store.put("key", text("bytes"))
      yield* fs.chmod(directory, 0o555)
      yield* asNobody
      for (const write of [
        store.put("key", text("x")),
        store.put("new", text("x"), { mode: ObjectStore.create }),
        store.put("key", text("x"), { mode: ObjectStore.update({ etag }) }),
        store.put("below/new", text("x")),
        store.copy("key", "copy"),
        store.delete(["key"])
      ]) {
        assert.strictEqual((yield* reasonOf<unknown>(write))._tag, "PermissionDenied")
      }
      assert.strictEqual(textOf(yield* store.get("key")), "bytes")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a failed write leaves the old object, no file and no lock", () => {
    let failing: string | undefined
    const failWhen = (name: string) => (failing === name ? Effect.fail(failure("EIO")) : undefined)
    return Effect.gen(function* () {
      const { directory, fs, store } = yield* opened({}, (fs) => ({
        rename: (from, to) => failWhen("rename") ?? fs.rename(from, to),
        open: (file, options) =>
          Effect.map(fs.open(file, options), (handle) =>
            Object.assign(Object.create(handle) as FileSystem.File, {
              writeAll: (bytes: Uint8Array) => failWhen("writeAll") ?? handle.writeAll(bytes)
            })
          ),
        link: (from, to) =>
          failWhen("link") ?? (failing === "copyFile" ? Effect.fail(failure("EPERM")) : fs.link(from, to)),
        copyFile: (from, to) => Effect.andThen(fs.copyFile(from, to), failWhen("copyFile") ?? Effect.void)
      }))
      const version = yield* store.put("key", text("old"))
      for (const [name, write] of [
        ["rename", store.put("key", text("new"))],
        ["rename", store.put("key", text("new"), { mode: ObjectStore.update(version) })],
        ["writeAll", store.put("key", text("new"))],
        ["writeAll", store.put("other", text("new"))],
        ["link", store.put("other", text("new"))],
        ["link", store.copy("key", "other")],
        ["copyFile", store.copy("key", "other")]
      ] as const) {
        failing = name
        const reason = yield* reasonOf<unknown>(write)
        assert.strictEqual(reason._tag, "Unavailable")
        assert.include(reason.detail, "EIO")
        failing = undefined
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
        assert.strictEqual(textOf(yield* store.get("key", { ifMatch: version.etag })), "old")
      }
      yield* store.put("key", text("new"), { mode: ObjectStore.update(version) })
    }).pipe(Effect.provide(NodeServices.layer))
  })

  for (const flush of [true, false]) {
    it.live(`what nobody else writes gets its name in one step, ${flush ? "with" : "without"} flushes`, () =>
      Effect.gen(function* () {
        const links: Array<string> = []
        const { directory, fs, store } = yield* opened({ flush }, (fs) => ({
          link: (from, to) => Effect.tap(fs.link(from, to), () => Effect.sync(() => links.push(to)))
        }))
        const writes = DeferredWrites.make()
        const { etag } = yield* store.put("chunks/a", text("a"), { isUnique: true })
        yield* store.put("chunks/b", text("b"), { isUnique: true, defer: writes.defer("b") })
        yield* writes.settle()
        assert.isEmpty(links)
        assert.strictEqual((yield* store.head("chunks/a")).version.etag, etag)
        assert.strictEqual(textOf(yield* store.get("chunks/b")), "b")
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["chunks"])
        // It says nothing against conditions, nor of a directory.
        const create = store.put("chunks/a", text("c"), { isUnique: true, mode: ObjectStore.create })
        assert.strictEqual((yield* reasonOf(create))._tag, "AlreadyExists")
        assert.strictEqual((yield* reasonOf(store.put("chunks", text("c"), { isUnique: true })))._tag, "Unsupported")
        assert.deepStrictEqual(yield* keysOf(store), ["chunks/a", "chunks/b"])
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["chunks"])
      }).pipe(Effect.provide(NodeServices.layer))
    )
  }

  it.live("a copy is another name for the file, as long as nothing is there, and stays as it is", () =>
    Effect.gen(function* () {
      let copies = 0
      const { directory, store } = yield* opened({}, (fs) => ({
        copyFile: (from, to) => Effect.tap(fs.copyFile(from, to), () => Effect.sync(() => copies++))
      }))
      const inode = (key: string): number => NodeFs.statSync(`${directory}/${key}`).ino
      const version = yield* store.put("key", text("old"))
      yield* store.copy("key", "old/copy")
      assert.strictEqual(inode("old/copy"), inode("key"))
      // The time of what is replaced is that of the copy too, and the new version's must be later.
      const next = yield* store.put("key", text("new"), { mode: ObjectStore.update(version) })
      assert.strictEqual((yield* store.head("old/copy")).version.etag, version.etag)
      assert.strictEqual(textOf(yield* store.get("old/copy")), "old")
      assert.strictEqual(copies, 0)
      // A copy that replaces an object is a version of its own, and so it is a file of its own.
      yield* store.copy("key", "old/copy")
      assert.strictEqual(copies, 1)
      assert.notStrictEqual(inode("old/copy"), inode("key"))
      assert.strictEqual((yield* store.head("key")).version.etag, next.etag)
      assert.strictEqual(textOf(yield* store.get("old/copy")), "new")
      // Over itself it is a new version.
      yield* store.copy("key", "key")
      assert.notStrictEqual((yield* store.head("key")).version.etag, next.etag)
      assert.strictEqual(textOf(yield* store.get("key")), "new")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a copy of what a symbolic link leads to has bytes of its own", () =>
    Effect.gen(function* () {
      const { directory, store } = yield* opened({ followLinks: true })
      yield* store.put("key", text("old"))
      NodeFs.symlinkSync(`${directory}/key`, `${directory}/link`)
      yield* store.copy("link", "copy")
      assert.isFalse(NodeFs.lstatSync(`${directory}/copy`).isSymbolicLink())
      NodeFs.writeFileSync(`${directory}/key`, "changed in place")
      assert.strictEqual(textOf(yield* store.get("copy")), "old")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a copy is of one version, also when the file is replaced meanwhile", () =>
    Effect.gen(function* () {
      let before: Effect.Effect<unknown, unknown> = Effect.void
      const { directory, fs, store } = yield* opened({}, (fs) => ({
        link: (from, to) => {
          const now = before
          before = Effect.void
          return Effect.andThen(Effect.orDie(now), fs.link(from, to))
        }
      }))
      const version = yield* store.put("key", text("old"))
      before = fs
        .writeFileString(`${directory}/new`, "new")
        .pipe(Effect.andThen(fs.rename(`${directory}/new`, `${directory}/key`)))
      const reason = yield* reasonOf<unknown>(store.copy("key", "copy", { ifMatch: version }))
      assert.strictEqual(reason._tag, "PreconditionFailed")
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["key"])
      before = fs
        .writeFileString(`${directory}/new`, "newer")
        .pipe(Effect.andThen(fs.rename(`${directory}/new`, `${directory}/key`)))
      yield* store.copy("key", "copy")
      assert.strictEqual(textOf(yield* store.get("copy")), "newer")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a file that is shorter than it says fails with InvalidResponse", () =>
    Effect.gen(function* () {
      const { store } = yield* opened({}, (fs) => ({
        open: (file, options) =>
          Effect.map(fs.open(file, options), (handle) =>
            Object.assign(Object.create(handle) as FileSystem.File, { read: () => Effect.succeed(0) })
          )
      }))
      yield* store.put("key", text("bytes"))
      const reason = yield* reasonOf(store.get("key"))
      assert.strictEqual(reason._tag, "InvalidResponse")
      assert.include(reason.detail, "only 0 of 5")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("bytes and metadata are of one version, also when the file changes while it is read", () => {
    let change: (() => void) | undefined
    return Effect.gen(function* () {
      const { directory, store } = yield* opened({}, (fs) => ({
        open: (file, options) =>
          Effect.map(fs.open(file, options), (handle) =>
            Object.assign(Object.create(handle) as FileSystem.File, {
              read: (buffer: Uint8Array, options: FileSystem.File.ReadOptions) =>
                Effect.tap(handle.read(buffer, options), () => Effect.sync(() => change?.()))
            })
          )
      }))
      const { etag } = yield* store.put("key", text("first"))
      // Another program changes the file in its place, after the bytes were read.
      change = () => {
        change = undefined
        NodeFs.writeFileSync(`${directory}/key`, "other")
      }
      const result = yield* store.get("key")
      assert.strictEqual(textOf(result), "other")
      assert.strictEqual(result.meta.version.etag, (yield* store.head("key")).version.etag)
      assert.strictEqual((yield* reasonOf(store.get("key", { ifMatch: etag })))._tag, "PreconditionFailed")
      let times = 0
      change = () => NodeFs.writeFileSync(`${directory}/key`, "x".repeat(++times))
      const reason = yield* reasonOf(store.get("key"))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, "changed 10 times")
      // A version that is replaced while it is read stays what it was.
      change = () => {
        NodeFs.writeFileSync(`${directory}/key.new`, "newer")
        NodeFs.renameSync(`${directory}/key.new`, `${directory}/key`)
      }
      const old = yield* store.head("key")
      const seen = yield* store.get("key")
      assert.strictEqual(textOf(seen), "x".repeat(times))
      assert.deepStrictEqual(seen.meta, old)
    }).pipe(Effect.provide(NodeServices.layer))
  })

  it.live("reads a small part of a large file only", () => {
    let read = 0
    return Effect.gen(function* () {
      const { directory, store } = yield* opened({}, (fs) => ({
        open: (file, options) =>
          Effect.map(fs.open(file, options), (handle) =>
            Object.assign(Object.create(handle) as FileSystem.File, {
              read: (buffer: Uint8Array, options: FileSystem.File.ReadOptions) => {
                read += buffer.length
                return handle.read(buffer, options)
              }
            })
          )
      }))
      // A sparse file of 8 TB.
      NodeFs.writeFileSync(`${directory}/large`, "")
      NodeFs.truncateSync(`${directory}/large`, 2 ** 43)
      const { bytes, meta } = yield* store.get("large", { range: ByteRange.bounded(2 ** 42 + 5, 100) })
      assert.strictEqual(bytes.length, 100)
      assert.strictEqual(meta.size, 2 ** 43)
      assert.strictEqual(read, 100)
      assert.strictEqual((yield* reasonOf(store.get("large")))._tag, "Unsupported", "8 TB do not fit into memory")
    }).pipe(Effect.provide(NodeServices.layer))
  })

  it.live("layerConfig takes the directory from the configuration", () =>
    Effect.gen(function* () {
      const { directory, store } = yield* opened()
      yield* store.put("key", text("bytes"))
      const configured = FsObjectStore.layerConfig({ directory: Config.String("DIRECTORY") }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ DIRECTORY: directory })))
      )
      const other = yield* Effect.provide(ObjectStore.ObjectStore, configured)
      assert.strictEqual(other.description, `file://${directory}`)
      assert.strictEqual(textOf(yield* other.get("key")), "bytes")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

/** Root may write anywhere: for the rest of the Scope the process is another user. A thread cannot be one. */
const asNobody = Effect.acquireRelease(
  Effect.sync(() => {
    const wasRoot = process.geteuid?.() === 0
    if (wasRoot) process.seteuid?.(65_534)
    return wasRoot
  }),
  (wasRoot) => Effect.sync(() => wasRoot && process.seteuid?.(0))
)
