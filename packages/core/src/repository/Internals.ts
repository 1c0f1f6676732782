/**
 * What an open repository is beside what it shows to its users: for the modules that look at its history or keep it in
 * order, which a program loads only when it uses them.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { WritableAssets } from "./AssetWrites.ts"
import type { Opened } from "./Opening.ts"
import type { ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import type { RepositoryShape } from "./Repository.ts"
import type { Change } from "./versions/RepoChange.ts"
import type * as RepoObject from "./versions/RepoObject.ts"

/**
 * What is needed to write to an open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface Writing extends Opened {
  readonly assets: WritableAssets
  /**
   * Applies a pure change to the repository object, again whenever others were faster, and publishes the configuration
   * along when that is still to be done. Unless `whenLimited`, only while the repository is online.
   */
  readonly change: <E>(
    change: Change<E>,
    options?: Pick<RepoObject.UpdateOptions, "after" | "from" | "onWritten" | "isWrittenIn"> & {
      readonly whenLimited?: boolean | undefined
    }
  ) => Effect.Effect<void, E | RepoObject.UpdateError>
}

const readable = new WeakMap<ReadonlyRepositoryShape, Opened>()
const writable = new WeakMap<RepositoryShape, Writing>()

const known = <K extends ReadonlyRepositoryShape, A>(internals: WeakMap<K, A>, repository: K): A => {
  const found = internals.get(repository)
  if (found === undefined) {
    throw new TypeError(
      "This repository was not opened by `Repository` or `ReadonlyRepository`, or it is a copy: pass the object itself."
    )
  }
  return found
}

/**
 * Notes what a repository is made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rememberReading = (repository: ReadonlyRepositoryShape, internals: Opened): void => {
  readable.set(repository, internals)
}

/**
 * Notes what a repository that is written to is made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rememberWriting = (repository: RepositoryShape, internals: Writing): void => {
  readable.set(repository, internals)
  writable.set(repository, internals)
}

/**
 * What a repository is made of. Throws when it is none of ours.
 *
 * @category accessors
 * @since 0.1.0
 */
export const reading = (repository: ReadonlyRepositoryShape): Opened => known(readable, repository)

/**
 * What a repository that is written to is made of. Throws when it is none of ours.
 *
 * @category accessors
 * @since 0.1.0
 */
export const writing = (repository: RepositoryShape): Writing => known(writable, repository)
