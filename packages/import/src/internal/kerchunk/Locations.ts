/**
 * URLs of fsspec as locations. Pure. Source: fsspec, "URLs" and "URL chaining".
 *
 * @since 0.1.0
 */
import { Location } from "@effect-icechunk/core"
import * as Result from "effect/Result"

const protocols: Readonly<Record<string, string>> = {
  s3a: "s3",
  gs: "gcs",
  local: "file",
  azure: "az",
  abfs: "az",
  abfss: "az"
}

/** `container@account.dfs.core.windows.net`: the account stays, for containers of two accounts may have one name. */
const azureHost = /^([^/@]+@[^/.@]+)\.(?:dfs|blob)\.core\.windows\.net(?=\/|$)/i

/** A URL as messages show it: without what may be secret. */
export const shown = (url: string): string => {
  const plain = Location.shown(url)
  return plain.length > 200 ? `${plain.slice(0, 200)}...` : plain
}

/** The location of a URL, or a sentence that says why it has none. */
export const of = (url: string): Result.Result<string, string> => {
  if (url.includes("::")) {
    return Result.fail(
      "it is a chain of file systems, of which a ref has only one; write refs to the last one's objects"
    )
  }
  const split = url.indexOf("://")
  const written = split < 0 ? "" : url.slice(0, split)
  if (split < 0 && !url.startsWith("/")) {
    return Result.fail("it is relative, and nothing says to what; tell by the option `location`")
  }
  const protocol = split < 0 ? "file" : (protocols[written.toLowerCase()] ?? written.toLowerCase())
  const path = split < 0 ? url : url.slice(split + 3)
  // fsspec does not decode the paths of files.
  const place =
    protocol === "file" ? Location.encodeFilePath(path) : protocol === "az" ? path.replace(azureHost, "$1") : path
  const text = `${protocol}://${place}`
  return Result.match(Location.parse(text), {
    onFailure: ({ problem }) => Result.fail(problem),
    onSuccess: (location) => {
      const problem = Location.objectProblem(location)
      return problem === undefined ? Result.succeed(text) : Result.fail(problem)
    }
  })
}
