import { assert, describe, it } from "@effect/vitest"
import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as LocalDirectories from "../src/internal/LocalDirectories.ts"
import { node, NodeCalls } from "../src/internal/NodeCalls.ts"

const ext4 = 0xef53
const nfs = 0x6969
const onFileSystem = (type: number) => ({ ...node, fileSystemType: () => Effect.succeed(type) })

/** For as long as the Scope, notes what is asked at once. */
const asked = Effect.gen(function* () {
  const calls: Array<string> = []
  const noting = <K extends "fstatSync" | "lstatSync">(name: K) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const real = NodeFs[name]
        NodeFs[name] = new Proxy(real, {
          apply: (target, self, options) => {
            calls.push(name)
            return Reflect.apply(target, self, options) as unknown
          }
        })
        syncBuiltinESMExports()
        return real
      }),
      (real) =>
        Effect.sync(() => {
          NodeFs[name] = real
          syncBuiltinESMExports()
        })
    )
  yield* noting("fstatSync")
  yield* noting("lstatSync")
  return calls
})

const written = (type: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "fs-local-" })
    const store = yield* FsObjectStore.make({ directory, flush: false })
    const calls = yield* asked
    const versions = [yield* store.put("a/b", new Uint8Array([1])), yield* store.put("a/b", new Uint8Array([2]))]
    const { version } = yield* store.head("a/b")
    assert.deepStrictEqual(version, versions[1])
    assert.notDeepEqual(versions[0], versions[1])
    return calls
  }).pipe(Effect.provideService(NodeCalls, onFileSystem(type)), Effect.scoped, Effect.provide(NodeServices.layer))

describe("directories of this machine", () => {
  it.live.skipIf(process.platform !== "linux")(
    "are not known to be such before somebody asked, nor where they are elsewhere, nor with other calls",
    () =>
      Effect.gen(function* () {
        const locals = LocalDirectories.make()
        assert.isUndefined(locals.of("/here", node))
        yield* Effect.provideService(locals.learn("/here"), NodeCalls, onFileSystem(ext4))
        yield* Effect.provideService(locals.learn("/there"), NodeCalls, onFileSystem(nfs))
        assert.isDefined(locals.of("/here", node))
        assert.isUndefined(locals.of("/there", node))
        assert.isUndefined(locals.of("/here", { ...node, lstat: (path) => node.lstat(path) }))
      })
  )

  it.live.skipIf(process.platform !== "linux")("are asked at once what they have in memory", () =>
    Effect.map(written(ext4), (calls) => assert.include(calls, "fstatSync"))
  )

  it.live("that may ask another machine hold up nobody", () =>
    Effect.map(written(nfs), (calls) => assert.isEmpty(calls))
  )
})
