"""Writes written/kerchunk-files.json: references in JSON and in Parquet as kerchunk writes them, of files beside it and of
those in `real`, and their values as fsspec and zarr-python read them.

Needs kerchunk 0.2.7, fsspec, zarr < 3, fastparquet, pyarrow, pandas, h5py, scipy, and cfgrib for GRIB.
"""
import base64, hashlib, io, json, math, pathlib, sys, tempfile, warnings

warnings.filterwarnings("ignore")
sys.path.pop(0)  # Where kerchunk.py is another file than that of the package.
import fsspec, h5py, numpy as np, pandas as pd, zarr
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.reference import LazyReferenceMapper, ReferenceFileSystem
import kerchunk.combine, kerchunk.df, kerchunk.grib2, kerchunk.hdf, kerchunk.netCDF3

here = pathlib.Path(__file__).parent / "written"
places = [here, here.parent / "real"]


class Bucket(MemoryFileSystem):
    """Objects in memory under the URLs that references have."""

    protocol = "s3"


fsspec.register_implementation("s3", Bucket, clobber=True)
memory = fsspec.filesystem("s3")
made = {}


def put(name):
    """A file as `s3://bucket/name`."""
    content = made[name] if name in made else next(p / name for p in places if (p / name).exists()).read_bytes()
    memory.pipe("s3://bucket/" + name, content)
    return content


def scan(name, inline_threshold=20):
    content, url = put(name), "s3://bucket/" + name
    if content[:4] == b"\x89HDF":
        return kerchunk.hdf.SingleHdf5ToZarr(io.BytesIO(content), url, inline_threshold=inline_threshold).translate()
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        if content[:3] == b"CDF":
            refs = kerchunk.netCDF3.NetCDF3ToZarr(file.name, inline_threshold=inline_threshold).translate()
        else:
            refs = kerchunk.grib2.scan_grib(file.name, inline_threshold=inline_threshold)[0]
        return json.loads(json.dumps(refs).replace(file.name, url))


def values(reference):
    """What zarr-python reads of references that fsspec reads."""
    metadata = json.loads(reference.cat(".zmetadata"))["metadata"] if isinstance(reference.references, LazyReferenceMapper) else {
        key: json.loads(reference.cat(key)) for key in reference.references if key.rsplit("/", 1)[-1].startswith(".z")}
    store = {key: json.dumps(value).encode() for key, value in metadata.items()}
    expected = {}
    for key, zarray in metadata.items():
        if not key.endswith(".zarray"):
            continue
        path = key[: -len(".zarray")]
        grid = [math.ceil(s / c) for s, c in zip(zarray["shape"], zarray["chunks"])]
        for index in np.ndindex(*grid):
            chunk = path + (".".join(map(str, index)) or "0")
            try:
                store[chunk] = reference.cat(chunk)
            except (FileNotFoundError, KeyError):
                pass
        try:
            data = np.ascontiguousarray(zarr.open_array(store, path=path[:-1], mode="r")[...]).reshape(zarray["shape"])
        except Exception as error:
            expected["/" + path[:-1]] = {"unread": type(error).__name__}
            continue
        if data.dtype.kind in "iufb":
            little = data.astype(data.dtype.newbyteorder("<")).tobytes()
            expected["/" + path[:-1]] = {"shape": list(data.shape), "sha256": hashlib.sha256(little).hexdigest()}
        else:
            expected["/" + path[:-1]] = {"shape": list(data.shape), "kind": data.dtype.kind}
    return expected


cases = []


def note_json(name, sources, refs):
    refs = json.loads(json.dumps(refs))
    reference = ReferenceFileSystem(fo=refs, fs={"s3": memory})
    cases.append({"name": name, "sources": sources, "json": refs, "expected": values(reference)})


def note_parquet(name, sources, root, engine="fastparquet"):
    fs = fsspec.filesystem("file")
    reference = ReferenceFileSystem(fo={}, fs={"s3": memory})
    reference.references = LazyReferenceMapper(root, fs=fs, engine=engine)
    files = {path[len(root) + 1:]: base64.b64encode(fs.cat(path)).decode() for path in fs.find(root)}
    cases.append({"name": name, "sources": sources, "parquet": files, "expected": values(reference)})


def lazy(refs, root, **options):
    out = LazyReferenceMapper.create(root=root, fs=fsspec.filesystem("file"), **options)
    for key in sorted(refs["refs"]):
        out[key] = refs["refs"][key]
    out.flush()


# Three days of a grid, of which some lies inside of the references when they are small.
for day in range(3):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        for name, data in {"time": np.arange(day * 4, day * 4 + 4, dtype="i4"), "x": np.arange(5, dtype="f8")}.items():
            file[name] = data
            file[name].make_scale(name)
        file["time"].attrs["units"] = "hours since 2000-01-01"
        t = file.create_dataset("deep/t", data=np.random.default_rng(day).normal(size=(4, 5)).astype("f4"), chunks=(1, 5),
                                compression="gzip", shuffle=True)
        t.dims[0].attach_scale(file["time"])
        t.dims[1].attach_scale(file["x"])
        file.create_dataset("gaps", (4, 9), "i2", chunks=(1, 3), fillvalue=-9)[day, 4] = day
        file["number"] = day + 0.5
    made[f"day-{day}.nc"] = buffer.getvalue()

singles = ["packed.nc", "types.h5", "shared-messages.h5", "phony.h5", "daymet-netcdf4.nc", "era5-64bit-packed.nc",
           "hdf5-index-types.h5", "hdf5-all-filters.h5", "hdf5-unfiltered-edge-chunks.h5", "trmm-hyrax.nc",
           "brain-average-minc2.h5", "netcdf-vlen-strings.nc", "dwd-cosmo-simple.grib2", "day-1.nc"]
with tempfile.TemporaryDirectory() as directory:
    for name in singles:
        try:
            refs = scan(name)
        except Exception as error:
            print(name, "is not written:", repr(error)[:100])
            continue
        note_json(name, [name], refs)
    for name, options in {
        "fastparquet": {"record_size": 10},
        "fastparquet, one record": {"record_size": 10_000},
        "fastparquet, categories": {"record_size": 10, "categorical_threshold": 0.5},
        "pyarrow": {"record_size": 10, "engine": "pyarrow"},
        "pyarrow, categories": {"record_size": 1000, "engine": "pyarrow", "categorical_threshold": 0.5},
    }.items():
        for source in ["day-1.nc", "packed.nc"]:
            root = f"{directory}/{name}-{source}".replace(" ", "").replace(",", "-")
            lazy(scan(source), root, **options)
            note_parquet(f"{source}, {name}", [source], root, options.get("engine", "fastparquet"))
    root = f"{directory}/thousand"
    kerchunk.df.refs_to_dataframe(scan("thousand-latest.h5", inline_threshold=0), root, record_size=300)
    note_parquet("thousand-latest.h5", ["thousand-latest.h5"], root)

    days = [f"day-{day}.nc" for day in range(3)]
    for threshold in [0, 500]:
        parts = [scan(day, inline_threshold=threshold) for day in days]
        combine = lambda **more: kerchunk.combine.MultiZarrToZarr(
            parts, concat_dims=["time"], identical_dims=["x", "number"], remote_protocol="s3", inline_threshold=threshold, coo_map={"time": "data:time"}, **more)
        root = f"{directory}/days-{threshold}"
        note_json(f"three days, inline below {threshold}", days, combine().translate())
        out = LazyReferenceMapper.create(root=root, fs=fsspec.filesystem("file"), record_size=5)
        combine(out=out).translate()
        out.flush()
        note_parquet(f"three days in Parquet, inline below {threshold}", days, root)

# Columns as other writers and other settings have them, for the reader of Parquet alone: a table, and files of it.
rows = 240
paths = [None if i % 7 == 3 else f"s3://bucket/{'long/' * (i % 3)}é{i // 40}.nc" for i in range(rows)]
raws = [bytes([i % 256, 255, 0]) * (i % 5) if i % 7 == 3 and i % 2 else None for i in range(rows)]
table = pd.DataFrame({"path": paths, "offset": np.arange(rows, dtype="i8") * 2**33, "size": np.arange(rows, dtype="i8") % 11, "raw": raws})
import pyarrow as pa, pyarrow.parquet as pq

schema = pa.schema([("path", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("raw", pa.binary())])
arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
tables = {}
for compression in ["none", "snappy", "gzip", "zstd"]:
    for version in ["1.0", "2.0"]:
        for dictionary in [True, False] if compression in ["none", "zstd"] else [True]:
            out = io.BytesIO()
            pq.write_table(arrow, out, compression=compression, data_page_version=version, use_dictionary=dictionary,
                           data_page_size=900, row_group_size=100, write_batch_size=50)
            tables[f"pyarrow {compression}, pages {version}, {'dictionary' if dictionary else 'plain'}"] = out.getvalue()
    path = pathlib.Path(tempfile.mkdtemp()) / "t.parq"
    table.to_parquet(path, engine="fastparquet", compression=None if compression == "none" else compression.upper(), index=False,
                     object_encoding={"raw": "bytes", "path": "utf8"}, has_nulls=["path", "raw"])
    tables[f"fastparquet {compression}"] = path.read_bytes()
# What is not a file of references, or is not read: small ones.
few = {"path": pa.array(["s3://b/k", None]), "offset": pa.array([1, 0]), "size": pa.array([2, 0]), "raw": pa.array([None, b"ab"])}
def odd(name, without=(), options={}, **columns):
    out = io.BytesIO()
    table = pa.table({key: value for key, value in {**few, **columns}.items() if key not in without})
    pq.write_table(table, out, **{"compression": "zstd", "use_dictionary": False, "write_statistics": False, "store_schema": False, **options})
    odds[name] = out.getvalue()
odds = {}
odd("fine")
odd("no offset", without=["offset"])
odd("no path and no raw", without=["path", "raw"])
odd("no raw", without=["raw"])
odd("only raw", without=["path", "offset", "size"])
odd("offset of doubles", offset=pa.array([1.5, 0.0]))
odd("path of numbers", path=pa.array([1, None]))
odd("raw of lists", raw=pa.array([None, [b"a", b"b"]]))
odd("large numbers", offset=pa.array([2**62, 0]))
odd("short numbers", offset=pa.array([7, 0], pa.int32()), size=pa.array([9, 0], pa.int16()))
odd("nested beside", other=pa.array([{"a": [1], "b": 2}, None]), key=pa.array(["x", "y"]))
odd("brotli", options={"compression": "brotli"})
odd("delta", options={"column_encoding": {"offset": "DELTA_BINARY_PACKED"}})
odd("path not text", path=pa.array([b"\xff\xfe", None]))
flat = [[p, o, s, None if r is None else r.hex()] for p, o, s, r in zip(paths, table.offset.tolist(), table["size"].tolist(), raws)]

encode = lambda content: base64.b64encode(content).decode()
(here / "kerchunk-files.json").write_text(json.dumps(
    {"made": {name: encode(content) for name, content in made.items()}, "cases": cases,
     "rows": flat, "odd": {name: encode(content) for name, content in odds.items()}, "tables": {name: encode(content) for name, content in tables.items()}}, separators=(",", ":")).replace('{"name"', '\n{"name"'))
for case in cases:
    print(case["name"], len(json.dumps(case)), len(case.get("parquet", case.get("json", {}).get("refs", case.get("json", {})))),
          [path + ": " + str(one.get("unread", one.get("kind"))) for path, one in case["expected"].items() if "sha256" not in one])
print((here / "kerchunk-files.json").stat().st_size)
