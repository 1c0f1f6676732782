import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Location from "../../src/values/Location.ts"
import type * as Container from "../../src/values/VirtualChunkContainer.ts"
import * as ContainerMatch from "../../src/virtual/ContainerMatch.ts"
import * as ObjectPlace from "../../src/virtual/ObjectPlace.ts"

const at = (
  location: string,
  persisted: ReadonlyArray<Container.VirtualChunkContainer>,
  platform?: Parameters<typeof ObjectPlace.make>[1]
) => {
  const containers = ContainerMatch.make({ persisted })
  const resolved = Result.getOrThrow(
    Result.flatMap(Location.parse(location), (parsed) => ContainerMatch.resolve(containers, parsed))
  )
  const place = ObjectPlace.make(resolved, platform)
  return { key: ObjectPlace.key(place), spellings: ObjectPlace.spellings(place, containers, platform).toSorted() }
}

const model = { name: "model", protocol: "model", platform: "s3", bucket_prefix: "b/runs" }

describe("ObjectPlace", () => {
  it("is the same for all spellings of an object, and each of them leads to all", () => {
    const all = at("model://b/runs/a", [model])
    expect(all.spellings).toStrictEqual(["model://b/runs/a", "s3://b/runs/a", "vcc://model/a", "vcc://s3/b/runs/a"])
    for (const spelling of all.spellings) expect(at(spelling, [model])).toStrictEqual(all)
  })

  it("keeps endpoints apart, and knows the platform's own by its name", () => {
    const there = { ...model, cloud_client_config: { endpoint_url: "http://localhost:9000/" } }
    expect(at("model://b/runs/a", [there]).key).not.toBe(at("model://b/runs/a", [model]).key)
    expect(at("model://b/runs/a", [there]).spellings).toStrictEqual([
      "model://b/runs/a",
      "s3://b/runs/a",
      "vcc://model/a"
    ])
    const platform = { ownEndpoints: /^https:\/\/own\.example$/ }
    const named = { ...model, cloud_client_config: { endpoint_url: "https://OWN.example:443/" } }
    expect(at("model://b/runs/a", [named], platform)).toStrictEqual(at("model://b/runs/a", [model], platform))
  })

  it("is where the platform reads, when that is not where the location says", () => {
    const fork = { name: "fork", protocol: "tigris", platform: "tigris", bucket_prefix: "source" }
    const { spellings } = at("tigris://source/a", [fork], { pathOf: (_, path) => path.replace("source/", "fork/") })
    expect(spellings).toContain("tigris://fork/a")
  })

  it("spells files plainly and percent-encoded", () => {
    const files = { name: "files", protocol: "file", platform: "fs", bucket_prefix: "/data" }
    expect(at("file:///data/x/../a%20b.nc", [files]).spellings).toStrictEqual([
      "file:///data/a b.nc",
      "file:///data/a%20b.nc",
      "vcc://file/data/a b.nc",
      "vcc://file/data/a%20b.nc",
      "vcc://files/a b.nc",
      "vcc://files/a%20b.nc"
    ])
  })
})
