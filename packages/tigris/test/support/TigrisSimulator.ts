/**
 * Tigris for tests: several regions behind real HTTP, replication that takes a number of requests, the rules of its
 * headers, snapshots, and forks that share what they began with. Signatures are verified. What was asked, where it was
 * answered, and whether the answer was stale, is recorded.
 *
 * There is one endpoint for each region: it is what a client there is connected to. Rules, where Tigris documents them:
 *
 * - a request is served by its `X-Tigris-Regions`, else by the region of the client;
 * - with `X-Tigris-Consistent: true` the region knows of every write that was made;
 * - without `Cache-Control: no-cache` a read may be answered from what the client's region has read before.
 *
 * Error codes that Tigris does not document are made up, on purpose as none that S3 has.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3Model from "../../../s3/test/support/S3Model.ts"
import * as S3Server from "../../../s3/test/support/S3Server.ts"
import * as S3Service from "../../../s3/test/support/S3Service.ts"
import * as SigV4 from "../../../s3/test/support/SigV4.ts"
import * as Xml from "../../../s3/test/support/Xml.ts"
import { type ForkOf, TigrisBucket, type World } from "./Replicas.ts"

export interface Options {
  /** The first one is where production is (default `iad`, `fra`, `sin`). */
  readonly regions?: ReadonlyArray<string>
  /** Requests until a write of one region arrives in another (default 25). */
  readonly delay?: World["delay"]
  /** Requests for which a region answers from its cache (default 25). */
  readonly cacheFor?: number
  readonly credentials?: ReadonlyArray<SigV4.Credential>
  /** Buckets that are there from the beginning (default `bucket`). */
  readonly buckets?: Readonly<Record<string, { readonly snapshots?: boolean }>>
  /** Names of buckets that belong to somebody else. */
  readonly foreign?: ReadonlyArray<string>
  /** Headers of snapshots and forks are not known, as on other services. */
  readonly plainS3?: boolean
  /** A list of forks is a list of all buckets, as before Tigris had one. */
  readonly noForkList?: boolean
  /** Entries of one page of a list of buckets or snapshots (default 1,000). */
  readonly pageSize?: number
}

/** A request and what became of it. */
export interface Seen {
  readonly operation: string
  readonly bucket: string
  readonly key: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly query: ReadonlyMap<string, string>
  /** Names of the headers in the signature. */
  readonly signed: ReadonlyArray<string>
  /** The region of the client. */
  readonly from: string
  /** The region that answered. */
  readonly servedBy: string
  /** The answer lacked a write that was made before. */
  readonly stale: boolean
  readonly status: number
}

export interface TigrisSimulator {
  /** What a client in a region is connected to. */
  readonly endpoints: Readonly<Record<string, string>>
  /** The endpoint of the first region. */
  readonly endpoint: string
  readonly servers: ReadonlyMap<string, S3Server.S3Server>
  readonly buckets: ReadonlyMap<string, TigrisBucket>
  readonly requests: ReadonlyArray<Seen>
  readonly createBucket: (name: string, options?: { readonly snapshots?: boolean }) => TigrisBucket
  /** Every write arrives everywhere, caches are empty. */
  readonly settle: () => void
}

const reads: ReadonlySet<string> = new Set(["GetObject", "HeadObject", "ListObjectsV2"])

const signedBy = (headers: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  /SignedHeaders=([^,]+)/.exec(headers["authorization"] ?? "")?.[1]?.split(";") ?? []

const refuse = (status: number, code: string, message = code): never => {
  throw new S3Model.Refusal(status, code, message)
}

const ok = (headers: Readonly<Record<string, string>> = {}, body = ""): S3Model.Answer => ({
  status: 200,
  headers: body === "" ? headers : { "content-type": "application/xml", ...headers },
  body
})

/** Starts a simulator; it ends with the Scope. Without options: access key `test`, secret `secret`. */
export const start = (options: Options = {}): Effect.Effect<TigrisSimulator, never, Scope.Scope> =>
  Effect.gen(function* () {
    const credentials = options.credentials ?? [{ accessKeyId: "test", secretAccessKey: "secret" }]
    const regions = options.regions ?? ["iad", "fra", "sin"]
    const world: World = { regions, delay: options.delay ?? (() => 25), now: 0, writes: 0 }
    const cacheFor = options.cacheFor ?? 25
    const service = S3Service.make({ credentials })
    const buckets = new Map<string, TigrisBucket>()
    const requests: Array<Seen> = []
    const locations = new Map<string, string>()
    let caches = new Map<string, { readonly object: S3Model.StoredObject | undefined; readonly at: number }>()

    const createBucket: TigrisSimulator["createBucket"] = (name, { snapshots = false } = {}) => {
      const bucket = new TigrisBucket(world, { snapshots })
      buckets.set(name, bucket)
      return bucket
    }
    for (const [name, bucket] of Object.entries(options.buckets ?? { bucket: {} })) createBucket(name, bucket)

    const authorize = (request: S3Model.Request, needed: "bucket" | "list"): void => {
      const proof = SigV4.verify(request, credentials, Date.now())
      if (proof._tag === "Refused") refuse(proof.status, proof.code, proof.message)
      if (proof._tag !== "Verified" || proof.credential.deny?.includes(needed) === true) {
        refuse(403, "AccessDenied", "Access Denied")
      }
    }

    const existing = (name: string): TigrisBucket => {
      if (options.foreign?.includes(name) === true) refuse(403, "AccessDenied", "Access Denied")
      return buckets.get(name) ?? refuse(404, "NoSuchBucket", "The specified bucket does not exist")
    }

    const forksOf = (name: string): ReadonlyArray<readonly [string, TigrisBucket]> =>
      [...buckets].filter(([, { forkOf }]) => forkOf?.bucket === name)

    const create = ({ bucket: name, headers }: S3Model.Request): S3Model.Answer => {
      const header = (key: string): string | undefined => (options.plainS3 === true ? undefined : headers[key])
      const snapshot = header("x-tigris-snapshot")
      if (snapshot !== undefined) {
        const bucket = existing(name)
        if (!bucket.snapshots) refuse(400, "SnapshotDisabled", "Snapshots are not enabled for this bucket")
        const { version } = bucket.snapshot(/^true; name=(.*)$/.exec(snapshot)?.[1])
        return ok({ "x-tigris-snapshot-version": String(version) })
      }
      const merged = header("x-tigris-merge-source-bucket")
      const taken = merged ?? (header("x-tigris-rebase") === undefined ? undefined : buckets.get(name)?.forkOf?.bucket)
      if (taken !== undefined) {
        // Object by object: of two that have a key, that of the other bucket stays.
        const [target, from] = [existing(name), existing(taken)]
        for (const [key, object] of from.latest) target.replicas.get(regions[0]!)!.set(key, object)
        return ok({ "x-tigris-snapshot-version": String(target.snapshot(undefined).version) })
      }
      if (options.foreign?.includes(name) === true) refuse(409, "BucketAlreadyExists", "The name is taken")
      if (buckets.has(name)) refuse(409, "BucketAlreadyOwnedByYou", "You have this bucket already")
      const sourceName = header("x-tigris-fork-source-bucket")
      if (sourceName === undefined) {
        createBucket(name, { snapshots: header("x-tigris-enable-snapshot") === "true" })
        const kept = header("x-tigris-regions")
        if (kept !== undefined) locations.set(name, kept)
        return ok({ location: `/${name}` })
      }
      const source = existing(sourceName)
      if (!source.snapshots) refuse(400, "ForkSourceInvalid", "The source cannot be forked")
      const wanted = header("x-tigris-fork-source-bucket-snapshot")
      const version = wanted === undefined ? source.snapshot(undefined).version : BigInt(wanted)
      if (!source.taken.some((snapshot) => snapshot.version === version)) {
        refuse(400, "ForkSourceInvalid", "No such snapshot")
      }
      const forkOf: ForkOf = { bucket: sourceName, version }
      buckets.set(name, new TigrisBucket(world, { snapshots: true, forkOf, base: source.atVersion(version) }))
      return ok({ location: `/${name}` })
    }

    const head = ({ bucket: name }: S3Model.Request): S3Model.Answer => {
      const { forkOf, snapshots } = existing(name)
      if (options.plainS3 === true) return ok()
      return ok({
        "x-tigris-enable-snapshot": String(snapshots),
        ...(forkOf === undefined
          ? {}
          : {
              "x-tigris-fork-source-bucket": forkOf.bucket,
              "x-tigris-fork-source-bucket-snapshot": String(forkOf.version)
            }),
        ...(forksOf(name).length > 0 ? { "x-tigris-is-fork-parent": "true" } : {})
      })
    }

    const list = ({ headers, query }: S3Model.Request): S3Model.Answer => {
      const of = headers["x-tigris-snapshot"]
      const parent = options.noForkList === true ? undefined : headers["x-tigris-fork"]
      const entries: ReadonlyArray<readonly [string, number]> =
        of !== undefined
          ? existing(of)
              .taken.toReversed()
              .map(({ createdAt, name, version }) => [
                name === undefined ? String(version) : `${version}; name=${name}`,
                createdAt
              ])
          : (parent === undefined ? [...buckets] : forksOf(parent)).map(([name, { createdAt }]) => [name, createdAt])
      const from = Number(query.get("continuation-token") ?? 0)
      const page = entries.slice(from, from + (options.pageSize ?? 1000))
      return ok(
        {},
        Xml.document("ListAllMyBucketsResult", [
          [
            "Buckets",
            page.map(([name, createdAt]): Xml.Element => [
              "Bucket",
              [
                ["Name", name],
                ["CreationDate", new Date(createdAt).toISOString()]
              ]
            ])
          ],
          // As Tigris has it, the last page has a token too, when it has any entry.
          ["ContinuationToken", page.length === 0 ? undefined : from + page.length]
        ])
      )
    }

    const metadata = ({ bucket: name }: S3Model.Request): S3Model.Answer => {
      existing(name)
      return {
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name, object_regions: locations.get(name) ?? "" })
      }
    }

    const remove = ({ bucket: name, headers }: S3Model.Request): S3Model.Answer => {
      const bucket = existing(name)
      const version = options.plainS3 === true ? undefined : headers["x-tigris-snapshot-version"]
      if (version !== undefined) {
        if (!bucket.forget(BigInt(version))) refuse(404, "NoSuchSnapshot", "There is no such snapshot")
        return { status: 204, headers: {}, body: "" }
      }
      if (forksOf(name).length > 0) refuse(409, "InvalidBucketState", "The bucket is in use")
      if (bucket.latest.size > 0 && headers["tigris-force-delete"] !== "true") {
        refuse(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
      }
      buckets.delete(name)
      return { status: 204, headers: {}, body: "" }
    }

    const bucketOperations: Readonly<
      Record<string, readonly ["bucket" | "list", (request: S3Model.Request) => S3Model.Answer]>
    > = {
      CreateBucket: ["bucket", create],
      DeleteBucket: ["bucket", remove],
      HeadBucket: ["list", head],
      ListBuckets: ["bucket", list]
    }

    /** In one region, or several of one area: every region knows of every write. */
    const isStrong = (name: string): boolean => {
      const kept = locations.get(name)
      return kept !== undefined && !kept.includes(",")
    }

    /** The objects that a request sees, and whether that lacks something. */
    const viewOf = (
      bucket: TigrisBucket,
      region: string,
      servedBy: string,
      { headers, key, bucket: name, operation, query }: S3Model.Request
    ): { readonly objects: Map<string, S3Model.StoredObject>; readonly stale: boolean } => {
      const version = headers["x-tigris-snapshot-version"]
      if (version !== undefined) {
        if (!bucket.snapshots) refuse(400, "SnapshotDisabled", "Snapshots are not enabled for this bucket")
        return { objects: bucket.atVersion(BigInt(version)), stale: false }
      }
      bucket.deliver(servedBy, headers["x-tigris-consistent"] === "true" || isStrong(name))
      const replica = bucket.replicas.get(servedBy)!
      if (!reads.has(operation)) {
        caches.delete(`${region} ${name}/${key}`)
        return { objects: replica, stale: false }
      }
      if (operation === "ListObjectsV2") {
        const shown = (objects: ReadonlyMap<string, S3Model.StoredObject>): string =>
          JSON.stringify(
            [...objects]
              .filter(([key]) => key.startsWith(query.get("prefix") ?? ""))
              .map(([key, { etag }]) => key + etag)
              .toSorted()
          )
        return { objects: replica, stale: shown(replica) !== shown(bucket.latest) }
      }
      const entry = `${region} ${name}/${key}`
      const cached = caches.get(entry)
      const object =
        headers["cache-control"] === "no-cache" || cached === undefined || cached.at + cacheFor < world.now
          ? replica.get(key)
          : cached.object
      if (object !== cached?.object || cached === undefined) caches.set(entry, { object, at: world.now })
      return {
        objects: new Map(object === undefined ? [] : [[key, object]]),
        stale: object !== bucket.latest.get(key)
      }
    }

    const handle =
      (region: string) =>
      (request: S3Model.Request): S3Model.Answer => {
        world.now += 1
        const { bucket: name, headers, key, operation, query } = request
        const signed = signedBy(headers)
        const bucketOperation: (typeof bucketOperations)[string] | undefined =
          options.plainS3 !== true && operation === "ListObjectsV2" && query.has("metadata")
            ? ["list", metadata]
            : bucketOperations[operation]
        // Of a bucket operation the header says where the data is kept.
        const asked = bucketOperation === undefined ? headers["x-tigris-regions"] : undefined
        const servedBy = asked !== undefined && regions.includes(asked) ? asked : region
        let stale = false
        const answer = ((): S3Model.Answer => {
          try {
            for (const name of Object.keys(headers)) {
              const isRule = name.startsWith("x-tigris-") || name === "cache-control" || name === "tigris-force-delete"
              if (isRule && headers["authorization"] !== undefined && !signed.includes(name)) {
                refuse(403, "AccessDenied", `There were headers present in the request which were not signed: ${name}`)
              }
            }
            if (bucketOperation !== undefined) {
              const [needed, run] = bucketOperation
              authorize(request, needed)
              return run(request)
            }
            const bucket = buckets.get(name)
            if (bucket === undefined) return service.handle(request)
            const view = viewOf(bucket, region, servedBy, request)
            stale = view.stale
            // Tigris takes a signature for any region.
            const scope = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers["authorization"] ?? "")?.[1]
            const presigned = query.get("X-Amz-Credential")?.split("/")[2]
            const proxy = { region: scope ?? presigned ?? "auto", isPublic: false, uploads: bucket.uploads }
            service.buckets.set(name, { ...proxy, objects: view.objects })
            // A copy reads from another bucket what the region knows of it.
            const source = decodeURIComponent(headers["x-amz-copy-source"] ?? "")
              .replace(/^\//, "")
              .split("/")[0]!
            const other = source === name ? undefined : buckets.get(source)
            if (other !== undefined) {
              const { objects } = viewOf(other, region, servedBy, { ...request, bucket: source })
              service.buckets.set(source, { ...proxy, objects })
            }
            try {
              return service.handle(request)
            } finally {
              service.buckets.delete(name)
              service.buckets.delete(source)
            }
          } catch (error) {
            if (!(error instanceof S3Model.Refusal)) throw error
            return S3Model.refusal(error)
          }
        })()
        requests.push({
          operation,
          bucket: name,
          key,
          headers,
          query,
          signed,
          from: region,
          servedBy,
          stale,
          status: answer.status
        })
        return answer
      }

    const servers = new Map(
      yield* Effect.forEach(regions, (region) =>
        Effect.map(S3Server.start({ extend: () => handle(region) }), (server) => [region, server] as const)
      )
    )
    const endpoints = Object.fromEntries([...servers].map(([region, { endpoint }]) => [region, endpoint]))
    return {
      endpoints,
      endpoint: endpoints[regions[0]!]!,
      servers,
      buckets,
      requests,
      createBucket,
      settle: () => {
        for (const bucket of buckets.values()) for (const region of regions) bucket.deliver(region, true)
        caches = new Map()
      }
    }
  })
