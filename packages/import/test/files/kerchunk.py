"""Writes written/kerchunk.json: references to files beside it, and their values as fsspec and zarr-python read them."""
import base64, hashlib, json, pathlib
import fsspec, h5py, numcodecs, numpy as np, zarr

here = pathlib.Path(__file__).parent / "written"
hdf = here / "layouts-earliest.h5"
refs = {".zgroup": {"zarr_format": 2}}


def chunked(name, dataset):
    filters, compressor = [], None
    if dataset.shuffle:
        filters.append({"id": "shuffle", "elementsize": dataset.dtype.itemsize})
    if dataset.compression == "gzip":
        compressor = {"id": "zlib", "level": dataset.compression_opts}
    refs[name + "/.zarray"] = json.dumps({
        "zarr_format": 2, "shape": dataset.shape, "chunks": dataset.chunks, "dtype": dataset.dtype.str, "order": "C",
        "fill_value": 0, "filters": filters or None, "compressor": compressor})
    refs[name + "/.zattrs"] = json.dumps({"_ARRAY_DIMENSIONS": [f"{name}_{i}" for i in range(dataset.ndim)], "odd": float("nan")})
    for i in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(i)
        if info.filter_mask:
            return False
        key = ".".join(str(o // c) for o, c in zip(info.chunk_offset, dataset.chunks))
        refs[f"{name}/{key}"] = ["{{u}}", info.byte_offset, info.size]
    return True


with h5py.File(hdf) as file:
    names = []
    def visit(name, node):
        plain = isinstance(node, h5py.Dataset) and node.chunks and node.dtype.kind in "iuf" and 0 not in node.shape
        if plain and node.compression in (None, "gzip") and not node.fletcher32 and node.scaleoffset is None:
            names.append(name)
    file.visititems(visit)
    for name in names:
        before = dict(refs)
        try:
            if not chunked(name, file[name]):
                refs = before
        except Exception:
            refs = before

# A file of numbers, cut by a generator, and one that is a chunk as a whole.
r = np.arange(60, dtype=">i4")
def array(name, shape, chunks, dtype, **more):
    refs[name + "/.zarray"] = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": dtype, "order": "C",
                               "fill_value": None, "filters": None, "compressor": None, **more}
array("deep/cut", [3, 20], [1, 5], ">i4")
array("deep/slash", [3, 20], [1, 5], ">i4", dimension_separator="/")
array("whole", [60], [60], ">i4")
refs["whole/0"] = ["{{f(c='numbers')}}"]
array("inline", [2, 4], [1, 4], "|u1")
refs["inline/0.0"] = "base64:" + base64.b64encode(bytes([1, 2, 254, 255])).decode()
refs["inline/1.0"] = "abcd"
array("scalar", [], [], "<f8")
refs["scalar/0"] = "base64:" + base64.b64encode(np.float64(1.5).tobytes()).decode()
cut = lambda key: {"key": key, "url": "{{f(c='num' ~ 'bers')}}", "offset": "{{ i * 80 + 20 * j }}", "length": "{{ 2 ** 2 * 5 }}",
                   "dimensions": {"i": {"stop": 3}, "j": [0, 1, 2, 3]}}
document = {
    "version": 1,
    "templates": {"u": "s3://bucket/layouts-earliest.h5", "f": "s3://bucket/{{c}}.bin"},
    "gen": [cut("deep/cut/{{ '%d.%d'|format(i, j) }}"), cut("deep/slash/{{i}}/{{ '{:d}'.format(j) }}")],
    "refs": refs}

fs = fsspec.filesystem("memory")
fs.pipe("/bucket/layouts-earliest.h5", hdf.read_bytes())
fs.pipe("/bucket/numbers.bin", r.tobytes())
reading = json.loads(json.dumps(document))
reading["refs"] = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in reading["refs"].items()}
reading["templates"] = {"u": "memory://bucket/layouts-earliest.h5", "f": "memory://bucket/{{c}}.bin"}
reference = fsspec.filesystem("reference", fo=reading, fs=fs, simple_templates=False)
group = zarr.open_group({key: reference.cat(key) for key in reference.references}, mode="r")
expected = {}
def note(name, node):
    if isinstance(node, zarr.Array):
        data = np.ascontiguousarray(node[...])
        little = data.astype(data.dtype.newbyteorder("<"))
        expected["/" + name] = {"shape": list(node.shape), "sha256": hashlib.sha256(little.tobytes()).hexdigest()}
for key in list(refs):
    if key.endswith("/.zarray"):
        note(key[:-8], group[key[:-8]])

# Expressions, as Jinja has them.
import jinja2.sandbox
texts = ["{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 / 2 }}|{{ 8 / 2 }}", "{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ 10 - 2 - 3 }}",
         "{{ '%03d' % i }}|{{ '%5.2f|%s'|format(1.5, 'a') }}|{{ '%-4d|' % 7 }}", "{{ '{:04d}.{}'.format(i, 'b') }}|{{ '{0}{1}{0}'.format(1, 2) }}",
         "a{{i}}b{{ u }}c", "{{ 'x' ~ i }}", "{{ (i + 1) * 1000 }}|{{ i|string ~ 'z' }}|{{ '12'|int + 1 }}",
         "{{ '}}' }}{{ \"q\" + 'r' }}", "{{ '{:>5}|{:5}|{:05}'.format('a', 'b', 42) }}", "{{ 'Ab'|upper }}{{ 'Ab'|lower }}", "{{ '%05d' % -42 }}|{{ '%x' % 255 }}"]
env = jinja2.sandbox.SandboxedEnvironment()
expressions = [[text, env.from_string(text).render(i=5, u="w")] for text in texts]
(here / "kerchunk.json").write_text(json.dumps(
    {"document": document, "numbers": base64.b64encode(r.tobytes()).decode(), "expected": expected, "expressions": expressions}, indent=0))
print(len(expected), sum(len(x) for x in map(str, expected)))
