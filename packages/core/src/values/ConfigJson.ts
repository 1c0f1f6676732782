/**
 * Configurations from and to JSON, and what is wrong with those that others wrote. A program that reads loads this when a
 * repository has a configuration.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as ConfigFields from "./ConfigFields.ts"
import * as ConfigShape from "./ConfigShape.ts"
import { InvalidConfig, jsonOf } from "./InvalidConfig.ts"
import * as Json from "./Json.ts"
import type { RepositoryConfig } from "./RepositoryConfig.ts"
import * as Shape from "./Shape.ts"
import * as Container from "./VirtualChunkContainer.ts"

const fieldOf = (path: ReadonlyArray<unknown>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  ) || "(whole file)"

/** What is not JSON in the fields of a configuration, the values of which are at this depth. */
const notJson = (source: string, value: unknown, depth: number): InvalidConfig | undefined => {
  // Before anything else looks at the values, because it goes as deep as they do.
  for (const [field, inner] of ConfigFields.isFields(value) ? Object.entries(value) : []) {
    const problem = inner === undefined ? undefined : Json.problem(inner, depth)
    if (problem !== undefined) return new InvalidConfig({ source, field, problem })
  }
  return undefined
}

/** Fields of `config.json` that are no settings. */
const reserved = ["recent_writes", "published"]

const decode = (source: string, value: unknown): Result.Result<RepositoryConfig, InvalidConfig> => {
  const decoded = Shape.read(ConfigShape.repositoryConfig, value)
  if (Result.isFailure(decoded)) {
    const { path, problem } = decoded.failure
    return Result.fail(new InvalidConfig({ source, field: fieldOf(path), problem }))
  }
  const containers = decoded.success.virtual_chunk_containers?.map(Container.normalise)
  return validate(
    source,
    containers === undefined ? decoded.success : { ...decoded.success, virtual_chunk_containers: containers }
  )
}

/**
 * A configuration from parsed JSON, as a file has it. Fields that this version does not know are in `additional_fields`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJson = (source: string, json: unknown): Result.Result<RepositoryConfig, InvalidConfig> => {
  // Two more than are written: a file also repeats, in a list, what was published of it.
  const wrong = notJson(source, json, -1)
  if (wrong !== undefined) return Result.fail(wrong)
  return decode(source, ConfigFields.fromFile(ConfigShape.repositoryConfig, json))
}

/**
 * A configuration that a program passes. It has known fields only, others in `additional_fields`, and its containers hold
 * no secrets; `kept` are containers of others, which are taken as they are.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromInput = (
  source: string,
  input: unknown,
  kept: ReadonlyArray<Container.VirtualChunkContainer> = []
): Result.Result<RepositoryConfig, InvalidConfig> => {
  const wrong = notJson(source, input, 1)
  if (wrong !== undefined) return Result.fail(wrong)
  const refuse = (path: ReadonlyArray<unknown>, problem: string): Result.Result<never, InvalidConfig> =>
    Result.fail(new InvalidConfig({ source, field: fieldOf(path), problem }))
  const given = ConfigFields.isFields(input) ? input["virtual_chunk_containers"] : undefined
  const before = new Map(kept.map((container) => [container.name, Json.canonical(container)]))
  const isKept = (container: unknown): boolean => {
    const name = ConfigFields.isFields(container) ? container["name"] : undefined
    return typeof name === "string" && before.get(name) === Json.canonical(container)
  }
  for (const [i, container] of Array.isArray(given) ? given.entries() : []) {
    // Before unknown fields are named: a secret often is one.
    const problem =
      ConfigFields.isFields(container) && !isKept(container) ? Container.secretProblem(container) : undefined
    if (problem !== undefined) return refuse(["virtual_chunk_containers", i], problem)
  }
  const others = ConfigFields.isFields(input) ? input[ConfigFields.additional] : undefined
  const taken = ConfigFields.isFields(others) ? reserved.find((name) => Object.hasOwn(others, name)) : undefined
  if (taken !== undefined) return refuse([ConfigFields.additional, taken], "this library keeps its own notes there")
  const misplaced = ConfigFields.misplaced(ConfigShape.repositoryConfig, input)
  if (misplaced !== undefined) return refuse(misplaced.path, misplaced.problem)
  return Result.flatMap(decode(source, input), (config) => {
    for (const [i, container] of (config.virtual_chunk_containers ?? []).entries()) {
      const problem = isKept(container) ? undefined : Container.inputProblem(container)
      if (problem !== undefined) return refuse(["virtual_chunk_containers", i], problem)
    }
    return Result.succeed(config)
  })
}

/**
 * A configuration from the text of `config.json`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (source: string, text: string): Result.Result<RepositoryConfig, InvalidConfig> =>
  Result.flatMap(jsonOf(source, text), (json) => fromJson(source, json))

/**
 * The configuration as `config.json` has it: the fields of `additional_fields` beside the others.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJson = (config: RepositoryConfig): Json.JsonObject =>
  ConfigFields.toFile(ConfigShape.repositoryConfig, config) as Json.JsonObject

/**
 * The text of `config.json`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const print = (config: RepositoryConfig): string => `${JSON.stringify(toJson(config), undefined, 2)}\n`

/**
 * The configuration itself when its containers are well formed and their names unique.
 *
 * @category predicates
 * @since 0.1.0
 */
export const validate = (source: string, config: RepositoryConfig): Result.Result<RepositoryConfig, InvalidConfig> => {
  const names = new Set<string>()
  const containers = config.virtual_chunk_containers ?? []
  for (const [i, container] of containers.entries()) {
    const field = `virtual_chunk_containers[${i}]`
    const problem = Container.problem(container)
    if (problem !== undefined) return Result.fail(new InvalidConfig({ source, field, problem }))
    if (names.has(container.name)) {
      return Result.fail(
        new InvalidConfig({ source, field, problem: `there is another container named \`${container.name}\`` })
      )
    }
    names.add(container.name)
  }
  return Result.succeed(config)
}

/**
 * Whether `next` may replace `current` in `config.json`: well formed, and no container of `current` is
 * gone.
 *
 * @category predicates
 * @since 0.1.0
 */
export const validateUpdate = (
  source: string,
  current: RepositoryConfig,
  next: RepositoryConfig
): Result.Result<RepositoryConfig, InvalidConfig> =>
  Result.flatMap(fromInput(source, next, current.virtual_chunk_containers ?? []), (next) => {
    const kept = new Set((next.virtual_chunk_containers ?? []).map(({ name }) => name))
    const gone = (current.virtual_chunk_containers ?? []).find(({ name }) => !kept.has(name))
    if (gone !== undefined) {
      return Result.fail(
        new InvalidConfig({
          source,
          field: "virtual_chunk_containers",
          problem: `container \`${gone.name}\` is missing; containers are added and edited, never deleted, because older snapshots may refer to them`
        })
      )
    }
    return Result.succeed(next)
  })
