/**
 * Cost against size: `bench sizes`. Each point is the median of a few measurements, of large sizes one.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Bench, root } from "./Bench.ts"
import { isSmall, type Sample, type Samples, type Side, sized } from "./Work.ts"
import * as Commits from "./works/commits.ts"
import * as Million from "./works/million.ts"
import * as Nodes from "./works/nodes.ts"
import * as Ranges from "./works/ranges.ts"

/** Seconds and bytes. */
export interface Point {
  /** What is measured, as `refs commit`. */
  readonly curve: string
  readonly side: Side
  readonly size: number
  readonly value: number
  readonly requests?: number
  readonly bytes?: number
  readonly peakMemory?: number
  readonly cpu?: number
  /** Bytes of a repository's files, by the first part of their keys. */
  readonly files?: Readonly<Record<string, number>>
}

export const file: string = path.join(root, "bench/sizes.json")

export const read = (): ReadonlyArray<Point> =>
  fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as ReadonlyArray<Point>) : []

export const write = (points: ReadonlyArray<Point>): void => {
  const lines = points.map((point) =>
    JSON.stringify(point, (_, value: unknown) => (typeof value === "number" ? Number(value.toPrecision(5)) : value))
  )
  fs.writeFileSync(file, `[\n  ${lines.join(",\n  ")}\n]\n`)
}

/** Bytes by the first part of the key: `snapshots`, `manifests`, `repo` and so on. */
const filesOf = (directory: string): Readonly<Record<string, number>> => {
  const sizes: Record<string, number> = {}
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const kind = path.relative(directory, file).split(path.sep)[0]!
    sizes[kind] = (sizes[kind] ?? 0) + fs.statSync(file).size
  }
  return sizes
}

export const refs: ReadonlyArray<number> = isSmall ? [1000, 2000] : [10_000, 100_000, 1_000_000, 5_000_000]
export const commits: ReadonlyArray<number> = isSmall ? [10, 20] : [10, 1000, 10_000]
export const groups: ReadonlyArray<number> = isSmall ? [2, 4] : [10, 100, 600, 2000]
export const delays: ReadonlyArray<number> = [1, 10, 50]
/** Manifests of a million refs. */
export const splits: ReadonlyArray<number> = isSmall ? [1] : [1, 10, 100, 1000]

export const measure = async (bench: Bench, chosen: ReadonlyArray<string>): Promise<ReadonlyArray<Point>> => {
  const wants = (part: string): boolean => chosen.length === 0 || chosen.includes(part)
  const found = new Map<string, Array<Point>>()
  const note = (curve: string, side: Side, size: number, sample: Sample | undefined, files?: Point["files"]): void => {
    if (sample === undefined) return
    const { bytes, cpu, peakMemory, requests, value } = sample
    const key = `${curve} ${side} ${size}`
    const point: Point = {
      curve,
      side,
      size,
      value,
      ...(requests === undefined ? {} : { requests }),
      ...(bytes === undefined ? {} : { bytes }),
      ...(peakMemory === undefined ? {} : { peakMemory }),
      ...(cpu === undefined ? {} : { cpu }),
      ...(files === undefined ? {} : { files })
    }
    found.set(key, [...(found.get(key) ?? []), point])
  }
  const noteAll = (family: string, side: Side, size: number, samples: Samples | null, files?: Point["files"]): void => {
    for (const [name, sample] of Object.entries(samples ?? {})) note(`${family} ${name}`, side, size, sample, files)
  }
  /** Large sizes once. */
  const rounded = async (isLarge: boolean, one: (side: Side) => Promise<void>): Promise<void> => {
    for (let round = 0; round < (isLarge ? 1 : bench.rounds); round++) {
      for (const side of ["ours", "peer"] as const) await one(side)
    }
  }

  if (wants("refs")) {
    for (const size of refs) {
      await rounded(size > 100_000, async (side) => {
        const directory = bench.directory("sizes")
        const data = Million.dataOf(directory, size, 100)
        Million.writeFile(data)
        const written = await bench.run(side, "million", "write", { directory, size })
        if (written !== null) {
          noteAll("refs", side, size, written, filesOf(data.repository))
          noteAll("refs", side, size, await bench.run(side, "million", "first", { directory, size }))
          noteAll("refs", side, size, await bench.run(side, "million", "locations", { directory, size }))
        }
        bench.remove(directory)
      })
    }
  }

  if (wants("splits")) {
    const size = sized(1_000_000, 10_000)
    for (const manifests of splits) {
      await rounded(true, async (side) => {
        const directory = bench.directory("splits")
        const data = Million.dataOf(directory, size, 100)
        Million.writeFile(data)
        const variant = `split-${Math.ceil(data.rows / manifests)}`
        const written = await bench.run(side, "million", "write", { directory, size, variant })
        if (written !== null) {
          noteAll("splits", side, manifests, written, filesOf(data.repository))
          noteAll("splits", side, manifests, await bench.run(side, "million", "first", { directory, size }))
          noteAll("splits", side, manifests, await bench.run(side, "million", "locations", { directory, size }))
          noteAll("splits", side, manifests, await bench.run(side, "million", "append", { directory, size }))
        }
        bench.remove(directory)
      })
    }
  }

  if (wants("commits")) {
    for (const size of commits) {
      const prepared = await Commits.history(bench, size)
      await rounded(false, async (side) => {
        for (const variant of side === "ours" ? (["flush", "noflush"] as const) : (["noflush"] as const)) {
          const directory = bench.copy(prepared, "sizes")
          const samples = await bench.run(side, "commits", "commit", { directory, size, variant })
          note(`commits ${variant}`, side, size, samples?.["commit"], filesOf(directory))
          bench.remove(directory)
        }
        noteAll("commits", side, size, await bench.run(side, "commits", "history", { directory: prepared, size }))
      })
    }
  }

  if (wants("nodes")) {
    for (const size of groups) {
      await rounded(size > 100, async (side) => {
        const directory = bench.directory("nodes")
        const nodes = size * Nodes.arraysPerGroup
        const written = await bench.run(side, "nodes", "write", { directory, size })
        if (written !== null) {
          noteAll("nodes", side, nodes, written, filesOf(directory))
          noteAll("nodes", side, nodes, await bench.run(side, "nodes", "nodes-60k-list", { directory, size }))
          noteAll("nodes", side, nodes, await bench.run(side, "nodes", "nodes-60k-commit", { directory, size }))
        }
        bench.remove(directory)
      })
    }
  }

  if (wants("gaps")) {
    const server = await bench.server("s3")
    const directory = bench.directory("gaps")
    await bench.run("ours", "ranges", "prepare", { directory, server: server.url })
    for (const milliseconds of delays) {
      for (const step of Ranges.steps) {
        await rounded(false, async (side) => {
          const delay = milliseconds / 1000
          const samples = await bench.run(side, "ranges", "spaced", {
            directory,
            server: server.url,
            delay,
            size: step
          })
          note(`gaps ${milliseconds}`, side, (step - 1) * Ranges.chunkBytes, samples?.["spaced"])
        })
      }
    }
    await server.stop()
  }

  return Array.from(
    found.values(),
    (points) => points.toSorted((a, b) => a.value - b.value)[Math.floor((points.length - 1) / 2)]!
  )
}

/** Replaces the curves that were measured, and leaves the others. */
export const merged = (before: ReadonlyArray<Point>, now: ReadonlyArray<Point>): ReadonlyArray<Point> => {
  const curves = new Set(now.map(({ curve }) => curve))
  return [...before.filter(({ curve }) => !curves.has(curve)), ...now]
}
