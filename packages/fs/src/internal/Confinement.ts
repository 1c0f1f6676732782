/**
 * Keeps a directory's store in that directory: what symbolic links lead out of it is not read, listed or written.
 *
 * Where a path leads is known for certain only once the file is open, because a directory on the way may become a
 * link in between. So on Linux an open file is asked where it is, which costs no system call to the disk; elsewhere
 * the directory is resolved. Writes resolve the directory before they put anything there.
 */
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as FileIdentity from "../FileIdentity.ts"
import { asReason, type Source } from "./FileReader.ts"
import type { Looks } from "./HeldFile.ts"
import type { LocalDirectories } from "./LocalDirectories.ts"
import { node, NodeCalls, nodeRealPath } from "./NodeCalls.ts"
import * as SharedCall from "./SharedCall.ts"

export interface Confinement {
  /** The file to read at a path: a regular one. */
  readonly find: (file: string) => Effect.Effect<Source, Errors.Reason>
  /** Fails unless a directory, which must exist where it is not the store's own, really is in that. */
  readonly confine: (directory: string) => Effect.Effect<void, Errors.Reason>
  /** Fails unless a path without links in it is in the store's directory; `named` is what the error calls it. */
  readonly confineReal: (real: string, named: string) => Effect.Effect<void, Errors.Reason>
}

/** Whether a file is below a directory; both are real paths. */
export const isWithin = (path: Path.Path, directory: string, file: string): boolean =>
  file.startsWith(directory.endsWith(path.sep) ? directory : directory + path.sep)

/**
 * What is to be looked at again before more is served of a file that was opened at `opened`, for the path `named`, and
 * really was at `real`. Without a link at the end of the path it is enough where the directory is, which all files in it
 * share.
 */
export const looks = (path: Path.Path, named: string, opened: string, real: string | undefined): Looks => {
  const isDirect = named === opened
  const link = isDirect ? (of: string): string => path.dirname(of) : (of: string): string => of
  return {
    named,
    followsLinks: !isDirect,
    links: real === undefined ? [] : [{ named: link(named), real: link(real) }]
  }
}

/** Directories whose question is kept. */
const mostQuestions = 1000

export const noFollow = process.platform !== "win32"

export const notAFile = (file: string, { type }: FileIdentity.FileIdentity): Errors.Reason =>
  new Errors.Unsupported({ detail: `\`${file}\` is not a regular file but a ${type}` })

export const make = (options: {
  readonly path: Path.Path
  readonly root: string
  readonly followLinks: boolean
  readonly locals: LocalDirectories
}): Confinement => {
  const { followLinks, locals, path, root } = options

  const regular = (file: string, identity: FileIdentity.FileIdentity): Effect.Effect<void, Errors.Reason> => {
    if (identity.type === "File") return Effect.void
    return Effect.fail(identity.type === "Directory" ? new Errors.NotFound({}) : notAFile(file, identity))
  }

  if (followLinks) {
    return {
      find: (file) =>
        asReason("read")(FileIdentity.ofPath(file)).pipe(
          Effect.tap((identity) => regular(file, identity)),
          Effect.map((identity) => ({
            path: file,
            identity,
            noFollow: false,
            again: () => ({ named: file, followsLinks: true, links: [] })
          }))
        ),
      confine: () => Effect.void,
      confineReal: () => Effect.void
    }
  }

  /** The directory may be reached by links. It may also have been moved since it was looked at. */
  let realRoot: string | undefined
  const realPath = (file: string): Effect.Effect<string, Errors.Reason> =>
    asReason("read")(Effect.flatMap(NodeCalls, ({ realPath }) => realPath(file)))

  const findRoot = Effect.map(realPath(root), (real) => (realRoot = real))

  const confineReal = (real: string, named: string): Effect.Effect<void, Errors.Reason> =>
    Effect.suspend(() => {
      if (realRoot !== undefined && isIn(realRoot, real)) return Effect.void
      return Effect.flatMap(findRoot, (root) =>
        isIn(root, real)
          ? Effect.void
          : Effect.fail(
              new Errors.PermissionDenied({
                detail: `\`${named}\` leads out of \`${options.root}\` by a symbolic link; \`followLinks\` allows that`
              })
            )
      )
    })
  const isIn = (root: string, real: string): boolean => real === root || isWithin(path, root, real)

  /** Where directories lead: those who write many files to one ask together. */
  const questions = new Map<string, (tell: (real: string | undefined) => void) => void>()

  /** The same as `realPath`, which those who get no answer ask why. */
  const realDirectory = (directory: string): Effect.Effect<string, Errors.Reason> =>
    Effect.flatMap(NodeCalls, (calls) => {
      if (calls.realPath !== node.realPath) return realPath(directory)
      const real = locals.of(directory, calls)?.realPath(directory)
      if (real !== undefined) return Effect.succeed(real)
      let question = questions.get(directory)
      if (question === undefined) {
        if (questions.size >= mostQuestions) questions.clear()
        question = SharedCall.make((answer) =>
          nodeRealPath(directory, (error, real) => answer(error === null ? real : undefined))
        )
        questions.set(directory, question)
      }
      const asked = question
      return Effect.flatMap(
        Effect.callback<string | undefined>((resume) => asked((real) => resume(Effect.succeed(real)))),
        (real) => (real === undefined ? realPath(directory) : Effect.succeed(real))
      )
    })

  const confine = (directory: string): Effect.Effect<void, Errors.Reason> =>
    // The store's own directory is wherever it leads.
    directory === root ? Effect.void : Effect.flatMap(realDirectory(directory), (real) => confineReal(real, directory))

  const inspect =
    (file: string) =>
    (handle: FileSystem.File): Effect.Effect<string, Errors.Reason> =>
      Effect.flatMap(NodeCalls, ({ pathOf }) => {
        const real = pathOf(FileIdentity.descriptor(handle) ?? -1)
        return real === undefined
          ? realPath(path.dirname(file)).pipe(
              Effect.tap((directory) => confineReal(directory, file)),
              Effect.map((directory) => path.join(directory, path.basename(file)))
            )
          : Effect.as(confineReal(real, file), real)
      })

  const find = (file: string): Effect.Effect<Source, Errors.Reason> =>
    Effect.gen(function* () {
      const identity = yield* asReason("read")(FileIdentity.ofPathNoFollow(file))
      if (identity.type !== "SymbolicLink") {
        yield* regular(file, identity)
        return {
          path: file,
          identity,
          noFollow,
          inspect: inspect(file),
          again: (real: string | undefined) => looks(path, file, file, real)
        }
      }
      const real = yield* realPath(file)
      yield* confineReal(real, file)
      const target = yield* asReason("read")(FileIdentity.ofPathNoFollow(real))
      yield* regular(file, target)
      return {
        path: real,
        identity: target,
        noFollow,
        inspect: inspect(real),
        again: () => looks(path, file, real, real)
      }
    })

  return { find, confine, confineReal }
}
