/**
 * Where the values of a NetCDF-3 file are. Pure. Source: NetCDF classic format specification, "Note on vsize" and "Note on
 * padding".
 *
 * @since 0.1.0
 */
import type { Header, Problem, Variable } from "./Header.ts"

/** A variable, and where its values are. */
export interface Placed {
  readonly variable: Variable
  readonly shape: ReadonlyArray<number>
  readonly dimensionNames: ReadonlyArray<string>
  /** Each record of the file has some of its values. */
  readonly isRecord: boolean
  /** Bytes of all values, or of those of one record, without padding. */
  readonly bytes: number
  /** Bytes from one record to the next. */
  readonly stride: number
}

const paddedTo4 = (bytes: number): number => Math.ceil(bytes / 4) * 4

/** The variables of a file of `size` bytes, or what cannot be. */
export const place = (header: Header, size: number): ReadonlyArray<Placed> | Problem => {
  const { dimensions, variables } = header
  const isRecord = ({ dimensions: own }: Variable): boolean => own.length > 0 && dimensions[own[0]!]!.length === 0
  const lengths = ({ dimensions: own }: Variable): ReadonlyArray<number> => own.map((one) => dimensions[one]!.length)
  const bytesOf = (variable: Variable): number =>
    lengths(variable)
      .slice(isRecord(variable) ? 1 : 0)
      .reduce((a, b) => a * b, variable.type.bytes)
  const recorded = variables.filter(isRecord)
  // The records of a single variable are not padded.
  const stride =
    recorded.length === 1 ? bytesOf(recorded[0]!) : recorded.reduce((sum, one) => sum + paddedTo4(bytesOf(one)), 0)
  const first = recorded.reduce((least, { begin }) => Math.min(least, begin), size)
  const records = header.records ?? (stride === 0 ? 0 : Math.floor((size - first) / stride))
  const placed: Array<Placed> = []
  for (const variable of variables) {
    const bytes = bytesOf(variable)
    const shape = lengths(variable).map((length, axis) => (axis === 0 && isRecord(variable) ? records : length))
    const isEmpty = shape.includes(0)
    const end = variable.begin + (isRecord(variable) ? (records - 1) * stride : 0) + bytes
    if (!isEmpty && !(Number.isSafeInteger(end) && end <= size)) {
      const what = isRecord(variable) ? `, in ${records} records,` : ""
      const problem = `the values of \`${variable.name}\`${what} end at ${end}, and the file at ${size}`
      return { _tag: "Problem", offset: variable.begin, problem }
    }
    placed.push({
      variable,
      shape,
      dimensionNames: variable.dimensions.map((one) => dimensions[one]!.name),
      isRecord: isRecord(variable),
      bytes,
      stride
    })
  }
  return placed
}
