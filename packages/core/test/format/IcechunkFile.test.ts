import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as zlib from "node:zlib"
import { FormatError } from "../../src/encoding/FormatError.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as NodeZstd from "../../src/node/NodeZstd.ts"
import * as damage from "./damage.ts"

const payload = new TextEncoder().encode("a payload ".repeat(50))

const header = (changes: Readonly<Record<number, number>>): Uint8Array => {
  const bytes = new Uint8Array(39).fill(0x20)
  bytes.set(new TextEncoder().encode("ICE🧊CHUNKic-2.1.0"))
  bytes.set([2, 6, 1], 36)
  for (const [at, byte] of Object.entries(changes)) bytes[Number(at)] = byte
  return bytes
}

describe("IcechunkFile", () => {
  it("decodes a header", () => {
    expect(Result.getOrThrow(IcechunkFile.decodeHeader("repo", header({})))).toStrictEqual({
      implementation: "ic-2.1.0",
      specVersion: 2,
      fileType: "RepoInfo",
      compression: "zstd"
    })
    expect(Result.getOrThrow(IcechunkFile.decodeHeader("x", header({ 36: 1, 37: 1, 38: 0 })))).toMatchObject({
      specVersion: 1,
      fileType: "Snapshot",
      compression: "none"
    })
  })

  it.each([
    ["header.magic", header({ 3: 0 }), "not a file of Icechunk"],
    ["header.magic", new Uint8Array(0), "not a file of Icechunk"],
    ["header.length", header({}).slice(0, 38), "it has 38 bytes"],
    ["header.spec_version", header({ 36: 3 }), "version 3"],
    ["header.file_type", header({ 37: 5 }), "code 5"],
    ["header.compression", header({ 38: 2 }), "code 2"]
  ])("names %s when it is wrong", (field, bytes, problem) => {
    const result = IcechunkFile.decodeHeader("repo", bytes)
    expect(Result.isFailure(result) && result.failure).toMatchObject({ _tag: "FormatError", file: "repo", field })
    expect(Result.isFailure(result) && result.failure.message).toMatch(problem)
  })

  it.layer(NodeZstd.layer)((it) => {
    it.effect("gives back header and payload of what it encoded", () =>
      Effect.gen(function* () {
        for (const fileType of ["Snapshot", "Manifest", "TransactionLog", "RepoInfo"] as const) {
          const file = yield* IcechunkFile.encode(fileType, payload)
          expect(file.length).toBeLessThan(payload.length)
          expect(yield* IcechunkFile.decode("f", file, fileType)).toStrictEqual({
            header: {
              implementation: IcechunkFile.implementation,
              specVersion: 2,
              fileType,
              compression: "zstd"
            },
            payload,
            maxHeld: 256 * 1024 * 1024
          })
        }
        const old = yield* IcechunkFile.encode("Manifest", payload, { specVersion: 1, level: 19 })
        expect(Result.getOrThrow(IcechunkFile.decodeHeader("f", old)).specVersion).toBe(1)
      })
    )

    it.effect("pads the name of the implementation to 24 bytes", () =>
      Effect.gen(function* () {
        const file = yield* IcechunkFile.encode("RepoInfo", payload)
        const name = new TextDecoder().decode(file.subarray(12, 36))
        expect(name).toMatch(/^ic-effect-\d+\.\d+\.\d+ +$/)
      })
    )

    it.effect("reads files that are not compressed", () =>
      Effect.gen(function* () {
        const file = Uint8Array.from([...header({ 38: 0 }), ...payload])
        expect((yield* IcechunkFile.decode("f", file, "RepoInfo")).payload).toStrictEqual(payload)
      })
    )

    it.effect("refuses a file of another type", () =>
      Effect.gen(function* () {
        const file = yield* IcechunkFile.encode("Snapshot", payload)
        const error = yield* Effect.flip(IcechunkFile.decode("repo", file, "RepoInfo"))
        expect(error).toMatchObject({ file: "repo", field: "header.file_type" })
        expect(error.message).toMatch("it is a Snapshot where a RepoInfo is expected")
      })
    )

    it.effect("refuses a payload that claims more than the bound, without decompressing it", () =>
      Effect.gen(function* () {
        const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0)
        for (const [length, bound] of [
          [0, 2 ** 25],
          [3_000_000, 2 ** 29]
        ] as const) {
          const file = Uint8Array.from([...header({}), ...frame, ...new Uint8Array(length)])
          const error = yield* Effect.flip(IcechunkFile.decode("repo", file, "RepoInfo"))
          expect(error).toMatchObject({ field: "payload" })
          expect(error.message).toMatch(`more than the ${bound} allowed`)
        }
      })
    )

    it.effect("refuses a payload that a few bytes unfold into", () =>
      Effect.gen(function* () {
        const frame = zlib.zstdCompressSync(new Uint8Array(64 * 1024 * 1024))
        expect(frame.length).toBeLessThan(10_000)
        const bomb = Uint8Array.from([...header({ 37: 1 }), ...frame])
        const error = yield* Effect.flip(IcechunkFile.decode("snapshots/X", bomb, "Snapshot"))
        expect(error.message).toMatch("holds 67108864 bytes, more than the 33554432 allowed")
      })
    )

    it.effect("stores a payload as it is that compresses better than a reader believes", () =>
      Effect.gen(function* () {
        const zeros = new Uint8Array(33 * 1024 * 1024)
        const file = yield* IcechunkFile.encode("RepoInfo", zeros)
        const { header, payload } = yield* IcechunkFile.decode("repo", file, "RepoInfo")
        expect(header.compression).toBe("none")
        expect(payload.length).toBe(zeros.length)
      })
    )

    it.effect("lets a larger file hold more", () =>
      Effect.gen(function* () {
        const file = Uint8Array.from([...header({ 38: 0 }), ...new Uint8Array(100_000)])
        expect((yield* IcechunkFile.decode("repo", file, "RepoInfo")).maxHeld).toBe(4096 * 100_000)
      })
    )

    it.effect("fails with a FormatError on damaged files", () =>
      Effect.gen(function* () {
        const file = yield* IcechunkFile.encode("Snapshot", payload)
        for (let length = 0; length < file.length; length++) {
          const error = yield* Effect.flip(IcechunkFile.decode("f", file.slice(0, length), "Snapshot"))
          expect(error).toBeInstanceOf(FormatError)
        }
        const next = damage.random(5)
        for (let round = 0; round < 2000; round++) {
          const damaged = file.slice()
          damaged[Math.floor(next() * damaged.length)]! ^= 1 << Math.floor(next() * 8)
          const result = yield* Effect.result(IcechunkFile.decode("f", damaged, "Snapshot"))
          if (result._tag === "Failure") expect(result.failure).toBeInstanceOf(FormatError)
        }
      })
    )
  })
})
