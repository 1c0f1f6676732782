/**
 * The platform `fs`: virtual chunks in files, confined to the directory that the credentials allow.
 *
 * @since 0.1.0
 */
import { MissingCredentials, type Platform } from "@effect-icechunk/core/Platform"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as FsObjectStore from "./FsObjectStore.ts"

/**
 * The platform, as in `Platform.layer([FsPlatform.make])`.
 *
 * A container is read only with `Credentials.directory(path)` for its name: files below that absolute directory,
 * symbolic links followed and judged by where they lead, and nothing else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Platform, never, FileSystem.FileSystem | Path.Path> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return {
    name: "fs",
    defaultRegion: undefined,
    hasBuckets: false,
    // Files are on this machine, whatever a container says.
    ownEndpoints: /^/,
    accepts: ["Directory"],
    sharesCredentials: false,
    open: Effect.fnUntraced(function* ({ container, credentials: source }) {
      const missing = (because: string): MissingCredentials =>
        new MissingCredentials({ container: container.name, platform: "fs", because })
      const credentials = Effect.isEffect(source) ? yield* source : source
      if (credentials._tag !== "Directory") {
        return yield* missing(`files need \`Credentials.directory(path)\`, not \`${credentials._tag}\``)
      }
      if (!path.isAbsolute(credentials.path)) {
        return yield* missing(`\`Credentials.directory\` takes an absolute path, not \`${credentials.path}\``)
      }
      // Only these, so that the files that it keeps open are closed with the store and not with the platform.
      return yield* FsObjectStore.makeConfined({ allowed: credentials.path }).pipe(
        Effect.provideService(FileSystem.FileSystem, fs),
        Effect.provideService(Path.Path, path)
      )
    })
  }
})
