/**
 * Zarr's codecs: their order and their configurations. Pure. Source: Zarr 3 core specification, "Codecs", and the
 * registry `zarr-extensions`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject } from "./Json.ts"
import { isObject, named, type Problem, unknownProblem } from "./ZarrExtension.ts"

/**
 * What the chunks are that codecs are for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chunks {
  readonly rank: number
  /** In elements; `undefined` when they differ from each other. */
  readonly shape: ReadonlyArray<number> | undefined
  readonly hasEndianness: boolean
}

/** The steps of a chain, in their order. */
const steps = ["array to array", "array to bytes", "bytes to bytes"] as const
type Step = (typeof steps)[number]

/** The first problem of a configuration; its path starts below it. */
type Check = (configuration: JsonObject, chunks: Chunks, extensions: ReadonlySet<string>) => Problem | undefined

const nothing: Check = () => undefined

const wrong = (problem: string, ...path: ReadonlyArray<string | number>): Problem => ({ path, problem })

const isWhole = (value: Json | undefined, least: number, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && least <= value && value <= most

const whole =
  (field: string, least: number, most: number): Check =>
  (configuration) =>
    isWhole(configuration[field], least, most)
      ? undefined
      : wrong(`it is not a whole number from ${least} to ${most}`, field)

const oneOf =
  (field: string, values: ReadonlyArray<string>): Check =>
  (configuration) => {
    const value = configuration[field]
    return typeof value === "string" && values.includes(value)
      ? undefined
      : wrong(`it is not one of ${values.join(", ")}`, field)
  }

const flag =
  (field: string): Check =>
  (configuration) =>
    typeof configuration[field] === "boolean" ? undefined : wrong("it is neither true nor false", field)

const whenGiven =
  (field: string, check: Check): Check =>
  (configuration, ...rest) =>
    configuration[field] === undefined ? undefined : check(configuration, ...rest)

const all =
  (...checks: ReadonlyArray<Check>): Check =>
  (...given) => {
    for (const check of checks) {
      const problem = check(...given)
      if (problem !== undefined) return problem
    }
    return undefined
  }

const endian: Check = (configuration, chunks) =>
  configuration["endian"] === undefined
    ? chunks.hasEndianness
      ? wrong("it is missing; elements of several bytes are `little` or `big` endian", "endian")
      : undefined
    : oneOf("endian", ["little", "big"])(configuration, chunks, new Set())

/** Also `C` and `F`, which zarr-python wrote once. */
const order: Check = ({ order }, { rank }) => {
  if (order === "C" || order === "F") return undefined
  const isPermutation =
    Array.isArray(order) &&
    order.length === rank &&
    new Set(order).size === rank &&
    order.every((axis: Json) => isWhole(axis, 0, rank - 1))
  return isPermutation ? undefined : wrong(`it is not an order of the ${rank} dimension(s)`, "order")
}

const below = (problem: Problem | undefined, ...path: ReadonlyArray<string | number>): Problem | undefined =>
  problem === undefined ? undefined : { path: [...path, ...problem.path], problem: problem.problem }

const sharding: Check = (configuration, chunks, extensions) => {
  const shape = configuration["chunk_shape"]
  const { rank } = chunks
  if (!Array.isArray(shape) || shape.length !== rank)
    return wrong(`it is not a list of ${rank} length(s)`, "chunk_shape")
  for (const [axis, length] of (shape as ReadonlyArray<Json>).entries()) {
    if (!isWhole(length, 1, Number.MAX_SAFE_INTEGER)) return wrong("it is not a length from 1", "chunk_shape", axis)
    const outer = chunks.shape?.[axis]
    if (outer !== undefined && outer % Number(length) !== 0) {
      return wrong(`chunks of ${outer} are not a multiple of ${Number(length)}`, "chunk_shape", axis)
    }
  }
  const inner: Chunks = { ...chunks, shape: shape as ReadonlyArray<number> }
  // The offset and the length of each inner chunk, as unsigned numbers of 64 bits.
  const index: Chunks = { rank: rank + 1, shape: undefined, hasEndianness: true }
  return (
    below(problem(configuration["codecs"], inner, extensions), "codecs") ??
    (configuration["index_codecs"] === undefined
      ? undefined
      : below(problem(configuration["index_codecs"], index, extensions), "index_codecs")) ??
    whenGiven("index_location", oneOf("index_location", ["start", "end"]))(configuration, chunks, extensions)
  )
}

const level = (least: number, most: number): Check => whole("level", least, most)

const blosc: Check = all(
  oneOf("cname", ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"]),
  whole("clevel", 0, 9),
  oneOf("shuffle", ["noshuffle", "shuffle", "bitshuffle"]),
  whenGiven("typesize", whole("typesize", 1, 2 ** 31 - 1)),
  whenGiven("blocksize", whole("blocksize", 0, 2 ** 31 - 1))
)

const of = (step: Step, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, readonly [Step, Check]]> =>
  names.map((name) => [name, [step, nothing]])

/** Registered codecs, those of the core specification with a look at their configuration. */
const known = new Map<string, readonly [step: Step, check: Check]>([
  ["transpose", ["array to array", order]],
  ["bytes", ["array to bytes", endian]],
  ["sharding_indexed", ["array to bytes", sharding]],
  ["blosc", ["bytes to bytes", blosc]],
  ["gzip", ["bytes to bytes", level(0, 9)]],
  ["zstd", ["bytes to bytes", all(level(-131_072, 22), whenGiven("checksum", flag("checksum")))]],
  ["crc32c", ["bytes to bytes", nothing]],
  ...of("array to array", "bitround", "cast_value", "offset", "pad", "reshape", "scale_offset", "singleton_dim"),
  ...of(
    "array to array",
    ...["astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize"].map((name) => `numcodecs.${name}`)
  ),
  ...of("array to bytes", "vlen-utf8", "vlen-bytes", "vlen-array", "vlen-ndarray", "packbits", "zfp", "optional"),
  ...of("array to bytes", "jpeg", "jpegxl", "numcodecs.pcodec", "numcodecs.zfpy"),
  // Readers that are written in JavaScript know these names too.
  ...of("bytes to bytes", "lz4", "lzw", "zlib"),
  ...of("array to bytes", "json2"),
  ...of(
    "bytes to bytes",
    ...["adler32", "blosc", "bz2", "crc32", "crc32c", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma"].map(
      (name) => `numcodecs.${name}`
    ),
    ...["shuffle", "zlib", "zstd"].map((name) => `numcodecs.${name}`)
  )
])

/**
 * The first problem of a chain of codecs: names that nobody knows, a wrong order, not exactly one codec that turns an
 * array into bytes, or a configuration that cannot be. Of an extension nothing is known, so it may be any step.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (
  value: Json | undefined,
  chunks: Chunks,
  extensions: ReadonlySet<string>
): Problem | undefined => {
  if (!Array.isArray(value)) return wrong(value === undefined ? "it is missing" : "it is not a list of codecs")
  let last: { readonly step: number; readonly name: string } = { step: 0, name: "" }
  let toBytes = 0
  let others = 0
  for (const [i, codec] of (value as ReadonlyArray<Json>).entries()) {
    const parsed = named(codec)
    if (Result.isFailure(parsed)) return below(parsed.failure, i)
    const { configuration, name } = parsed.success
    const found = known.get(name)
    if (found === undefined) {
      const problem = unknownProblem("codec", parsed.success, known.keys(), extensions)
      if (problem !== undefined) return wrong(problem, i, ...(isObject(codec) ? ["name"] : []))
      others++
      continue
    }
    const [kind, check] = found
    const step = steps.indexOf(kind)
    if (kind === "array to bytes" && ++toBytes > 1) {
      return wrong(`\`${last.name}\` has turned the array into bytes already, \`${name}\` cannot do it again`, i)
    }
    if (step < last.step) {
      return wrong(
        `\`${name}\` goes from ${kind}, and cannot follow \`${last.name}\`, which goes from ${steps[last.step]}`,
        i
      )
    }
    last = { step, name }
    const inside = check(configuration, chunks, extensions)
    if (inside !== undefined) {
      // A name alone has no configuration to point into.
      return isObject(codec)
        ? below(inside, i, "configuration")
        : wrong(`${inside.path.join(".")}: ${inside.problem}`, i)
    }
  }
  return toBytes === 0 && others === 0
    ? wrong('none of the codecs turns an array into bytes; add `{ "name": "bytes" }`')
    : undefined
}
