/**
 * Rows that are measured on an S3 endpoint on which each request takes a while, each in a repository of its own.
 */
import type { Family, Row } from "./Work.ts"

/** Measures each row that is wanted, in each round on each side. */
export const eachRow =
  (family: string, rows: ReadonlyArray<Row>, delay: number): Family["run"] =>
  async (bench) => {
    const wanted = rows.map(({ id }) => id).filter((id) => bench.wants(id))
    if (wanted.length === 0) return
    const server = await bench.server("s3")
    for (const id of wanted) {
      await bench.rounded(async (side, round) => {
        const directory = `${id}-${side}-${round}`
        bench.note(side, await bench.run(side, family, id, { directory, server: server.url, delay }))
      })
    }
    await server.stop()
  }
