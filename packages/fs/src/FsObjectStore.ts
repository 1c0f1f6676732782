/**
 * A directory as an object store: every object is a file, its key the path below the directory.
 *
 * Reads take bytes and metadata from one open file, and ETags are those of Rust's `object_store`, so that
 * Icechunk on Python finds the same versions. Writes are atomic and durable: a temporary file in the
 * directory is written and flushed, takes its place in one step, and the directory is flushed. A new object whose
 * writer defers durability, as a session does with chunks until the commit, is flushed in the background. `Update`,
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
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as FileIdentity from "./FileIdentity.ts"
import * as ConfinedFiles from "./internal/ConfinedFiles.ts"
import * as Confinement from "./internal/Confinement.ts"
import * as Directories from "./internal/Directories.ts"
import * as FileKey from "./internal/FileKey.ts"
import * as FileList from "./internal/FileList.ts"
import * as FileLock from "./internal/FileLock.ts"
import * as FileReader from "./internal/FileReader.ts"
import * as FileRemoval from "./internal/FileRemoval.ts"
import { failed, inRequest, locationOf } from "./internal/FileRequest.ts"
import * as FileWriter from "./internal/FileWriter.ts"
import * as HeldFiles from "./internal/HeldFiles.ts"
import * as LocalDirectories from "./internal/LocalDirectories.ts"
import * as LockOwner from "./internal/LockOwner.ts"
import * as Placement from "./internal/Placement.ts"
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
   * Whether what is written is on the disk when a write returns (default `true`), or when it is settled where that is
   * deferred: all that a commit consists of is there when the commit returns. Without, a write is as atomic, but a
   * loss of power may undo it, and leave a commit without its chunks.
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
  const description = locationOf(path, root)
  const flush = options.flush ?? true
  const lock = FileLock.make({
    fs,
    path,
    here,
    timeout: options.lockTimeout ?? "30 seconds",
    heartbeatLimit: options.heartbeatLimit ?? "10 seconds"
  })
  const locals = LocalDirectories.make()
  const confinement = Confinement.make({ path, root, followLinks: options.followLinks ?? false, locals })
  const { confine, find } = confinement
  const held = yield* HeldFiles.make
  const directories = Directories.make({ fs, path, root, isFlushed: flush, confine, locals })
  const stagedFiles = StagedFiles.make({ fs, path, root, here, lock })
  const placement = Placement.make({ fs, path, root, lock, directories, stagedFiles, locals })
  const writer = FileWriter.make({
    fs,
    path,
    root,
    isFlushed: flush,
    confinement,
    directories,
    placement,
    stagedFiles,
    locals,
    failed: (file, reason) => failed(description, "put", path.relative(root, file).replaceAll(path.sep, "/"), reason)
  })
  const removal = FileRemoval.make({ path, root, lock, confine, directories, stagedFiles })

  const pathOf = (key: string): Effect.Effect<string, Errors.Reason> => {
    const problem = FileKey.problem(key, path.sep)
    return problem === undefined
      ? Effect.succeed(path.join(root, ...key.split("/")))
      : Effect.fail(new Errors.Unsupported({ detail: problem }))
  }

  const request =
    (operation: Errors.Operation, key: string) =>
    <A, E extends Errors.Reason | Errors.ObjectStoreError | ObjectStore.WriteForbidden>(
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
        Effect.flatMap((file) => FileReader.read(fs, held, key, () => find(file), getOptions)),
        Effect.tap(({ bytes }) => RequestSpan.bytes(bytes.length)),
        request("get", key)
      ),

    put: (key, bytes, putOptions) =>
      ObjectStore.ensureWritable(store).pipe(
        Effect.andThen(pathOf(key)),
        Effect.flatMap((file) =>
          writer.write(file, bytes, {
            mode: putOptions?.mode ?? ObjectStore.overwrite,
            defer: putOptions?.defer,
            after: putOptions?.after,
            isUnique: putOptions?.isUnique
          })
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
          Effect.mapError(pathOf(key), (reason) => failed(description, "delete", key, reason))
        )
        yield* removal
          .remove(files)
          .pipe(Effect.mapError(({ at, reason }) => failed(description, "delete", keys[at]!, reason)))
      }).pipe(RequestSpan.within(store, "delete", keys[0] ?? "")),

    copy: (from, to, copyOptions) =>
      Effect.gen(function* () {
        yield* ObjectStore.ensureWritable(store)
        const source = yield* pathOf(from)
        const target = yield* pathOf(to)
        const { size } = yield* writer.copy(source, target, {
          ifMatch: copyOptions?.ifMatch,
          defer: copyOptions?.defer
        })
        yield* RequestSpan.bytes(size)
      }).pipe(request("copy", from)),

    removeLeftovers: Effect.suspend(() => Effect.andThen(ObjectStore.ensureWritable(store), stagedFiles.sweepAll))
  }
  return store
})

/**
 * Provides the store of a directory.
 *
 * @example
 * ```ts
 * const store = FsObjectStore.layer({ directory: "data/geoid" }).pipe(
 *   Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
 * )
 * ```
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
