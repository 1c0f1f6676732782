/**
 * What the page and its server tell each other.
 */

/** What the page has to know of the repository that Node wrote. */
export interface Setup {
  /** The container of its virtual chunks. */
  readonly container: string
}

/** What the page found, or why it could not. */
export type Report =
  | { readonly error: string }
  | {
      readonly userAgent: string
      readonly memory: {
        /** The message of the newest snapshot. */
        readonly snapshot: string
        /** How the first chunk of each array is stored. */
        readonly kinds: ReadonlyArray<string>
        /** Whether what was read is what was written. */
        readonly read: Readonly<Record<string, boolean>>
        /** How reading fails once the virtual object has changed. */
        readonly changed: string
      }
      readonly node: {
        /** All keys and values, in hexadecimal. */
        readonly values: Readonly<Record<string, string>>
        /** The array of virtual chunks as zarrita reads it. */
        readonly virtual: string
        /** How writing fails. */
        readonly forbidden: string
      }
    }
