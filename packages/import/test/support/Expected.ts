/** What independent readers found in a file (`files/make.py`), and the same as zarrita reads it through our refs. */
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert } from "@effect/vitest"
import { type Dataset, Import, type ImportError, type SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import type * as CountingStore from "./CountingStore.ts"
import * as Files from "./Files.ts"
import * as World from "./World.ts"

export interface Found {
  readonly shape: ReadonlyArray<number>
  /** As numpy names it, or `text`. */
  readonly type: string
  readonly sha256: string
  /** Why the other reader has no values. */
  readonly unreadable?: string
  readonly dimensions?: ReadonlyArray<string>
  readonly attributes?: Readonly<Record<string, Dataset.Json>>
}

export type Expected = Readonly<Record<string, Found>>

export const of = (name: string): Expected =>
  JSON.parse(fs.readFileSync(path.join(import.meta.dirname, "../files/expected", `${name}.json`), "utf8")) as Expected

const sha256 = (bytes: Uint8Array | string): string => crypto.createHash("sha256").update(bytes).digest("hex")

/** Values as the other readers hashed them. */
const hashOf = (data: unknown): string => {
  if (Array.isArray(data)) return sha256((data as ReadonlyArray<string>).join("\n"))
  if (ArrayBuffer.isView(data)) return sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  // zarrita's own arrays are views of a buffer too.
  const { buffer, byteLength, byteOffset } = data as Uint8Array
  return sha256(new Uint8Array(buffer, byteOffset, byteLength))
}

export interface Compared {
  readonly dataset: Dataset.Dataset
  /** What was asked of the file until all refs were set. */
  readonly count: CountingStore.Count
  /** Paths of arrays whose values are the same. */
  readonly same: ReadonlyArray<string>
  /** Paths of arrays of the file that were not imported. */
  readonly missing: ReadonlyArray<string>
}

/** Imports a file and reads it through zarrita; every array that is there has to have the values that others read. */
export const compare = (
  name: string,
  importer: (file: SourceFile.SourceFile) => Effect.Effect<Dataset.Dataset, ImportError.ImportError>
): Effect.Effect<Compared> =>
  Effect.gen(function* () {
    const { put, session } = yield* World.make
    const { count, file } = yield* put(name, Files.bytes(name))
    const dataset = yield* importer(file)
    yield* Import.into(session, "/", dataset)
    const asked = { ...count, spans: [...count.spans] }
    const expected = of(name)
    const same: Array<string> = []
    for (const [at, one] of Object.entries(expected)) {
      const array = dataset.arrays.find((array) => array.path === at)
      if (array === undefined || one.unreadable !== undefined) continue
      const read = yield* World.read(session, at)
      assert.deepStrictEqual(read.shape, one.shape, at)
      if (one.type !== "text") assert.strictEqual<string>(read.dataType, one.type, at)
      assert.strictEqual(hashOf(read.data), one.sha256, `the values of ${at}`)
      same.push(at)
    }
    const missing = Object.keys(expected).filter((at) => !dataset.arrays.some((array) => array.path === at))
    return { dataset, count: asked, same, missing }
  }).pipe(Effect.scoped, Effect.orDie)
