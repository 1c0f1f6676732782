/**
 * Numbers as the bytes of a chunk. Pure.
 *
 * @since 0.1.0
 */

type View = (view: DataView, at: number, value: number | bigint) => void

const writers: Readonly<Record<string, readonly [size: number, write: View]>> = {
  int8: [1, (view, at, value) => view.setInt8(at, Number(value))],
  int16: [2, (view, at, value) => view.setInt16(at, Number(value), true)],
  int32: [4, (view, at, value) => view.setInt32(at, Number(value), true)],
  int64: [8, (view, at, value) => view.setBigInt64(at, BigInt(value), true)],
  uint8: [1, (view, at, value) => view.setUint8(at, Number(value))],
  uint16: [2, (view, at, value) => view.setUint16(at, Number(value), true)],
  uint32: [4, (view, at, value) => view.setUint32(at, Number(value), true)],
  uint64: [8, (view, at, value) => view.setBigUint64(at, BigInt(value), true)],
  float32: [4, (view, at, value) => view.setFloat32(at, Number(value), true)],
  float64: [8, (view, at, value) => view.setFloat64(at, Number(value), true)]
}

/** Whether numbers of a data type can be written. */
export const isWritable = (dataType: unknown): dataType is string =>
  typeof dataType === "string" && Object.hasOwn(writers, dataType)

/** Numbers as little-endian bytes; the rest of a chunk of `length` is filled up with the last. */
export const encode = (
  dataType: string,
  values: ArrayLike<number | bigint>,
  length: number = values.length
): Uint8Array => {
  const [size, write] = writers[dataType]!
  const view = new DataView(new ArrayBuffer(size * length))
  for (let i = 0; i < length; i++) write(view, i * size, values[Math.min(i, values.length - 1)]!)
  return new Uint8Array(view.buffer)
}
