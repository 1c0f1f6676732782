/**
 * The size of a script for a web page, minified and compressed with gzip.
 */
import * as esbuild from "esbuild"
import * as path from "node:path"
import { gzipSync } from "node:zlib"

export const compressed = (bytes: Uint8Array | string): number => gzipSync(bytes, { level: 9 }).length

/** What is loaded when the page is; not what it may load later. */
export const sizeOf = async (options: {
  readonly text: string
  readonly directory: string
  /** What the page has anyhow. */
  readonly external: ReadonlyArray<string>
}): Promise<number> => {
  const { metafile, outputFiles } = await esbuild.build({
    stdin: { contents: options.text, resolveDir: options.directory, loader: "ts" },
    bundle: true,
    splitting: true,
    outdir: "out",
    absWorkingDir: options.directory,
    metafile: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    conditions: ["@effect-icechunk/source"],
    external: [...options.external],
    logLevel: "silent"
  })
  const contents = new Map(outputFiles.map((file) => [path.relative(options.directory, file.path), file.contents]))
  const loaded = new Set<string>()
  const load = (output: string): void => {
    if (loaded.has(output)) return
    loaded.add(output)
    for (const { external, kind, path } of metafile.outputs[output]!.imports) {
      if (external !== true && kind === "import-statement") load(path)
    }
  }
  load(Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === "<stdin>")![0])
  return Array.from(loaded, (output) => compressed(contents.get(output)!)).reduce((sum, size) => sum + size, 0)
}
