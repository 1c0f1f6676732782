/**
 * What a web page loads: bundled, minified and compressed with gzip.
 */
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import * as esbuild from "esbuild"

const repository = path.resolve(import.meta.dirname, "..")

const relative = (file: string): string => path.relative(repository, file).replaceAll(path.sep, "/")

export const compressed = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length

/** A page that opens a repository and reads it through zarrita. */
export const readingPage = (module: "ReadonlyRepository" | "Repository"): string => `
  import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
  import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
  import * as Platform from "@effect-icechunk/core/Platform"
  import * as ${module} from "@effect-icechunk/core/${module}"
  import * as ZarritaStore from "@effect-icechunk/core/ZarritaStore"
  import * as Effect from "effect/Effect"
  import * as Layer from "effect/Layer"
  import * as zarr from "zarrita"

  export const open = (store, branch) =>
    Effect.gen(function* () {
      const repository = yield* ${module}.open()
      const session = yield* repository.readonlySession({ branch })
      return zarr.root(yield* ZarritaStore.make(session))
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, BrowserZstd.layer)
      )
    )
`

/** What such a page has anyhow. */
export const besides: ReadonlyArray<string> = ["effect", "effect/*", "zarrita"]

/** A file that a page loads when something is done that needs it. */
export interface Later {
  /** The module that the page imports then, as a path from the root of the repository. */
  readonly module: string
  /** Bytes of what was not loaded before, minified and compressed with gzip. */
  readonly size: number
}

/** What a page loads at once, and what it may load later. */
export interface Loaded {
  /** Bytes of what is loaded at once, minified and compressed with gzip. */
  readonly size: number
  readonly later: ReadonlyArray<Later>
  /** The modules that something of is left in it, as paths from the root of the repository. */
  readonly modules: ReadonlyArray<string>
}

/** What is loaded of a program given as text, which imports as a module in `directory` does. */
export const loadedOf = async (options: {
  readonly text: string
  readonly directory: string
  /** Packages that the page has anyhow. */
  readonly external: ReadonlyArray<string>
}): Promise<Loaded> => {
  const { directory, external, text } = options
  const { metafile, outputFiles } = await esbuild.build({
    stdin: { contents: text, resolveDir: directory, loader: "ts" },
    bundle: true,
    splitting: true,
    outdir: "out",
    absWorkingDir: repository,
    metafile: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    conditions: ["@effect-icechunk/source"],
    external: [...external],
    logLevel: "silent"
  })
  /** The files that are loaded for one, but for those that are there. */
  const loadedFor = (output: string, there: ReadonlySet<string>): ReadonlySet<string> => {
    const loaded = new Set<string>()
    const load = (one: string): void => {
      if (loaded.has(one) || there.has(one)) return
      loaded.add(one)
      for (const { external, kind, path } of metafile.outputs[one]!.imports) {
        if (external !== true && kind === "import-statement") load(path)
      }
    }
    load(output)
    return loaded
  }
  const sizeOf = (outputs: ReadonlySet<string>): number =>
    outputFiles
      .filter((file) => outputs.has(relative(file.path)))
      .reduce((sum, { contents }) => sum + compressed(contents), 0)
  const [entry, ...others] = Object.entries(metafile.outputs)
    .flatMap(([output, { entryPoint }]) => (entryPoint === undefined ? [] : [{ output, module: entryPoint }]))
    .toSorted((a, b) => Number(b.module === "<stdin>") - Number(a.module === "<stdin>"))
  const loaded = loadedFor(entry!.output, new Set())
  return {
    size: sizeOf(loaded),
    later: others.map(({ module, output }) => ({
      module: module.replace(/.*node_modules\//, ""),
      size: sizeOf(loadedFor(output, loaded))
    })),
    modules: Array.from(loaded, (output) => Object.entries(metafile.outputs[output]!.inputs))
      .flat()
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([input]) => input)
      .toSorted()
  }
}
