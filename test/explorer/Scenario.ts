/**
 * Two operations in a place: their schedules are run and judged.
 */
import * as Repository from "@effect-icechunk/core/Repository"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Checker from "./Checker.ts"
import * as Model from "./Model.ts"
import * as Objects from "./Objects.ts"
import * as Observation from "./Observation.ts"
import * as Operation from "./Operation.ts"
import * as Schedule from "./Schedule.ts"
import * as Search from "./Search.ts"
import { allFaults, type Event, type Fault, type Seed, type Step, World } from "./World.ts"

/**
 * Where operations start: nothing at all; a repository; one with a snapshot that no ref leads to; or one whose
 * `config.json` has an update that was never published.
 */
export type Place = "empty" | "repository" | "orphaned" | "unpublished"

export interface Scenario {
  readonly place: Place
  readonly log: Operation.Log
  readonly operations: readonly [Operation.Operation, Operation.Operation]
}

export const nameOf = ({ log, operations, place }: Scenario): string =>
  `${place}/${log}/${operations.map(({ name }) => name).join("+")}`

interface Start {
  readonly image: Objects.Image
  readonly state: Model.State
  readonly target: Operation.Program["target"]
  readonly tip: Operation.Program["tip"]
}

/** The third program of a world prepares and looks. */
const observer = 2

const prepare = (log: Operation.Log) =>
  Effect.gen(function* () {
    const repository = yield* Repository.create({ persist: Operation.addContainer("base")(Operation.base(log)) })
    const session = yield* repository.writableSession("main")
    yield* Operation.writeChunk(session, "s1")
    yield* session.createGroup(Operation.spare)
    const s1 = yield* session.commit("s1")
    yield* Operation.writeChunk(session, "s2")
    const s2 = yield* session.commit("s2")
    yield* repository.createBranch("dev", s1)
    yield* repository.createTag("v1", s1)
    yield* repository.createTag("old", s1)
    yield* repository.deleteTag("old")
    return { s1, s2 }
  })

/** A commit on a branch that is deleted again. */
const orphan = (s1: string) =>
  Effect.gen(function* () {
    const repository = yield* Repository.open()
    yield* repository.createBranch("gone", s1)
    const session = yield* repository.writableSession("gone")
    yield* Operation.writeChunk(session, "s3")
    const s3 = yield* session.commit("s3")
    yield* repository.deleteBranch("gone")
    return s3
  })

/** Updates `config.json`, and stops before anything is published. */
const leaveUnpublished = (world: World): void => {
  const repository = Exit.getSuccess(world.now(observer, Repository.open())).pipe(Option.getOrThrow)
  world.direct = false
  world.start(observer, repository.config.update(Operation.addContainer("left")))
  const isWritten = (): boolean =>
    world.events.some(({ request }) => request?.op === "put" && request.key === "config.json")
  while (!isWritten()) world.step(world.steps([])[0]!)
  const next = world.steps(["cut"]).find(({ kind }) => kind === "cut")
  world.step(next!)
  world.direct = true
}

const starts = new Map<string, Start>()

const startOf = (place: Place, log: Operation.Log): Start => {
  const key = `${place}/${log}`
  const known = starts.get(key)
  if (known !== undefined) return known
  const world = new World(new Map(), 3)
  let target = { id: Observation.firstSnapshot, message: Model.root }
  let tip = target
  if (place !== "empty") {
    const prepared = world.now(observer, prepare(log))
    if (Exit.isFailure(prepared)) throw new Error(Cause.pretty(prepared.cause))
    const { s1, s2 } = prepared.value
    target = { id: s1, message: "s1" }
    tip = { id: s2, message: "s2" }
    if (place === "unpublished") leaveUnpublished(world)
    if (place === "orphaned") {
      const s3 = world.now(observer, orphan(s1))
      if (Exit.isFailure(s3)) throw new Error(Cause.pretty(s3.cause))
      target = { id: s3.value, message: "s3" }
    }
  }
  const image = new Map(world.objects)
  const { problems, state } = Observation.observe(new World(image, 3), new Map())
  if (problems.length > 0) throw new Error(`The place itself is not whole: ${problems.join("; ")}`)
  const start = { image, state, target, tip }
  starts.set(key, start)
  return start
}

/** A run of a scenario. */
interface ScenarioRun extends Search.Run {
  readonly world: World
  readonly programs: ReadonlyArray<Operation.Program>
}

const begin = ({ log, operations, place }: Scenario, { faults = 1, kinds = allFaults, seed }: Options): ScenarioRun => {
  const { image, target, tip } = startOf(place, log)
  const world = new World(image, 3, seed)
  const programs = operations.map((operation, index): Operation.Program => {
    const program: Operation.Program = { name: index === 0 ? "a" : "b", log, target, tip }
    if (operation.from === "repository") {
      const opened = world.now(index, Repository.open())
      if (Exit.isFailure(opened)) throw new Error(Cause.pretty(opened.cause))
      program.repository = opened.value
    }
    world.actors[index]!.listings = operation.listings
    // Later than all that was prepared.
    world.actors[index]!.now += 1
    return program
  })
  world.direct = false
  world.configChanges = place === "unpublished" || operations.some(({ changesConfig }) => changesConfig)
  world.collects = operations.some(({ collects }) => collects === true)
  for (const [index, operation] of operations.entries()) {
    world.start(
      index,
      Effect.suspend(() => operation.run(programs[index]!))
    )
  }
  let left = faults
  return {
    world,
    programs,
    steps: () => world.steps(left > 0 ? kinds : []),
    step: (step) => {
      if (step.kind !== "ok") left--
      world.step(step)
    }
  }
}

/** Whether an error says that the outcome is not known: that of a commit, of the configuration, of anything else. */
const isUnknownOutcome = (tag: string): boolean => tag.endsWith("OutcomeUnknown")

interface Result {
  readonly outcome: Checker.Outcome
  readonly problem?: string
}

const resultOf = ({ actors }: World, index: number, message: (id: string) => string): Result => {
  const { exit, faulty, interrupted } = actors[index]!
  const unknown: Checker.Outcome = { _tag: "unknown" }
  if (exit === undefined) return { outcome: unknown, problem: "waits for ever" }
  if (Exit.isSuccess(exit)) {
    const answers = (exit.value as Operation.Answers).map((answer) => {
      const [kind, id, chunk] = answer.split(/ (\S+) (.*)/)
      if (kind !== "snapshot") return answer
      return message(id!) === chunk
        ? `tip ${chunk}`
        : `a torn state: snapshot ${message(id!)} with the chunk of ${chunk}`
    })
    return { outcome: { _tag: "done", answers } }
  }
  const defect = exit.cause.reasons.find((reason) => reason._tag === "Die")
  if (defect !== undefined) return { outcome: unknown, problem: `dies: ${String(defect.defect)}` }
  const failed = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failed === undefined) return { outcome: unknown, ...(interrupted ? {} : { problem: "is interrupted by nobody" }) }
  const { _tag: error, message: text } = failed.error as { readonly _tag: string; readonly message: string }
  if (Model.isError(error)) return { outcome: { _tag: "failed", error } }
  const outcome: Checker.Outcome =
    interrupted || isUnknownOutcome(error)
      ? unknown
      : error === "ConfigNotPublished"
        ? { _tag: "done", answers: ["ok", "ok"] }
        : { _tag: "nothing" }
  return faulty ? { outcome } : { outcome, problem: `fails without a fault: ${error}: ${text}` }
}

/** Whether a call of `late` before one of `early` could have been seen by it. */
const overlaps = (events: ReadonlyArray<Event>, early: number, late: number): boolean => {
  const before: Array<Event> = []
  for (const event of events) {
    if (event.actor === late) before.push(event)
    if (event.actor === early && before.some((other) => Objects.dependent(other.footprint, event.footprint)))
      return true
  }
  return false
}

/** The orders in time of two operations: of all schedules that only exchange calls which do not touch each other. */
const orders = (events: ReadonlyArray<Event>): ReadonlyArray<Checker.Order> => {
  const found: Array<Checker.Order> = []
  if (!overlaps(events, 0, 1)) found.push("first before second")
  if (!overlaps(events, 1, 0)) found.push("second before first")
  return found.length === 0 ? ["free"] : found
}

const describe = (outcome: Checker.Outcome): string => {
  switch (outcome._tag) {
    case "done":
      return `done (${outcome.answers.join(", ")})`
    case "failed":
      return outcome.error
    case "nothing":
      return "failed, nothing happened"
    case "unknown":
      return "interrupted or unknown"
  }
}

/** Runs what is left of a world to its end, without faults. */
const afterwards = <A, E>(world: World, index: number, effect: Effect.Effect<A, E>) => {
  const actor = world.actors[index]!
  actor.isCut = false
  return world.now(index, effect)
}

/** A session whose commit has an outcome that is not known: another commit settles it. */
const settle = (
  world: World,
  index: number,
  program: Operation.Program,
  before: Observation.Observation,
  image: Objects.Image
): ReadonlyArray<string> => {
  const { name, session } = program
  if (session === undefined) return []
  const problems: Array<string> = []
  const happened = name in before.state.snapshots
  const { interrupted, isCut } = world.actors[index]!
  const again = afterwards(world, index, session.commit(name, { rebase: program.rebase }))
  const after = Observation.observe(world, image)
  const error = Exit.isFailure(again)
    ? (again.cause.reasons.find((reason) => reason._tag === "Fail")?.error as { readonly _tag: string } | undefined)
        ?._tag
    : undefined
  const isThere = name in after.state.snapshots
  // Whoever was only interrupted knows what became of the commit; without a network it is found out now.
  const isKnown = error === "NothingToCommit" || (error === undefined && (isCut || !interrupted))
  if (happened && !isKnown)
    problems.push(
      `its session does not know that it has committed: a second commit ${error === undefined ? "is not refused" : `fails with ${error}`}`
    )
  if (!happened && error === "NothingToCommit") problems.push("its session has lost its changes")
  if (error === undefined && !isThere) problems.push("a second commit is acknowledged and not there")
  const mayFail = [
    "NothingToCommit",
    "RefNotFound",
    ...(program.rebase === undefined ? ["CommitConflict"] : ["RebaseImpossible"])
  ]
  if (error !== undefined && !mayFail.includes(error)) problems.push(`a second commit fails with ${error}`)
  return [...problems, ...after.problems.map((problem) => `after a second commit ${problem}`)]
}

/** The next write of the repository object by a new program, or by the one that was stopped, publishes `config.json`. */
const publishes = (
  { operations }: Scenario,
  world: World,
  programs: ReadonlyArray<Operation.Program>
): ReadonlyArray<string> => {
  const image = new Map(world.objects)
  const problems: Array<string> = []
  const write = (who: string, index: number, repository: Repository.RepositoryShape | undefined): void => {
    world.objects.clear()
    for (const [key, entry] of image) world.objects.set(key, entry)
    const made = afterwards(
      world,
      index,
      Effect.scoped(
        Effect.flatMap(repository === undefined ? Repository.open() : Effect.succeed(repository), ({ createTag }) =>
          createTag("afterwards", Observation.firstSnapshot)
        )
      ).pipe(Effect.provide(world.actors[index]!.services))
    )
    const { published, state } = Observation.observe(world, image)
    if (Exit.isFailure(made)) problems.push(`${who} cannot write: ${Cause.pretty(made.cause).split("\n")[0]}`)
    else if (published.join() !== state.containers.join()) {
      problems.push(
        `the next write by ${who} publishes \`${published.join(" ")}\`, not \`${state.containers.join(" ")}\``
      )
    }
  }
  write("a new program", observer, undefined)
  for (const [index, { repository }] of programs.entries()) {
    const { faulty } = world.actors[index]!
    if (operations[index]!.changesConfig && faulty && repository !== undefined)
      write(`program ${"ab"[index]}`, index, repository)
  }
  world.objects.clear()
  for (const [key, entry] of image) world.objects.set(key, entry)
  return problems
}

/** What is wrong after a schedule; nothing when all is well. */
const judge = (scenario: Scenario, { programs, world }: ScenarioRun): ReadonlyArray<string> => {
  const { operations } = scenario
  const { image, state: before } = startOf(scenario.place, scenario.log)
  world.direct = true
  const observed = Observation.observe(world, image)
  const message = (id: string): string => observed.messages.get(id) ?? `unknown snapshot ${id}`
  const judged = (index: 0 | 1): Result => {
    const result = resultOf(world, index, message)
    const isHalf = result.outcome._tag === "nothing" && operations[index].collects === true
    return isHalf ? { ...result, outcome: { _tag: "unknown" } } : result
  }
  const results = [judged(0), judged(1)] as const
  const problems = results.flatMap(({ problem }, index) =>
    problem === undefined ? [] : [`${"ab"[index]} (${operations[index]!.name}) ${problem}`]
  )
  problems.push(...observed.problems)
  if (problems.length > 0) return problems

  const outcomes = results.map(({ outcome }, index) => `${operations[index]!.name}: ${describe(outcome)}`).join("; ")
  const checked = [
    { actions: operations[0].actions(programs[0]!), outcome: results[0].outcome },
    { actions: operations[1].actions(programs[1]!), outcome: results[1].outcome }
  ] as const
  for (const order of orders(world.events)) {
    if (!Checker.explains(before, observed.state, checked, order)) {
      return [
        `no order${order === "free" ? "" : ` (${order})`} of the operations explains what is there: ${outcomes}; there is ${Model.print(observed.state)}`
      ]
    }
  }
  for (const [index, { outcome }] of results.entries()) {
    const isChange = operations[index]!.name === "publish" || operations[index]!.name === "config.update"
    const { name } = programs[index]!
    if (isChange && outcome._tag === "done" && !world.actors[index]!.faulty) {
      const expected = operations[index]!.name === "publish" ? before.containers : [name]
      const missing = expected.filter((container) => !observed.published.includes(container))
      if (missing.length > 0) problems.push(`${name} is acknowledged, and \`${missing.join(" ")}\` is not published`)
    }
  }
  const foreign = observed.published.filter((container) => !observed.state.containers.includes(container))
  if (foreign.length > 0) problems.push(`\`${foreign.join(" ")}\` is published and not in \`config.json\``)
  const needsPublication = observed.published.join() !== observed.state.containers.join()
  if (problems.length === 0 && observed.state.exists && needsPublication) {
    problems.push(...publishes(scenario, world, programs))
  }
  for (const [index, { outcome }] of results.entries()) {
    if (problems.length === 0 && outcome._tag !== "done") {
      problems.push(
        ...settle(world, index, programs[index]!, observed, image).map((problem) => `${"ab"[index]}: ${problem}`)
      )
    }
  }
  return problems
}

export interface Failure {
  readonly scenario: string
  readonly schedule: string
  readonly problems: ReadonlyArray<string>
}

export interface Explored {
  readonly schedules: number
  readonly runs: number
  readonly failures: ReadonlyArray<Failure>
}

export interface Options {
  /** Faults in a schedule at most (default 1). */
  readonly faults?: number | undefined
  /** Which faults (default: all). */
  readonly kinds?: ReadonlyArray<Fault> | undefined
  readonly seed?: Seed | undefined
  /** Stops after so many failures (default: never). */
  readonly failures?: number | undefined
}

/** All schedules of a scenario. */
export const explore = (scenario: Scenario, options: Options = {}): Explored => {
  const failures: Array<Failure> = []
  let schedules = 0
  const runs = Search.search(
    () => begin(scenario, options),
    (run, schedule) => {
      schedules++
      const problems = judge(scenario, run)
      if (problems.length > 0) {
        failures.push({ scenario: nameOf(scenario), schedule: Schedule.print(schedule), problems })
      }
      return failures.length < (options.failures ?? Infinity)
    }
  )
  return { schedules, runs, failures }
}

/** One schedule again, with what happened in it. */
export const replay = (
  scenario: Scenario,
  schedule: string,
  seed?: Seed
): { readonly trace: ReadonlyArray<string>; readonly problems: ReadonlyArray<string> } => {
  const run = begin(scenario, { faults: Infinity, seed })
  for (const decision of Schedule.parse(schedule)) {
    const step = run.steps().find((step: Step) => Schedule.matches(decision, step))
    if (step === undefined)
      throw new Error(`\`${decision.text}\` cannot be decided here: the schedule is of another program.`)
    run.step(step)
  }
  const trace = run.world.events.map(Schedule.printEvent)
  const left = run.steps()
  return {
    trace,
    problems: left.length > 0 ? [`the schedule stops before ${Schedule.print(left)}`] : judge(scenario, run)
  }
}
