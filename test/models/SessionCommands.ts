/**
 * What a program can do with a repository and a session, done to the real ones and to the model. After each command
 * both must look the same. Whatever bytes are returned are overwritten at once, and so are bytes that were given.
 */
import {
  ByteRange,
  ChunkIndex,
  Credentials,
  Maintenance,
  NodePath,
  type ObjectStore,
  type Platform,
  Repository,
  RepositoryConfig,
  type Session,
  type WritableSession,
  ZarrMetadata,
  ZarrStore
} from "@effect-icechunk/core"
import type * as Zstd from "@effect-icechunk/core/Zstd"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { type Array as ArrayNode, type Chunk, type Nodes, root, type SessionModel, visible } from "./SessionModel.ts"

export type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope

/** What is run beside the model. */
export interface Real {
  repository: Repository.RepositoryShape
  session: WritableSession.WritableSession
  /** Another program's handle of the same repository. */
  readonly other: Repository.RepositoryShape
  readonly run: <A, E>(effect: Effect.Effect<A, E, Services>) => Promise<A>
}

/** Objects that virtual chunks are in, by location and by what a session that knows the container stores. */
export const objects = { "bucket/runs/a.nc": 40, "bucket/b.nc": 60 } as const

const locations = ["s3://bucket/runs/a.nc", "s3://bucket/b.nc", "model://bucket/runs/a.nc"] as const

/** Bytes of the objects. */
export const content = (key: string): Uint8Array =>
  Uint8Array.from({ length: objects[key as keyof typeof objects] }, (_, i) => (i * 7 + key.length) % 251)

const model = { name: "model", protocol: "model", platform: "s3", bucket_prefix: "bucket/runs" }

const open = (isModelConfigured: boolean): Repository.OpenOptions => ({
  credentials: { s3: Credentials.anonymous, ...(isModelConfigured ? { model: Credentials.anonymous } : {}) }
})

export const start = Effect.gen(function* () {
  const repository = yield* Repository.create({
    ...open(false),
    persist: { inline_chunk_threshold_bytes: 6 }
  })
  return {
    repository,
    session: yield* repository.writableSession("main"),
    other: yield* Repository.open(open(false))
  }
})

/** Bytes that were returned belong to the test: it keeps a copy and spoils them. */
const taken = <B extends Uint8Array | undefined>(bytes: B): B => {
  const copy = bytes?.slice()
  bytes?.fill(0xee)
  return copy as B
}

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Array.from(bytes).join()

/** The bytes are these, whatever becomes of them afterwards. */
const assertBytes = (bytes: Uint8Array | undefined, expected: Uint8Array, at: string): void =>
  assert.strictEqual(text(taken(bytes)), text(expected), at)

/** Gives bytes to the library and spoils them as soon as it is done with them. */
const lent = <A, E, R>(bytes: Uint8Array, use: (bytes: Uint8Array) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    // A Buffer, whose `slice` makes no copy.
    const copy = Buffer.from(bytes)
    return Effect.ensuring(
      use(copy),
      Effect.sync(() => copy.fill(0xdd))
    )
  })

/** The tag of the error, or `undefined`: a method that returns nothing returns nothing. */
const outcome = <E extends { readonly _tag: string }, R>(
  effect: Effect.Effect<void, E, R>
): Effect.Effect<string | undefined, never, R> =>
  Effect.match(effect, {
    onFailure: ({ _tag }) => _tag,
    onSuccess: (value) => {
      assert.isUndefined(value)
      return undefined
    }
  })

const gridOf = (node: { readonly shape: ReadonlyArray<{ readonly numChunks: number }> }): ReadonlyArray<number> =>
  node.shape.map(({ numChunks }) => numChunks)

const verifyArray = Effect.fnUntraced(function* (
  session: Session.Session,
  path: string,
  array: ArrayNode,
  chunks: ReadonlyArray<readonly [ReadonlyArray<number>, Chunk]>
) {
  const indices = yield* Stream.runCollect(session.chunkIndices(path))
  assert.deepStrictEqual(
    indices.toSorted(ChunkIndex.compare),
    chunks.map(([index]) => [...index]),
    `indices of ${path}`
  )
  for (const [index, chunk] of chunks) {
    const at = `${path} ${ChunkIndex.format(index)}`
    assertBytes(yield* session.chunk(path, index), chunk.bytes, at)
    const ref = yield* session.chunkRef(path, index)
    assert.strictEqual(ref?._tag, chunk.kind, at)
    if (ref?._tag === "Inline") assertBytes(ref.bytes, chunk.bytes, at)
    else assert.strictEqual(placeOf(ref), chunk.place, at)
    const start = Math.floor(chunk.bytes.length / 3)
    const range = ByteRange.from(start)
    assertBytes(yield* session.chunk(path, index, { range }), chunk.bytes.subarray(start), at)
  }
  const hole = array.grid.map((chunks) => chunks - 1)
  if (array.grid.every((chunks) => chunks > 0) && !chunks.some(([index]) => index.join() === hole.join())) {
    assert.isUndefined(yield* session.chunk(path, hole))
    assert.isUndefined(yield* session.chunkRef(path, hole))
  }
})

/** The session shows the nodes of the model, their metadata and their chunks. */
const verify = Effect.fnUntraced(function* (session: Session.Session, nodes: Nodes) {
  const expected = [...nodes].toSorted(([a], [b]) => NodePath.compare(a, b))
  const found = yield* session.nodes()
  assert.deepStrictEqual(
    found.map(({ data, path, userData }) => ({
      path: String(path),
      userData: text(taken(userData)),
      grid: data._tag === "Array" ? gridOf(data) : undefined
    })),
    expected.map(([path, node]) => ({
      path,
      userData: text(node.userData),
      grid: node.kind === "array" ? [...node.grid] : undefined
    }))
  )
  const virtual: Array<string> = []
  for (const [path, node] of expected) {
    assertBytes((yield* session.node(path)).userData, node.userData, path)
    if (node.kind === "group") continue
    yield* verifyArray(session, path, node, visible(node))
    virtual.push(...[...node.chunks.values()].flatMap(({ location }) => location ?? []))
  }
  assert.deepStrictEqual((yield* Stream.runCollect(session.virtualLocations())).toSorted(), virtual.toSorted())
  assert.deepStrictEqual(
    (yield* Stream.runCollect(session.virtualLocations({ distinct: true }))).toSorted(),
    [...new Set(virtual)].toSorted()
  )
})

/** The same by keys and values of a Zarr store. */
const verifyZarr = Effect.fnUntraced(function* (session: Session.Session, nodes: Nodes) {
  const store = ZarrStore.make(session)
  const expected = new Map<string, Uint8Array>()
  for (const [path, node] of nodes) {
    const base = path === "/" ? "" : `${path.slice(1)}/`
    expected.set(`${base}zarr.json`, node.userData)
    if (node.kind === "group") continue
    for (const [index, { bytes }] of visible(node)) expected.set(`${base}${["c", ...index].join("/")}`, bytes)
  }
  assert.deepStrictEqual((yield* Stream.runCollect(store.list)).toSorted(), [...expected.keys()].toSorted())
  for (const [key, bytes] of expected) {
    assertBytes(yield* store.get(key), bytes, key)
    assertBytes(yield* store.get(key), bytes, key)
  }
})

const placeOf = (ref: Effect.Success<ReturnType<Session.Session["chunkRef"]>>): string =>
  ref === undefined || ref._tag === "Inline"
    ? ""
    : ref._tag === "Native"
      ? `${ref.id} ${ref.offset} ${ref.length}`
      : `${ref.ref.location} ${ref.ref.offset} ${ref.ref.length}`

/** After each command: what changed, and all nodes with their chunks. */
export const verifyAll = Effect.fnUntraced(function* (model: SessionModel, { repository, session }: Real) {
  yield* verify(session, model.nodes)
  const status = yield* session.status
  const expected = model.status()
  assert.deepStrictEqual<unknown>(status, expected)
  if (model.tip !== root) assert.strictEqual<string>(yield* session.snapshotId, model.tip)
  assert.strictEqual(session.branch, "main")
  assert.isNotEmpty(repository.description)
})

/** Every snapshot is as it was made. */
export const verifyVersions = Effect.fnUntraced(function* (
  model: SessionModel,
  { repository }: Pick<Real, "repository">
) {
  for (const { id, nodes } of model.versions) {
    const session = yield* repository.readonlySession({ snapshotId: id })
    yield* verify(session, nodes)
    yield* verifyZarr(session, nodes)
  }
})

class Command implements fc.AsyncCommand<SessionModel, Real> {
  readonly #name: string
  readonly #args: unknown
  readonly #run: (model: SessionModel, real: Real) => Effect.Effect<void, unknown, Services>

  constructor(
    name: string,
    args: unknown,
    run: (model: SessionModel, real: Real) => Effect.Effect<void, unknown, Services>
  ) {
    this.#name = name
    this.#args = args
    this.#run = run
  }

  check(): boolean {
    return true
  }

  run(model: SessionModel, real: Real): Promise<void> {
    return real.run(Effect.andThen(this.#run(model, real), verifyAll(model, real)))
  }

  toString(): string {
    return `${this.#name}(${fc.stringify(this.#args)})`
  }
}

const command = <A>(
  name: string,
  args: fc.Arbitrary<A>,
  run: (args: A, model: SessionModel, real: Real) => Effect.Effect<void, unknown, Services>
): fc.Arbitrary<Command> => args.map((values) => new Command(name, values, (model, real) => run(values, model, real)))

// `/a-b` sorts between `/a` and what is below it, and `/é` after all of ASCII.
const path = fc.constantFrom("/", "/a", "/a/b", "/a/b/c", "/a-b", "/é")

const grid = fc.constantFrom<ReadonlyArray<number>>([3], [3], [1], [4], [2, 3], [3, 2], [5, 1], [], [0])

const attributes = fc.record({ n: fc.nat(2) })

const zarrJson = (grid: ReadonlyArray<number> | undefined, attributes: { readonly n: number }): Uint8Array =>
  Result.getOrThrow(
    grid === undefined
      ? ZarrMetadata.group("/", { ...attributes })
      : ZarrMetadata.array("/", {
          shape: grid.map((chunks) => 2 * chunks),
          chunkShape: grid.map(() => 2),
          dataType: "uint8",
          fillValue: 0,
          attributes: { ...attributes }
        })
  )

const bytes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 6, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 6 }) },
  { weight: 6, arbitrary: fc.uint8Array({ minLength: 7, maxLength: 16 }) },
  // Few values, so that the same are written again.
  {
    weight: 6,
    arbitrary: fc.constantFrom(Uint8Array.of(1), Uint8Array.of(2, 2), Uint8Array.of(3, 3, 3, 3, 3, 3, 3, 3, 3))
  }
)

/** A place for a chunk: mostly of an array that is there and inside of its grid. */
const place = fc.record({
  pick: fc.nat(5),
  path,
  elsewhere: fc.nat(9).map((n) => n === 0),
  numbers: fc.tuple(fc.nat(11), fc.nat(11)),
  outside: fc.nat(9).map((n) => n === 0)
})

type Place = typeof place extends fc.Arbitrary<infer A> ? A : never

const placed = (at: Place, model: SessionModel): { readonly path: string; readonly index: ReadonlyArray<number> } => {
  const { arrays } = model
  const path = at.elsewhere || arrays.length === 0 ? at.path : arrays[at.pick % arrays.length]!
  const grid = model.array(path)?.grid ?? [1]
  return {
    path,
    index: grid.map((chunks, axis) => (at.outside ? at.numbers[axis]! : at.numbers[axis]! % (chunks || 1)))
  }
}

/** A virtual ref, as it is given, and the chunk that it makes. */
const virtual = fc
  .record({ which: fc.nat(2), offset: fc.nat(20), length: fc.integer({ min: 1, max: 20 }) })
  .map(({ length, offset, which }) => ({ location: locations[which]!, offset, length }))

type Virtual = typeof virtual extends fc.Arbitrary<infer A> ? A : never

const needsModel = ({ location }: Virtual): boolean => location.startsWith("model:")

const virtualChunk = ({ length, location, offset }: Virtual): Chunk => {
  const stored = location.startsWith("model:") ? "vcc://model/a.nc" : location
  return {
    kind: "Virtual",
    bytes: content(location.slice(location.indexOf("//") + 2)).slice(offset, offset + length),
    place: `${stored} ${offset} ${length}`,
    location: stored
  }
}

/** Sets a chunk's bytes; what became of them, the configuration decides. */
const setChunk = Effect.fnUntraced(function* (
  path: string,
  index: ReadonlyArray<number>,
  bytes: Uint8Array,
  model: SessionModel,
  { session }: Real
) {
  const wanted = model.problem(path, index) ?? (bytes.length === 0 ? "InvalidChunk" : undefined)
  const at = [...index]
  const found = yield* lent(bytes, (copy) => outcome(session.setChunk(path, at, copy)))
  at.fill(99)
  assert.strictEqual(found, wanted)
  if (wanted !== undefined) return
  const ref = yield* session.chunkRef(path, index)
  assert.include(["Inline", "Native"], ref?._tag)
  model.set(path, index, { kind: ref!._tag, bytes, place: placeOf(ref) })
})

const setMetadata = Effect.fnUntraced(function* (
  path: string,
  grid: ReadonlyArray<number> | undefined,
  attributes: { readonly n: number },
  model: SessionModel,
  { session }: Real
) {
  const userData = zarrJson(grid, attributes)
  const found = yield* lent(userData, (copy) => outcome(session.setMetadata(path, copy)))
  assert.strictEqual(found, model.create(path, userData, grid, true))
})

const configure = (real: Real, f: (config: RepositoryConfig.RepositoryConfig) => RepositoryConfig.RepositoryConfig) =>
  Effect.asVoid(real.other.config.update(f))

/** Opens the repository anew and its branch, without what was not committed. */
const reopen = Effect.fnUntraced(function* (model: SessionModel, real: Real) {
  // Nobody commits what it was about to.
  yield* real.session.discard
  model.isModelKnown = model.isModelConfigured
  real.repository = yield* Repository.open(open(model.isModelConfigured))
  real.session = yield* real.repository.writableSession("main")
  model.discard()
})

/** Changes the metadata of a node that is there, and says what it is then. */
const edited = Effect.fnUntraced(function* (
  path: string,
  field: "attributes" | "shape",
  value: unknown,
  edit: Effect.Effect<void, { readonly _tag: string }>,
  model: SessionModel,
  { session }: Real
) {
  const before = JSON.parse(Buffer.from(model.nodes.get(path)!.userData).toString()) as object
  assert.isUndefined(yield* outcome(edit))
  const expected = new TextEncoder().encode(JSON.stringify({ ...before, [field]: value }))
  assertBytes((yield* session.node(path)).userData, expected, path)
  return expected
})

/** A new handle, which has nothing of the repository in memory. */
const anew = (model: SessionModel): Effect.Effect<Repository.RepositoryShape, unknown, Services> =>
  Repository.open(open(model.isModelConfigured))

/** Snapshots that are gone are not found, and all others are as they were. */
const verifyLeft = Effect.fnUntraced(function* (model: SessionModel, gone: Iterable<string>) {
  const repository = yield* anew(model)
  for (const id of gone) {
    const error = yield* Effect.flip(repository.readonlySession({ snapshotId: id }))
    assert.strictEqual(error._tag, "RefNotFound")
  }
  yield* verifyVersions(model, { repository })
})

/** Everything until now is old afterwards. */
const later = Effect.sleep("20 millis")

/** Commits, or leaves the session without changes. */
const settle = Effect.fnUntraced(function* (model: SessionModel, { session }: Real) {
  if (model.hasChanges && !model.hasLost) return model.committed(yield* session.commit("before maintenance"))
  yield* session.discard
  model.discard()
})

/** All snapshots but the tip expire. */
const expire = Effect.fnUntraced(function* (model: SessionModel, real: Real) {
  yield* later
  const { released } = yield* Maintenance.expire(real.other, { olderThan: 0 })
  const expected = model.versions.map(({ id }) => id).filter((id) => id !== model.tip)
  assert.deepStrictEqual<ReadonlyArray<string>>(released.toSorted(), expected.toSorted())
  model.expired(new Set(released))
  yield* verifyLeft(model, released)
})

/** Deletes whatever nothing needs, but no files of a session that may still be committed. */
const collect = Effect.fnUntraced(function* (isSettled: boolean, model: SessionModel, real: Real) {
  if (isSettled) yield* settle(model, real)
  yield* later
  const collected = yield* Effect.result(Maintenance.collectGarbage(real.other, { olderThan: 0, minimumAge: 0 }))
  if (Result.isFailure(collected)) {
    assert.strictEqual(collected.failure._tag, "InvalidCutoff")
    assert.isFalse(isSettled, collected.failure.message)
    return
  }
  assert.isTrue(collected.success.isComplete)
  yield* verifyLeft(
    model,
    model.collected().map(({ id }) => id)
  )
})

/** The path of a node that may be there: mostly of one that is. */
const source = fc.record({ pick: fc.nat(11), path, elsewhere: fc.nat(9).map((n) => n === 0) })

/** Ways to put chunks elsewhere: some of them send two to one place, or one out of the grid. */
const mappings = ["rotated", "reversed", "every other", "halved", "pushed", "transposed"] as const

const mapped = (
  how: (typeof mappings)[number],
  by: number,
  index: ReadonlyArray<number>,
  grid: ReadonlyArray<number>
): ReadonlyArray<number> | undefined => {
  switch (how) {
    case "rotated":
      return index.map((at, axis) => (at + by) % grid[axis]!)
    case "reversed":
      return index.map((at, axis) => grid[axis]! - 1 - at)
    case "every other":
      return index.some((at) => at % 2 !== 0) ? undefined : index.map((at) => at / 2)
    case "halved":
      return index.map((at) => Math.floor(at / 2))
    case "pushed":
      return index.map((at) => at + by)
    case "transposed":
      return index.toReversed()
  }
}

const sourceOf = (at: typeof source extends fc.Arbitrary<infer A> ? A : never, nodes: Nodes): string => {
  const paths = [...nodes.keys()].filter((path) => path !== "/")
  return at.elsewhere || paths.length === 0 ? at.path : paths[at.pick % paths.length]!
}

/** A path that may be free: mostly in a group that is there. */
const target = fc.record({
  pick: fc.nat(11),
  path,
  elsewhere: fc.nat(9).map((n) => n === 0),
  name: fc.constantFrom("a", "b", "c", "a-b", "é")
})

const targetOf = (at: typeof target extends fc.Arbitrary<infer A> ? A : never, nodes: Nodes): string => {
  const groups = [
    "",
    ...[...nodes].filter(([path, { kind }]) => kind === "group" && path !== "/").map(([path]) => path)
  ]
  return at.elsewhere ? at.path : `${groups[at.pick % groups.length]!}/${at.name}`
}

const twice = <A>(one: A): ReadonlyArray<A> => [one, one]

export const commands: Array<fc.Arbitrary<Command>> = [
  command("createGroup", fc.record({ path, attributes }), ({ attributes, path }, model, { session }) =>
    Effect.gen(function* () {
      const found = yield* outcome(session.createGroup(path, attributes))
      assert.strictEqual(found, model.create(path, zarrJson(undefined, attributes), undefined, false))
    })
  ),
  command("createArray", fc.record({ path, grid }), ({ grid, path }, model, { session }) =>
    Effect.gen(function* () {
      const shape = grid.map((chunks) => 2 * chunks)
      const chunkShape = grid.map(() => 2)
      const options = { shape, chunkShape, dataType: "uint8", fillValue: 0, attributes: { n: 0 } }
      const found = yield* outcome(session.createArray(path, options))
      assert.strictEqual(found, model.create(path, zarrJson(grid, { n: 0 }), grid, false))
    })
  ),
  command(
    "setMetadata",
    fc.record({ path, grid: fc.option(grid, { nil: undefined, freq: 4 }), attributes }),
    ({ attributes, grid, path }, model, real) => setMetadata(path, grid, attributes, model, real)
  ),
  // Of an array that is there: its grid grows or shrinks, or it gets another rank.
  command("reshape", fc.record({ pick: fc.nat(5), grid, attributes }), ({ attributes, grid, pick }, model, real) => {
    const { arrays } = model
    return arrays.length === 0 ? Effect.void : setMetadata(arrays[pick % arrays.length]!, grid, attributes, model, real)
  }),
  command("resize", fc.record({ pick: fc.nat(5), shape: fc.tuple(fc.nat(10), fc.nat(10)) }), (args, model, real) =>
    Effect.gen(function* () {
      const { arrays } = model
      const path = arrays[args.pick % arrays.length]
      if (path === undefined) return
      const shape = args.shape.slice(0, model.array(path)!.grid.length)
      while (shape.length < model.array(path)!.grid.length) shape.push(3)
      const userData = yield* edited(path, "shape", shape, real.session.resize(path, shape), model, real)
      model.resize(
        path,
        userData,
        shape.map((length) => Math.ceil(length / 2))
      )
    })
  ),
  command("setAttributes", fc.record({ path, n: fc.nat(2), isFunction: fc.boolean() }), (args, model, real) =>
    Effect.gen(function* () {
      const { isFunction, n, path } = args
      const wanted = isFunction ? ({ n: now = 0 }) => ({ n: now + n }) : { n }
      const edit = real.session.setAttributes(path, wanted)
      const node = model.nodes.get(path)
      if (node === undefined) return assert.strictEqual(yield* outcome(edit), "NodeNotFound")
      const { attributes } = JSON.parse(Buffer.from(node.userData).toString()) as { attributes: { n: number } }
      const value = { n: isFunction ? attributes.n + n : n }
      model.setUserData(path, yield* edited(path, "attributes", value, edit, model, real))
    })
  ),
  command(
    "shift",
    fc.record({ pick: fc.nat(5), offsets: fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -2, max: 2 })) }),
    ({ offsets, pick }, model, { session }) =>
      Effect.gen(function* () {
        const path = model.arrays[pick % model.arrays.length]
        if (path === undefined) return
        const { grid } = model.array(path)!
        assert.isUndefined(yield* outcome(session.shift(path, offsets.slice(0, grid.length))))
        model.shift(path, offsets)
        assert.strictEqual(yield* outcome(session.shift(path, [0, 0, 0])), "InvalidIndex")
      })
  ),
  command(
    "reindex",
    fc.record({ pick: fc.nat(5), by: fc.nat(2), how: fc.constantFrom(...mappings) }),
    ({ by, how, pick }, model, { session }) =>
      Effect.gen(function* () {
        const path = model.arrays[pick % model.arrays.length]
        if (path === undefined) return
        const { grid } = model.array(path)!
        const f = (index: ReadonlyArray<number>) => mapped(how, by, index, grid)
        const found = yield* outcome(session.reindex(path, f))
        assert.strictEqual(found, model.reindex(path, f))
      })
  ),
  ...twice(
    command("move", fc.record({ from: source, to: target }), ({ from, to }, model, { session }) =>
      Effect.gen(function* () {
        const paths = [sourceOf(from, model.nodes), targetOf(to, model.nodes)] as const
        assert.strictEqual(yield* outcome(session.move(...paths)), model.move(...paths))
      })
    )
  ),
  // From this session, or from a version that is there.
  ...twice(
    command(
      "copyFrom",
      fc.record({ version: fc.nat(11), from: source, to: target }),
      ({ from, to, version }, model, { repository, session }) =>
        Effect.gen(function* () {
          const given = model.versions[version % (model.versions.length + 1)]
          const nodes = given?.nodes ?? model.nodes
          const other = given === undefined ? session : yield* repository.readonlySession({ snapshotId: given.id })
          const paths = [sourceOf(from, nodes), targetOf(to, model.nodes)] as const
          const found = yield* outcome(session.copyFrom(other, paths[0], { to: paths[1] }))
          assert.strictEqual(found, model.copy(nodes, ...paths, given?.id))
        })
    )
  ),
  command("clear", fc.nat(3), (n, model, { session }) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* session.isEmpty(), model.nodes.size === 0)
      if (n > 0) return
      assert.isUndefined(yield* outcome(session.clear))
      model.clear()
      assert.isTrue(yield* session.isEmpty())
    })
  ),
  command("deleteNode", fc.record({ path }), ({ path }, model, { session }) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(session.deleteNode(path)), model.delete(path))
    })
  ),
  ...Array.from({ length: 5 }, () =>
    command("setChunk", fc.record({ at: place, bytes }), ({ at, bytes }, model, real) => {
      const { index, path } = placed(at, model)
      return setChunk(path, index, bytes, model, real)
    })
  ),
  command("deleteChunk", fc.record({ at: place }), ({ at }, model, { session }) =>
    Effect.gen(function* () {
      const { index, path } = placed(at, model)
      const wanted = model.problem(path, index)
      assert.strictEqual(yield* outcome(session.deleteChunk(path, index)), wanted)
      if (wanted === undefined) model.set(path, index, undefined)
    })
  ),
  // Puts back what the session was opened with.
  command("restore", fc.record({ at: place }), ({ at }, model, real) =>
    Effect.gen(function* () {
      const { index, path } = placed(at, model)
      const array = model.array(path)
      const base = [...model.base.values()].find(({ identity }) => identity === array?.identity)
      if (array === undefined || base?.kind !== "array" || model.problem(path, index) !== undefined) return
      const chunk = base.chunks.get(index.join())
      if (chunk === undefined) {
        assert.isUndefined(yield* outcome(real.session.deleteChunk(path, index)))
        return model.set(path, index, undefined)
      }
      if (chunk.kind === "Virtual") return
      yield* setChunk(path, index, chunk.bytes, model, real)
    })
  ),
  command("setVirtualRef", fc.record({ at: place, ref: virtual }), ({ at, ref }, model, { session }) =>
    Effect.gen(function* () {
      if (needsModel(ref) && !model.isModelKnown) return
      const { index, path } = placed(at, model)
      const wanted = model.problem(path, index)
      assert.strictEqual(yield* outcome(session.setVirtualRef(path, index, ref)), wanted)
      if (wanted === undefined) model.set(path, index, virtualChunk(ref))
    })
  ),
  command(
    "setVirtualRefs",
    fc.record({ rows: fc.array(fc.record({ at: place, ref: virtual }), { minLength: 1, maxLength: 5 }) }),
    ({ rows }, model, { session }) =>
      Effect.gen(function* () {
        const { path } = placed(rows[0]!.at, model)
        const usable = rows.filter(({ ref }) => model.isModelKnown || !needsModel(ref))
        const grid = model.array(path)?.grid ?? [1]
        const indices = usable.map(({ at }) =>
          grid.map((chunks, axis) => (at.outside ? at.numbers[axis]! : at.numbers[axis]! % (chunks || 1)))
        )
        const wanted =
          model.array(path) === undefined
            ? "NodeNotFound"
            : indices.map((index) => model.problem(path, index)).find((problem) => problem !== undefined)
        const refs = {
          indices: Uint32Array.from(indices.flat()),
          offsets: Float64Array.from(usable, ({ ref }) => ref.offset),
          lengths: Uint32Array.from(usable, ({ ref }) => ref.length),
          locations: {
            values: locations.map(String),
            ids: Uint32Array.from(usable, ({ ref }) => locations.indexOf(ref.location))
          }
        }
        const found = yield* outcome(session.setVirtualRefs(path, refs, { validateContainers: model.isModelKnown }))
        for (const column of [refs.indices, refs.offsets, refs.lengths, refs.locations.ids]) column.fill(0x77)
        refs.locations.values.fill("s3://bucket/wrong")
        assert.strictEqual(found, wanted)
        if (wanted !== undefined) return
        usable.forEach(({ ref }, row) => model.set(path, indices[row]!, virtualChunk(ref)))
      })
  ),
  command("discard", fc.constant({}), (_, model, { session }) =>
    Effect.gen(function* () {
      assert.isUndefined(yield* outcome(session.discard))
      model.discard()
    })
  ),
  ...Array.from({ length: 4 }, () =>
    command("commit", fc.constant({}), (_, model, { session }) =>
      Effect.gen(function* () {
        if (!model.hasChanges) {
          const error = yield* Effect.flip(session.commit("nothing"))
          return assert.strictEqual(error._tag, "NothingToCommit")
        }
        if (model.hasLost) {
          const error = yield* Effect.flip(session.commit("of what may be gone"))
          assert.strictEqual(error._tag, "RebaseImpossible")
          yield* session.discard
          return model.discard()
        }
        model.committed(yield* session.commit("a commit"))
      })
    )
  ),
  command("amend", fc.record({ force: fc.boolean() }), ({ force }, model, { session }) =>
    Effect.gen(function* () {
      const amended = yield* Effect.result(session.amend("an amended commit", { force }))
      assert.strictEqual(
        Result.isFailure(amended) ? amended.failure._tag : undefined,
        model.amendProblem(force) ?? (model.hasLost ? "RebaseImpossible" : undefined)
      )
      if (Result.isSuccess(amended)) model.amended(amended.success)
    })
  ),
  command("flush", fc.constant({}), (_, model, { session }) =>
    Effect.gen(function* () {
      if (!model.hasChanges) {
        const error = yield* Effect.flip(session.flush("nothing"))
        return assert.strictEqual(error._tag, "NothingToCommit")
      }
      const flushed = yield* Effect.result(session.flush("a look"))
      if (Result.isSuccess(flushed)) return model.flushed(flushed.success)
      assert.strictEqual(flushed.failure._tag, model.hasLost ? "RebaseImpossible" : undefined)
    })
  ),
  command("expire", fc.constant({}), (_, model, real) => expire(model, real)),
  command("collect garbage", fc.nat(3), (n, model, real) => collect(n > 0, model, real)),
  command("expire and collect", fc.constant({}), (_, model, real) =>
    Effect.andThen(expire(model, real), collect(true, model, real))
  ),
  command("reopen", fc.constant({}), (_, model, real) => reopen(model, real)),
  command("versions", fc.constant({}), verifyVersionsOf),
  command("zarr", fc.constant({}), (_, model, { session }) => verifyZarr(session, model.nodes)),
  command("configure the threshold", fc.constantFrom(0, 3, 6, 12), (inline_chunk_threshold_bytes, _, real) =>
    configure(real, (config) => ({ ...config, inline_chunk_threshold_bytes }))
  ),
  command("configure a container", fc.constant({}), (_, state, real) =>
    Effect.tap(configure(real, RepositoryConfig.setContainer(model)), () =>
      Effect.sync(() => {
        state.isModelConfigured = true
      })
    )
  ),
  command("configure splitting", fc.constantFrom(1, 2, 3), (num_chunks, _, real) =>
    configure(real, (config) => ({
      ...config,
      manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks }]]] } }
    }))
  )
]

function verifyVersionsOf(_: unknown, model: SessionModel, real: Real) {
  return verifyVersions(model, real)
}

/** A group with an array that has chunks of each kind but virtual ones, committed. */
const plant = Effect.fnUntraced(function* (model: SessionModel, real: Real) {
  const { session } = real
  yield* session.createGroup("/a", { n: 0 })
  model.create("/a", zarrJson(undefined, { n: 0 }), undefined, false)
  yield* setMetadata("/a/b", [4], { n: 0 }, model, real)
  yield* setChunk("/a/b", [0], Uint8Array.of(1), model, real)
  yield* setChunk(
    "/a/b",
    [3],
    Uint8Array.from({ length: 9 }, () => 3),
    model,
    real
  )
  model.committed(yield* session.commit("planted"))
})

/**
 * Runs commands on a new repository, with a commit in it if it is `planted`, and at last looks at all of its versions.
 */
export const runAll = (
  commands: Iterable<fc.AsyncCommand<SessionModel, Real>>,
  model: SessionModel,
  planted = false
): Effect.Effect<void, never, Services> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Services>()
    const real: Real = {
      ...(yield* start),
      run: (effect) => Effect.runPromise(Effect.provide(effect, context))
    }
    if (planted) yield* plant(model, real)
    yield* Effect.promise(() => fc.asyncModelRun(() => ({ model, real }), commands))
    yield* verifyVersions(model, real)
    yield* reopen(model, real)
    yield* verifyAll(model, real)
  }).pipe(Effect.orDie)
