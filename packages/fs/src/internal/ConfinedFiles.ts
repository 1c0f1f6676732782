/**
 * Files outside a repository, read where they are and only below one directory.
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as RequestSpan from "@effect-icechunk/core/RequestSpan"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as FileIdentity from "../FileIdentity.ts"
import * as Confinement from "./Confinement.ts"
import * as FileKey from "./FileKey.ts"
import * as FileReader from "./FileReader.ts"
import { failed, inRequest, locationOf } from "./FileRequest.ts"
import * as HeldFiles from "./HeldFiles.ts"
import { NodeCalls } from "./NodeCalls.ts"

/** See `FsObjectStore.makeConfined`. */
export const make = Effect.fnUntraced(function* (options: {
  readonly root?: string | undefined
  readonly allowed: string
}): Effect.fn.Return<ObjectStore.ObjectStoreShape, never, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.resolve(options.root ?? "/")
  const allowed = path.resolve(options.allowed)
  const description = locationOf(path, root)
  const held = yield* HeldFiles.make

  const denied = (cause?: unknown, besides = ""): Errors.Reason =>
    new Errors.PermissionDenied({ detail: `only files in \`${allowed}\` may be read${besides}`, cause })

  const isWithin = (directory: string, file: string): boolean => Confinement.isWithin(path, directory, file)

  const find = (key: string): Effect.Effect<FileReader.Source, Errors.Reason> =>
    Effect.gen(function* () {
      const relative = key.startsWith("/") ? key.slice(1) : key
      // Where there are drives, `C:/data/a.nc` is below no root.
      const drive = path.sep === "\\" && options.root === undefined ? /^[A-Za-z]:(?=\/)/.exec(relative) : null
      const rest = drive === null ? relative : relative.slice(drive[0].length + 1)
      const problem = FileKey.pathProblem(rest, path.sep)
      if (problem !== undefined) return yield* new Errors.Unsupported({ detail: problem })
      const named = path.join(drive === null ? root : `${drive[0]}${path.sep}`, ...rest.split("/"))
      const { realPath } = yield* NodeCalls
      const directory = yield* realPath(allowed).pipe(
        FileReader.asReason("read"),
        // What is missing is not the file.
        Effect.mapError((reason) =>
          reason._tag === "NotFound" ? denied(reason.cause, ", and there is no such directory") : reason
        )
      )
      const real = yield* realPath(named).pipe(
        FileReader.asReason("read"),
        // What is not there, or what it is, is not told of other directories.
        Effect.mapError((reason) => (isWithin(allowed, named) || isWithin(directory, named) ? reason : denied()))
      )
      if (!isWithin(directory, real)) return yield* denied()
      const identity = yield* FileReader.asReason("read")(FileIdentity.ofPathNoFollow(real))
      if (identity.type === "SymbolicLink") return yield* denied()
      if (identity.type !== "File") {
        return yield* Confinement.notAFile(real, identity)
      }
      return {
        path: real,
        identity,
        noFollow: Confinement.noFollow,
        inspect: inspect(directory, real),
        again: (now) => {
          const looks = Confinement.looks(path, named, real, now)
          // Where the directory has no links on its way, nothing can be in it and lead elsewhere.
          const directories = directory === allowed ? [] : [{ named: allowed, real: directory }]
          return { ...looks, links: [...looks.links, ...directories] }
        }
      }
    })

  /**
   * Where the open file really is: a directory on its way may have become a symbolic link since the path was
   * resolved. Where the system does not tell, the path is resolved once more.
   */
  const inspect =
    (directory: string, real: string) =>
    (file: FileSystem.File): Effect.Effect<string, Errors.Reason> =>
      Effect.flatMap(NodeCalls, ({ pathOf, realPath }) => {
        const open = pathOf(FileIdentity.descriptor(file) ?? -1)
        return open === undefined ? Effect.mapError(realPath(real), denied) : Effect.succeed(open)
      }).pipe(
        Effect.filterOrFail(
          (real) => isWithin(directory, real),
          () => denied()
        )
      )

  const because = "its files are read where they are; write to a repository instead"
  const forbidden = Effect.suspend(() => Effect.fail(new ObjectStore.WriteForbidden({ target: description, because })))
  return {
    description,
    origin: { platform: "fs" },
    capabilities: {
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalGet: true,
      metadata: false,
      opaqueKeys: false
    },
    readOnlyBecause: because,
    get: (key, getOptions) =>
      FileReader.read(fs, held, key, () => find(key), getOptions).pipe(
        Effect.tap(({ bytes }) => RequestSpan.bytes(bytes.length)),
        (effect) => inRequest(description, "get", key, effect)
      ),
    head: (key) =>
      find(key).pipe(
        Effect.map(({ identity }) => FileReader.metaOf(key, identity)),
        (effect) => inRequest(description, "head", key, effect)
      ),
    list: (prefix) =>
      Stream.fail(
        failed(description, "list", prefix, new Errors.Unsupported({ detail: "its files are read by name only" }))
      ),
    put: () => forbidden,
    delete: () => forbidden,
    copy: () => forbidden
  }
})
