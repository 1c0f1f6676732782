/**
 * The files that a store has read lately and that are still open.
 *
 * Nothing is kept open on a file system that may answer from its memory while another machine has replaced the file,
 * nor on Windows, where an open file is in the way of whoever wants to rename or remove it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as FileCalls from "./FileCalls.ts"
import { FilePool } from "./FilePool.ts"
import * as FileSystemKind from "./FileSystemKind.ts"
import type { Kind } from "./FileSystemKind.ts"
import * as HeldFile from "./HeldFile.ts"
import * as NearBytes from "./NearBytes.ts"
import type * as OpenFiles from "./OpenFiles.ts"
import * as SharedCall from "./SharedCall.ts"
import * as TurnChecks from "./TurnChecks.ts"

export interface HeldFiles {
  readonly get: (key: string) => HeldFile.HeldFile | undefined
  /** Keeps a file open that was read as `checked` says, if files of its kind are kept and there is a place. */
  readonly hold: (lease: OpenFiles.Lease, checked: HeldFile.Checked) => Effect.Effect<void>
}

const mostQuestions = 1000

/** Only Linux counts what comes from a disk and not from memory. */
const diskReads = (): number | undefined => (process.platform === "linux" ? process.resourceUsage().fsRead : undefined)

/** Files are closed with the Scope if there is one, else when nobody has read them for a while. */
export const make: Effect.Effect<HeldFiles> = Effect.gen(function* () {
  const calls = yield* FileCalls.current
  const pool = yield* FilePool
  const files = new Map<string, HeldFile.HeldFile>()
  const devices = new Map<bigint, { readonly kind: Kind; readonly until: number }>()
  let isClosed = false

  const scope = yield* Effect.serviceOption(Scope.Scope)
  if (Option.isSome(scope)) {
    yield* Scope.addFinalizer(
      scope.value,
      Effect.sync(() => {
        isClosed = true
        for (const file of files.values()) file.drop()
      })
    )
  }

  /** Files in the same directory share the question where that is. */
  const questions = new Map<string, (tell: (real: string | undefined) => void) => void>()
  const follow = (named: string, tell: (real: string | undefined) => void): void => {
    let question = questions.get(named)
    if (question === undefined) {
      if (questions.size >= mostQuestions) questions.clear()
      question = SharedCall.make((answer) => calls.realPath(named, answer))
      questions.set(named, question)
    }
    question(tell)
  }

  const isDirectlySame = calls.local === undefined ? undefined : TurnChecks.make(calls.local)

  const nearBytes = NearBytes.make(() => performance.now(), diskReads)

  /** How an open file is read whose bytes may be in memory, and whose file system answers from memory. */
  const nearOf = ({ file }: OpenFiles.Lease, checked: HeldFile.Checked, kind: Kind): HeldFile.Near | undefined => {
    if (calls.local === undefined || kind !== "local" || !FileCalls.isPlain(file) || !TurnChecks.isDirect(checked))
      return
    const { fd } = file
    const { read } = calls.local
    return { bytes: nearBytes, read: (bytes, position) => read(fd, bytes, position) }
  }

  /** Whether an open file is still what its key names. */
  const checkOf = (checked: HeldFile.Checked, isNear: boolean): TurnChecks.Check => {
    if (isNear) return isDirectlySame!(checked)
    return SharedCall.make((answer) => {
      let left = checked.links.length + 1
      let isSame = true
      const settle = (isSo: boolean): void => {
        if (!isSo) isSame = false
        if (--left === 0) answer(isSame)
      }
      calls.isUnchanged(checked.named, checked.followsLinks, checked.identity, settle)
      for (const { named, real } of checked.links) follow(named, (now) => settle(now === real))
    })
  }

  const kindAt = (path: string, device: bigint): Effect.Effect<Kind> =>
    Effect.suspend(() => {
      const known = devices.get(device)
      if (known !== undefined && performance.now() < known.until) return Effect.succeed(known.kind)
      return Effect.tap(FileSystemKind.at(path), (kind) =>
        Effect.sync(() => devices.set(device, { kind, until: performance.now() + FileSystemKind.lifetime }))
      )
    })

  return {
    get: (key) => files.get(key),
    hold: (lease, checked) =>
      Effect.map(kindAt(checked.named, checked.identity.device), (kind) => {
        if (kind === undefined || isClosed) return
        const { key } = checked.meta
        const onDrop = (dropped: HeldFile.HeldFile): void => {
          if (files.get(key) === dropped) files.delete(key)
        }
        const near = nearOf(lease, checked, kind)
        const isSame = checkOf(checked, near !== undefined)
        const file = HeldFile.make({ calls, pool, lease, checked, isSame, near, onDrop })
        if (!pool.admit(file)) return
        lease.keep()
        files.get(key)?.drop()
        files.set(key, file)
      })
  }
})
