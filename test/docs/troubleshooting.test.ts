/** `docs/troubleshooting.md` says something about every error that the packages export, and about nothing else. */
import * as Core from "@effect-icechunk/core"
import * as Fs from "@effect-icechunk/fs"
import * as Gcs from "@effect-icechunk/gcs"
import * as Http from "@effect-icechunk/http"
import * as S3 from "@effect-icechunk/s3"
import * as Tigris from "@effect-icechunk/tigris"
import * as fs from "node:fs"
import { expect, it } from "vitest"

/** Failures of parts that stores are made of. No method of a store or a repository fails with them. */
const ofParts = new Set(["S3Failure", "ZstdError"])

const isErrorClass = (value: unknown): boolean => typeof value === "function" && value.prototype instanceof Error

/** Names of the errors that a package exports, which are their tags. */
const errorsOf = (modules: object): Array<string> =>
  Object.values(modules).flatMap((module: object) =>
    Object.entries(module)
      .filter(([, value]) => isErrorClass(value))
      .map(([name]) => name)
  )

const page = fs.readFileSync(`${import.meta.dirname}/../../docs/troubleshooting.md`, "utf8")
const headings = Array.from(page.matchAll(/^### (\w+)$/gm), ([, tag]) => tag!)
const bucketReasons = Object.entries(Tigris.BucketError)
  .filter(([name, value]) => isErrorClass(value) && name !== "BucketError")
  .map(([name]) => name)

it("every exported error has its heading, and every heading an error", () => {
  const ofBuckets = new Set(bucketReasons)
  const exported = [
    Core,
    Fs,
    S3,
    Gcs,
    Http,
    { ...Tigris, BucketError: { BucketError: Tigris.BucketError.BucketError } }
  ]
    .flatMap(errorsOf)
    .filter((tag) => !ofParts.has(tag))
  expect(exported.length).toBeGreaterThan(70)
  expect(ofBuckets.size).toBeGreaterThan(10)
  expect([...headings].toSorted()).toEqual([...new Set(exported)].toSorted())
})

it("every reason of a `BucketError` has its row", () => {
  const table = page.slice(page.indexOf("### BucketError"), page.indexOf("### InvalidBucketName"))
  const rows = Array.from(table.matchAll(/^\| `(\w+)` \|/gm), ([, tag]) => tag!)
  expect(rows.toSorted()).toEqual(bucketReasons.toSorted())
})

it("every heading says something", () => {
  const sections = page.split(/^### /m).slice(1)
  expect(sections.filter((section) => section.split("\n").slice(1).join("").length < 40)).toEqual([])
})
