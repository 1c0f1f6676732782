/**
 * Opens a repository and reads its versions: what the page knows of Icechunk.
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as History from "@effect-icechunk/core/History"
import * as Platform from "@effect-icechunk/core/Platform"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import type * as Session from "@effect-icechunk/core/Session"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
import { Fetch, HttpObjectStore, HttpPlatform } from "@effect-icechunk/http"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"
import type { ChunkIndex, Level } from "./Level.ts"

/** What is there is not what this page can show. */
export class NotShown extends Data.TaggedError("NotShown")<{ readonly path: string; readonly problem: string }> {
  override get message(): string {
    return `\`${this.path}\` cannot be shown: ${this.problem}. This page shows fields on a grid of latitudes and longitudes.`
  }
}

export type Version = ReadonlyRepository.VersionRef

/** A snapshot, as the page lists it. */
export interface Snapshot {
  readonly id: string
  readonly message: string
  readonly writtenAt: Date
}

/** An array, and its chunks read through zarrita. */
export interface LevelArray extends Level {
  readonly path: string
  /** Elements of a chunk, row by row. */
  readonly read: (index: ChunkIndex, signal: AbortSignal) => Promise<ArrayLike<number>>
  /** Where a chunk is: in the repository, in its manifest, or in another file. */
  readonly kind: (index: ChunkIndex) => Promise<"Virtual" | "Native" | "Inline" | undefined>
}

/** A field in one version of the repository. */
export interface Dataset {
  readonly snapshotId: string
  readonly path: string
  readonly name: string
  readonly units: string
  /** The lowest and the highest value, where the array says so. */
  readonly range: readonly [number, number] | undefined
  /** The finest first. */
  readonly levels: ReadonlyArray<LevelArray>
}

/** A container over HTTP, in which chunks of the repository may be. */
export interface Outside {
  readonly name: string
  readonly place: string
  readonly endpoint: string
  readonly isAllowed: boolean
}

export interface Options {
  /** The directory of the repository. */
  readonly url: string
  /** The path of the array. */
  readonly array: string
  /** Servers that may be asked for chunks, besides the repository's own. */
  readonly allowed: ReadonlySet<string>
  readonly fetch: Fetch.FetchFunction
}

export type Ref = { readonly kind: "branch" | "tag"; readonly name: string }

/** The versions of the repository, as they were at one moment. */
export interface Versions {
  readonly branches: ReadonlyArray<string>
  readonly tags: ReadonlyArray<string>
  /** The snapshot of a branch or tag and those before it, newest first. */
  readonly history: (ref: Ref) => ReadonlyArray<Snapshot>
}

export interface Opened {
  /** As they were when the repository was opened. */
  readonly versions: Versions
  /** As they are now. One request says it all. */
  readonly versionsNow: Effect.Effect<Versions, unknown>
  readonly outside: ReadonlyArray<Outside>
  readonly dataset: (version: Version) => Effect.Effect<Dataset, unknown>
}

type Numbers = zarr.Array<"float32" | "float64", ZarritaStore.Readable>

const openArray: (
  root: zarr.Location<ZarritaStore.Readable>,
  path: string
) => Effect.Effect<Numbers, ZarritaStore.UseError | NotShown> = Effect.fnUntraced(function* (root, path) {
  const array = yield* ZarritaStore.use((signal) => zarr.open.v3(root.resolve(path), { kind: "array", signal }))
  if (!array.is("float32") && !array.is("float64")) {
    return yield* new NotShown({ path, problem: `its elements are \`${array.dtype}\`` })
  }
  return array
})

/** The first value of a coordinate, and the way to the next. */
const coordinate = Effect.fnUntraced(function* (root: zarr.Location<ZarritaStore.Readable>, path: string) {
  const array = yield* openArray(root, path)
  const { data } = yield* ZarritaStore.use((signal): Promise<{ readonly data: ArrayLike<number> }> =>
    array.getChunk([0], { signal })
  )
  return { first: data[0] ?? 0, step: (data[1] ?? 0) - (data[0] ?? 0), length: array.shape[0] ?? 0 }
})

const levelOf = (
  session: Session.Session,
  array: Numbers,
  options: { readonly south: number; readonly west: number; readonly step: number }
): LevelArray => {
  const [rows = 0, columns = 0] = array.shape
  const [chunkRows = 1, chunkColumns = 1] = array.chunks
  return {
    ...options,
    path: array.path,
    rows,
    columns,
    chunkRows,
    chunkColumns,
    read: async (index, signal) => (await array.getChunk([...index], { signal })).data,
    kind: (index) =>
      Effect.runPromise(
        Effect.match(session.chunkRef(array.path, [...index]), {
          onSuccess: (ref) => ref?._tag,
          onFailure: () => undefined
        })
      )
  }
}

const texts = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : []

const readDataset = Effect.fnUntraced(function* (
  repository: ReadonlyRepository.ReadonlyRepositoryShape,
  version: Version,
  path: string
) {
  const session = yield* repository.readonlySession(version)
  const root = zarr.root(yield* ZarritaStore.make(session))
  const group = path.slice(0, path.lastIndexOf("/"))
  const [array, latitude, longitude] = yield* Effect.all(
    [openArray(root, path), coordinate(root, `${group}/latitude`), coordinate(root, `${group}/longitude`)],
    { concurrency: "unbounded" }
  )
  const { step } = latitude
  if (array.shape.length !== 2 || !(step > 0) || Math.abs(longitude.length * longitude.step - 360) > 1e-6) {
    return yield* new NotShown({ path, problem: "it has no regular grid around the Earth, from south to north" })
  }
  const { attrs } = array
  const overviews = yield* Effect.forEach(texts(attrs["overviews"]), (path) => openArray(root, path), {
    concurrency: "unbounded"
  })
  const levels = [array, ...overviews].map((level) =>
    levelOf(session, level, { south: latitude.first, west: longitude.first, step: 360 / (level.shape[1] ?? 1) })
  )
  const range = attrs["actual_range"]
  return {
    snapshotId: yield* session.snapshotId,
    path,
    name: typeof attrs["long_name"] === "string" ? attrs["long_name"] : path,
    units: typeof attrs["units"] === "string" ? attrs["units"] : "",
    range: Array.isArray(range) ? [Number(range[0]), Number(range[1])] : undefined,
    levels: levels.toSorted((a, b) => a.step - b.step)
  } satisfies Dataset
})

/** Where a container over HTTP is. */
const endpointOf = ({ bucket_prefix = "", cloud_client_config, protocol }: Container.VirtualChunkContainer): string =>
  cloud_client_config?.endpoint_url ??
  `${protocol === "http" ? "http" : "https"}://${bucket_prefix.replace(/^\/+/, "").replace(/\/.*/, "")}`

const versionsOf = (nodes: ReadonlyArray<History.GraphNode>): Versions => {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  return {
    branches: nodes.flatMap(({ branches }) => branches).toSorted(),
    tags: nodes.flatMap(({ tags }) => tags).toSorted(),
    history: ({ kind, name }) => {
      const found: Array<Snapshot> = []
      let at = nodes.find((node) => (kind === "branch" ? node.branches : node.tags).includes(name))
      while (at !== undefined) {
        const { flushedAt, id, message, parentId } = at
        found.push({ id, message, writtenAt: new Date(flushedAt / 1000) })
        at = parentId === undefined ? undefined : byId.get(parentId)
      }
      return found
    }
  }
}

const connect = Effect.fnUntraced(function* (options: Options) {
  // The repository names places outside of it, which somebody else may have chosen: what is on the same server is
  // read, without credentials, and from elsewhere only what the visitor has agreed to.
  const first = yield* ReadonlyRepository.open()
  const outside = (yield* first.containers)
    .filter(({ container, source }) => source !== "default" && container.platform === "http")
    .map(({ container }) => {
      const endpoint = endpointOf(container)
      const isAllowed = URL.parse(endpoint)?.origin === URL.parse(options.url)?.origin || options.allowed.has(endpoint)
      return { name: container.name, place: container.bucket_prefix ?? "", endpoint, isAllowed }
    })
  const credentials = Object.fromEntries(
    outside
      .filter(({ isAllowed }) => isAllowed)
      .map(({ endpoint, name }) => [
        name,
        Credentials.grant({ credentials: Credentials.anonymous, endpoints: [endpoint] })
      ])
  )
  const isFirstEnough = Object.keys(credentials).length === 0
  const repository = isFirstEnough ? first : yield* ReadonlyRepository.open({ credentials })
  // Branches, tags and history together: each alone would ask anew what is the newest.
  const versionsNow = Effect.map(Stream.runCollect(History.graph(repository)), versionsOf)
  const versions = yield* versionsNow
  // What is read of a version stays open as long as the repository.
  const scope = yield* Effect.scope
  const opened: Opened = {
    versions,
    versionsNow,
    outside,
    dataset: (version) => Scope.provide(readDataset(repository, version, options.array), scope)
  }
  return opened
})

/**
 * Opens a repository on the web, whose files are asked for with `fetch`.
 */
export const open = (options: Options) =>
  Effect.gen(function* () {
    // Stores and clients of the repository are released with the Scope, as what is read of it.
    const services = yield* Layer.build(
      Layer.mergeAll(
        HttpObjectStore.layer({ url: options.url }),
        Platform.layer([HttpPlatform.make, HttpPlatform.anonymousS3, HttpPlatform.anonymousGcs]),
        BrowserZstd.layer
      )
    )
    return yield* Effect.provide(connect(options), services)
  }).pipe(Effect.provideService(Fetch.Fetch, options.fetch))
