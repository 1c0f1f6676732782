"""Writes written/zarr2.json with zarr-python 2.13: the objects of a hierarchy, and its values as it reads them."""
import pathlib
import zarr, numpy as np, numcodecs as nc, json, base64
store={}
g=zarr.group(store)
exp={}
def add(name,data,**kw):
    a=g.create_dataset(name,shape=data.shape,dtype=kw.pop('dtype',data.dtype),**kw)
    a[...]=data
    v=a[...]
    exp['/'+name]=[x.item() if hasattr(x,'item') else x for x in v.ravel()]
r=np.arange(35).reshape(5,7)
add('plain',r.astype('<f4'),chunks=(2,3),compressor=None,fill_value=-1)
add('big',r.astype('>i2'),chunks=(2,3),compressor=nc.Zlib(3))
add('fortran',r.astype('<f8'),chunks=(2,3),order='F',compressor=nc.Zstd(1))
add('slash',r.astype('u1'),chunks=(2,3),dimension_separator='/',compressor=nc.Blosc(cname='zstd',shuffle=-1))
add('blosc',r.astype('<i4'),chunks=(5,7),compressor=nc.Blosc(cname='lz4',shuffle=-1))
add('gz',r.astype('<i8'),chunks=(5,7),compressor=nc.GZip(1))
add('lz4',r.astype('<u2'),chunks=(5,7),compressor=nc.LZ4())
add('delta',r.astype('<i4'),chunks=(2,3),filters=[nc.Delta('<i4')],compressor=nc.Zlib(1))
add('deltaF',r.astype('<i4'),chunks=(2,3),order='F',filters=[nc.Delta('<i4')],compressor=nc.Zlib(1))
add('shuffle',r.astype('<i4'),chunks=(2,3),filters=[nc.Shuffle(4)],compressor=nc.Zlib(1))
add('bool',(r%3==0),chunks=(2,3))
add('half',r.astype('<f2'),chunks=(2,3))
add('scalar',np.array(7,'<i4'))
a=g.create_dataset('text',shape=(3,),chunks=(2,),dtype=object,object_codec=nc.VLenUTF8()); a[:]=['a','bé','ccc']; exp['/text']=['a','bé','ccc']
a=g.create_dataset('sparse',shape=(6,),chunks=(2,),dtype='<f4',fill_value=float('nan')); a[0:2]=1; a.attrs['_ARRAY_DIMENSIONS']=['x']; a.attrs['odd']=float('nan')
exp['/sparse']=[1,1,'NaN','NaN','NaN','NaN']
for n,f in {'lzma':nc.LZMA(),'bz2':nc.BZ2()}.items(): g.create_dataset(n,data=r,chunks=(5,7),compressor=f)
g.create_dataset('times',data=np.array(['2001-01-01'],'M8[ns]'))
g.create_dataset('bytes',data=np.array([b'ab'],'S3'))
g.create_dataset('struct',data=np.array([(1,2.0)],[('a','<i4'),('b','<f8')]))
g.create_dataset('pickled',shape=(1,),dtype=object,object_codec=nc.Pickle())
g.create_group('sub').create_dataset('inner',data=r.astype('<f4'),chunks=(5,7)); exp['/sub/inner']=[float(x) for x in r.ravel()]
zarr.consolidate_metadata(store)
enc=lambda b: base64.b64encode(bytes(b)).decode()
(pathlib.Path(__file__).parent / 'written/zarr2.json').write_text(json.dumps({'objects':{k:enc(v) for k,v in store.items()},'expected':exp},indent=0))
