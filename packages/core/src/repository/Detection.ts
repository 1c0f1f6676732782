/**
 * Whether there is a repository in a store, and of which version of the specification: with one or two small requests,
 * before anything is opened.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as IcechunkFile from "../format/IcechunkFile.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import { ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as Layout from "./Layout.ts"
import { UnsupportedSpecVersion } from "./RepositoryError.ts"
import * as Spec1Refs from "./versions/Spec1Refs.ts"

/**
 * What is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Detected {
  readonly specVersion: 1 | 2
}

/**
 * What is in a store is not an Icechunk repository.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotARepository
  extends /*#__PURE__*/ Data.TaggedError("NotARepository")<{
    readonly store: string
    readonly because: string
  }>
{
  override get message(): string {
    return `\`${this.store}\` is not an Icechunk repository: ${this.because}. Give the directory that has \`repo\` in it, or \`refs\` in a repository of spec version 1.`
  }
}

/** What the first bytes of `repo` say. Pure. */
const fromHeader = (
  store: string,
  bytes: Uint8Array
): Result.Result<Detected, NotARepository | UnsupportedSpecVersion> => {
  const header = IcechunkFile.decodeHeader(Layout.repo, bytes)
  if (Result.isFailure(header)) {
    const { field, problem } = header.failure
    return field === "header.spec_version"
      ? Result.fail(new UnsupportedSpecVersion({ store, version: IcechunkFile.specVersionOf(bytes) }))
      : Result.fail(new NotARepository({ store, because: `of its \`${Layout.repo}\`, ${problem}` }))
  }
  const { fileType, specVersion } = header.success
  if (fileType !== "RepoInfo") {
    return Result.fail(new NotARepository({ store, because: `its \`${Layout.repo}\` is a file of type ${fileType}` }))
  }
  return specVersion === 2
    ? Result.succeed({ specVersion })
    : Result.fail(new UnsupportedSpecVersion({ store, version: specVersion }))
}

/** A branch of spec version 1 is a few bytes; this is more than any has. */
const maxRef = 64 * 1024

/**
 * Whether there is a repository. Asks for the first bytes of `repo`, and where there is no such object for the branch
 * `main` of spec version 1; lists nothing.
 *
 * Fails with `NotARepository`, which says what is there instead (also where a server answers with a web page), with
 * `UnsupportedSpecVersion`, and with `ObjectStoreError` when the store refuses to say or cannot be reached.
 *
 * @category reading
 * @since 0.1.0
 */
export const detect = (
  store: ObjectStoreShape
): Effect.Effect<Detected, NotARepository | UnsupportedSpecVersion | ObjectStoreError> => {
  const { description } = store
  const not = (because: string): Effect.Effect<never, NotARepository> =>
    Effect.fail(new NotARepository({ store: description, because }))
  const isBranch = store.get(Layout.spec1Main, { maxBytes: maxRef }).pipe(
    Effect.flatMap(({ bytes }) => Effect.fromResult(Spec1Refs.decode(Layout.spec1Main, bytes))),
    Effect.matchEffect({
      onSuccess: () => Effect.succeed<Detected>({ specVersion: 1 }),
      onFailure: (error): Effect.Effect<never, NotARepository | ObjectStoreError> =>
        error._tag === "FormatError"
          ? not(`of its \`${Layout.spec1Main}\`, ${error.problem}`)
          : error.reason._tag === "NotFound"
            ? not(`it has neither \`${Layout.repo}\` nor \`${Layout.spec1Main}\``)
            : Effect.fail(error)
    })
  )
  const header = ByteRange.bounded(0, IcechunkFile.headerSize)
  return store.get(Layout.repo, { range: header }).pipe(
    Effect.flatMap(({ bytes }) => Effect.fromResult(fromHeader(description, bytes))),
    Effect.catchIf(
      (error) => error instanceof ObjectStoreError,
      (error): Effect.Effect<Detected, NotARepository | ObjectStoreError> => {
        const { reason } = error
        if (reason._tag === "NotFound") return isBranch
        return reason._tag === "InvalidRange"
          ? not(`its \`${Layout.repo}\` has fewer bytes than a header of ${IcechunkFile.headerSize}`)
          : Effect.fail(error)
      }
    ),
    Effect.catchIf(
      (error) =>
        error instanceof ObjectStoreError && error.reason._tag === "InvalidResponse" && error.reason.isPage === true,
      () => not("the server answers with a web page, as where one logs in or where there is no such file")
    )
  )
}
