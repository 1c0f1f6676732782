"""
Writes `written/thousand-<age>.h5`, and `written/chunks-<age>.h5`, an array for each chunk index and filter of HDF5, and `expected/chunks-<age>.layouts.json`: what the
object headers say of each array's layout, and the SHA-256 of its values as HDF5 reads them, little-endian and row by row.

    python3 layouts.py

Needs python3-h5py.
"""
import hashlib, json, os, struct, zlib
import h5py, numpy as np

here = os.path.dirname(os.path.abspath(__file__))

def hdr_messages(buf, addr):
    """(type, data offset, size) of an object header"""
    msgs=[]
    if buf[addr:addr+4]==b'OHDR':
        flags=buf[addr+5]; p=addr+6
        if flags&0x20: p+=16
        if flags&0x10: p+=4
        n=1<<(flags&3); size=int.from_bytes(buf[p:p+n],'little'); p+=n
        blocks=[(p,p+size)]
        while blocks:
            a,b=blocks.pop(0)
            while a+4<=b:
                t=buf[a]; s=struct.unpack_from('<H',buf,a+1)[0]; a+=4
                if flags&4: a+=2
                if t==0x10:
                    o,l=struct.unpack_from('<QQ',buf,a); blocks.append((o+4,o+l-4))
                msgs.append((t,a,s)); a+=s
    else:
        n=struct.unpack_from('<H',buf,addr+2)[0]; size=struct.unpack_from('<I',buf,addr+8)[0]
        blocks=[(addr+16,addr+16+size)]
        while blocks:
            a,b=blocks.pop(0)
            while a+8<=b and len(msgs)<n:
                t,s=struct.unpack_from('<HH',buf,a); a+=8
                if t==0x10:
                    o,l=struct.unpack_from('<QQ',buf,a); blocks.append((o,o+l))
                msgs.append((t,a,s)); a+=s
    return msgs
U=0xffffffffffffffff
def layout(buf,addr,ds):
    esize=ds.dtype.itemsize
    lay=None
    for t,a,s in hdr_messages(buf,addr):
        if t!=8: continue
        v=buf[a]; c=buf[a+1]
        def adr(x):
            x=struct.unpack_from('<Q',buf,x)[0]; return None if x==U else x
        def rec(**k):
            return {x:y for x,y in k.items() if y is not None}
        if v==3:
            if c==0: lay=rec(_tag='Compact',size=struct.unpack_from('<H',buf,a+2)[0],address=a+4)
            elif c==1: lay=rec(_tag='Contiguous',address=adr(a+2),size=struct.unpack_from('<Q',buf,a+10)[0])
            else:
                nd=buf[a+2]; dims=struct.unpack_from('<%dI'%nd,buf,a+11)
                lay=dict(_tag='Chunked',version=3,chunkShape=dims[:-1],elementSize=dims[-1],edgeChunksUnfiltered=False,index=rec(_tag='BTree1',address=adr(a+3)))
        elif v==4:
            if c==0: lay=rec(_tag='Compact',size=struct.unpack_from('<H',buf,a+2)[0],address=a+4)
            elif c==1: lay=rec(_tag='Contiguous',address=adr(a+2),size=struct.unpack_from('<Q',buf,a+10)[0])
            else:
                fl=buf[a+2]; nd=buf[a+3]; w=buf[a+4]; p=a+5
                dims=[int.from_bytes(buf[p+i*w:p+i*w+w],'little') for i in range(nd)]; p+=nd*w
                it=buf[p]; p+=1
                if it==1:
                    size=None; mask=0
                    if fl&2:
                        size=struct.unpack_from('<Q',buf,p)[0]; mask=struct.unpack_from('<I',buf,p+8)[0]; p+=12
                    ix=rec(_tag='Single',size=size,mask=mask,address=adr(p))
                elif it==2: ix=rec(_tag='Implicit',address=adr(p))
                elif it==3: ix=rec(_tag='FixedArray',pageBits=buf[p],address=adr(p+1))
                elif it==4: ix=rec(_tag='ExtensibleArray',maxBits=buf[p],indexElements=buf[p+1],minPointers=buf[p+2],minElements=buf[p+3],pageBits=buf[p+4],address=adr(p+5))
                else: ix=rec(_tag='BTree2',address=adr(p+6))
                lay=dict(_tag='Chunked',version=4,chunkShape=dims[:-1],elementSize=dims[-1],edgeChunksUnfiltered=bool(fl&1),index=ix)
    plist=ds.id.get_create_plist(); filters=[]
    for i in range(plist.get_nfilters()):
        code,flags,vals,name=plist.get_filter(i); filters.append(dict(id=code,flags=flags,values=list(vals),name=name.decode()))
    return dict(sizes=dict(offsetSize=8,lengthSize=8,base=0),shape=ds.shape,maxShape=[m if m is not None else -1 for m in ds.maxshape],elementSize=esize,layout=lay,filters=filters)
def describe(path):
    buf=open(path,'rb').read(); res={}
    with h5py.File(path,'r') as f:
        def visit(name,o):
            if not isinstance(o,h5py.Dataset) or o.dtype.kind not in 'iuf' or o.shape is None: return
            try: v=o[...]
            except Exception as e: return
            try: l=layout(buf,h5py.h5o.get_info(o.id).addr,o)
            except Exception as e: print(path,name,e); return
            if l['layout'] is None: return
            v=np.ascontiguousarray(v.astype(v.dtype.newbyteorder('<')))
            fv=np.asarray(o.fillvalue).astype(o.dtype)
            big = o.dtype.byteorder=='>'
            res[name]=dict(array=l,dtype=v.dtype.name,big=big,fill=float(fv),sha=hashlib.sha256(v.tobytes()).hexdigest())
        f.visititems(visit)
    return res

def write(path, libver):
    with h5py.File(path, "w", libver=libver) as f:
        def put(name, shape, chunks, maxshape=None, some=None, dtype="<i4", resize=None, **kw):
            d = f.create_dataset(name, shape, dtype, chunks=chunks, maxshape=maxshape, fillvalue=7, **kw)
            data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
            if some:
                for at in some: d[at] = data[at]
            else: d[...] = data
            if resize: d.resize(resize)
        filters = {"none": {}, "deflate": dict(compression="gzip"), "fletcher": dict(fletcher32=True),
                   "all": dict(compression="gzip", compression_opts=9, shuffle=True, fletcher32=True)}
        for name, kw in filters.items():
            put("single_" + name, (10, 12), (10, 12), **kw)
            put("fixed_" + name, (9, 17), (4, 5), **kw)
            put("fixedmax_" + name, (9, 11), (2, 3), maxshape=(20, 17), **kw)
            put("ext_" + name, (41, 6), (2, 5), maxshape=(None, 6), **kw)
            put("ext1_" + name, (6, 41), (5, 2), maxshape=(8, None), **kw)
            put("extmid_" + name, (3, 23, 5), (2, 2, 3), maxshape=(5, None, 9), **kw)
            put("extshrunk_" + name, (90, 4), (1, 2), maxshape=(None, 4), resize=(37, 4), **kw)
            put("bt2_" + name, (16, 20), (2, 3), maxshape=(None, None), **kw)
            put("bt2shrunk_" + name, (30, 20), (2, 3), maxshape=(None, None), resize=(11, 17), **kw)
            put("f8_" + name, (8, 8), (6, 6), dtype=">f8", **kw)
            put("u1_" + name, (8, 8), (6, 6), dtype="u1", **kw)
        for name in ["none", "all"]:
            put("paged_" + name, (4000,), (1,), some=[0, 1023, 1024, 2999, 3999], **filters[name])
            put("extpaged_" + name, (270000,), (1,), maxshape=(None,), dtype="u1", some=[3, 40, 5000, 131069, 135500, 137700, 149999, 262200], **filters[name])
        put("deep", (30, 25), (1, 1), maxshape=(None, None))
        for name, limits in [("implicit", (20, 30)), ("implicitmax", (29, 41))]:
            p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            p.set_chunk((3, 4))
            p.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            space = h5py.h5s.create_simple((20, 30), limits)
            d = h5py.Dataset(h5py.h5d.create(f.id, name.encode(), h5py.h5t.STD_I32LE, space, p))
            d[...] = np.arange(600).reshape(20, 30)
        f.create_dataset("contiguous", data=np.arange(600, dtype="<f4").reshape(20, 30))
        # Chunks that were written without some of the filters.
        d = f.create_dataset("masked", (40, 40), "<i4", chunks=(10, 10), compression="gzip", shuffle=True)
        data = np.arange(1600, dtype="<i4").reshape(40, 40)
        d[...] = data
        chunk = lambda i, j: np.ascontiguousarray(data[i : i + 10, j : j + 10])
        d.id.write_direct_chunk((0, 0), chunk(0, 0).tobytes(), 3)
        d.id.write_direct_chunk((10, 10), zlib.compress(chunk(10, 10).tobytes()), 1)
        d.id.write_direct_chunk((20, 20), chunk(20, 20).view("u1").reshape(-1, 4).T.tobytes(), 2)


for age in ["earliest", "latest"]:
    path = os.path.join(here, "written", f"chunks-{age}.h5")
    write(path, age)
    with open(os.path.join(here, "expected", f"chunks-{age}.layouts.json"), "w") as f:
        json.dump(describe(path), f, default=int, separators=(",", ":"))

# What `bench` imports a thousand times: 1,000 chunks, as of one time step.
for age in ["earliest", "latest"]:
    with h5py.File(os.path.join(here, "written", f"thousand-{age}.h5"), "w", libver=age) as f:
        data = np.arange(40 * 25, dtype="<i2").reshape(1, 40, 25)
        f.create_dataset("t", data=data, chunks=(1, 1, 1), maxshape=(None, 40, 25), compression="gzip", shuffle=True)
