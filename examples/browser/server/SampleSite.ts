/**
 * The sample on a web server: the data, and the repository that refers to it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Checksum } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import type { Sample } from "../src/Sample.ts"
import * as DataServer from "./DataServer.ts"
import * as SampleRepository from "./SampleRepository.ts"

const source = path.resolve(import.meta.dirname, "../../data/egm96_15.gtx")
const file = "egm96_15.gtx"

export interface SampleSite extends AsyncDisposable {
  readonly server: DataServer.DataServer
  /** What the page is told. */
  readonly sample: Sample
  /** The data file. */
  readonly data: string
  readonly snapshots: SampleRepository.Written["snapshots"]
}

/** Starts the server, and writes what it serves into `directory`; an earlier sample there is replaced. */
export const start = async (options: { readonly directory: string; readonly port?: number }): Promise<SampleSite> => {
  const { directory, port } = options
  const [data, repository] = [path.join(directory, "data"), path.join(directory, "repository")]
  for (const old of [data, repository]) fs.rmSync(old, { recursive: true, force: true })
  fs.mkdirSync(data, { recursive: true })
  fs.copyFileSync(source, path.join(data, file))
  const server = await DataServer.start({ directory, ...(port === undefined ? {} : { port }) })
  try {
    const host = server.url.replace("http://", "")
    const gtx = new Uint8Array(fs.readFileSync(path.join(data, file)))
    const { snapshots } = await Effect.runPromise(
      SampleRepository.write({
        directory: repository,
        gtx,
        container: { name: "geoid", protocol: "http", platform: "http", bucket_prefix: `${host}/data` },
        location: `http://${host}/data/${file}`,
        checksum: Checksum.etag(DataServer.etagOf(gtx))
      })
    )
    return {
      server,
      sample: { repository: `${server.url}/repository`, fault: `${server.url}/fault` },
      data: path.join(data, file),
      snapshots,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]()
    }
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}
