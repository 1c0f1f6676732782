/**
 * A bucket in several regions: each has a replica, which hears of writes elsewhere only after some further requests. Time
 * is counted in requests, so that every schedule can be repeated.
 */
import type { StoredObject, Upload } from "../../../s3/test/support/S3Model.ts"

/** The objects of a bucket as one region knows them. */
export class Replica extends Map<string, StoredObject> {
  onWrite: ((key: string, object: StoredObject | undefined) => void) | undefined
  /** The write that each key is at. */
  readonly at = new Map<string, number>()

  override set(key: string, object: StoredObject): this {
    super.set(key, object)
    this.onWrite?.(key, object)
    return this
  }

  override delete(key: string): boolean {
    const had = super.delete(key)
    if (had) this.onWrite?.(key, undefined)
    return had
  }

  /** A write of another region arrives; of two writes the later one stays. */
  receive({ key, object, write }: Write): void {
    if ((this.at.get(key) ?? 0) >= write) return
    this.at.set(key, write)
    if (object === undefined) super.delete(key)
    else super.set(key, object)
  }
}

interface Write {
  /** Number of the write, of all in this simulator. */
  readonly write: number
  readonly key: string
  readonly object: StoredObject | undefined
}

interface Pending extends Write {
  readonly due: number
}

export interface Snapshot {
  readonly version: bigint
  readonly name: string | undefined
  readonly createdAt: number
}

export interface ForkOf {
  readonly bucket: string
  readonly version: bigint
}

/** What all buckets have in common. */
export interface World {
  readonly regions: ReadonlyArray<string>
  /** Requests until a write of one region arrives in another. */
  readonly delay: (write: number, from: string, to: string) => number
  /** Requests so far. */
  now: number
  writes: number
}

/** Nanoseconds since 1970 of a write; snapshots are between them. */
export const stampOf = (write: number): bigint => 1_751_631_910_000_000_000n + BigInt(write) * 1_000n

export class TigrisBucket {
  readonly world: World
  readonly snapshots: boolean
  readonly forkOf: ForkOf | undefined
  readonly createdAt: number = Date.now()
  readonly replicas: ReadonlyMap<string, Replica>
  readonly uploads = new Map<string, Upload>()
  /** As a reader would see it who knows of every write. */
  readonly latest: Map<string, StoredObject>
  readonly taken: Array<Snapshot> = []
  private readonly base: ReadonlyMap<string, StoredObject>
  private readonly history: Array<Write> = []
  private readonly pending = new Map<string, Array<Pending>>()

  constructor(
    world: World,
    options: {
      readonly snapshots: boolean
      readonly forkOf?: ForkOf | undefined
      readonly base?: ReadonlyMap<string, StoredObject>
    }
  ) {
    this.world = world
    this.snapshots = options.snapshots
    this.forkOf = options.forkOf
    // References to the same objects: nothing is copied.
    this.base = options.base ?? new Map()
    this.latest = new Map(this.base)
    this.replicas = new Map(world.regions.map((region) => [region, this.replica(region)]))
  }

  private replica(region: string): Replica {
    const replica = new Replica(this.base)
    replica.onWrite = (key, object) => {
      const write = (this.world.writes += 1)
      replica.at.set(key, write)
      if (object === undefined) this.latest.delete(key)
      else this.latest.set(key, object)
      if (this.snapshots) this.history.push({ write, key, object })
      for (const to of this.world.regions) {
        if (to === region) continue
        const due = this.world.now + this.world.delay(write, region, to)
        const queue = this.pending.get(to) ?? []
        queue.push({ write, key, object, due })
        this.pending.set(to, queue)
      }
    }
    return replica
  }

  /** What is due arrives in a region; with `all` what is not due too. */
  deliver(region: string, all = false): void {
    const queue = this.pending.get(region)
    if (queue === undefined || queue.length === 0) return
    const rest: Array<Pending> = []
    for (const write of queue) {
      if (all || write.due <= this.world.now) this.replicas.get(region)!.receive(write)
      else rest.push(write)
    }
    this.pending.set(region, rest)
  }

  snapshot(name: string | undefined): Snapshot {
    const version = stampOf((this.world.writes += 1))
    const snapshot = { version, name, createdAt: Number(version / 1_000_000n) }
    this.taken.push(snapshot)
    return snapshot
  }

  /** Deletes a snapshot; says whether there was one. */
  forget(version: bigint): boolean {
    const at = this.taken.findIndex((snapshot) => snapshot.version === version)
    if (at >= 0) this.taken.splice(at, 1)
    return at >= 0
  }

  /** The objects as they were at a moment. */
  atVersion(version: bigint): Map<string, StoredObject> {
    const view = new Map(this.base)
    for (const { key, object, write } of this.history) {
      if (stampOf(write) > version) break
      if (object === undefined) view.delete(key)
      else view.set(key, object)
    }
    return view
  }
}
