/**
 * The files of a repository as JSON, one at a time: to look at what is stored, also in a repository that is offline or partly
 * damaged. Ids are texts, times are texts to the microsecond, opaque bytes are base64.
 *
 * What Icechunk's own `inspect_repo_info`, `inspect_snapshot`, `inspect_manifest` and `inspect_transaction_log` say is said
 * under the same names. Beside it there is `file`: the key, the size of the file in bytes, and what its header says.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { FormatError } from "../encoding/FormatError.ts"
import { Zstd } from "../encoding/Zstd.ts"
import * as IcechunkFile from "../format/IcechunkFile.ts"
import * as Manifest from "../format/manifest/Manifest.ts"
import * as RepoInfo from "../format/RepoInfo.ts"
import * as TransactionLog from "../format/TransactionLog.ts"
import type { JsonObject } from "../values/Json.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Assets from "./Assets.ts"
import { logJson } from "./inspection/LogJson.ts"
import * as ManifestJson from "./inspection/ManifestJson.ts"
import { NotInspectable } from "./inspection/NotInspectable.ts"
import { repoJson } from "./inspection/RepoJson.ts"
import { Budget, type Limits } from "./inspection/Shown.ts"
import { snapshotJson } from "./inspection/SnapshotJson.ts"
import * as Internals from "./Internals.ts"
import * as Layout from "./Layout.ts"
import type { ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"

/**
 * How much is shown of a file. What is left out is counted in `left_out`, and the numbers of all there is stay.
 *
 * @category models
 * @since 0.1.0
 */
export type InspectionOptions = Limits

/**
 * Why a file cannot be shown.
 *
 * @category errors
 * @since 0.1.0
 */
export type InspectionError = NotInspectable | Assets.AssetError

/** An Icechunk file with what can be made of its payload. */
const inspectFile = /*#__PURE__*/ Effect.fnUntraced(function* (
  repository: ReadonlyRepositoryShape,
  key: string,
  type: IcechunkFile.FileType,
  options: InspectionOptions | undefined,
  show: (decoded: IcechunkFile.IcechunkFile, budget: Budget) => Effect.Effect<JsonObject, FormatError, Zstd>
): Effect.fn.Return<JsonObject, Assets.AssetError> {
  const { store, withZstd } = Internals.reading(repository)
  const { bytes } = yield* store.get(key, { maxBytes: IcechunkFile.maxFileBytes(type) })
  yield* Assets.describeSpan(key, type, bytes)
  const budget = new Budget(options ?? {})
  const decoded = yield* withZstd(IcechunkFile.decode(key, bytes, type))
  const shown = yield* withZstd(show(decoded, budget))
  const { compression, fileType, implementation, specVersion } = decoded.header
  return {
    file: {
      key,
      size_bytes: bytes.length,
      type: fileType,
      implementation,
      spec_version: `${specVersion}.0`,
      compression,
      payload_size_bytes: decoded.payload.length
    },
    ...shown,
    ...budget.leftOut()
  }
})

const parseId = <A>(
  id: string,
  directory: string,
  parse: (text: string) => Result.Result<A, string>
): Effect.Effect<A, NotInspectable> =>
  Effect.fromResult(
    Result.mapError(
      parse(id),
      (problem) => new NotInspectable({ key: `${directory}/${id}`, problem: `\`${id}\` is not an id: ${problem}` })
    )
  )

const parseManifestId = (text: string): Result.Result<ObjectId.ManifestId, string> =>
  Result.map(ObjectId.decode(text, 12), ObjectId.manifestId)

const inspectRepo = (repository: ReadonlyRepositoryShape, key: string, options: InspectionOptions | undefined) =>
  inspectFile(repository, key, "RepoInfo", options, ({ maxHeld, payload }, budget) =>
    Effect.map(Effect.fromResult(RepoInfo.decode(key, payload, { maxHeld })), (info) => repoJson(key, info, budget))
  )

/**
 * The repository object as it is now.
 *
 * @category reading
 * @since 0.1.0
 */
export const repo: (
  repository: ReadonlyRepositoryShape,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, Assets.AssetError> = /*#__PURE__*/ Effect.fn("Inspection.repo")((repository, options) =>
  inspectRepo(repository, Layout.repo, options)
)

/**
 * The file of a snapshot.
 *
 * @category reading
 * @since 0.1.0
 */
export const snapshot: (
  repository: ReadonlyRepositoryShape,
  id: string,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, InspectionError> = /*#__PURE__*/ Effect.fn("Inspection.snapshot")(
  function* (repository, id, options) {
    const key = Layout.snapshot(yield* parseId(id, "snapshots", ObjectId.parseSnapshotId))
    return yield* inspectFile(repository, key, "Snapshot", options, (decoded, budget) =>
      Effect.map(Assets.decodeSnapshot(key, decoded), (snapshot) => snapshotJson(snapshot, budget))
    )
  }
)

/**
 * A manifest, with the first of its refs.
 *
 * @category reading
 * @since 0.1.0
 */
export const manifest: (
  repository: ReadonlyRepositoryShape,
  id: string,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, InspectionError> = /*#__PURE__*/ Effect.fn("Inspection.manifest")(
  function* (repository, id, options) {
    const key = Layout.manifest(yield* parseId(id, "manifests", parseManifestId))
    return yield* inspectFile(
      repository,
      key,
      "Manifest",
      options,
      Effect.fnUntraced(function* ({ maxHeld, payload }, budget) {
        const { dictionary } = yield* Zstd
        const manifest = yield* Effect.fromResult(Manifest.decode(key, payload, dictionary, { maxHeld }))
        // The arrays come before the refs of any.
        const shown = budget.take("arrays", manifest.nodes.length)
        const parts: Array<ManifestJson.Part> = []
        for (const node of manifest.nodes) {
          const steps = ManifestJson.part(manifest, node, budget)
          let step = steps.next()
          while (step.done !== true) {
            // Others get their turns: a manifest may have millions of refs.
            yield* Effect.yieldNow
            step = steps.next()
          }
          parts.push(yield* Effect.fromResult(step.value))
        }
        return ManifestJson.manifestJson(manifest, payload.length, parts, shown, budget)
      })
    )
  }
)

/**
 * The transaction log of a snapshot: that file alone. What the logs of expired ancestors said is in a `History.diff`.
 *
 * @category reading
 * @since 0.1.0
 */
export const transactionLog: (
  repository: ReadonlyRepositoryShape,
  id: string,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, InspectionError> = /*#__PURE__*/ Effect.fn("Inspection.transactionLog")(
  function* (repository, id, options) {
    const key = Layout.transaction(yield* parseId(id, "transactions", ObjectId.parseSnapshotId))
    return yield* inspectFile(repository, key, "TransactionLog", options, ({ maxHeld, payload }, budget) =>
      Effect.map(Effect.fromResult(TransactionLog.decode(key, payload, { maxHeld })), (log) => logJson(log, budget))
    )
  }
)

/** The largest `config.json` that is read, in bytes. */
const maxConfigBytes = 16 * 1024 * 1024

/**
 * `config.json` as it is stored, in `json`. Fails with the `ObjectStoreError` of the store when there is none.
 *
 * @category reading
 * @since 0.1.0
 */
export const config: (
  repository: ReadonlyRepositoryShape,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, Assets.AssetError> = /*#__PURE__*/ Effect.fn("Inspection.config")(
  function* (repository, options) {
    const key = Layout.config
    const { bytes } = yield* Internals.reading(repository).store.get(key, { maxBytes: maxConfigBytes })
    const budget = new Budget({ maxBytes: maxConfigBytes, ...options })
    const shown = budget.document(bytes)
    if ("base64" in shown) {
      return yield* new FormatError({ file: key, field: "(whole file)", problem: "it is not JSON" })
    }
    const { size_bytes, ...json } = shown
    return { file: { key, size_bytes: size_bytes!, type: "Config" }, ...json }
  }
)

const directories: Readonly<
  Record<
    string,
    (
      repository: ReadonlyRepositoryShape,
      name: string,
      options: InspectionOptions | undefined
    ) => Effect.Effect<JsonObject, InspectionError>
  >
> = {
  snapshots: snapshot,
  manifests: manifest,
  transactions: transactionLog,
  overwritten: (repository, name, options) =>
    name.startsWith("repo.")
      ? inspectRepo(repository, Layout.overwritten(name), options)
      : Effect.fail(
          new NotInspectable({
            key: Layout.overwritten(name),
            problem: "only copies of the repository object are shown, whose names start with `repo.`"
          })
        ),
  chunks: Effect.fnUntraced(function* (repository, name) {
    const id = yield* parseId(name, "chunks", (text) => Result.map(ObjectId.decode(text, 12), ObjectId.chunkId))
    const key = Layout.chunk(id)
    const { size } = yield* Internals.reading(repository).store.head(key)
    return { file: { key, size_bytes: size, type: "Chunk" } }
  })
}

/**
 * Any file, by its key: `repo`, `config.json`, or one below `snapshots/`, `manifests/`, `transactions/`, `overwritten/`, or
 * `chunks/`, of which only the size is shown.
 *
 * @category reading
 * @since 0.1.0
 */
export const file: (
  repository: ReadonlyRepositoryShape,
  key: string,
  options?: InspectionOptions
) => Effect.Effect<JsonObject, InspectionError> = (repository, key, options) => {
  if (key === Layout.repo) return repo(repository, options)
  if (key === Layout.config) return config(repository, options)
  const [directory = "", name, ...deeper] = key.split("/")
  const show = Object.hasOwn(directories, directory) ? directories[directory] : undefined
  if (show !== undefined && name !== undefined && name !== "" && deeper.length === 0) {
    return show(repository, name, options)
  }
  const known = ["repo", "config.json", ...Object.keys(directories).map((directory) => `${directory}/…`)]
  const problem = `there are ${known.map((one) => `\`${one}\``).join(", ")}`
  return Effect.fail(new NotInspectable({ key, problem }))
}
