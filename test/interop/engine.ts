/**
 * The official engine, as WebAssembly, over objects in memory that the tests can look at and change.
 *
 * The package prefers a native build where one is installed; the WebAssembly build runs anywhere.
 */
import type * as Icechunk from "@earthmover/icechunk"

process.env["NAPI_RS_FORCE_WASI"] = "1"

const { default: engine } = (await import("@earthmover/icechunk")) as unknown as { default: typeof Icechunk }

export const { Repository, Storage } = engine

interface StoredObject {
  readonly data: Uint8Array
  readonly etag: string
  readonly at: Date
}

/** Objects by key, as the engine wrote them. */
export class Objects {
  private readonly objects = new Map<string, StoredObject>()
  private versions = 0

  keys(prefix = ""): ReadonlyArray<string> {
    return Array.from(this.objects.keys(), (key) => key)
      .filter((key) => key.startsWith(prefix))
      .toSorted()
  }

  stored(key: string): StoredObject {
    const object = this.objects.get(key)
    // The engine recognises a missing object by this text.
    if (object === undefined) throw new Error(`ObjectNotFound: ${key}`)
    return object
  }

  get(key: string): Uint8Array {
    return this.stored(key).data
  }

  has(key: string): boolean {
    return this.objects.has(key)
  }

  put(key: string, data: Uint8Array): StoredObject {
    const object = { data: data.slice(), etag: `"${++this.versions}"`, at: new Date() }
    this.objects.set(key, object)
    return object
  }

  delete(key: string): boolean {
    return this.objects.delete(key)
  }
}

const version = ({ etag }: StoredObject) => ({ etag })

/** The engine calls each callback with an error, which is null, and then the arguments that its types declare. */
const errorFirst =
  <Args, A>(f: (args: Args) => A) =>
  (_error: null, args: Args): Promise<A> =>
    Promise.resolve().then(() => f(args))

/** A storage of the engine over `objects`. */
export const storage = (objects: Objects): Icechunk.Storage => {
  const backend = {
    canWrite: errorFirst(() => true),
    getObjectRange: errorFirst(({ path, rangeEnd, rangeStart }: Icechunk.StorageGetObjectRangeArgs) => {
      const object = objects.stored(path)
      return {
        data: Buffer.from(object.data.subarray(rangeStart ?? 0, rangeEnd ?? object.data.length)),
        version: version(object)
      }
    }),
    putObject: errorFirst(({ data, path, previousVersion }: Icechunk.StoragePutObjectArgs) => {
      const current = objects.has(path) ? objects.stored(path).etag : undefined
      if (previousVersion !== undefined && previousVersion.etag !== current) return { kind: "not_on_latest_version" }
      return { kind: "updated", newVersion: version(objects.put(path, data)) }
    }),
    copyObject: errorFirst(({ from, to }: Icechunk.StorageCopyObjectArgs) => ({
      kind: "updated",
      newVersion: version(objects.put(to, objects.get(from)))
    })),
    listObjects: errorFirst((prefix: string) =>
      objects.keys(prefix).map((key) => {
        const { at, data } = objects.stored(key)
        return { id: key.slice(prefix.length).replace(/^\//, ""), createdAt: at, sizeBytes: data.length }
      })
    ),
    deleteBatch: errorFirst(({ batch, prefix }: Icechunk.StorageDeleteBatchArgs) => {
      const deleted = batch.filter(({ id }) => objects.delete(`${prefix}/${id}`))
      return { deletedObjects: deleted.length, deletedBytes: 0 }
    }),
    getObjectLastModified: errorFirst((path: string) => objects.stored(path).at),
    getObjectConditional: errorFirst(({ path, previousVersion }: Icechunk.StorageGetObjectConditionalArgs) => {
      const object = objects.stored(path)
      return previousVersion?.etag === object.etag
        ? { kind: "on_latest_version" }
        : { kind: "modified", data: Buffer.from(object.data), newVersion: version(object) }
    })
  }
  return Storage.newCustom(backend as unknown as Parameters<typeof Storage.newCustom>[0])
}
