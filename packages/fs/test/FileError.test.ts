import { assert, describe, it } from "@effect/vitest"
import type { Reason } from "@effect-icechunk/core/ObjectStoreError"
import * as FileError from "@effect-icechunk/fs/FileError"
import * as PlatformError from "effect/PlatformError"

const byCode: ReadonlyArray<readonly [code: string, read: Reason["_tag"], write: Reason["_tag"]]> = [
  ["ENOENT", "NotFound", "Unavailable"],
  ["ENOTDIR", "NotFound", "Unsupported"],
  ["EISDIR", "NotFound", "Unsupported"],
  ["ERR_FS_EISDIR", "NotFound", "Unsupported"],
  ["EEXIST", "AlreadyExists", "AlreadyExists"],
  ["ENOTEMPTY", "Unsupported", "Unsupported"],
  ["EACCES", "PermissionDenied", "PermissionDenied"],
  ["EPERM", "PermissionDenied", "PermissionDenied"],
  ["EROFS", "PermissionDenied", "PermissionDenied"],
  ["EAGAIN", "RateLimited", "RateLimited"],
  ["EMFILE", "Unavailable", "Unavailable"],
  ["ENFILE", "Unavailable", "Unavailable"],
  ["EBUSY", "Unavailable", "Unavailable"],
  ["EDQUOT", "Unavailable", "Unavailable"],
  ["EIO", "Unavailable", "Unavailable"],
  ["ENOMEM", "Unavailable", "Unavailable"],
  ["ENOSPC", "Unavailable", "Unavailable"],
  ["ESTALE", "Unavailable", "Unavailable"],
  ["ETIMEDOUT", "Unavailable", "Unavailable"],
  ["EFBIG", "Unsupported", "Unsupported"],
  ["EILSEQ", "Unsupported", "Unsupported"],
  ["EINVAL", "Unsupported", "Unsupported"],
  ["ELOOP", "Unsupported", "Unsupported"],
  ["ENAMETOOLONG", "Unsupported", "Unsupported"],
  ["ENOSYS", "Unsupported", "Unsupported"],
  ["ENOTSUP", "Unsupported", "Unsupported"],
  ["EOPNOTSUPP", "Unsupported", "Unsupported"],
  ["EMLINK", "Unsupported", "Unsupported"],
  ["ENXIO", "Unsupported", "Unsupported"],
  ["EXDEV", "Unsupported", "Unsupported"],
  ["EANYTHINGELSE", "Unavailable", "Unavailable"]
]

const byTag: ReadonlyArray<readonly [PlatformError.SystemErrorTag, read: Reason["_tag"], write: Reason["_tag"]]> = [
  ["AlreadyExists", "AlreadyExists", "AlreadyExists"],
  ["BadResource", "NotFound", "Unsupported"],
  ["Busy", "Unavailable", "Unavailable"],
  ["InvalidData", "InvalidResponse", "InvalidResponse"],
  ["NotFound", "NotFound", "Unavailable"],
  ["PermissionDenied", "PermissionDenied", "PermissionDenied"],
  ["TimedOut", "Unavailable", "Unavailable"],
  ["UnexpectedEof", "InvalidResponse", "InvalidResponse"],
  ["Unknown", "Unavailable", "Unavailable"],
  ["WouldBlock", "RateLimited", "RateLimited"],
  ["WriteZero", "Unavailable", "Unavailable"]
]

const error = (_tag: PlatformError.SystemErrorTag, code?: string): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag,
    module: "FileSystem",
    method: "open",
    pathOrDescriptor: "/data/file",
    ...(code === undefined ? {} : { cause: Object.assign(new Error(`${code}: open '/data/file'`), { code }) })
  })

describe("FileError.reasonOf", () => {
  it.each(byCode)("%s is %s when reading and %s when writing", (code, read, write) => {
    assert.strictEqual(FileError.reasonOf("read", error("Unknown", code))._tag, read)
    assert.strictEqual(FileError.reasonOf("write", error("Unknown", code))._tag, write)
    assert.strictEqual(FileError.codeOf(error("Unknown", code)), code)
  })

  it.each(byTag)("without a code, %s is %s when reading and %s when writing", (tag, read, write) => {
    assert.strictEqual(FileError.reasonOf("read", error(tag))._tag, read)
    assert.strictEqual(FileError.reasonOf("write", error(tag))._tag, write)
    assert.isUndefined(FileError.codeOf(error(tag)))
  })

  it.each([
    ["ENOSPC", "the disk is full"],
    ["EDQUOT", "quota"],
    ["EIO", "check the disk"]
  ])("%s is not worth a retry and says what to do", (code, words) => {
    const reason = FileError.reasonOf("write", error("Unknown", code))
    assert.isFalse(reason.isRetryable)
    assert.include(reason.message, words)
    assert.notInclude(reason.message, "network")
  })

  it.each([
    ["EROFS", "mounted read-only"],
    ["ENAMETOOLONG", "names that long"],
    ["EFBIG", "larger than"]
  ])("%s says what is the matter", (code, words) => {
    const reason = FileError.reasonOf("write", error("Unknown", code))
    assert.isFalse(reason.isRetryable)
    assert.include(reason.detail, words)
  })

  it.each(["EMFILE", "ENFILE"])("%s says that files are open, and may pass", (code) => {
    const reason = FileError.reasonOf("read", error("Unknown", code))
    assert.isTrue(reason.isRetryable)
    assert.include(reason.message, "too many files open")
  })

  it("an argument that the file system refuses is Unsupported", () => {
    const error = PlatformError.badArgument({ module: "FileSystem", method: "open", description: "NUL" })
    assert.strictEqual(FileError.reasonOf("read", error)._tag, "Unsupported")
  })

  it("tells what the system said, and keeps the cause", () => {
    const denied = error("PermissionDenied", "EACCES")
    const reason = FileError.reasonOf("write", denied)
    assert.strictEqual(reason.detail, "EACCES: open '/data/file'")
    assert.strictEqual(reason.cause, denied)
  })
})
