import { Credentials, Repository, type Session } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Lookup from "../works/lookup.ts"
import * as Program from "./Program.ts"

const prepare = async ({ directory, variant }: Input): Promise<Samples> => {
  const at = Lookup.places(directory)
  const files = Lookup.filesOf(variant)
  const perFile = Lookup.rowsPerFile(files)
  fs.mkdirSync(at.data)
  for (let file = 0; file < files; file++) {
    fs.writeFileSync(path.join(at.data, Lookup.fileName(file)), Lookup.bytesOf(file * perFile, perFile))
  }
  await Program.onFiles(at.repository).run(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createGroup("/")
      yield* session.createArray("/data", {
        shape: [Lookup.rows * Lookup.chunkBytes],
        chunkShape: [Lookup.chunkBytes],
        dataType: "uint8",
        fillValue: 0
      })
      const all = Uint32Array.from({ length: Lookup.rows }, (_, row) => row)
      const values = Array.from({ length: files }, (_, file) => `file://${path.join(at.data, Lookup.fileName(file))}`)
      yield* session.setVirtualRefs(
        "/data",
        {
          indices: all,
          offsets: Float64Array.from(all, (row) => (row % perFile) * Lookup.chunkBytes),
          lengths: new Float64Array(Lookup.rows).fill(Lookup.chunkBytes),
          locations: { values, ids: Uint32Array.from(all, (row) => Math.floor(row / perFile)) }
        },
        { validateContainers: false }
      )
      yield* session.commit("small chunks")
    })
  )
  return {}
}

const lookUp =
  (id: string, concurrency: number) =>
  async ({ directory }: Input): Promise<Samples> => {
    const at = Lookup.places(directory)
    const program = Program.onFiles(at.repository)
    const session = await program.run(
      Effect.flatMap(Repository.open({ credentials: { file: Credentials.directory(at.data) } }), (repository) =>
        repository.readonlySession({ branch: "main" })
      )
    )
    const readAll = (session: Session.Session, rows: ReadonlyArray<number>) =>
      Effect.forEach(
        rows,
        (row) =>
          Effect.flatMap(session.chunk("/data", [row]), (bytes) =>
            Program.expect(Lookup.isChunk(row, bytes), `row ${row} is another one`)
          ),
        { concurrency, discard: true }
      )
    await program.run(readAll(session, Lookup.before))
    const sample = await Meter.sample(() => program.run(readAll(session, Lookup.wanted)))
    return { [id]: Meter.per(Lookup.reads, sample) }
  }

export const tasks: Tasks = {
  prepare,
  "lookup-64": lookUp("lookup-64", 64),
  "lookup-1": lookUp("lookup-1", 1),
  "lookup-files": lookUp("lookup-files", 64)
}
