/**
 * Which keys a directory can hold, and which names in it are not keys. Pure.
 */

/**
 * Names of files that are being written. The pattern is that of Rust's `object_store`, which hides such
 * names in its listings too, so that neither implementation takes the other's unfinished files for objects.
 */
const staged = /^[^#]*#\d+$/

export const isStaged = (name: string): boolean => staged.test(name)

/** Directories that hold the contenders for a lock; see `FileLock`. */
const lock = /^\.[^]*\.icechunk-lock$/

export const isLock = (name: string): boolean => lock.test(name)

/** A name for a file that is being written. */
export const stagedName = (nonce: string): string => `.${nonce}#1`

/** What `stagedName` made a name of. */
export const stagedNonce = (name: string): string => name.replace(/^\.|#\d+$/g, "")

/**
 * The name of the directory with the contenders for the lock on a file, beside that file. Made of the file's
 * own name, so that names which a file system takes for equal (letter case, Unicode forms) share their lock;
 * long names are cut, which at worst lets two files share one.
 */
export const lockName = (name: string): string => {
  let kept = ""
  let bytes = 0
  for (const letter of name) {
    bytes += Buffer.byteLength(letter)
    if (bytes > 200) break
    kept += letter
  }
  return `.${kept}.icechunk-lock`
}

/** Whether the name of a file is not the last part of any key. */
export const isHiddenFile = (name: string): boolean => staged.test(name) || lock.test(name)

/** Whether the name of a directory is not part of any key. */
export const isHiddenDirectory = (name: string): boolean => lock.test(name)

/** A sentence that says why no file below a directory can have this path, or `undefined`. */
export const pathProblem = (path: string, separator: string): string | undefined => {
  if (path === "") return "a key is never empty"
  if (path.includes("\0")) return "a file name has no NUL character"
  if (!path.isWellFormed()) return "a file name is well-formed Unicode, this key has an unpaired surrogate"
  for (const segment of path.split("/")) {
    if (segment === "" || segment === "." || segment === "..") return "a path has no empty, `.` or `..` segments"
    if (separator === "\\" && /[\\:]/.test(segment)) return "a file name has no `\\` and no `:` on Windows"
  }
  return undefined
}

/** A sentence that says why no object of a store can have this key, or `undefined`. */
export const problem = (key: string, separator: string): string | undefined => {
  const problem = pathProblem(key, separator)
  if (problem !== undefined) return problem
  const segments = key.split("/")
  if (segments.some((segment) => lock.test(segment))) return "names that end in `.icechunk-lock` are kept for locks"
  return staged.test(segments.at(-1)!)
    ? "names that end in `#` and digits are kept for files that are being written"
    : undefined
}

/** Whether keys can start with this text at all. */
export const isPrefix = (prefix: string): boolean =>
  !prefix.includes("\0") &&
  prefix
    .split("/")
    .slice(0, -1)
    .every((segment) => segment !== "" && segment !== "." && segment !== "..")
