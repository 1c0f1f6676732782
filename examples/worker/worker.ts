/**
 * A Cloudflare Worker that answers from a repository on a website: `/?row=360&column=0` with the height of the geoid there.
 * `wrangler.jsonc` says where the repository is, and the website that its virtual chunks may be read from.
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Platform from "@effect-icechunk/core/Platform"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import * as HttpObjectStore from "@effect-icechunk/http/HttpObjectStore"
import * as HttpPlatform from "@effect-icechunk/http/HttpPlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zarr from "zarrita"

interface Env {
  readonly REPOSITORY: string
  readonly DATA: string
}

const height = (env: Env, row: number, column: number) =>
  Effect.gen(function* () {
    const geoid = Credentials.grant({ credentials: Credentials.anonymous, endpoints: [env.DATA] })
    const repository = yield* ReadonlyRepository.open({ credentials: { geoid } })
    const session = yield* repository.readonlySession({ branch: "main" })
    const root = zarr.root(yield* ZarritaStore.make(session))
    return yield* ZarritaStore.use(async (signal) => {
      const array = await zarr.open.v3(root.resolve("/heights"), { kind: "array", signal })
      return Number(await zarr.get(array, [row, column], { signal }))
    })
  })

/** A request opens the repository for itself: in a Worker, none may wait for what another one has asked for. */
const services = (env: Env) =>
  Layer.mergeAll(HttpObjectStore.layer({ url: env.REPOSITORY }), Platform.layer([HttpPlatform.make]), BrowserZstd.layer)

export default {
  fetch: (request: Request, env: Env): Promise<Response> => {
    const { searchParams } = new URL(request.url)
    const [row, column] = [Number(searchParams.get("row")), Number(searchParams.get("column"))]
    return height(env, row, column).pipe(
      Effect.map((height) => Response.json({ row, column, height })),
      Effect.catch(({ _tag, message }) => Effect.succeed(Response.json({ error: _tag, message }, { status: 502 }))),
      Effect.scoped,
      Effect.provide(Layer.orDie(services(env))),
      Effect.runPromise
    )
  }
}
