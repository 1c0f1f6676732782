/**
 * The geoid as an array whose chunks are in objects on S3.
 */
import { type Session, type WritableSession, ZarritaStore } from "@effect-icechunk/core"
import { S3ObjectStore } from "@effect-icechunk/s3"
import { Effect, FileSystem } from "effect"
import * as zarr from "zarrita"
import * as GeoidGrid from "./GeoidGrid.ts"
import * as Places from "./Places.ts"
import type { Bucket, S3Place } from "./S3Place.ts"

/** Puts the file of the geoid under a key; `change` makes another object of it. */
export const upload = Effect.fnUntraced(function* (
  place: S3Place,
  bucket: Bucket,
  key: string,
  change?: (bytes: Uint8Array) => void
) {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* fs.readFile(Places.source)
  change?.(bytes)
  const { credentials, endpoint } = place
  const store = yield* S3ObjectStore.make({ bucket: bucket.name, endpoint, region: bucket.region, credentials })
  yield* store.put(key, bytes)
  return bytes.length
}, Effect.scoped)

/** 721 rows are 103 chunks of 7. */
export const chunks = 103
const rowsPerChunk = 7
const [rows, columns] = [chunks * rowsPerChunk, 1440]
export const chunkBytes = rowsPerChunk * columns * GeoidGrid.heightBytes

/** Creates `/heights`, whose chunks are in the objects that `locationOf` names, and remembers the ETag of each object. */
export const write = Effect.fn("write")(function* (
  session: WritableSession.WritableSession,
  locationOf: (chunk: number) => string
) {
  yield* session.createGroup("/")
  yield* session.createArray("/heights", {
    shape: [rows, columns],
    chunkShape: [rowsPerChunk, columns],
    dataType: "float32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "big" } }]
  })
  const all = Array.from({ length: chunks }, (_, chunk) => chunk)
  const locations = all.map(locationOf)
  const values = [...new Set(locations)]
  yield* session.setVirtualRefs(
    "/heights",
    {
      indices: Uint32Array.from(all.flatMap((chunk) => [chunk, 0])),
      offsets: all.map((chunk) => GeoidGrid.headerBytes + chunk * chunkBytes),
      lengths: all.map(() => chunkBytes),
      locations: { values, ids: Uint32Array.from(locations, (location) => values.indexOf(location)) }
    },
    { capture: true }
  )
})

/** One height, read through zarrita: the one chunk that holds it is fetched, and no other. */
export const heightAt = Effect.fn("heightAt")(function* (
  session: Session.Session,
  { latitude, longitude }: { readonly latitude: number; readonly longitude: number }
) {
  const index = [(latitude + 90) * 4, (longitude + 180) * 4]
  const root = zarr.root(yield* ZarritaStore.make(session))
  return yield* ZarritaStore.use(async (signal) => {
    const array = await zarr.open.v3(root.resolve("/heights"), { kind: "array", signal })
    return GeoidGrid.formatHeight(Number(await zarr.get(array, index, { signal })))
  })
})
