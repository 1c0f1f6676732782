import { describe, expect, it } from "@effect/vitest"
import * as Etags from "../src/internal/Etags.ts"

const facts: Etags.Facts = {
  etag: "COzr6/OhkJQDEAE=",
  generation: "1777369647609324",
  metageneration: "1",
  md5: "/5LbM0aGsC4dHjfQoaBKaQ==",
  composite: false,
  encrypted: false
}

const hex = '"ff92db334686b02e1d1e37d0a1a04a69"'

describe("Etags", () => {
  it("of a simple upload, read through the JSON API: the XML API's is the MD5", () => {
    expect(Etags.known("json", facts)).toEqual({ etag: hex, alternates: ["COzr6/OhkJQDEAE="] })
  })

  it("of a simple upload, read through the XML API: the JSON API's says generation and metageneration", () => {
    expect(Etags.known("xml", { ...facts, etag: hex })).toEqual({ etag: hex, alternates: ["COzr6/OhkJQDEAE="] })
  })

  it.each([
    ["a composite object", { composite: true, md5: undefined }],
    ["an object that claims an MD5 and is composite", { composite: true }],
    ["an object encrypted with a key of the customer's", { encrypted: true }],
    ["an object without MD5", { md5: undefined }],
    ["an object whose MD5 is none", { md5: "AAAA" }]
  ])("of %s: the JSON API's is opaque", (_, change) => {
    expect(Etags.known("json", { ...facts, ...change })).toEqual({
      etag: "COzr6/OhkJQDEAE=",
      alternates: ['"-COzr6/OhkJQDEAE="']
    })
  })

  it("of an XML response that says no generation", () => {
    expect(Etags.known("xml", { ...facts, etag: '"7fc8-9"', generation: undefined })).toEqual({
      etag: '"7fc8-9"',
      alternates: []
    })
  })

  it.each<readonly [what: string, ifMatch: string | undefined, xml: Etags.Api, json: Etags.Api]>([
    ["nothing", undefined, "xml", "json"],
    ["an MD5", hex, "xml", "json"],
    ["an MD5 without quotes", hex.slice(1, -1), "xml", "json"],
    ["the JSON API's form", "CKicn4fknbUCEAE=", "json", "json"],
    ["the JSON API's form in quotes", '"CKicn4fknbUCEAE="', "json", "json"],
    ["a composite object's of the XML API", '"-CKicn4fknbUCEAE="', "xml", "xml"],
    ["that of an upload in parts", '"7fc8f92280ac3c975f300cb64412c16f-9"', "xml", "xml"],
    ["a weak one", 'W/"abc"', "xml", "xml"]
  ])("%s is looked for where it is known", (_, ifMatch, xml, json) => {
    expect([Etags.apiFor(ifMatch, "xml"), Etags.apiFor(ifMatch, "json")]).toEqual([xml, json])
  })
})
