/**
 * Where the demo reads and writes: all that it writes is in `demo-output`, or in the directory that is its argument.
 */
import { Effect, FileSystem } from "effect"
import * as path from "node:path"

const examples = path.resolve(import.meta.dirname, "..")
const output = path.resolve(process.argv[2] ?? path.join(examples, "../demo-output"))

export const source = path.join(examples, "data/egm96_15.gtx")
export const coastlines = path.join(examples, "data/coastlines.txt")

/** The repository, and the directory of the data that it refers to. */
export const repository = path.join(output, "repository")
export const data = path.join(output, "data")

/** The demo's own copy of the data, and where it is put aside. */
export const geoid = path.join(data, "egm96_15.gtx")
export const geoidAside = path.join(output, "egm96_15.gtx.aside")

export const map = path.join(output, "egm96.png")

/** As the user of a terminal writes it. */
export const shown = (file: string): string => path.relative(process.cwd(), file) || "."

/** Removes what an earlier run left, and copies the data. */
export const prepare = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.forEach([repository, data, geoidAside, map], (file) =>
    fs.remove(file, { recursive: true, force: true })
  )
  yield* fs.makeDirectory(data, { recursive: true })
  yield* fs.copyFile(source, geoid)
  // Old data: times of change are remembered in whole seconds, and this demo takes fewer.
  const anHourAgo = new Date(Date.now() - 3_600_000)
  yield* fs.utimes(geoid, anHourAgo, anHourAgo)
})

/** Bytes of all files below a directory. */
export const size = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const entries = yield* fs.readDirectory(directory, { recursive: true })
  const stats = yield* Effect.forEach(entries, (entry) => fs.stat(path.join(directory, entry)))
  return stats.reduce((sum, { size, type }) => sum + (type === "File" ? Number(size) : 0), 0)
})

/** Runs an effect while another file, with one bit changed, is in the place of the data. */
export const whileChanged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const changed = yield* fs.readFile(geoid)
      changed[changed.length - 1]! ^= 1
      // Moved, not copied: the file that comes back is as old as it was.
      yield* fs.rename(geoid, geoidAside)
      yield* fs.writeFile(geoid, changed)
      return fs
    }),
    () => effect,
    (fs) => fs.rename(geoidAside, geoid)
  )
