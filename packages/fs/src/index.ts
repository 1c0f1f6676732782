/**
 * Files for effect-icechunk: a directory as the object store of a repository, and files elsewhere as virtual
 * chunks.
 *
 * @since 0.1.0
 */
export * as FileError from "./FileError.ts"
export * as FileIdentity from "./FileIdentity.ts"
export * as FsObjectStore from "./FsObjectStore.ts"
export * as FsPlatform from "./FsPlatform.ts"
