"""
What independent readers (netCDF-C, HDF5) find in the files that the tests import, as `expected/<file>.json`: for each array its
shape, its type, and the SHA-256 of its values, little-endian and row by row, or of its texts, a line each. Also writes the files of
`written/`, with h5py and netCDF-C.

    python3 make.py

Needs python3-h5py and python3-netcdf4.
"""
import ctypes, hashlib, json, os, zlib
import h5py, netCDF4
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))


def values(v):
    v = np.asarray(v)
    if v.dtype.kind in "OSU":
        flat = [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in v.ravel().tolist()]
        texts = "\n".join(x.split("\0")[0] for x in flat)
        return {"shape": list(v.shape), "type": "text", "sha256": hashlib.sha256(texts.encode()).hexdigest()}
    if v.dtype.names or v.dtype.kind == "V":
        return None
    data = np.ascontiguousarray(v.astype(v.dtype.newbyteorder("<")))
    name = "bool" if v.dtype.kind == "b" else v.dtype.name
    return {"shape": list(v.shape), "type": name, "sha256": hashlib.sha256(data.tobytes()).hexdigest()}


def netcdf(path):
    found = {}

    def group(g, at):
        for name, variable in g.variables.items():
            variable.set_auto_maskandscale(False)
            variable.set_auto_chartostring(False)
            data = variable[...]
            if variable.dtype == "S1" and np.ndim(data) > 0 and not g.dimensions[variable.dimensions[-1]].isunlimited():
                data = netCDF4.chartostring(np.asarray(data), encoding="latin1")
            one = values(data)
            one["dimensions"] = list(variable.dimensions)
            one["attributes"] = {k: attribute(variable.getncattr(k)) for k in variable.ncattrs()}
            found[at + name] = one
        for name, child in g.groups.items():
            group(child, at + name + "/")

    with netCDF4.Dataset(path) as ds:
        group(ds, "/")
    return found


def attribute(value):
    if isinstance(value, str):
        return value
    value = np.asarray(value).tolist()
    return value


def hdf5(path):
    found = {}

    def visit(name, node):
        if not isinstance(node, h5py.Dataset):
            return
        try:
            one = values(node[...]) if node.shape is not None else None
        except Exception as error:
            one = {"unreadable": str(error).split("\n")[0]}
        if one is not None:
            found["/" + name] = one

    with h5py.File(path, "r") as f:
        f.visititems(visit)
    return found


def written():
    """Files of many layouts."""
    out = os.path.join(here, "written")
    os.makedirs(out, exist_ok=True)
    rng = np.random.default_rng(7)
    for libver in ("earliest", "latest"):
        with h5py.File(os.path.join(out, f"layouts-{libver}.h5"), "w", libver=libver) as f:
            f.attrs["title"] = "layouts"
            data = rng.integers(-1000, 1000, (30, 20)).astype("i4")
            f.create_dataset("contiguous", data=data)
            f.create_dataset("big_endian", data=data.astype(">f8"))
            f.create_dataset("one_chunk", data=data, chunks=(30, 20), compression="gzip")
            f.create_dataset("fixed", data=data, chunks=(7, 6), shuffle=True, compression="gzip", compression_opts=4)
            f.create_dataset("plain", data=data, chunks=(7, 6))
            f.create_dataset("grows", data=data, chunks=(7, 6), maxshape=(None, 20), fletcher32=True)
            f.create_dataset("grows_second", data=data, chunks=(7, 6), maxshape=(30, None), compression="gzip")
            f.create_dataset("grows_both", data=data, chunks=(7, 6), maxshape=(None, None), shuffle=True)
            f.create_dataset("many", data=np.arange(5000, dtype="u2"), chunks=(2,), maxshape=(None,))
            f.create_dataset("many_fixed", data=np.arange(5000, dtype="u2"), chunks=(2,))
            f.create_dataset("scalar", data=np.float32(2.5))
            f.create_dataset("empty", shape=(0, 4), chunks=(2, 4), maxshape=(None, 4), dtype="f4")
            sparse = f.create_dataset("sparse", shape=(100, 100), chunks=(10, 10), dtype="i2", fillvalue=-7, compression="gzip")
            sparse[35:42, 90:] = 5
            f.create_dataset("text", data=["first", "zweite", "třetí", ""], dtype=h5py.string_dtype())
            f.create_dataset("fixed_text", data=np.array([b"ab", b"cde"], dtype="S4"))
            f.create_dataset("flags", data=np.array([True, False, True]))
            f.create_dataset("half", data=np.linspace(0, 1, 6).astype("f2"))
            g = f.create_group("deep/below")
            for i in range(20):
                g.create_dataset(f"array_{i:02}", data=np.full((4,), i, "i8"), chunks=(3,))
            for i in range(30):
                g.attrs[f"attribute_{i:02}"] = i * 1.5
            f["link"] = h5py.SoftLink("/deep/below/array_03")
            f["outside"] = h5py.ExternalLink("other.h5", "/x")
            f["hard"] = f["plain"]
    for libver in ("earliest", "latest"):
        with h5py.File(os.path.join(out, f"hundred-{libver}.h5"), "w", libver=libver) as f:
            for i in range(100):
                f.create_dataset(f"v{i:03}", data=np.full((100, 8), i, "i4"), chunks=(1, 8), compression="gzip", maxshape=(None, 8))
    with netCDF4.Dataset(os.path.join(out, "packed.nc"), "w", format="NETCDF4") as ds:
        ds.createDimension("time", None)
        ds.createDimension("lat", 5)
        ds.createDimension("lon", 6)
        time = ds.createVariable("time", "f8", ("time",))
        time.units, time.calendar = "hours since 2000-01-01", "standard"
        lat = ds.createVariable("lat", "f4", ("lat",))
        lon = ds.createVariable("lon", "f4", ("lon",))
        t = ds.createVariable("t", "i2", ("time", "lat", "lon"), zlib=True, shuffle=True, fill_value=-32768, chunksizes=(1, 5, 6))
        t.scale_factor, t.add_offset, t.units = 0.01, 273.15, "K"
        time[:] = np.arange(4) * 6.0
        lat[:] = np.linspace(-60, 60, 5)
        lon[:] = np.arange(6) * 60
        t.set_auto_maskandscale(False)
        t[:] = rng.integers(-2000, 2000, (4, 5, 6))
        g = ds.createGroup("inner")
        g.createVariable("count", "u1", ("lat",))[:] = np.arange(5)


def metadata():
    """Files whose metadata is kept in other ways."""
    out = os.path.join(here, "written")
    data = np.arange(100, dtype="f4").reshape(10, 10)
    # Messages that objects share: a type, spaces, fill values, filters and attributes, in heaps of the file.
    create, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    library = ctypes.CDLL("libhdf5_serial.so.103")
    identifier = ctypes.c_int64(create.id)
    assert library.H5Pset_shared_mesg_nindexes(identifier, 2) == 0
    # Data spaces, types, fill values and filters; and attributes.
    for index, kinds in enumerate((0x2 | 0x8 | 0x20 | 0x800, 0x1000)):
        assert library.H5Pset_shared_mesg_index(identifier, index, kinds, 1) == 0
    path = os.path.join(out, "shared-messages.h5")
    with h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, create, access)) as f:
        for i in range(3):
            d = f.create_dataset(f"d{i}", data=data + i, chunks=(3, 3), compression="gzip", shuffle=True, fillvalue=7.5)
            for j in range(10):
                d.attrs[f"common{j}"] = np.arange(12.0) + j
            d.attrs["own"], d.attrs["text"] = i, "one text"
        f.create_dataset("sparse", shape=(100, 100), chunks=(10, 10), dtype="f4", fillvalue=7.5, compression="gzip", shuffle=True)[:5, :5] = 1
        f.create_group("g").attrs["common0"] = np.arange(12.0)
    # Addresses and lengths of four bytes, after a user block.
    for name, low in (("old", h5py.h5f.LIBVER_EARLIEST), ("new", h5py.h5f.LIBVER_LATEST)):
        create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
        create.set_sizes(4, 4)
        create.set_userblock(1024)
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_libver_bounds(low, h5py.h5f.LIBVER_LATEST)
        path = os.path.join(out, f"four-bytes-{name}.h5")
        with h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, create, access)) as f:
            f.create_dataset("grows", data=np.arange(1000).reshape(40, 25), chunks=(7, 6), compression="gzip", maxshape=(None, None))
            f.create_dataset("fixed", data=np.arange(1000).reshape(40, 25), chunks=(7, 6), shuffle=True, compression="gzip")
            f.create_dataset("plain", data=np.arange(10.0))
            f.create_dataset("text", data=["a", "bb", "čc"] * 4, dtype=h5py.string_dtype())
            g = f.create_group("g")
            g.attrs["text"] = ["x", "yy"]
            for i in range(12):
                g.create_dataset(f"x{i:02}", data=i)
                g.attrs[f"x{i:02}"] = i
    # Attributes that are too large for the blocks of a heap.
    with h5py.File(os.path.join(out, "large-attributes.h5"), "w", libver="latest") as f:
        d = f.create_dataset("a", data=np.arange(6, dtype="i4"))
        for i in range(12):
            d.attrs[f"x{i:02}"] = i
        d.attrs["large"] = np.arange(9000) * 0.5
        f.attrs["large"] = np.arange(70000).astype("u1")
    # Dimensions without names.
    with h5py.File(os.path.join(out, "phony.h5"), "w") as f:
        f["x"], f["b"], f["c"] = np.zeros((4, 5)), np.zeros((5, 5)), np.zeros((5, 4, 5))
        f.create_dataset("grows", data=np.zeros((4, 3)), chunks=(2, 2), maxshape=(None, 3), compression="gzip")
        f["g/q"], f["g/h/r"], f["a/z"], f["ga/y"] = np.zeros((4, 9)), np.zeros(2), np.zeros((4, 4)), np.zeros(2)
        f["named/time"] = np.arange(7.0)
        f["named/time"].make_scale("time")
    # Types that Zarr has not, attributes of all kinds, and names that are only like those of dimension scales.
    with h5py.File(os.path.join(out, "types.h5"), "w", libver="latest") as f:
        f["compound"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
        f["complex"] = np.array([1 + 2j])
        f["opaque"] = np.array([b"abcd"], dtype="V4")
        f.create_dataset("lists", data=np.array([np.arange(3), np.arange(2)], dtype=object), dtype=h5py.vlen_dtype("i4"))
        f.create_dataset("references", data=np.array([f["compound"].ref], dtype=h5py.ref_dtype))
        f.create_dataset("enumeration", data=np.array([0, 1, 2], dtype="i4"), dtype=h5py.enum_dtype({"A": 0, "B": 1, "C": 2}))
        f.create_dataset("large_fill", data=np.array([2**62, -5]), chunks=(2,), fillvalue=-(2**63) + 2)
        f["nothing"] = h5py.Empty("f4")
        f["named_type"] = np.dtype("f8")
        f.create_dataset("of_named_type", data=np.arange(3.0), dtype=f["named_type"])
        f["of_named_type"].attrs["CLASS"], f["of_named_type"].attrs["NAME"] = "IMAGE", "mine"
        f["long_double"] = np.array([1, 2], dtype="longdouble")
        space, odd = h5py.h5s.create_simple((2, 3)), h5py.h5t.STD_I32LE.copy()
        odd.set_size(3), odd.set_precision(24)
        h5py.h5d.create(f.id, b"three_bytes", odd, space)
        h5py.h5d.create(f.id, b"time", h5py.h5t.UNIX_D32LE, space)
        layout = h5py.VirtualLayout(shape=(3,), dtype="i4")
        layout[:] = h5py.VirtualSource("x.h5", "a", shape=(3,))
        f.create_virtual_dataset("view", layout)
        f.attrs.create("of_named_type", np.arange(3.0), dtype=f["named_type"])
        f.attrs["nothing"], f.attrs["text"], f.attrs["texts"] = h5py.Empty("f4"), "x", ["a", "b"]
        f.attrs["nan"], f.attrs["yes"], f.attrs["large"], f.attrs["matrix"] = np.nan, True, 2**62, np.arange(6).reshape(2, 3)
        f.attrs["big_endian"], f.attrs["half"] = np.arange(3).astype(">i4"), np.float16(1.5)
    # Texts with and without filters that can be undone.
    with h5py.File(os.path.join(out, "texts.h5"), "w") as f:
        texts, kind = ["a", "bb", "ccc", ""] * 8, h5py.string_dtype()
        f.create_dataset("lzf", data=texts, dtype=kind, chunks=(5,), compression="lzf")
        f.create_dataset("lzf_fixed", data=np.array([b"ab", b"cde"] * 10), chunks=(5,), compression="lzf")
        f.create_dataset("deflate", data=texts, dtype=kind, chunks=(5,), compression="gzip", shuffle=True)
        f.create_dataset("deflate_fixed", data=np.array([b"ab", b"cde"] * 10), chunks=(5,), compression="gzip")
        f.create_dataset("long", data=["x" * 20000], dtype=kind)
        f["number"] = np.arange(5)
    # Chunks that were written without some of their filters: most of them, and few of them.
    with h5py.File(os.path.join(out, "masks.h5"), "w", libver="latest") as f:
        for name, filtered in (("mostly_without", (2,)), ("mostly_with", (0, 1, 3, 4, 5))):
            d = f.create_dataset(name, shape=(24,), dtype="u2", chunks=(4,), compression="gzip")
            for i in range(6):
                chunk = (np.arange(4 * i, 4 * i + 4) ** 2).astype("u2").tobytes()
                is_filtered = i in filtered
                d.id.write_direct_chunk((4 * i,), zlib.compress(chunk) if is_filtered else chunk, 0 if is_filtered else 1)


def netcdf_written():
    """What netCDF makes of dimensions, checksums and fill values."""
    out = os.path.join(here, "written")
    # Variables that are shorter than their dimension: the rest reads as their fill value.
    with netCDF4.Dataset(os.path.join(out, "short-variables.nc"), "w") as ds:
        ds.createDimension("time", None)
        ds.createDimension("x", 3)
        ds.createVariable("time", "f8", ("time",))[:] = np.arange(10.0)
        ds.createVariable("x", "i4", ("x",))[:] = np.arange(3)
        short = ds.createVariable("short", "f4", ("time", "x"), chunksizes=(4, 2), zlib=True, shuffle=True)
        short[:5] = np.arange(15).reshape(5, 3)
        ds.createVariable("nothing", "i2", ("time", "x"), chunksizes=(4, 3), fill_value=-9)
        inner = ds.createGroup("inner")
        inner.createVariable("of_parent", "i8", ("time",), chunksizes=(4,))[:3] = np.arange(3)
        # A dimension of the same name that is another one.
        own = ds.createGroup("own")
        own.createDimension("time", None)
        own.createVariable("time", "i4", ("time",))[:] = np.arange(2)
        own.createVariable("y", "i4", ("time", "x"), chunksizes=(1, 3))[:1] = np.arange(3)
    # netCDF-C compresses after it put the checksum behind the chunk.
    with netCDF4.Dataset(os.path.join(out, "checksums.nc"), "w") as ds:
        ds.createDimension("x", 30)
        for name, kind, options in (
            ("both", "i4", {"zlib": True, "shuffle": True}),
            ("deflated", "i1", {"zlib": True, "shuffle": False}),
            ("alone", "i2", {}),
            ("wide", "f8", {"zlib": True, "shuffle": True}),
            ("wide_deflated", "f8", {"zlib": True, "shuffle": False}),
        ):
            ds.createVariable(name, kind, ("x",), chunksizes=(7,), fletcher32=True, **options)[:] = np.arange(30)
    # Fill values beyond 2^53: netCDF's own, and others; chunks of all are missing.
    with netCDF4.Dataset(os.path.join(out, "large-fills.nc"), "w") as ds:
        ds.createDimension("x", 8)
        for name, kind, fill in (
            ("int64", "i8", None),
            ("uint64", "u8", None),
            ("least", "i8", -(2**63)),
            ("most", "u8", 2**64 - 1),
            ("odd", "i8", 2**53 + 1),
            ("small", "i8", -5),
        ):
            ds.createVariable(name, kind, ("x",), chunksizes=(2,), fill_value=fill)[:2] = 1
    # A filter that nothing here undoes, and that its writer left out of some chunks.
    with h5py.File(os.path.join(out, "partly-lzf.h5"), "w", libver="latest") as f:
        rng = np.random.default_rng(3)
        for name in ("first_without", "never"):
            d = f.create_dataset(name, shape=(40,), dtype="f8", chunks=(4,), compression="lzf")
            d[:] = rng.standard_normal(40)
            if name == "first_without":
                d[32:] = 0


if __name__ == "__main__":
    written()
    metadata()
    netcdf_written()
    os.makedirs(os.path.join(here, "expected"), exist_ok=True)
    for directory in (os.path.join(here, "real"), os.path.join(here, "written")):
        for name in sorted(os.listdir(directory)):
            if not name.endswith((".nc", ".h5", ".he5")):
                continue
            path = os.path.join(directory, name)
            found = netcdf(path) if name.endswith(".nc") or name == "phony.h5" else hdf5(path)
            with open(os.path.join(here, "expected", name + ".json"), "w") as out:
                json.dump(found, out, indent=1, sort_keys=True)
                out.write("\n")
