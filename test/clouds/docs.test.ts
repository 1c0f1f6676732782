/** The configurations of docs/clouds.md are ones, and mean what is said there. */
import * as Location from "@effect-icechunk/core/Location"
import * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import { expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"

const page = fs.readFileSync(path.resolve(import.meta.dirname, "../../docs/clouds.md"), "utf8")
const configurations = new Map(
  page.split(/^## /m).flatMap((section): ReadonlyArray<readonly [string, string]> => {
    const json = /```json\n([^]*?)```/.exec(section)?.[1]
    return json === undefined ? [] : [[section.slice(0, section.indexOf("\n")), json]]
  })
)

const containersOf = (title: string): ContainerMatch.ContainerSet => {
  const config = Result.getOrThrow(RepositoryConfig.parse(title, configurations.get(title)!))
  const valid = Result.getOrThrow(RepositoryConfig.validateUpdate(title, {}, config))
  return ContainerMatch.make({ persisted: valid.virtual_chunk_containers ?? [] })
}

it("there is a configuration for each of the five ways", () => {
  expect([...configurations.keys()]).toEqual([
    "One set of credentials",
    "Another region",
    "Repository on S3, chunks on Google Cloud Storage",
    "A local endpoint for some chunks of an array",
    "Three arrays, three buckets, three sets of credentials"
  ])
})

it.each([
  ["One set of credentials", "s3://data/a.nc", "s3", "s3://data/a.nc"],
  ["Another region", "model://model-frankfurt/netcdf/a.nc", "model", "vcc://model/a.nc"],
  ["Repository on S3, chunks on Google Cloud Storage", "gs://climate-data/a.nc", "gcs", "gcs://climate-data/a.nc"],
  ["A local endpoint for some chunks of an array", "s3://data/recent/a.nc", "recent", "s3://data/recent/a.nc"],
  ["A local endpoint for some chunks of an array", "s3://data/archive/a.nc", "s3", "s3://data/archive/a.nc"],
  [
    "Three arrays, three buckets, three sets of credentials",
    "modela://a-output/runs/1.nc",
    "modela",
    "vcc://modela/1.nc"
  ],
  [
    "Three arrays, three buckets, three sets of credentials",
    "modelb://b-output/runs/1.nc",
    "modelb",
    "vcc://modelb/1.nc"
  ],
  [
    "Three arrays, three buckets, three sets of credentials",
    "modelc://c-output/runs/1.nc",
    "modelc",
    "vcc://modelc/1.nc"
  ]
])("%s: %s is read through container `%s` and stored as %s", (title, text, name, stored) => {
  const location = Result.getOrThrow(Location.parse(text))
  const resolved = Result.getOrThrow(ContainerMatch.resolve(containersOf(title), location))
  expect(resolved.container.name).toBe(name)
  expect(Location.format(ContainerMatch.stored(location, resolved))).toBe(stored)
})
