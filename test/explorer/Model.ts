/**
 * A repository as a small pure model: what its refs, snapshots, configuration and log of operations are, and
 * what each operation makes of them. Snapshots go by their messages.
 */

export interface State {
  readonly exists: boolean
  readonly branches: Readonly<Record<string, string>>
  readonly tags: Readonly<Record<string, string>>
  readonly deletedTags: ReadonlyArray<string>
  /** Each snapshot with its parent; the first has none. */
  readonly snapshots: Readonly<Record<string, string>>
  /** Names of the containers of `config.json`. */
  readonly containers: ReadonlyArray<string>
  /** Oldest first; without publications of the configuration, which may be done along with other operations. */
  readonly log: ReadonlyArray<string>
}

export const nothing: State = {
  exists: false,
  branches: {},
  tags: {},
  deletedTags: [],
  snapshots: {},
  containers: [],
  log: []
}

/** The message of the first snapshot of every repository. */
export const root = "Repository initialized"

/** Text that is equal for equal states. */
export const print = (state: State): string =>
  JSON.stringify(state, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )

/** What an operation has remembered from its earlier steps. */
export type Memory = string | undefined

/** What a step of an operation makes of the repository, and what it answers: `ok`, what was read, or an error's tag. */
export interface Outcome {
  readonly state: State
  readonly answer: string
  readonly memory: Memory
}

/** A step of an operation happens at one moment. */
export type Action = (state: State, memory: Memory) => Outcome

const errors: ReadonlySet<string> = new Set([
  "RefNotFound",
  "RefForbidden",
  "CommitConflict",
  "AmendRefused",
  "RebaseImpossible",
  "RepositoryNotFound",
  "RepositoryAlreadyExists"
])

/** Whether an answer is an error, of those that say what is in the repository. */
export const isError = (answer: string): boolean => errors.has(answer)

const unchanged = (state: State, answer: string, memory?: Memory): Outcome => ({ state, answer, memory })

const changed = (state: State, change: Partial<State>, entry: string): Outcome => ({
  state: { ...state, ...change, log: [...state.log, entry] },
  answer: "ok",
  memory: undefined
})

const without = (record: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(record).filter(([key]) => key !== name))

const containersOf = (names: ReadonlyArray<string>): string => `containers ${names.join(" ")}`

export const readContainers: Action = (state) => unchanged(state, containersOf(state.containers))

/** Where there is no repository nothing can be opened. */
export const open: Action = (state) => unchanged(state, state.exists ? "ok" : "RepositoryNotFound")

const created = (containers: ReadonlyArray<string>): State => ({
  exists: true,
  branches: { main: root },
  tags: {},
  deletedTags: [],
  snapshots: { [root]: "" },
  containers,
  log: ["RepoInitialized"]
})

export const create =
  (containers: ReadonlyArray<string>): Action =>
  (state) =>
    state.exists ? unchanged(state, "RepositoryAlreadyExists") : { ...unchanged(created(containers), "ok") }

export const openOrCreate =
  (containers: ReadonlyArray<string>): Action =>
  (state) =>
    state.exists ? unchanged(state, "ok") : unchanged(created(containers), "ok")

/** A writable session remembers the tip. */
export const openSession =
  (branch: string): Action =>
  (state) => {
    const tip = state.branches[branch]
    return tip === undefined ? unchanged(state, "RefNotFound") : unchanged(state, "ok", tip)
  }

export const commit =
  (branch: string, message: string): Action =>
  (state, parent) => {
    const tip = state.branches[branch]
    if (tip === undefined) return unchanged(state, "RefNotFound", parent)
    if (tip !== parent) return unchanged(state, "CommitConflict", parent)
    return changed(
      state,
      { branches: { ...state.branches, [branch]: message }, snapshots: { ...state.snapshots, [message]: tip } },
      `NewCommit ${branch} ${message}`
    )
  }

/** A snapshot in the place of the tip, unless something else goes on from that one. */
export const amend =
  (branch: string, message: string): Action =>
  (state, parent) => {
    const tip = state.branches[branch]
    if (tip === undefined) return unchanged(state, "RefNotFound", parent)
    if (tip !== parent) return unchanged(state, "CommitConflict", parent)
    const isUsed =
      Object.entries(state.branches).some(([name, at]) => name !== branch && at === tip) ||
      [...Object.values(state.tags), ...Object.values(state.snapshots)].includes(tip)
    if (tip === root || isUsed) return unchanged(state, "AmendRefused", parent)
    return changed(
      state,
      {
        branches: { ...state.branches, [branch]: message },
        snapshots: { ...state.snapshots, [message]: state.snapshots[tip]! }
      },
      `CommitAmended ${branch} ${tip} ${message}`
    )
  }

/** Whether a snapshot is another one, or one of those before it. */
const isAtOrBefore = ({ snapshots }: State, sought: Memory, tip: string): boolean => {
  for (let at: string | undefined = tip; at !== undefined && at !== ""; at = snapshots[at]) {
    if (at === sought) return true
  }
  return false
}

/** A commit that goes on top of whatever was committed after what the session was opened on. */
export const commitOnTop =
  (branch: string, message: string): Action =>
  (state, parent) => {
    const tip = state.branches[branch]
    if (tip === undefined) return unchanged(state, "RefNotFound", parent)
    return isAtOrBefore(state, parent, tip)
      ? commit(branch, message)(state, tip)
      : unchanged(state, "RebaseImpossible", parent)
  }

/** What must be there that a ref is to point at. */
const at =
  (target: string, action: Action): Action =>
  (state, memory) =>
    target in state.snapshots ? action(state, memory) : unchanged(state, "RefNotFound")

export const createBranch = (name: string, target: string): Action =>
  at(target, (state) =>
    name in state.branches
      ? unchanged(state, "RefForbidden")
      : changed(state, { branches: { ...state.branches, [name]: target } }, `BranchCreated ${name}`)
  )

export const deleteBranch =
  (name: string): Action =>
  (state) => {
    const tip = state.branches[name]
    return tip === undefined
      ? unchanged(state, "RefNotFound")
      : changed(state, { branches: without(state.branches, name) }, `BranchDeleted ${name} ${tip}`)
  }

export const resetBranch = (name: string, to: string): Action =>
  at(to, (state) => {
    const tip = state.branches[name]
    return tip === undefined
      ? unchanged(state, "RefNotFound")
      : changed(state, { branches: { ...state.branches, [name]: to } }, `BranchReset ${name} ${tip}`)
  })

export const createTag = (name: string, target: string): Action =>
  at(target, (state) =>
    name in state.tags || state.deletedTags.includes(name)
      ? unchanged(state, "RefForbidden")
      : changed(state, { tags: { ...state.tags, [name]: target } }, `TagCreated ${name}`)
  )

export const deleteTag =
  (name: string): Action =>
  (state) => {
    const target = state.tags[name]
    return target === undefined
      ? unchanged(state, "RefNotFound")
      : changed(
          state,
          { tags: without(state.tags, name), deletedTags: [...state.deletedTags, name].toSorted() },
          `TagDeleted ${name} ${target}`
        )
  }

/** Commits of before the programs that are tried. */
const isOld = (message: string): boolean => /^s\d$/.test(message)

const tips = ({ branches, tags }: State): ReadonlySet<string> =>
  new Set([...Object.values(branches), ...Object.values(tags)])

/** Without some snapshots; those that stay go on from the next of their ancestors that does, and is a `boundary`. */
const withoutSnapshots = (
  { snapshots }: State,
  isGone: (message: string) => boolean,
  isBoundary: (message: string) => boolean
): Pick<State, "snapshots"> => {
  const parentOf = (message: string): string => {
    const parent = snapshots[message]!
    if (parent === "" || !isGone(parent)) return parent
    let ancestor = parent
    while (ancestor !== root && (isGone(ancestor) || !isBoundary(ancestor))) ancestor = snapshots[ancestor]!
    return ancestor
  }
  return {
    snapshots: Object.fromEntries(
      Object.keys(snapshots)
        .filter((message) => !isGone(message))
        .map((message) => [message, parentOf(message)])
    )
  }
}

/** Old snapshots leave, but for those that refs are at; histories go on from the first snapshot. */
export const expire: Action = (state) => {
  const kept = tips(state)
  const isGone = (message: string): boolean => isOld(message) && !kept.has(message)
  return Object.keys(state.snapshots).some(isGone)
    ? changed(
        state,
        withoutSnapshots(state, isGone, () => false),
        "ExpirationRan"
      )
    : unchanged(state, "ok")
}

/** Old snapshots leave that nothing leads to. Whether there are files to delete the model does not know, nor the log. */
export const collect: Action = (state) => {
  const reached = new Set([root])
  for (const tip of tips(state)) {
    for (let message = tip; message !== "" && !reached.has(message); message = state.snapshots[message] ?? "") {
      reached.add(message)
    }
  }
  const isGone = (message: string): boolean => isOld(message) && !reached.has(message)
  return unchanged({ ...state, ...withoutSnapshots(state, isGone, () => true) }, "ok")
}

export const addContainer =
  (name: string): Action =>
  (state) =>
    unchanged({ ...state, containers: [...state.containers, name].toSorted() }, "ok")

/** The tip of a branch, as a reader finds it. */
export const readTip =
  (branch: string): Action =>
  (state) => {
    const tip = state.branches[branch]
    return unchanged(state, tip === undefined ? "RefNotFound" : `tip ${tip}`)
  }

export const answerOfContainers = containersOf
