/**
 * The scenarios: every pair of operations, with refs chosen so that the two meet, in each place where the pair
 * makes sense, and with both lengths of the log.
 */
import * as Operation from "./Operation.ts"
import type { Place, Scenario } from "./Scenario.ts"

const { commit, create, createBranch, createTag, deleteBranch, deleteTag, openOrCreate, publish, reader, resetBranch, updateConfig } =
  Operation

/** What is done to a repository, on refs that are there and on such as the other operation makes. */
const onRepository: ReadonlyArray<Operation.Operation> = [
  commit("main"),
  commit("dev"),
  createBranch("new"),
  createBranch("dev"),
  deleteBranch("dev"),
  deleteBranch("new"),
  resetBranch("main"),
  resetBranch("dev"),
  createTag("new"),
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

/** All of them. */
export const all: ReadonlyArray<Scenario> = [
  ...scenarios("repository", pairs(onRepository)),
  ...scenarios("repository", across(creators, [...creators, commit("main"), updateConfig, reader("main")])),
  ...scenarios("unpublished", across([publish], onRepository)),
  ...scenarios("empty", [...pairs(creators), ...across(creators, whileCreated)])
]

export const reduced = all
