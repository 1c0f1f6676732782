/**
 * The scenarios: every pair of operations, with refs chosen so that the two meet, in each place where the pair
 * makes sense, and with both lengths of the log.
 */
import * as Operation from "./Operation.ts"
import { nameOf, type Place, type Scenario } from "./Scenario.ts"
import type { Fault } from "./World.ts"

const {
  amend,
  collect,
  commit,
  commitMove,
  commitOnTop,
  create,
  createBranch,
  createTag,
  deleteBranch,
  deleteTag,
  expire,
  openOrCreate,
  publish,
  reader,
  resetBranch,
  tagTip,
  updateConfig
} = Operation

/** What is done to a repository, on refs that are there and on such as the other operation makes. */
const onRepository: ReadonlyArray<Operation.Operation> = [
  commit("main"),
  commit("dev"),
  commitOnTop("main"),
  commitOnTop("dev"),
  amend("main"),
  amend("dev"),
  commitMove("main"),
  commitMove("dev"),
  createBranch("new"),
  createBranch("dev"),
  deleteBranch("dev"),
  deleteBranch("new"),
  resetBranch("main"),
  resetBranch("dev"),
  createTag("new"),
  tagTip("new"),
  deleteTag("v1"),
  deleteTag("new"),
  updateConfig,
  publish,
  reader("main"),
  reader("dev")
]

const creators = [create, openOrCreate]

/** What is done while a repository is created, by programs that open it as soon as it is there. */
const whileCreated = [
  commit("main"),
  commitOnTop("main"),
  amend("main"),
  createBranch("new"),
  deleteBranch("new"),
  resetBranch("main"),
  createTag("new"),
  deleteTag("new"),
  updateConfig,
  publish,
  reader("main")
].map(Operation.opening)

const pairs = (operations: ReadonlyArray<Operation.Operation>) =>
  operations.flatMap((first, i) => operations.slice(i).map((second) => [first, second] as const))

const across = (first: ReadonlyArray<Operation.Operation>, second: ReadonlyArray<Operation.Operation>) =>
  first.flatMap((one) => second.map((other) => [one, other] as const))

const logs: ReadonlyArray<Operation.Log> = ["short", "default"]

const scenarios = (
  place: Place,
  operations: ReadonlyArray<readonly [Operation.Operation, Operation.Operation]>
): ReadonlyArray<Scenario> => logs.flatMap((log) => operations.map((pair) => ({ place, log, operations: pair })))

/** Maintenance, and what it meets. */
const maintenance: ReadonlyArray<readonly [Operation.Operation, Operation.Operation]> = [
  ...pairs([expire, collect]),
  ...across(
    [expire, collect],
    [
      commit("main"),
      commitOnTop("main"),
      amend("main"),
      commitMove("main"),
      createTag("new"),
      tagTip("new"),
      createBranch("new"),
      resetBranch("main"),
      deleteBranch("dev"),
      reader("main")
    ]
  )
]

/** All of them. */
export const all: ReadonlyArray<Scenario> = [
  ...scenarios("repository", pairs(onRepository)),
  ...scenarios(
    "repository",
    across(creators, [...creators, commit("main"), commitOnTop("main"), updateConfig, reader("main")])
  ),
  ...scenarios("orphaned", maintenance),
  ...scenarios("unpublished", across([publish], onRepository)),
  ...scenarios("empty", [...pairs(creators), ...across(creators, whileCreated)])
]

/** For each two kinds of operation on a repository one pair, on the refs on which they meet. */
const meeting: ReadonlyArray<readonly [Operation.Operation, Operation.Operation]> = (() => {
  const usual = [
    commit("main"),
    commitOnTop("main"),
    createBranch("new"),
    deleteBranch("dev"),
    resetBranch("main"),
    createTag("new"),
    deleteTag("v1"),
    updateConfig,
    publish,
    reader("main")
  ]
  const kindOf = ({ name }: Operation.Operation): string => name.split("(")[0]!
  const special = new Map(
    [
      [commit("dev"), deleteBranch("dev")] as const,
      [commitOnTop("dev"), deleteBranch("dev")] as const,
      [createBranch("dev"), deleteBranch("dev")] as const,
      [deleteBranch("dev"), resetBranch("dev")] as const,
      [deleteBranch("dev"), reader("dev")] as const,
      [createTag("new"), deleteTag("new")] as const
    ].map((pair) => [pair.map(kindOf).join(), pair] as const)
  )
  return pairs(usual).map((pair) => special.get(pair.map(kindOf).join()) ?? pair)
})()

/** Amending and moving nodes, against what they meet. */
const amendingAndMoving: ReadonlyArray<readonly [Operation.Operation, Operation.Operation]> = [
  ...across([commit("main"), commitOnTop("main")], [amend("main"), commitMove("main")]),
  ...across([amend("main"), commitMove("main")], [tagTip("new"), reader("main")])
]

/**
 * The faults of the reduced set. What is left to `pnpm explore`: requests that are refused for good, and, but for one
 * pair, networks that do not come back.
 */
const usualFaults: ReadonlyArray<Fault> = ["error", "lost", "interrupt", "interrupt-after"]

/** Pairs whose schedules are thousands: fewer faults there, of the kinds that have found most. */
const fewerFaults: ReadonlyMap<string, ReadonlyArray<Fault>> = new Map([
  ["repository/short/config.update+config.update", ["lost", "cut-after"]],
  ["repository/short/commit(main)+config.update", ["lost", "interrupt-after"]],
  ["unpublished/short/publish+commit(main)", ["lost", "interrupt-after"]],
  ["repository/short/commit.rebase(main)+config.update", ["interrupt-after"]],
  ["repository/short/commit.rebase(main)+commit.rebase(main)", ["lost", "interrupt-after"]],
  ["repository/short/commit(main)+commit.rebase(main)", ["lost", "interrupt-after"]],
  ["repository/short/commit(main)+amend(main)", ["lost"]],
  ["repository/short/commit(main)+commit.move(main)", []],
  ["repository/short/commit.rebase(main)+amend(main)", ["lost"]],
  ["repository/short/commit.rebase(main)+commit.move(main)", ["lost"]],
  ["repository/short/amend(main)+createTag.tip(new)", ["lost", "interrupt-after"]],
  ["repository/short/amend(main)+reader(main)", ["interrupt-after"]],
  ["repository/short/commit.move(main)+createTag.tip(new)", []],
  ["repository/short/commit.move(main)+reader(main)", []],
  ["orphaned/short/collect+createTag(new)", []],
  ["orphaned/short/collect+createBranch(new)", []],
  ["orphaned/short/collect+reader(main)", []],
  ["empty/short/create+amend(main)", []],
  ["empty/short/create+create", ["error", "lost"]],
  ["empty/short/create+openOrCreate", ["lost"]],
  ["empty/short/openOrCreate+openOrCreate", ["lost"]]
])

/**
 * What runs with each test: a pair for each two kinds of operation with logs of one entry, which show whatever
 * longer ones do and more; and whoever creates a repository, beside all others.
 */
export const reduced: ReadonlyArray<{ readonly scenario: Scenario; readonly kinds: ReadonlyArray<Fault> }> = [
  ...scenarios("repository", meeting),
  ...scenarios("repository", amendingAndMoving),
  ...scenarios("orphaned", [
    [expire, createTag("new")],
    [expire, expire],
    ...across([collect], [createTag("new"), createBranch("new"), reader("main")])
  ]),
  ...scenarios("unpublished", across([publish], [commit("main"), createTag("new"), reader("main")])),
  ...scenarios("empty", [...pairs(creators), ...across([create], whileCreated), [openOrCreate, whileCreated.at(-1)!]])
]
  .filter(({ log }) => log === "short")
  .map((scenario) => ({ scenario, kinds: fewerFaults.get(nameOf(scenario)) ?? usualFaults }))
