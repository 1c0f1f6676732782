import * as FsObjectStore from "@effect-icechunk/fs/FsObjectStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { suite } from "../../core/test/repository/RepositorySuite.ts"

suite(
  "in a directory",
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      return FsObjectStore.layer({ directory: yield* fs.makeTempDirectoryScoped({ prefix: "fs-repository-" }) })
    })
  ).pipe(Layer.provide(NodeServices.layer))
)
