/**
 * Icechunk repositories and virtual chunks over HTTP, read only: from a browser, a worker or a server, of public buckets
 * and any other website.
 *
 * @since 0.1.0
 */

export * as Fetch from "./Fetch.ts"
export * as HttpObjectStore from "./HttpObjectStore.ts"
export * as HttpOptions from "./HttpOptions.ts"
export * as HttpPlatform from "./HttpPlatform.ts"
