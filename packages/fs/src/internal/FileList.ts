/**
 * The files below a directory as objects.
 */
import type { ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { codeOf } from "../FileError.ts"
import * as FileIdentity from "../FileIdentity.ts"
import * as FileKey from "./FileKey.ts"
import { asReason, metaOf } from "./FileReader.ts"

/** A directory that is being listed. */
interface Place {
  readonly directory: string
  /** What the keys in it begin with: empty, or with a last `/`. */
  readonly base: string
  /** What the names in it must begin with. */
  readonly start: string
  /** The real paths of this directory and of those that led to it: a link back to one of them ends here. */
  readonly chain: ReadonlyArray<string>
}

/**
 * Files whose keys start with `prefix`, a directory after the other. Symbolic links are followed as far as `confine` lets
 * them. What
 * disappears while the listing goes on is left out, and a missing directory is empty.
 */
export const list = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  root: string,
  prefix: string,
  confine: (real: string, named: string) => Effect.Effect<void, Errors.Reason>
): Stream.Stream<ObjectMeta, Errors.Reason> => {
  if (!FileKey.isPrefix(prefix)) return Stream.empty
  const base = prefix.slice(0, prefix.lastIndexOf("/") + 1)
  const directory = path.join(root, ...base.split("/").filter((segment) => segment !== ""))

  const identify = (file: string): Effect.Effect<FileIdentity.FileIdentity | undefined, Errors.Reason> =>
    asReason("read")(unlessGone(FileIdentity.ofPath(file), undefined))

  const walk = ({ base, chain, directory, start }: Place): Stream.Stream<ObjectMeta, Errors.Reason> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const files: Array<string> = []
        const directories: Array<Place> = []
        const add = (name: string): void => {
          if (!FileKey.isHiddenFile(name)) files.push(name)
        }
        const enter = (name: string, real: string): void => {
          if (!FileKey.isHiddenDirectory(name) && !chain.includes(real)) {
            directories.push({
              directory: path.join(directory, name),
              base: `${base}${name}/`,
              start: "",
              chain: [...chain, real]
            })
          }
        }
        const entries = yield* asReason("read")(unlessGone(fs.readDirectoryEntries(directory), []))
        for (const { name, type } of entries) {
          if (!name.startsWith(start)) continue
          if (type === "File") add(name)
          else if (type === "Directory") enter(name, path.join(chain.at(-1)!, name))
          else if (type === "SymbolicLink" || type === "Unknown") {
            const target = path.join(directory, name)
            const identity = yield* identify(target)
            if (identity?.type !== "File" && identity?.type !== "Directory") continue
            const real = yield* asReason("read")(unlessGone(fs.realPath(target), undefined))
            if (real === undefined) continue
            yield* confine(real, target)
            if (identity.type === "File") add(name)
            else enter(name, real)
          }
        }
        const found = Stream.fromIterable(inBatches(files)).pipe(
          Stream.mapEffect((names) =>
            Effect.forEach(
              names,
              (name) =>
                Effect.map(identify(path.join(directory, name)), (identity) =>
                  identity?.type === "File" ? [metaOf(base + name, identity)] : []
                ),
              { concurrency: 16 }
            )
          ),
          Stream.flatMap((metas) => Stream.fromArray(metas.flat()))
        )
        return Stream.concat(found, Stream.flatMap(Stream.fromArray(directories), walk))
      })
    )

  return Stream.unwrap(
    Effect.map(asReason("read")(unlessGone(fs.realPath(directory), undefined)), (real) =>
      real === undefined
        ? Stream.empty
        : Stream.unwrap(
            Effect.as(
              confine(real, directory),
              walk({ directory, base, start: prefix.slice(base.length), chain: [real] })
            )
          )
    )
  )
}

const unlessGone = <A, B>(
  effect: Effect.Effect<A, PlatformError.PlatformError>,
  otherwise: B
): Effect.Effect<A | B, PlatformError.PlatformError> =>
  Effect.catchIf(
    effect,
    (error) => ["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? error.reason._tag),
    () => Effect.succeed(otherwise)
  )

function* inBatches(names: ReadonlyArray<string>): Generator<ReadonlyArray<string>> {
  for (let at = 0; at < names.length; at += 256) yield names.slice(at, at + 256)
}
