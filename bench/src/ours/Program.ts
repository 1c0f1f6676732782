/**
 * Runs programs of this library on a directory.
 */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { type ObjectStore, Platform, type Zstd } from "@effect-icechunk/core"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"

export type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd

/** A runtime with one scope, which stays open: what was opened in one run is used in the next. */
export interface Program {
  readonly run: <A, E>(effect: Effect.Effect<A, E, Services | Scope.Scope>) => Promise<A>
}

export const make = <E>(services: Layer.Layer<Services, E>): Program => {
  const runtime = ManagedRuntime.make(services)
  const scope = Scope.makeUnsafe()
  return { run: (effect) => runtime.runPromise(Effect.provideService(effect, Scope.Scope, scope)) }
}

/** A repository in a directory. */
export const onFiles = (directory: string, options: { readonly flush?: boolean } = {}): Program =>
  make(
    Layer.mergeAll(
      FsObjectStore.layer({ directory, ...options }),
      Platform.layer([FsPlatform.make]),
      NodeZstd.layer
    ).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
  )

/** What is read is what was written. */
export const expect = (holds: boolean, what: string): Effect.Effect<void> =>
  holds ? Effect.void : Effect.die(new Error(what))
