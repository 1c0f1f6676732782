/** Writing objects and copying them. */
import * as S3 from "@aws-sdk/client-s3"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"
import * as Effect from "effect/Effect"
import * as S3Error from "../S3Error.ts"
import * as ConditionalWrite from "./ConditionalWrite.ts"
import * as Keys from "./Keys.ts"
import * as Multipart from "./Multipart.ts"
import type { Reads } from "./Reads.ts"
import * as Response from "./Response.ts"
import { at, type Target } from "./Target.ts"

export interface Writes {
  readonly put: (
    key: string,
    bytes: Uint8Array,
    options?: ObjectStore.PutOptions
  ) => Effect.Effect<ObjectStore.Version, S3Error.S3Failure>
  readonly copy: (
    from: string,
    to: string,
    ifMatch: ObjectStore.Version | undefined
  ) => Effect.Effect<void, S3Error.S3Failure>
}

const freshWriteId: Effect.Effect<string> = Effect.sync(() => globalThis.crypto.randomUUID().replaceAll("-", ""))

/** Metadata that was read from an object may hold the id of the write that made it, which must not be taken for ours. */
const withoutWriteId = (metadata: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).filter(([key]) => Readback.writeIdOf({ [key]: "" }) === undefined))

/** The largest object that is sent twice to find out whether conditions are enforced. */
const maxAsked = 8 * 1024 ** 2

const notEnforced = S3Error.failure(
  "Unsupported",
  "the service ignores conditions on puts, so that writers would silently overwrite each other; use one that enforces them"
)

/** A header cannot hold the metadata, or S3 would not return it as it was given. */
const metadataProblem = (metadata: Readonly<Record<string, string>> | undefined): string | undefined => {
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(key))
      return `the metadata key ${JSON.stringify(key)} is not the name of a header`
    if (!/^[\x20-\x7e]*$/.test(value) || value.trim() !== value) {
      return `the metadata value of \`${key}\` is not printable ASCII without spaces at its ends`
    }
  }
  return undefined
}

export const make = (target: Target, reads: Reads): Writes => {
  const { base, connection, dialect, options, request } = target
  const { bucket, retrying, send } = connection
  const spelling: ConditionalWrite.Spelling = { known: dialect.conditionalEtag }
  const enforced: Record<"Create" | "Update", boolean | "ask"> = {
    Create: dialect.conditionalPut,
    Update: dialect.conditionalPut
  }
  const threshold = options.multipartThreshold ?? 64 * 1024 ** 2
  const partSize = options.partSize ?? 16 * 1024 ** 2

  const put = Effect.fnUntraced(function* (
    key: string,
    bytes: Uint8Array,
    { contentType, metadata, mode = ObjectStore.overwrite }: ObjectStore.PutOptions = {}
  ): Effect.fn.Return<ObjectStore.Version, S3Error.S3Failure> {
    const isConditional = mode._tag !== "Overwrite"
    if (isConditional && enforced[mode._tag] === false) return yield* notEnforced
    const problem = metadataProblem(metadata)
    if (problem !== undefined) return yield* S3Error.failure("Unsupported", problem)
    const inParts = bytes.length >= threshold && (!isConditional || dialect.conditionalMultipart)
    if (!inParts && bytes.length > Multipart.maxSingle) {
      return yield* S3Error.failure("Unsupported", "a conditional put is one request here, of at most 5 GiB")
    }
    const writeId = yield* freshWriteId
    const headers = {
      ...(contentType === undefined ? {} : { ContentType: contentType }),
      Metadata:
        isConditional || inParts ? { ...withoutWriteId(metadata), [Readback.metadataKey]: writeId } : { ...metadata }
    }
    const settle = (
      submit: (condition: ConditionalWrite.Condition) => Effect.Effect<ObjectStore.Version, S3Error.S3Failure>
    ): Effect.Effect<ObjectStore.Version, S3Error.S3Failure> =>
      ConditionalWrite.settle({ connection, writeId, mode, spelling, submit, readBack: reads.stored(key) })
    if (inParts) {
      const version = yield* Multipart.upload({
        connection,
        key,
        objectKey: base + key,
        bytes,
        partSize,
        request,
        headers,
        settle
      })
      if (version.etag !== undefined) return version
      // Ceph does not tell the ETag of a completed upload.
      const verdict = Readback.judge(writeId, mode, yield* reads.stored(key))
      return verdict._tag === "Ours" ? verdict.version : version
    }
    const submit = (condition: ConditionalWrite.Condition): Effect.Effect<ObjectStore.Version, S3Error.S3Failure> =>
      connection.object({
        operation: "put",
        key,
        objectKey: base + key,
        method: "PUT",
        input: { ...request, ...headers, ...condition },
        body: bytes,
        open: (output) => ({
          length: 0,
          done: (): ObjectStore.Version => {
            if (!Response.hasEtag(output)) throw Response.unacknowledged
            return { etag: output.ETag }
          }
        })
      })
    if (!isConditional) return yield* retrying(Effect.mapError(submit({}), ConditionalWrite.askedAgain()))
    const version = yield* settle(submit)
    if (enforced[mode._tag] === "ask" && bytes.length <= maxAsked) {
      enforced[mode._tag] = yield* ConditionalWrite.isEnforced(mode, spelling, submit)
      if (enforced[mode._tag] === false) return yield* notEnforced
    }
    return version
  })

  /** A condition that the service does not enforce on a copy is enforced by reading: the bytes are those that were checked. */
  const copyByReading = (from: string, to: string, etag: string): Effect.Effect<void, S3Error.S3Failure> =>
    Effect.flatMap(reads.whole(from, { ifMatch: etag }), ({ contentType, result: { bytes, meta } }) =>
      put(to, bytes, { contentType, metadata: meta.metadata })
    )

  const copy = (
    from: string,
    to: string,
    ifMatch: ObjectStore.Version | undefined
  ): Effect.Effect<void, S3Error.S3Failure> => {
    if (ifMatch !== undefined && ifMatch.etag === undefined) {
      return S3Error.failure("Unsupported", "a conditional copy needs the ETag of the version")
    }
    if (ifMatch?.etag !== undefined && !dialect.conditionalCopy) return copyByReading(from, to, ifMatch.etag)
    const etag = ifMatch?.etag === undefined ? undefined : Response.conditionEtag(ifMatch.etag, "quoted")
    if (ifMatch !== undefined && etag === undefined)
      return S3Error.failure("PreconditionFailed", "no object has this ETag")
    return retrying(
      send({
        operation: "copy",
        key: from,
        access: "write",
        command: () =>
          new S3.CopyObjectCommand({
            ...at(target, to),
            ...request,
            CopySource: Keys.copySource(bucket, base + from),
            ...(etag === undefined ? {} : { CopySourceIfMatch: etag })
          }),
        answer: { document: "CopyObjectResult" },
        read: () => undefined
      })
    )
  }

  return { put, copy }
}
