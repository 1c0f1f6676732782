/**
 * What a page has of a repository in a public bucket: the program of `docs/start-browser.md`.
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import * as Platform from "@effect-icechunk/core/Platform"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
import * as HttpObjectStore from "@effect-icechunk/http/HttpObjectStore"
import * as HttpPlatform from "@effect-icechunk/http/HttpPlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zarr from "zarrita"

/** The mean of an array, in the version that a branch is at. */
const mean = (path: `/${string}`) =>
  Effect.gen(function* () {
    const repository = yield* ReadonlyRepository.open()
    const session = yield* repository.readonlySession({ branch: "main" })
    const root = zarr.root(yield* ZarritaStore.make(session))
    return yield* ZarritaStore.use(async (signal) => {
      const array = await zarr.open.v3(root.resolve(path), { kind: "array", signal })
      const { data } = await zarr.get(array, null, { signal })
      return (data as Float32Array).reduce((sum, value) => sum + value, 0) / data.length
    })
  }).pipe(Effect.scoped)

/** Where the repository is, and what virtual chunks are read from. */
const services = (url: string) =>
  Layer.mergeAll(
    HttpObjectStore.layer({ url }),
    Platform.layer([HttpPlatform.make, HttpPlatform.anonymousS3, HttpPlatform.anonymousGcs]),
    BrowserZstd.layer
  )

/** For the page, which knows nothing of Effect: `await meanOf("https://…", "/temperature")`. */
export const meanOf = (url: string, path: `/${string}`, signal?: AbortSignal): Promise<number> =>
  Effect.runPromise(mean(path).pipe(Effect.provide(services(url))), signal === undefined ? {} : { signal })
