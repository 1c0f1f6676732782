/**
 * Whether open files are still what their keys name, found out at once for all whose bytes came in the same turn of the
 * event loop: of each file once, and of each directory once.
 *
 * The system is asked on the program's own thread, because it answers from memory. An open file keeps its inode there,
 * and so do the entries of the directories on its path, up to the root, as long as no symbolic link is on it: to follow
 * the path again and to look at the inode takes some microseconds and reads nothing from a disk, however long ago the
 * last look was. Only when something was changed may a directory have to be read, once, and then the file is closed. The
 * bytes themselves need not be in memory, so those are read by another thread.
 *
 * That holds for file systems of one machine only. Those that ask another about an inode would hold up the program.
 */
import * as NodeTimers from "node:timers"
import type { LocalCalls } from "./FileCalls.ts"
import type { Checked } from "./HeldFile.ts"

/** Whether a file is still what it was when that was asked, or later. */
export type Check = (tell: (isSame: boolean) => void) => void

interface Question {
  readonly checked: Checked
  told: Array<(isSame: boolean) => void>
}

/** Whether the path of a file, and where it must be, has no symbolic links on it. */
export const isDirect = ({ followsLinks, links }: Checked): boolean =>
  !followsLinks && links.every(({ named, real }) => named === real)

export const make = (calls: LocalCalls): ((checked: Checked) => Check) => {
  let asked: Array<Question> = []

  const answer = (): void => {
    const questions = asked
    asked = []
    const places = new Map<string, string | undefined>()
    const whereIs = (directory: string): string | undefined => {
      if (!places.has(directory)) places.set(directory, calls.realPath(directory))
      return places.get(directory)
    }
    const answers = questions.map(({ checked, told }) => ({
      told,
      isSame:
        calls.isUnchanged(checked.named, checked.identity) &&
        checked.links.every(({ named, real }) => whereIs(named) === real)
    }))
    // Who is told may change files and ask again: all that was asked before is answered, and is forgotten.
    for (const question of questions) question.told = []
    for (const { isSame, told } of answers) for (const tell of told) tell(isSame)
  }

  return (checked) => {
    const question: Question = { checked, told: [] }
    return (tell) => {
      if (question.told.push(tell) > 1) return
      // After all that has come in this turn.
      if (asked.push(question) === 1) NodeTimers.setImmediate(answer)
    }
  }
}
