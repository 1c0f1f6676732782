"""
Files of random shapes, types, chunks, filters, formats and histories, by h5py and netCDF-C, with the values that these read in
them: for each `<n>.h5` or `<n>.nc` a `<n>.json` of its arrays, with their shape, type and values (base64, little-endian).

    python3 random_files.py SEED COUNT DIRECTORY

Needs python3-h5py and python3-netcdf4. The same seed makes the same files with the same versions of these.
"""
import base64, json, os, random, sys, warnings
import h5py, netCDF4
import numpy as np

SCALARS = "<i1 <u1 <i2 >i2 <u2 <i4 >i4 <u4 <i8 >i8 <u8 <f4 >f4 <f8 >f8 <f2 ?".split()
VERSIONS = ["earliest", ("earliest", "v108"), ("v108", "v108"), ("v110", "v110"), "latest", "latest"]
CLASSIC = ["i1", "i2", "i4", "f4", "f8", "S1"]
WIDE = ["i1", "i2", "i4", "f4", "f8", "u1", "u2", "u4", "i8", "u8"]


def values(rng, kind, shape):
    kind = np.dtype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(kind)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, shape, dtype=kind.newbyteorder("="), endpoint=True).astype(kind)
    return (rng.standard_normal(shape) * 100).astype(kind)


def found(data):
    data = np.asarray(data)
    shape = list(data.shape)
    data = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("<")))
    return {"shape": shape, "type": data.dtype.name, "values": base64.b64encode(data.tobytes()).decode()}


def dataset(r, rng, file, path):
    kind, rank = r.choice(SCALARS), r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])
    lengths = [0, 1, 2, 3, 5, 7, 11, 16]
    shape = tuple(r.choice(lengths) if r.random() < 0.95 else r.randint(17, 60) for _ in range(rank))
    options = {}
    if rank > 0 and r.random() < 0.75:
        grows = [r.random() < 0.3 for _ in shape]
        if any(grows) or r.random() < 0.3:
            options["maxshape"] = tuple(None if g else s + r.choice([0, 0, 0, 3]) for s, g in zip(shape, grows))
        limits = options.get("maxshape", shape)
        options["chunks"] = tuple(
            max(1, min(r.randint(1, s + 2), 10**6 if most is None else max(1, most if any(grows) else s)))
            for s, most in zip(shape, limits)
        )
        if 0 in limits or (0 in shape and "maxshape" not in options):
            return
        if r.random() < 0.6:
            options["compression"] = r.choice(["gzip", "gzip", "gzip", "lzf"])
        if options.get("compression") == "gzip":
            options["compression_opts"] = r.randint(0, 9)
        options["shuffle"], options["fletcher32"] = r.random() < 0.5, r.random() < 0.3
    if r.random() < 0.3 and kind != "?":
        options["fillvalue"] = values(rng, kind, ())
    partly = rank > 0 and all(shape) and r.random() < 0.3
    data = values(rng, kind, shape)
    made = file.create_dataset(path, shape=shape, dtype=kind, **options) if partly else file.create_dataset(path, data=data, **options)
    for _ in range(r.randint(0, 3) if partly else 0):
        part = tuple(slice(*sorted((r.randrange(s), r.randrange(1, s + 1)))) for s in shape)
        made[part] = data[part]
    if "maxshape" in options and r.random() < 0.4:
        longer = r.random() < 0.7
        made.resize(
            tuple(
                s if most is not None else s + r.randint(0, 5) if longer else r.randint(1, max(1, s))
                for s, most in zip(made.shape, made.maxshape)
            )
        )
        if all(made.shape) and r.random() < 0.5:
            made[...] = values(rng, kind, made.shape)
    for i in range(r.choice([0, 0, 1, 3, 12])):
        made.attrs[f"a{i}"] = r.choice([1, 2.5, "text", "ü" * 5, np.arange(3), np.array(["a", "bc"], dtype=object)])


def hdf5(r, rng, path):
    options = {"libver": r.choice(VERSIONS), "track_order": r.random() < 0.3}
    if r.random() < 0.2:
        options["userblock_size"] = r.choice([512, 1024, 4096])
    elif r.random() < 0.2 and options["libver"] not in ("earliest", ("earliest", "v108"), ("v108", "v108")):
        options.update(fs_strategy=r.choice(["page", "fsm", "aggregate", "none"]), fs_persist=False)
    with h5py.File(path, "w", **options) as file:
        groups = [""]
        for i in range(r.randint(0, 4)):
            groups.append(f"{r.choice(groups)}/g{i}")
            file.create_group(groups[-1], track_order=r.random() < 0.3)
        for i in range(r.randint(1, 12) if r.random() < 0.8 else r.randint(30, 60)):
            dataset(r, rng, file, f"{r.choice(groups)}/d{i}")
    if r.random() < 0.2:
        with h5py.File(path, "a", libver=options["libver"]) as file:
            names = []
            file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
            if names:
                del file[r.choice(names)]
            file.create_dataset("late", data=np.arange(100, dtype="<i4"), chunks=(7,), compression="gzip")
    arrays = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            arrays[f"/{name}"] = found(node[()])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return arrays


def netcdf(r, rng, path):
    form = r.choice(["NETCDF4"] * 3 + ["NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
    is_new = form.startswith("NETCDF4")
    kinds = WIDE if form in ("NETCDF4", "NETCDF3_64BIT_DATA") else CLASSIC
    with netCDF4.Dataset(path, "w", format=form) as ds:
        dims = []
        for i in range(r.randint(1, 4)):
            grows = (i == 0 and r.random() < 0.6) or (form == "NETCDF4" and r.random() < 0.2)
            ds.createDimension(f"x{i}", None if grows else r.randint(1, 9))
            dims.append((f"x{i}", grows))
        lengths = {name: r.randint(0, 6) if grows else ds.dimensions[name].size for name, grows in dims}
        made = []
        for i in range(r.randint(1, 8)):
            kind, own, options = r.choice(kinds), r.sample(dims, r.randint(0, len(dims))), {}
            if not is_new:
                own.sort(key=lambda one: not one[1])
            if is_new and own and r.random() < 0.6:
                options = {name: r.random() < 0.5 for name in ("zlib", "shuffle", "fletcher32")}
                if r.random() < 0.5:
                    options["chunksizes"] = [r.randint(1, 5 if grows else lengths[name]) for name, grows in own]
            if r.random() < 0.3 and kind != "S1":
                options["fill_value"] = np.array(r.randint(0, 100), dtype=kind)
            if is_new and r.random() < 0.3 and kind in ("i2", "i4", "f4", "f8"):
                options["endian"] = r.choice(["big", "little"])
            name = r.choice([f"v{i}", f"v{i}", f"x{r.randrange(len(dims))}"])
            name = f"v{i}" if name in ds.variables else name
            try:
                made.append((ds.createVariable(name, kind, [one for one, _ in own], **options), kind, [one for one, _ in own]))
            except RuntimeError:
                # A combination that netCDF-C refuses.
                continue
        r.shuffle(made)
        for variable, kind, own in made:
            # Of some nothing is written, and some are shorter than their first dimension. netCDF-C 4.9 reads shorter rows, and
            # variables that are short and have several dimensions that grow, at wrong places or from memory that nobody wrote.
            shape = [lengths[name] for name in own]
            if [ds.dimensions[name].isunlimited() for name in own].count(True) == 1 and ds.dimensions[own[0]].isunlimited():
                shape[0] = shape[0] if r.random() < 0.7 else r.randint(0, shape[0])
            if r.random() < 0.15 or not all(shape):
                continue
            variable.set_auto_maskandscale(False)
            data = rng.integers(97, 123, shape).astype("u1").view("S1") if kind == "S1" else values(rng, kind, shape)
            variable[tuple(slice(0, length) for length in shape)] = data
    arrays = {}
    with netCDF4.Dataset(path) as ds:
        ds.set_auto_maskandscale(False)
        ds.set_auto_chartostring(False)
        for name, variable in ds.variables.items():
            # Texts are imported without the dimension of their characters, and have a test of their own.
            if variable.dtype != "S1":
                arrays[f"/{name}"] = {**found(variable[...]), "dimensions": list(variable.dimensions)}
    return arrays


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    seed, count, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for number in range(count):
        r, rng = random.Random(f"{seed}/{number}"), np.random.default_rng([seed, number])
        is_netcdf = r.random() < 0.4
        path = os.path.join(directory, f"{number:04}.{'nc' if is_netcdf else 'h5'}")
        arrays = (netcdf if is_netcdf else hdf5)(r, rng, path)
        with open(f"{path}.json", "w") as out:
            json.dump(arrays, out)
