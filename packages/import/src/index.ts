/**
 * Virtual data sets from files that nobody copies: NetCDF, HDF5, GeoTIFF, GRIB, Zarr and kerchunk, read by ranges.
 *
 * @since 0.1.0
 */
export * as Dataset from "./Dataset.ts"
export * as Grib2 from "./Grib2.ts"
export * as Hdf5 from "./Hdf5.ts"
export * as Import from "./Import.ts"
export * as ImportError from "./ImportError.ts"
export * as Kerchunk from "./Kerchunk.ts"
export * as NetCdf3 from "./NetCdf3.ts"
export * as SourceFile from "./SourceFile.ts"
export * as ZarrHierarchy from "./ZarrHierarchy.ts"
export * as Concatenation from "./Concatenation.ts"
