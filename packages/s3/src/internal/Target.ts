/** Where the requests of one store go. */
import type { S3Connection } from "../S3Connection.ts"
import type { S3Dialect } from "../S3Dialect.ts"
import type { StoreOptions } from "../S3Options.ts"

export interface Target {
  readonly connection: S3Connection
  /** What the bucket's keys of this store start with. */
  readonly base: string
  readonly dialect: S3Dialect
  readonly options: StoreOptions
  /** What every request carries. */
  readonly request: { readonly RequestPayer?: "requester" }
}

/** The parameters that name an object of the store. */
export const at = ({ base, connection }: Target, key: string): { readonly Bucket: string; readonly Key: string } => ({
  Bucket: connection.bucket,
  Key: base + key
})
