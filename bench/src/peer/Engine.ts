/**
 * The official engine. Where its native build does not load, its WebAssembly build does, which sets no virtual refs and
 * opens no directory: then nothing of it is measured.
 */
import icechunk from "@earthmover/icechunk"

export const { Repository, Storage, Store } = icechunk

export const isNative: boolean = "setVirtualRefs" in Store.prototype

export type Session = InstanceType<typeof icechunk.Session>
export type Repository = InstanceType<typeof icechunk.Repository>
export type RepositoryConfig = NonNullable<Parameters<typeof Repository.open>[1]>
export type Credentials = NonNullable<Parameters<typeof Repository.open>[2]>
export type Storage = Parameters<typeof Repository.open>[0]

/** Files below a directory as virtual chunks. */
export const files = (directory: string): { readonly config: RepositoryConfig; readonly access: Credentials } => {
  const prefix = `file://${directory}/`
  return {
    config: {
      virtualChunkContainers: {
        [prefix]: { urlPrefix: prefix, store: { type: "LocalFileSystem" as const, field0: directory } }
      }
    },
    access: { [prefix]: null }
  }
}

const s3Options = (endpoint: string) => ({
  region: "us-east-1",
  endpointUrl: endpoint,
  allowHttp: true,
  anonymous: true,
  forcePathStyle: true
})

/** Objects of a bucket as virtual chunks. */
export const objects = (
  endpoint: string,
  bucket: string
): { readonly config: RepositoryConfig; readonly access: Credentials } => {
  const prefix = `s3://${bucket}/`
  return {
    config: {
      virtualChunkContainers: {
        [prefix]: { urlPrefix: prefix, store: { type: "S3Compatible" as const, field0: s3Options(endpoint) } }
      }
    },
    access: { [prefix]: { type: "S3", field0: { type: "Anonymous" } } }
  }
}

export const s3 = (endpoint: string, bucket: string, prefix: string): Storage =>
  Storage.newS3(bucket, prefix, { type: "Anonymous" }, s3Options(endpoint))

/** A repository on Google's XML API; a service account's key can name another address for it. */
export const gcs = (endpoint: string, bucket: string, prefix: string): Storage => {
  const key = { gcs_base_url: endpoint, disable_oauth: true, client_email: "", private_key: "", private_key_id: "" }
  const credentials = { type: "ServiceAccountKey" as const, field0: JSON.stringify(key) }
  return Storage.newGcs(bucket, prefix, { type: "Static", field0: credentials }, { allow_http: "true" })
}

/** Runs `one` for each item, so many at the same time. */
export const forEach = async <A>(
  items: ReadonlyArray<A>,
  concurrency: number,
  one: (item: A) => Promise<unknown>
): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      next += 1
      await one(items[next - 1]!)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
}
