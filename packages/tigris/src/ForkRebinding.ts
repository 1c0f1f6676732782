/**
 * After a bucket was forked that holds a repository and the objects its chunks refer to: points the containers of the
 * fork's repository at the fork.
 *
 * How depends on what the refs hold. Refs to a container with a protocol of its own are relative to it: its
 * `bucket_prefix` is changed. Refs with a protocol that Icechunk knows, as `tigris://source/key`, hold whole locations: the
 * container goes on matching them, and gets `fork_bucket`, from which `TigrisPlatform` reads them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ConfigUpdateError, RepositoryShape } from "@effect-icechunk/core/Repository"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as TigrisOptions from "./TigrisOptions.ts"
import { forkBucket } from "./TigrisPlatform.ts"

/**
 * Which bucket was forked, and where to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fork {
  readonly source: string
  readonly fork: string
}

/**
 * A change of one container.
 *
 * @category models
 * @since 0.1.0
 */
export interface Edit {
  readonly name: string
  readonly before: Container.VirtualChunkContainer
  readonly after: Container.VirtualChunkContainer
}

/**
 * What a rebinding changes, and which containers it leaves as they are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan extends Fork {
  readonly edits: ReadonlyArray<Edit>
  readonly unchanged: ReadonlyArray<{ readonly name: string; readonly because: string }>
}

const sameEndpoint = (a: string | undefined, b: string | undefined): boolean => {
  const normal = (endpoint: string | undefined): string =>
    (TigrisOptions.originEndpoint(endpoint) ?? "").replace(/\/+$/, "").toLowerCase()
  return normal(a) === normal(b)
}

/** The container after the fork, or why it stays as it is. */
const rebound = (
  container: Container.VirtualChunkContainer,
  { endpoint, fork, source }: Fork & { readonly endpoint: string | undefined }
): Container.VirtualChunkContainer | string => {
  if (container.platform !== "tigris") return `it is on \`${container.platform}\``
  const client = container.cloud_client_config
  if (!sameEndpoint(client?.endpoint_url, endpoint)) return "it is at another endpoint"
  const prefix = Container.prefix(container)
  const [bucket = "", ...rest] = prefix.split("/")
  const read = forkBucket(container) ?? bucket
  if (read === "") return "it has no bucket of its own; refs name theirs"
  if (read !== source) return `it points at \`${read}\``
  if (!Container.hasCustomProtocol(container)) {
    const { fork_bucket: _, ...others } = client ?? {}
    // Back where the locations point.
    if (fork === bucket) return { ...container, cloud_client_config: others }
    return { ...container, cloud_client_config: { ...others, fork_bucket: fork } }
  }
  return { ...container, bucket_prefix: [fork, ...rest].join("/") }
}

/**
 * What has to change in some containers. `endpoint` is that of the repository's store: a bucket of the same name
 * elsewhere is another one. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (
  containers: ReadonlyArray<Container.VirtualChunkContainer>,
  options: Fork & { readonly endpoint?: string | undefined }
): Plan => {
  const edits: Array<Edit> = []
  const unchanged: Array<{ readonly name: string; readonly because: string }> = []
  for (const before of containers) {
    const after = rebound(before, { ...options, endpoint: options.endpoint })
    if (typeof after === "string") unchanged.push({ name: before.name, because: after })
    else edits.push({ name: before.name, before, after })
  }
  return { source: options.source, fork: options.fork, edits, unchanged }
}

/**
 * A configuration with the changes of a plan made. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply =
  ({ edits }: Plan) =>
  (config: Config.RepositoryConfig): Config.RepositoryConfig =>
    edits.reduce((config, { after }) => Config.setContainer(after)(config), config)

/**
 * Points the persisted containers of a repository at the fork, in one update of its configuration, and tells what was
 * changed. With `dryRun` nothing is. Done twice, the second time changes nothing.
 *
 * The repository is that of the fork, opened over the store in the context. Sessions that are open keep their containers.
 *
 * @category writing
 * @since 0.1.0
 */
export const rebind: (
  repository: Pick<RepositoryShape, "config" | "containers">,
  options: Fork & { readonly dryRun?: boolean | undefined }
) => Effect.Effect<Plan, ConfigUpdateError, ObjectStore.ObjectStore> = Effect.fn("ForkRebinding.rebind")(function* (
  repository,
  { dryRun = false, fork, source }
) {
  const { origin } = yield* ObjectStore.ObjectStore
  // Other clients persist containers in the repository object, which `config.json` is laid over.
  const known = (yield* repository.containers)
    .filter(({ source }) => source === "persisted")
    .map(({ container }) => container)
  const planned = (config: Config.RepositoryConfig): Plan => {
    const all = Config.merge({ virtual_chunk_containers: known }, config).virtual_chunk_containers ?? []
    return plan(all, { source, fork, endpoint: origin.endpoint })
  }
  let done = planned(yield* repository.config.persisted)
  if (dryRun || done.edits.length === 0) return done
  yield* repository.config.update((config) => {
    done = planned(config)
    return apply(done)(config)
  })
  return done
})
