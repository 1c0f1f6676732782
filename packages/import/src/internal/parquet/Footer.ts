/**
 * The metadata at the end of a Parquet file: its columns, and where they are. Pure. Source: Apache Parquet, `parquet.thrift`.
 *
 * @since 0.1.0
 */
import * as Thrift from "./Thrift.ts"

/** Physical types by their numbers. */
const types = ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"] as const

type Type = (typeof types)[number]

/** The values of a column in a row group. */
export interface Column {
  readonly name: string
  readonly type: Type
  /** By its number; see `Compression`. */
  readonly codec: number
  readonly isOptional: boolean
  /** Bytes of the file. */
  readonly start: number
  readonly end: number
}

/** Rows that are together. */
interface Group {
  readonly rows: number
  readonly columns: ReadonlyMap<string, Column>
}

export interface Footer {
  readonly rows: number
  readonly groups: ReadonlyArray<Group>
  /** Columns that have others inside, which are not read. */
  readonly nested: ReadonlySet<string>
}

const magic = 0x3152_4150

/** Leaves of the root, and the names of what has others inside. */
const leaves = (schema: ReadonlyArray<Thrift.Struct>) => {
  const found = new Map<string, Thrift.Struct>()
  const nested = new Set<string>()
  let at = 1
  while (at < schema.length) {
    const element = schema[at]!
    const [name = ""] = Thrift.texts(element, 4)
    if (element.has(1)) {
      found.set(name, element)
      at++
      continue
    }
    nested.add(name)
    for (let open = 1; open > 0 && at < schema.length; at++) open += (Thrift.count(schema[at]!, 5) ?? 0) - 1
  }
  return { found, nested }
}

const columnOf = (
  chunk: Thrift.Struct,
  schema: ReadonlyMap<string, Thrift.Struct>,
  end: number,
  rows: number
): Column | undefined => {
  const metadata = Thrift.inner(chunk, 3)
  if (metadata === undefined) return Thrift.damage(end, "it has a column without metadata, or an encrypted one")
  const [name = "", ...rest] = Thrift.texts(metadata, 3)
  const element = schema.get(name)
  if (rest.length > 0 || element === undefined) return undefined
  if (chunk.has(1)) Thrift.damage(end, `its column \`${name}\` is in another file`)
  const repetition = Thrift.count(element, 3) ?? 0
  if (repetition > 1) Thrift.damage(end, `its column \`${name}\` has lists`)
  const type = types[Thrift.count(metadata, 1) ?? -1]
  const codec = Thrift.count(metadata, 4)
  const data = Thrift.count(metadata, 9)
  const size = Thrift.count(metadata, 7)
  if (type === undefined || codec === undefined || data === undefined || size === undefined) {
    return Thrift.damage(end, `its column \`${name}\` has no type, no codec or no place`)
  }
  if (type !== types[Thrift.count(element, 1) ?? -1]) Thrift.damage(end, `its column \`${name}\` has two types`)
  if (Thrift.count(metadata, 5) !== rows) {
    Thrift.damage(end, `its column \`${name}\` has not one value for each of ${rows} rows`)
  }
  // Writers leave the place of a dictionary out, or say 0, where there is none.
  const dictionary = Thrift.count(metadata, 11) ?? 0
  const start = dictionary >= 4 && dictionary < data ? dictionary : data
  if (start < 4 || start + size > end) {
    Thrift.damage(end, `its column \`${name}\` is at bytes ${start} to ${start + size}, outside of its data`)
  }
  return { name, type, codec, isOptional: repetition === 1, start, end: start + size }
}

/** The metadata of a file. Throws `Thrift.Damage`. */
export const read = (bytes: Uint8Array): Footer => {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  if (length < 12 || view.getUint32(0, true) !== magic) Thrift.damage(0, "it does not start as a Parquet file")
  if (view.getUint32(length - 4, true) !== magic) Thrift.damage(length, "it does not end as a Parquet file")
  const size = view.getUint32(length - 8, true)
  const end = length - 8 - size
  if (end < 4) Thrift.damage(length - 8, `its metadata has ${size} bytes, more than the file`)
  const { fields } = Thrift.struct(bytes, end, length - 8)
  if (fields.has(8)) Thrift.damage(end, "it is encrypted")
  const rows = Thrift.count(fields, 3)
  if (rows === undefined) return Thrift.damage(end, "it has no number of rows")
  const { found: schema, nested } = leaves(Thrift.structs(fields, 2))
  const groups = Thrift.structs(fields, 4).map((group): Group => {
    const groupRows = Thrift.count(group, 3)
    if (groupRows === undefined) return Thrift.damage(end, "a row group has no number of rows")
    const columns = Thrift.structs(group, 1).flatMap((chunk) => columnOf(chunk, schema, end, groupRows) ?? [])
    return { rows: groupRows, columns: new Map(columns.map((column) => [column.name, column])) }
  })
  const sum = groups.reduce((sum, group) => sum + group.rows, 0)
  if (sum !== rows) Thrift.damage(end, `it has ${rows} rows, and its row groups have ${sum}`)
  for (const { columns } of groups) {
    for (const name of schema.keys()) {
      if (!columns.has(name)) Thrift.damage(end, `a row group has no column \`${name}\``)
    }
  }
  return { rows, groups, nested }
}
