/**
 * A directory as an object store: every object is a file, its key the path below the directory.
 *
 * Reads take bytes and metadata from one open file, and ETags are those of Rust's `object_store`, so that
 * Icechunk on Python finds the same versions. Writes are atomic and durable: a temporary file in the
 * directory is written and flushed, takes its place in one step, and the directory is flushed. `Update`,
 * `delete`, and writes over an existing object exclude each other between processes (see `FileLock` for how);
 * a process that is killed at any point leaves the old object or the new one, perhaps a hidden file, and no
 * lock that holds anybody up.
 *
 * Hidden, and no keys: names that end in `#` and digits (files being written, as in `object_store`), and
 * `.<name>.icechunk-lock`. User metadata is not kept.
 *
 * @since 0.1.0
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Checksum from "@effect-icechunk/core/Checksum"
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { codeOf } from "./FileError.ts"
import * as FileIdentity from "./FileIdentity.ts"
import * as ConfinedFiles from "./internal/ConfinedFiles.ts"
import * as Confinement from "./internal/Confinement.ts"
import * as Directories from "./internal/Directories.ts"
import * as FileKey from "./internal/FileKey.ts"
import * as FileList from "./internal/FileList.ts"
import * as FileLock from "./internal/FileLock.ts"
import * as FileReader from "./internal/FileReader.ts"
import { failed, inRequest, locationOf } from "./internal/FileRequest.ts"
import * as HeldFiles from "./internal/HeldFiles.ts"
import * as LockOwner from "./internal/LockOwner.ts"
import * as OpenFiles from "./internal/OpenFiles.ts"
import * as StagedFiles from "./internal/StagedFiles.ts"

/**
 * Where the objects are, and how they are written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Made when first written to; a relative path is taken from the working directory. */
  readonly directory: string
  /** Makes the store read-only, for this reason. */
  readonly readOnlyBecause?: string | undefined
  /**
   * How long a write waits for other processes that write the same key (default 30 seconds). Then it fails with an
   * `Unavailable` that is not worth a retry.
   */
  readonly lockTimeout?: Duration.Input | undefined
  /**
   * After how long without a sign of life a process that cannot be seen from here (of another host or container)
   * counts as dead and loses its lock (default 10 seconds). A process that was only paused for so long fails to
   * write, and writes nothing. All that write to the directory should have the same limit.
   */
  readonly heartbeatLimit?: Duration.Input | undefined
  /**
   * Whether symbolic links below the directory may lead out of it (default `false`: they fail with
   * `PermissionDenied`). The directory itself may be reached by links in any case.
   */
  readonly followLinks?: boolean | undefined
  /**
   * Whether what is written is on the disk when a write returns (default `true`). Without, a write is as
   * atomic, but a loss of power may undo it.
   */
  readonly flush?: boolean | undefined
}

/**
 * Makes the store of a directory, which need not exist yet. Files that were read lately stay open; they are closed with
 * the Scope that it is made in, if there is one, and when nobody has read them for 10 seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ObjectStore.ObjectStoreShape, never, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const here = yield* LockOwner.self(fs)
  const root = path.resolve(options.directory)
  const flush = options.flush ?? true
  const lock = FileLock.make({
    fs,
    path,
    here,
    timeout: options.lockTimeout ?? "30 seconds",
    heartbeatLimit: options.heartbeatLimit ?? "10 seconds"
  })
  const { withLock } = lock
  const confinement = Confinement.make({ fs, path, root, followLinks: options.followLinks ?? false })
  const { confine, find } = confinement
  const held = yield* HeldFiles.make
  const directories = Directories.make({ fs, path, root, isFlushed: flush, confine })
  const { settle } = directories
  const stagedFiles = StagedFiles.make({ fs, path, root, here, lock })
  /** Directories that files of the store's own cannot be moved to, for they are on another file system. */
  const elsewhere = new Set<string>()

  const pathOf = (key: string): Effect.Effect<string, Errors.Reason> => {
    const problem = FileKey.problem(key, path.sep)
    return problem === undefined
      ? Effect.succeed(path.join(root, ...key.split("/")))
      : Effect.fail(new Errors.Unsupported({ detail: problem }))
  }

  // Writing

  /** Writes and flushes a new file. */
  const fill = (temporary: string, bytes: Uint8Array): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      const handle = yield* OpenFiles.open(fs, temporary, { flag: "wx" })
      for (let at = 0; at < bytes.length; at += largestWrite) {
        // An abandoned write would go on in the background, on a descriptor that may be another file by then.
        yield* Effect.uninterruptible(handle.writeAll(bytes.subarray(at, at + largestWrite)))
      }
      if (flush) yield* Effect.uninterruptible(handle.sync)
      return yield* FileIdentity.ofHandle(handle)
    }).pipe(Effect.scoped, FileReader.asReason("write"))

  /** What is at a path now; `undefined` for nothing. */
  const current = (file: string): Effect.Effect<FileIdentity.FileIdentity | undefined, Errors.Reason> =>
    FileIdentity.ofPath(file).pipe(
      Effect.catchIf(
        (error) => codeOf(error) === "ENOENT",
        () => Effect.undefined
      ),
      FileReader.asReason("write"),
      Effect.filterOrFail(
        (identity) => identity?.type !== "Directory",
        () => new Errors.Unsupported({ detail: "the key is a directory: there are objects below it" })
      )
    )

  /**
   * A step that gives a file its name. When it fails although it was done, as a network file system may say, it has
   * succeeded; when that cannot be told, the file is in doubt.
   */
  const named = (
    step: Effect.Effect<void, PlatformError.PlatformError>,
    file: string,
    identity: FileIdentity.FileIdentity
  ): Effect.Effect<void, PlatformError.PlatformError | Errors.Reason> =>
    step.pipe(
      Effect.catch((error) =>
        FileIdentity.ofPathNoFollow(file).pipe(
          Effect.map((found) => FileIdentity.equals(found, identity)),
          Effect.catch((unknown) => {
            const reason = FileReader.reasonOfWrite(error)
            return codeOf(unknown) === "ENOENT" || reason._tag !== "Unavailable"
              ? Effect.succeed(false)
              : Effect.fail(Directories.inDoubt(file, reason))
          }),
          Effect.flatMap((isDone) => (isDone ? Effect.void : Effect.fail(error)))
        )
      ),
      // Until the directory is flushed.
      Effect.onExit((exit) =>
        Exit.isSuccess(exit) || Exit.findErrorOption(exit).pipe(Option.exists(({ _tag }) => _tag === "Unavailable"))
          ? Effect.sync(() => directories.doubt(file))
          : Effect.void
      ),
      Effect.uninterruptible
    )

  const asWrite = Effect.mapError((error: PlatformError.PlatformError | Errors.Reason) =>
    error._tag === "PlatformError" ? FileReader.reasonOfWrite(error) : error
  )

  /**
   * Puts a complete file in the place of another one, under the lock. The times of one key's versions strictly
   * increase, so that no ETag comes back: inode numbers are used again, and a file system's clock may stand
   * still for milliseconds.
   */
  const replace = (
    held: FileLock.Held,
    temporary: string,
    staged: FileIdentity.FileIdentity,
    file: string,
    old: FileIdentity.FileIdentity | undefined
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      let identity = staged
      // In steps, for there are file systems that keep whole milliseconds or seconds only.
      for (const step of [2, 2000, 2_000_000]) {
        if (old === undefined || FileIdentity.microseconds(identity) > FileIdentity.microseconds(old)) break
        const seconds = (Number(FileIdentity.microseconds(old)) + step) / 1e6
        yield* fs.utimes(temporary, seconds, seconds)
        identity = yield* FileIdentity.ofPath(temporary)
      }
      const inside = yield* held.stage(temporary)
      yield* named(fs.rename(inside, file), file, identity).pipe(
        Effect.mapError((error) => (error._tag === "PlatformError" && codeOf(error) === "ENOENT" ? held.lost : error))
      )
      return identity
    }).pipe(asWrite)

  /** Gives a new file its name if nobody has it; `false` if somebody has. */
  const claim = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string
  ): Effect.Effect<boolean, Errors.Reason> =>
    named(fs.link(temporary, file), file, identity).pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => error._tag === "PlatformError" && codeOf(error) === "EEXIST",
        () => Effect.succeed(false)
      ),
      asWrite
    )

  /** Creation without hard links, which some file systems do not have: under the lock, by renaming. */
  const claimByName = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string
  ): Effect.Effect<boolean, Errors.Reason> =>
    withLock(file)((held) =>
      Effect.flatMap(current(file), (old) =>
        old === undefined ? Effect.as(replace(held, temporary, identity, file, old), true) : Effect.succeed(false)
      )
    )

  /** Locks outside of the store's own directory are announced there. */
  const announced = (
    directory: string
  ): (<A>(effect: Effect.Effect<A, Errors.Reason>) => Effect.Effect<A, Errors.Reason>) =>
    directory === root ? (effect) => effect : stagedFiles.announced

  const place = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string,
    mode: ObjectStore.PutMode
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> => {
    const locked = withLock(file)((held) =>
      Effect.flatMap(current(file), (old) =>
        mode._tag !== "Update" || (old !== undefined && mode.version.etag !== undefined && isVersion(old, mode.version))
          ? replace(held, temporary, identity, file, old)
          : Effect.fail(new Errors.PreconditionFailed({}))
      )
    ).pipe(announced(path.dirname(file)))
    if (mode._tag === "Update") return locked
    // A new key needs no lock.
    const claimed = claim(temporary, identity, file).pipe(
      Effect.catchIf(
        (reason) => (reason._tag === "Unsupported" && !isElsewhere(reason)) || reason._tag === "PermissionDenied",
        () => announced(path.dirname(file))(claimByName(temporary, identity, file))
      )
    )
    return Effect.flatMap(claimed, (isNew) => {
      if (isNew) return Effect.succeed(identity)
      return mode._tag === "Overwrite"
        ? locked
        : Effect.flatMap(current(file), () => Effect.fail(new Errors.AlreadyExists({})))
    })
  }

  /** Writes a temporary file with `write`, and puts it in its place. */
  const writeTo = (
    file: string,
    mode: ObjectStore.PutMode,
    write: (temporary: string) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason>
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> => {
    const directory = path.dirname(file)
    const attempt = Effect.suspend(() =>
      Effect.gen(function* () {
        yield* settle(directory)
        yield* stagedFiles.sweep
        const temporary = yield* stagedFiles.stage(elsewhere.has(directory) ? directory : root)
        const identity = yield* write(temporary)
        const placed = yield* place(temporary, identity, file, mode)
        // It is to be seen, so this is not a failure to write it.
        yield* directories.flush(directory).pipe(
          Effect.mapError((reason) => {
            directories.doubt(file)
            return Directories.inDoubt(file, reason)
          })
        )
        return placed
      }).pipe(Effect.scoped)
    )
    return attempt.pipe(
      // Somebody has removed a directory that was known to exist.
      Effect.catchIf(
        (reason) =>
          Directories.isMissing(reason) && [directories.forget(directory), directories.forget(root)].includes(true),
        () => attempt
      ),
      Effect.catchIf(
        (reason) => isElsewhere(reason) && !elsewhere.has(directory),
        () => {
          elsewhere.add(directory)
          return Effect.andThen(stagedFiles.sweepDirectory(directory), attempt)
        }
      )
    )
  }

  const remove = (file: string): Effect.Effect<boolean, Errors.Reason> =>
    FileIdentity.ofPathNoFollow(file).pipe(
      FileReader.asReason("read"),
      Effect.tap(() => confine(path.dirname(file))),
      Effect.flatMap((identity) =>
        identity.type === "Directory"
          ? Effect.succeed(false)
          : withLock(file)((held) =>
              FileIdentity.ofPathNoFollow(file).pipe(
                Effect.andThen(held.remove(file)),
                Effect.as(true),
                FileReader.asReason("read"),
                Effect.catchIf(
                  (reason) => reason._tag === "NotFound",
                  (reason) =>
                    FileIdentity.ofPathNoFollow(file).pipe(
                      Effect.matchEffect({
                        onFailure: () => Effect.fail<Errors.Reason>(reason),
                        onSuccess: () => Effect.fail(held.lost)
                      })
                    )
                )
              )
            )
      ),
      Effect.catchIf(
        (reason) => reason._tag === "NotFound",
        () => Effect.succeed(false)
      )
    )

  const copyFile = (
    from: string,
    temporary: string,
    ifMatch: ObjectStore.Version | undefined
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      for (let attempt = 0; attempt < 10; attempt++) {
        const { identity: before } = yield* find(from)
        yield* confine(path.dirname(from))
        if (ifMatch !== undefined && !isVersion(before, ifMatch)) return yield* new Errors.PreconditionFailed({})
        yield* FileReader.asReason("write")(Effect.uninterruptible(fs.copyFile(from, temporary)))
        const after = (yield* find(from)).identity
        if (!FileIdentity.equals(before, after)) continue
        return yield* OpenFiles.open(fs, temporary).pipe(
          Effect.tap((handle) => (flush ? Effect.uninterruptible(handle.sync) : Effect.void)),
          Effect.flatMap(FileIdentity.ofHandle),
          Effect.scoped,
          FileReader.asReason("write")
        )
      }
      return yield* new Errors.Unavailable({ detail: "the file was changed again and again while it was copied" })
    })

  const description = locationOf(path, root)
  const request =
    (operation: Errors.Operation, key: string) =>
    <A, E extends Errors.Reason | ObjectStore.WriteForbidden>(
      effect: Effect.Effect<A, E>
    ): Effect.Effect<A, Errors.ObjectStoreError | Extract<E, ObjectStore.WriteForbidden>> =>
      inRequest(description, operation, key, effect)

  const store: ObjectStore.ObjectStoreShape = {
    description,
    origin: { platform: "fs" },
    capabilities: {
      conditionalCreate: true,
      conditionalUpdate: true,
      conditionalGet: true,
      metadata: false,
      opaqueKeys: false
    },
    readOnlyBecause: options.readOnlyBecause,
    isLocal: true,

    get: (key, getOptions) =>
      pathOf(key).pipe(
        Effect.tap(directories.settleDoubt),
        Effect.flatMap((file) => FileReader.read(fs, held, key, find(file), getOptions)),
        Effect.tap(({ bytes }) => RequestSpan.bytes(bytes.length)),
        request("get", key)
      ),

    put: (key, bytes, putOptions) =>
      ObjectStore.ensureWritable(store).pipe(
        Effect.andThen(pathOf(key)),
        Effect.flatMap((file) =>
          writeTo(file, putOptions?.mode ?? ObjectStore.overwrite, (temporary) => fill(temporary, bytes))
        ),
        Effect.tap(RequestSpan.bytes(bytes.length)),
        Effect.map((identity): ObjectStore.Version => ({ etag: FileIdentity.etag(identity) })),
        request("put", key)
      ),

    head: (key) =>
      pathOf(key).pipe(
        Effect.tap(directories.settleDoubt),
        Effect.tap((file) => Effect.andThen(find(file), confine(path.dirname(file)))),
        Effect.flatMap(find),
        Effect.map(({ identity }) => FileReader.metaOf(key, identity)),
        request("head", key)
      ),

    list: (prefix) =>
      FileList.list(fs, path, root, prefix, confinement.confineReal).pipe(
        Stream.mapError((reason) => failed(description, "list", prefix, reason)),
        RequestSpan.listing(store, prefix)
      ),

    delete: (keys) =>
      Effect.gen(function* () {
        yield* ObjectStore.ensureWritable(store)
        const files = yield* Effect.forEach(keys, (key) =>
          Effect.map(
            Effect.mapError(pathOf(key), (reason) => failed(description, "delete", key, reason)),
            (file) => ({ key, file })
          )
        )
        const below = files.find(({ file }) => path.dirname(file) !== root)
        const removal = Effect.gen(function* () {
          const changed = new Set<string>()
          yield* Effect.forEach(
            files,
            ({ file, key }) =>
              remove(file).pipe(
                Effect.map((removed) => {
                  const directory = path.dirname(file)
                  if (removed) directories.doubt(file)
                  if (removed || directories.isInDoubt(directory)) changed.add(directory)
                }),
                Effect.mapError((reason) => failed(description, "delete", key, reason))
              ),
            { concurrency: 8, discard: true }
          )
          yield* Effect.forEach(changed, directories.flush, { discard: true }).pipe(
            Effect.mapError((reason) =>
              failed(description, "delete", keys[0]!, Directories.inDoubt(files[0]!.file, reason))
            )
          )
        })
        yield* below === undefined || options.readOnlyBecause !== undefined ? removal : stagedFiles.announced(removal)
      }).pipe(RequestSpan.within(store, "delete", keys[0] ?? "")),

    copy: (from, to, copyOptions) =>
      Effect.gen(function* () {
        yield* ObjectStore.ensureWritable(store)
        const source = yield* pathOf(from)
        const target = yield* pathOf(to)
        yield* find(source)
        const { size } = yield* writeTo(target, ObjectStore.overwrite, (temporary) =>
          copyFile(source, temporary, copyOptions?.ifMatch)
        )
        yield* RequestSpan.bytes(size)
      }).pipe(request("copy", from))
  }
  return store
})

/**
 * Provides the store of a directory.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<ObjectStore.ObjectStore, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * Provides the store of a directory that the configuration names.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<ObjectStore.ObjectStore, Config.ConfigError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    ObjectStore.ObjectStore,
    // `effect/Config` loads half of what a program with this module loads, and who passes options has no need of it.
    Effect.promise(() => import("effect/Config")).pipe(
      Effect.flatMap((config) => config.unwrap(options)),
      Effect.flatMap(make)
    )
  )

/**
 * A read-only store of files outside a repository, such as virtual chunks name: keys are paths below `root`
 * (default `/`; a first `/` is accepted), and only regular files are read that really are in `allowed`, an
 * absolute directory. Symbolic links are followed, and count by where they lead. Anything outside fails with
 * `PermissionDenied`, whether it exists or not; directories, FIFOs, sockets and devices fail with
 * `Unsupported` and are never opened. Files stay open as with `make`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeConfined: (options: {
  readonly root?: string | undefined
  readonly allowed: string
}) => Effect.Effect<ObjectStore.ObjectStoreShape, never, FileSystem.FileSystem | Path.Path> = ConfinedFiles.make

/** Between two writes there may be an interruption. */
const largestWrite = 8 * 1024 * 1024

const isVersion = (identity: FileIdentity.FileIdentity, version: ObjectStore.Version): boolean =>
  version.etag !== undefined && Checksum.opaqueTag(version.etag) === FileIdentity.etag(identity)

/** The file cannot be moved there, for that is another file system. */
const isElsewhere = (reason: Errors.Reason): boolean =>
  PlatformError.isPlatformError(reason.cause) && codeOf(reason.cause) === "EXDEV"
