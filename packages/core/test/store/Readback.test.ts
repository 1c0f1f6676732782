import { describe, expect, it } from "vitest"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"

const stored = (etag: string, writeId?: string): ObjectStore.ObjectMeta => ({
  key: "repo",
  size: 1,
  lastModified: 0,
  version: { etag },
  metadata: writeId === undefined ? {} : { icechunk_write_id: writeId }
})
const update = ObjectStore.update({ etag: '"1"' })

describe("Readback.judge", () => {
  it.each<readonly [string, ObjectStore.PutMode, ObjectStore.ObjectMeta | undefined, Readback.Verdict]>([
    ["our id", ObjectStore.create, stored('"2"', "me"), { _tag: "Ours", version: { etag: '"2"' } }],
    ["our id on an update", update, stored('"2"', "me"), { _tag: "Ours", version: { etag: '"2"' } }],
    ["our id on an overwrite", ObjectStore.overwrite, stored('"2"', "me"), { _tag: "Ours", version: { etag: '"2"' } }],
    ["nothing, on a create", ObjectStore.create, undefined, { _tag: "Unwritten" }],
    ["another's, on a create", ObjectStore.create, stored('"2"', "you"), { _tag: "Lost", reason: "AlreadyExists" }],
    ["one without id, on a create", ObjectStore.create, stored('"2"'), { _tag: "Lost", reason: "AlreadyExists" }],
    ["the expected version, on an update", update, stored('"1"', "you"), { _tag: "Unwritten" }],
    ["the expected version without quotes", update, stored("1"), { _tag: "Unwritten" }],
    ["another version, on an update", update, stored('"2"', "you"), { _tag: "Lost", reason: "PreconditionFailed" }],
    ["nothing, on an update", update, undefined, { _tag: "Lost", reason: "PreconditionFailed" }],
    ["another's, on an overwrite", ObjectStore.overwrite, stored('"2"', "you"), { _tag: "Unwritten" }],
    ["nothing, on an overwrite", ObjectStore.overwrite, undefined, { _tag: "Unwritten" }]
  ])("reads back %s", (_, mode, meta, verdict) => {
    expect(Readback.judge("me", mode, meta)).toEqual(verdict)
  })

  it("finds the id under a key whose underscores a server turned into dashes", () => {
    expect(Readback.writeIdOf({ "icechunk-write-id": "a" })).toBe("a")
    expect(Readback.writeIdOf({ Icechunk_Write_Id: "a" })).toBe("a")
    expect(Readback.writeIdOf({ other: "a" })).toBeUndefined()
    expect(Readback.writeIdOf(undefined)).toBeUndefined()
  })
})

describe("Readback.isVersion", () => {
  const meta = (etag: string | undefined, generation?: string): ObjectStore.ObjectMeta => ({
    key: "k",
    size: 1,
    lastModified: undefined,
    version: { etag, generation }
  })
  it("compares generations where both have one, else ETags", () => {
    expect(Readback.isVersion({ etag: "a", generation: "1" }, meta("b", "1"))).toBe(true)
    expect(Readback.isVersion({ etag: "a", generation: "1" }, meta("a", "2"))).toBe(false)
    expect(Readback.isVersion({ etag: '"a"' }, meta("a", "2"))).toBe(true)
    expect(Readback.isVersion({ etag: undefined }, meta(undefined))).toBe(false)
  })
})
