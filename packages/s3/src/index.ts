/**
 * Repositories and virtual chunks on Amazon S3 and the services that speak its protocol.
 *
 * @since 0.1.0
 */
export * as S3Client from "./S3Client.ts"
export * as S3Connection from "./S3Connection.ts"
export * as S3Dialect from "./S3Dialect.ts"
export * as S3Error from "./S3Error.ts"
export * as S3ObjectStore from "./S3ObjectStore.ts"
export * as S3Options from "./S3Options.ts"
export * as S3Platform from "./S3Platform.ts"
export * as S3Settings from "./S3Settings.ts"
