/**
 * What must not happen in the demo: it ends with this error, and the process with a code other than 0.
 */
import { Data, Effect } from "effect"

export class Unexpected extends Data.TaggedError("Unexpected")<{ readonly what: string; readonly cause?: unknown }> {
  override get message(): string {
    return `Unexpected: ${this.what}`
  }
}

export const unless = (holds: boolean, what: string): Effect.Effect<void, Unexpected> =>
  holds ? Effect.void : Effect.fail(new Unexpected({ what }))

/** Succeeds with the error that `effect` must fail with. */
export const failure = <Tag extends E["_tag"], A, E extends { readonly _tag: string }, R>(
  tag: Tag,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, Unexpected, R> =>
  Effect.matchEffect(effect, {
    onSuccess: () => Effect.fail(new Unexpected({ what: `a read that has to fail with ${tag} succeeds` })),
    onFailure: (error) =>
      error._tag === tag
        ? Effect.succeed(error as Extract<E, { readonly _tag: Tag }>)
        : Effect.fail(new Unexpected({ what: `a read fails with ${error._tag}, not with ${tag}`, cause: error }))
  })
