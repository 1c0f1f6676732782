/**
 * Documents of nodes, as a user of the engine writes them.
 */

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

export const groupDocument = (attributes: Readonly<Record<string, unknown>> = {}): Buffer =>
  json({ zarr_format: 3, node_type: "group", attributes })

/** An array of bytes. */
export const arrayDocument = (
  shape: ReadonlyArray<number>,
  chunks: ReadonlyArray<number>,
  names?: ReadonlyArray<string | null>
): Buffer =>
  json({
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: chunks } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes: {},
    ...(names === undefined ? {} : { dimension_names: names })
  })
