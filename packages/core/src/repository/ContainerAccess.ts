/**
 * Whose credentials would read the containers of a repository, and whether those that were given are for such as there are.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Origin } from "../store/ObjectStore.ts"
import type * as Config from "../values/RepositoryConfig.ts"
import * as Container from "../values/VirtualChunkContainer.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import * as ContainerStores from "../virtual/ContainerStores.ts"
import * as CredentialsPolicy from "../virtual/CredentialsPolicy.ts"
import type { Platform } from "../virtual/Platform.ts"
import type { ContainerAccess } from "./Dependencies.ts"
import type { OpenOptions } from "./ReadonlyRepository.ts"

const accessName = { entry: "given", repository: "repository", nobody: "none" } as const

/** Platforms whose containers always need credentials of their own, also where the platform is not provided. */
const noSharing: ReadonlySet<string> = new Set(["fs", "http"])

/**
 * How the containers of a set would be read. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const access = (
  containers: ContainerMatch.ContainerSet,
  policy: CredentialsPolicy.CredentialsPolicy,
  platforms: ReadonlyMap<string, Platform>
): ReadonlyArray<ContainerAccess> =>
  containers.inOrder.map(({ container, source }) => {
    const provided = platforms.get(container.platform)
    const platform = provided ?? {
      name: container.platform,
      defaultRegion: undefined,
      sharesCredentials: !noSharing.has(container.platform)
    }
    const origin: Origin = policy.repository
    const found = CredentialsPolicy.credentialsFor(policy, platform, { container, source })
    return {
      name: container.name,
      protocol: container.protocol,
      platform: container.platform,
      bucketPrefix: Container.prefix(container),
      endpoint: container.cloud_client_config?.endpoint_url,
      region: ContainerStores.regionFor(origin, platform, container),
      source,
      credentials: Result.isFailure(found)
        ? "needed"
        : provided === undefined
          ? "no platform"
          : accessName[found.success.from],
      because: Result.isFailure(found) ? found.failure.because : undefined
    }
  })

/**
 * Fails unless what is said of containers is said of such as there are.
 *
 * @category predicates
 * @since 0.1.0
 */
export const checkNames = (
  { config, credentials, withoutContainers }: OpenOptions,
  persisted: Config.RepositoryConfig
): Effect.Effect<void, ContainerMatch.UnknownContainer | Config.InvalidConfig> => {
  const containers = ContainerMatch.make({
    persisted: persisted.virtual_chunk_containers ?? [],
    overrides: config?.virtual_chunk_containers ?? []
  })
  const problem =
    CredentialsPolicy.problem(credentials ?? {}) ??
    ContainerMatch.unknown(containers, { credentials, withoutContainers })
  return problem === undefined ? Effect.void : Effect.fail(problem)
}
