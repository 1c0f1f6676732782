/**
 * The official engine, `@earthmover/icechunk`, over a directory: the peer of the interop tests and of the
 * demo.
 *
 * It comes in two builds, and its loader takes whichever works. The native build reads and writes
 * directories, and files of containers, itself. The WebAssembly build has no files and no virtual refs to
 * write: here it reads and writes a directory through a storage backend in this module, and reads virtual
 * chunks in files through its callback for HTTP containers, as which it is shown the file containers
 * of the repository. It checks their checksums like any other.
 *
 * Once a repository is open, the engine's threads keep the process alive: end it with `process.exit`.
 *
 * `NAPI_RS_FORCE_WASI=1` in the environment, set before this module is imported, asks for the latter.
 */
import icechunk from "@earthmover/icechunk"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

type Json = Parameters<typeof Flexbuffer.encode>[0]
type JsonObject = { readonly [key: string]: Json }
type Backend = Parameters<typeof icechunk.Storage.newCustom>[0]

/** Which build of the engine runs. */
export const build: "native" | "wasm" = "setVirtualRef" in icechunk.Store.prototype ? "native" : "wasm"

/** The engine as it is. */
export const { Repository, Storage } = icechunk

/** A file's ETag as the engine's own file backend has it: inode, microseconds of the last change, bytes, in quotes. */
export const fileEtag = (file: string): string => {
  const { ino, mtimeNs, size } = fs.statSync(file, { bigint: true })
  const inode = process.platform === "win32" ? 0n : ino
  return `"${[inode, mtimeNs / 1000n, size].map((part) => part.toString(16)).join("-")}"`
}

const isMissing = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")

/** The engine knows a missing object by this word. */
const orNotFound = <A>(key: string, read: () => A): A => {
  try {
    return read()
  } catch (error) {
    throw isMissing(error) ? new Error(`ObjectNotFound: ${key}`, { cause: error }) : error
  }
}

/** The engine calls back with `(error, argument)`, which its types do not say. */
export const callbacks = (methods: Backend): Backend =>
  Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [
      name,
      (_: null, argument: never) => (method as (argument: never) => unknown)(argument)
    ])
  ) as unknown as Backend

/** What the engine sees of a file. */
type View = (key: string, bytes: Buffer) => Buffer | Promise<Buffer>

/**
 * A directory as storage that is written here, and works with both builds. Whatever looks at versions is
 * synchronous, so that within one process a conditional write is atomic. With a `view` it is read-only.
 */
export const customStorage = (directory: string, view?: View): icechunk.Storage => {
  let writes = 0
  const file = (key: string): string => path.join(directory, key)
  const version = (key: string): { readonly etag: string } | undefined => {
    try {
      return { etag: fileEtag(file(key)) }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
  const read = (key: string): { readonly bytes: Buffer; readonly version: { readonly etag: string } } =>
    orNotFound(key, () => ({ bytes: fs.readFileSync(file(key)), version: { etag: fileEtag(file(key)) } }))
  const seen = async (key: string, bytes: Buffer): Promise<Buffer> => (view === undefined ? bytes : view(key, bytes))
  const write = (key: string, data: Uint8Array) => {
    if (view !== undefined) throw new Error("This storage is a view, it cannot be written")
    const temporary = path.join(directory, `.${process.pid}-${writes++}.tmp`)
    fs.mkdirSync(path.dirname(file(key)), { recursive: true })
    fs.writeFileSync(temporary, data)
    fs.renameSync(temporary, file(key))
    return { kind: "updated", newVersion: { etag: fileEtag(file(key)) } }
  }
  const lost = { kind: "not_on_latest_version" }
  return icechunk.Storage.newCustom(
    callbacks({
      canWrite: async () => view === undefined,
      getObjectRange: async ({ path: key, rangeEnd, rangeStart }) => {
        const { bytes, version } = read(key)
        return { data: (await seen(key, bytes)).subarray(rangeStart ?? 0, rangeEnd), version }
      },
      getObjectConditional: async ({ path: key, previousVersion }) => {
        const { bytes, version } = read(key)
        return previousVersion?.etag === version.etag
          ? { kind: "on_latest_version" }
          : { kind: "modified", data: await seen(key, bytes), newVersion: version }
      },
      getObjectLastModified: async (key) => orNotFound(key, () => fs.statSync(file(key)).mtime),
      // A previous version without an ETag asks for an object that does not exist yet.
      putObject: async ({ data, path: key, previousVersion }) =>
        previousVersion === undefined || previousVersion.etag === version(key)?.etag ? write(key, data) : lost,
      copyObject: async ({ from, to, version: expected }) => {
        const { bytes, version } = read(from)
        return expected.etag === undefined || expected.etag === version.etag ? write(to, bytes) : lost
      },
      listObjects: async (prefix) =>
        (fs.existsSync(file(prefix)) ? fs.readdirSync(file(prefix), { recursive: true, withFileTypes: true }) : [])
          .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
          .map((entry) => {
            const full = path.join(entry.parentPath, entry.name)
            const { birthtime, size } = fs.statSync(full)
            const id = path.relative(file(prefix), full).replaceAll(path.sep, "/")
            return { id, createdAt: birthtime, sizeBytes: size }
          }),
      deleteBatch: async ({ batch, prefix }) => {
        for (const { id } of batch) fs.rmSync(file(`${prefix}/${id}`), { force: true })
        return { deletedObjects: batch.length, deletedBytes: batch.reduce((sum, { size }) => sum + size, 0) }
      }
    })
  )
}

/** A directory as storage: the engine's own on the native build. */
export const storage = async (directory: string): Promise<icechunk.Storage> =>
  build === "native" ? icechunk.Storage.newLocalFilesystem(directory) : customStorage(directory)

interface FileContainer {
  readonly name: string | undefined
  readonly urlPrefix: string
}

const asObject = (value: Json | undefined): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}

/** The repository object, with the configuration that the engine finds in it. */
const readRepo = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const { payload } = yield* IcechunkFile.decode("repo", bytes, "RepoInfo")
  const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
  if (info.config === undefined) return { info, config: {} }
  return { info, config: asObject(Result.getOrThrow(Flexbuffer.decode("repo", "config", info.config))) }
})

const containersOf = (config: JsonObject): ReadonlyArray<readonly [key: string, entry: JsonObject]> =>
  Object.entries(asObject(config["virtual_chunk_containers"])).map(([key, entry]) => [key, asObject(entry)] as const)

const fileContainer = ([key, entry]: readonly [string, JsonObject]): FileContainer | undefined => {
  if (!("local_file_system" in asObject(entry["store"]))) return undefined
  const { name, url_prefix: urlPrefix } = entry
  return {
    name: typeof name === "string" ? name : undefined,
    urlPrefix: typeof urlPrefix === "string" ? urlPrefix : key
  }
}

/** The HTTP host under which the WebAssembly build sees a file container. */
const host = (index: number): string => `http://container-${index}.localhost/`

/** A fetcher of HTTP containers that reads files: `directories` has the directory of each origin. */
const fileFetcher =
  (directories: ReadonlyMap<string, string>) =>
  async (_: null, request: icechunk.HttpVirtualChunkRequest): Promise<icechunk.HttpVirtualChunkResponse> => {
    const { origin, pathname } = new URL(request.url)
    const directory = directories.get(`${origin}/`)
    if (directory === undefined) throw new Error(`No directory stands for ${origin}`)
    const file = path.join(directory, decodeURIComponent(pathname))
    const { rangeEnd, rangeStart } = request
    const data = Buffer.alloc(rangeEnd - rangeStart)
    const descriptor = fs.openSync(file, "r")
    try {
      const read = fs.readSync(descriptor, data, 0, data.length, rangeStart)
      const lastModified = Math.ceil(fs.fstatSync(descriptor).mtimeMs / 1000)
      return { data: data.subarray(0, read), etag: fileEtag(file), lastModified }
    } finally {
      fs.closeSync(descriptor)
    }
  }

/**
 * Opens the repository in a directory, with the right to read the files of some containers.
 *
 * `files` says who reads those: the engine itself (`engine`, the default of the native build), or the callback
 * that is given to it (`callback`, the only way of the WebAssembly build). The engine 2.2.2 itself
 * refuses every ETag on a file: it takes the quotes off the ETag of the ref, and compares it with one that
 * has them. With a callback containers must have names, refs to their files must be relative (`vcc://`), and
 * the repository is read-only.
 */
export const open = async (options: {
  readonly directory: string
  /** Names or URL prefixes of containers on files. */
  readonly containers?: ReadonlyArray<string> | undefined
  readonly files?: "engine" | "callback" | undefined
}): Promise<icechunk.Repository> => {
  const { directory, files = build === "native" ? "engine" : "callback" } = options
  const { config } = await Effect.runPromise(
    Effect.provide(readRepo(fs.readFileSync(path.join(directory, "repo"))), NodeZstd.layer)
  )
  const entries = containersOf(config)
  const onFiles = entries.map(fileContainer)
  const allowed = (options.containers ?? []).map((wanted) => {
    const index = onFiles.findIndex((container) => container?.name === wanted || container?.urlPrefix === wanted)
    if (index < 0) throw new Error(`The repository object has no container \`${wanted}\` on files`)
    return { index, urlPrefix: onFiles[index]!.urlPrefix }
  })
  if (files === "engine" || onFiles.every((container) => container === undefined)) {
    const access = Object.fromEntries(allowed.map(({ urlPrefix }) => [urlPrefix, null]))
    return icechunk.Repository.open(await storage(directory), undefined, access)
  }
  const shown = Object.fromEntries(
    onFiles.map((container, index) =>
      container === undefined
        ? entries[index]!
        : [host(index), { name: container.name ?? null, url_prefix: host(index), store: { http: {} } }]
    )
  )
  const showRepo = Effect.fnUntraced(function* (bytes: Uint8Array) {
    const { config, info } = yield* readRepo(bytes)
    const next = Flexbuffer.encode({ ...config, virtual_chunk_containers: shown })
    return yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode({ ...info, config: next }), { level: 1 })
  })
  const view: View = async (key, bytes) =>
    key === "repo" ? Buffer.from(await Effect.runPromise(Effect.provide(showRepo(bytes), NodeZstd.layer))) : bytes
  const repository = await icechunk.Repository.open(
    customStorage(directory, view),
    undefined,
    Object.fromEntries(allowed.map(({ index }) => [host(index), { type: "HttpAccess" as const }]))
  )
  const directories = new Map(allowed.map(({ index, urlPrefix }) => [host(index), fileURLToPath(urlPrefix)]))
  await repository.setHttpVirtualChunkFetcher(fileFetcher(directories))
  return repository
}
