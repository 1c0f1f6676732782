/**
 * Where the elements of an HDF5 array are: what its object header says of it.
 *
 * @since 0.1.0
 */

/** Where an array's elements are. Addresses are absolute in the file (base address added), undefined = not allocated. */
export type Layout =
  /** `address` is that of the raw data inside the object header. */
  | { readonly _tag: "Compact"; readonly address: number; readonly size: number }
  | { readonly _tag: "Contiguous"; readonly address: number | undefined; readonly size: number }
  | {
      readonly _tag: "Chunked"
      readonly version: 3 | 4
      /** Without the element size. */
      readonly chunkShape: ReadonlyArray<number>
      readonly elementSize: number
      readonly index: ChunkIndex
      readonly edgeChunksUnfiltered: boolean
    }

/** What leads from a chunk's position to its address. */
export type ChunkIndex =
  | { readonly _tag: "BTree1"; readonly address: number | undefined }
  | {
      readonly _tag: "Single"
      readonly address: number | undefined
      /** After the filters. */
      readonly size: number | undefined
      readonly mask: number
    }
  | { readonly _tag: "Implicit"; readonly address: number | undefined }
  | { readonly _tag: "FixedArray"; readonly address: number | undefined; readonly pageBits: number }
  | {
      readonly _tag: "ExtensibleArray"
      readonly address: number | undefined
      readonly maxBits: number
      readonly indexElements: number
      readonly minPointers: number
      readonly minElements: number
      readonly pageBits: number
    }
  | { readonly _tag: "BTree2"; readonly address: number | undefined }

/** A filter of the pipeline. */
export interface Filter {
  readonly id: number
  readonly name: string | undefined
  readonly flags: number
  readonly values: ReadonlyArray<number>
}

/** Sizes of addresses and lengths of the file, and its base address. */
export interface Sizes {
  readonly offsetSize: number
  readonly lengthSize: number
  readonly base: number
}

/** An array, as far as its chunks are concerned. */
export interface ArrayLayout {
  readonly sizes: Sizes
  readonly shape: ReadonlyArray<number>
  /** Infinity = unlimited. */
  readonly maxShape: ReadonlyArray<number>
  readonly elementSize: number
  readonly layout: Layout
  readonly filters: ReadonlyArray<Filter>
}
