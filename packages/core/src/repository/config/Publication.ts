/**
 * What the repository object, which other Icechunk clients read and write, is to say after `config.json` changed. Pure.
 *
 * A three-way merge: `base` is what was published last, `ours` what `config.json` says now, both as `IcechunkConfig.publishable`
 * has them, and `theirs` what the repository object says. A field that is there as it was published follows `config.json`,
 * removals included; a field that another client has changed since is theirs.
 *
 * @since 0.1.0
 */
import * as Json from "../../values/Json.ts"

/**
 * One or more configurations each of which may be what this library has published: as long as it is not known
 * which one is in the repository object, a field with the value of any of them follows `config.json`.
 *
 * @category models
 * @since 0.1.0
 */
export type Base = ReadonlyArray<Json.JsonObject>

/** A field whose one inner field says which kind it is: half of one and half of another is none. */
const isWholeField = (name: string): boolean => name === "preload_if"

type Field = Json.Json | undefined

/** Other clients write null for what is not set, or leave it out. */
const withoutNulls = (json: Field): Field => {
  if (json === null) return undefined
  if (!Json.isObject(json)) return json
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]) => {
      const kept = withoutNulls(value)
      return kept === undefined ? [] : [[name, kept] as const]
    })
  )
}

/**
 * Whether two fields say the same: nulls count as absent, and the order of fields does not count.
 *
 * @category predicates
 * @since 0.1.0
 */
export const same = (a: Field, b: Field): boolean => Json.canonical(withoutNulls(a)) === Json.canonical(withoutNulls(b))

const fieldOf = (json: Field, name: string): Field =>
  Json.isObject(json) && Object.hasOwn(json, name) ? (json[name] ?? undefined) : undefined

const isSection = (json: Field): boolean => json === undefined || Json.isObject(json)

/** A field, or `undefined` where there is to be none. */
const mergeField = (name: string, base: ReadonlyArray<Field>, ours: Field, theirs: Field): Field => {
  const all = [ours, theirs, ...base]
  if (!isWholeField(name) && all.every(isSection) && all.some(Json.isObject)) {
    const merged = mergeSection(base, ours, theirs)
    // A section without fields says nothing; one that others keep so is theirs.
    return Object.keys(merged).length > 0 || same(theirs, {}) ? merged : undefined
  }
  return same(ours, theirs) || !base.some((published) => same(published, theirs)) ? theirs : ours
}

const mergeSection = (base: ReadonlyArray<Field>, ours: Field, theirs: Field): Json.JsonObject => {
  const names = [ours, ...base].flatMap((json) => (Json.isObject(json) ? Object.keys(json) : []))
  const merged = new Map(Json.isObject(theirs) ? Object.entries(theirs) : [])
  for (const name of new Set(names)) {
    const before = fieldOf(theirs, name)
    const inner = base.map((published) => fieldOf(published, name))
    const after = mergeField(name, inner, fieldOf(ours, name), before)
    if (after === before) continue
    if (after === undefined) merged.delete(name)
    else merged.set(name, after)
  }
  return Object.fromEntries(merged)
}

const containers = "virtual_chunk_containers"

/** The entries of other clients' map from prefix to container, by the name of the container. */
const named = (
  theirs: Json.JsonObject
): ReadonlyMap<string, ReadonlyArray<readonly [key: string, entry: Json.Json]>> => {
  const byName = new Map<string, Array<readonly [string, Json.Json]>>()
  const entries = theirs[containers]
  for (const [key, entry] of Json.isObject(entries) ? Object.entries(entries) : []) {
    const name = Json.isObject(entry) ? entry["name"] : undefined
    if (typeof name !== "string") continue
    const found = byName.get(name)
    if (found === undefined) byName.set(name, [[key, entry]])
    else found.push([key, entry])
  }
  return byName
}

/** Containers are merged by name, each as a whole. Entries without a name belong to others. */
const mergeContainers = (base: Base, ours: Json.JsonObject, theirs: Json.JsonObject): Field => {
  const there = named(theirs)
  const mine = ours[containers]
  const published = base.map((one) => one[containers])
  const names = [mine, ...published].flatMap((json) => (Json.isObject(json) ? Object.keys(json) : []))
  const merged = new Map(Json.isObject(theirs[containers]) ? Object.entries(theirs[containers]) : [])
  for (const name of new Set(names)) {
    const found = there.get(name) ?? []
    const before = found.at(-1)?.[1]
    const after = fieldOf(mine, name)
    if (same(after, before)) continue
    if (!published.some((one) => same(fieldOf(one, name), before))) continue
    for (const [key] of found) merged.delete(key)
    if (!Json.isObject(after)) continue
    const prefix = after["url_prefix"]
    merged.set(typeof prefix !== "string" || merged.has(prefix) ? name : prefix, after)
  }
  return merged.size === 0 && !Json.isObject(theirs[containers]) ? theirs[containers] : Object.fromEntries(merged)
}

/**
 * The repository object's configuration after publication. It is `theirs` itself when there is nothing to publish.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publication = (base: Base, ours: Json.JsonObject, theirs: Json.JsonObject): Json.JsonObject => {
  const settings = (json: Json.JsonObject): Json.JsonObject =>
    Object.fromEntries(Object.entries(json).filter(([name]) => name !== containers))
  const published = base.length === 0 ? [{}] : base
  const merged = mergeSection(published.map(settings), settings(ours), settings(theirs))
  const all = mergeContainers(published, ours, theirs)
  const next: Json.JsonObject = { ...merged, ...(all === undefined ? {} : { [containers]: all }) }
  return same(next, theirs) ? theirs : next
}

/**
 * Whether all that `config.json` says has been published, so that nothing is to be done whatever the repository object
 * says.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSettled = (base: Base, ours: Json.JsonObject): boolean => base.length <= 1 && same(base[0] ?? {}, ours)

/** As many updates may wait for one that publishes them. Older ones are forgotten, and their fields are others' then. */
const remembered = 20

/**
 * The base after an update of `config.json` from `before` to `after`, made when the repository object said `seen`: the
 * fields that this update changes are ours whatever they are now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const updatedBase = (
  base: Base,
  before: Json.JsonObject,
  after: Json.JsonObject,
  seen: Json.JsonObject
): Base => {
  const byName = Object.fromEntries([...named(seen)].map(([name, found]) => [name, found.at(-1)![1]]))
  const known = base.length === 0 ? [{}] : base
  // What is changed here follows; the rest is as it was published last.
  const overridden = adopt(known.at(-1), before, after, { ...seen, [containers]: byName })
  const all = [...known, ...(isSettled(base, before) ? [] : [before]), overridden]
  const distinct = new Map(all.map((one) => [Json.canonical(withoutNulls(one)), one]))
  return [...distinct.values()].slice(-remembered)
}

/** `last` with the fields that differ between `before` and `after` as they are in `seen`. */
const adopt = (last: Field, before: Field, after: Field, seen: Field, isWhole = isWholeField): Json.JsonObject => {
  const adopted = new Map(Json.isObject(last) ? Object.entries(last) : [])
  const names = [before, after].flatMap((json) => (Json.isObject(json) ? Object.keys(json) : []))
  for (const name of new Set(names)) {
    const [l, b, a, s] = [fieldOf(last, name), fieldOf(before, name), fieldOf(after, name), fieldOf(seen, name)]
    if (same(b, a)) continue
    if (!isWhole(name) && [l, b, a, s].every(isSection)) {
      adopted.set(name, adopt(l, b, a, s, name === containers ? () => true : isWhole))
    } else if (s === undefined) adopted.delete(name)
    else adopted.set(name, s)
  }
  return Object.fromEntries(adopted)
}
