"""
Writes the NetCDF-4 files beside it with netCDF-C: temperatures of five days, every six hours. Those of the last day are packed with
another scale. Needs python3-netcdf4.
"""
import os
import netCDF4
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
lat, lon = np.arange(-87.5, 90, 5), np.arange(0, 360, 5.0)
for day in range(5):
    date = f"2026-11-{26 + day}"
    with netCDF4.Dataset(os.path.join(here, f"{date}.nc"), "w", format="NETCDF4") as ds:
        ds.title = f"temperatures of {date}, made up"
        ds.createDimension("time", None)
        ds.createDimension("lat", len(lat))
        ds.createDimension("lon", len(lon))
        time = ds.createVariable("time", "i4", ("time",), chunksizes=(4,))
        time.units, time.calendar = f"hours since {date}", "standard"
        time[:] = np.arange(4) * 6
        for name, values in (("lat", lat), ("lon", lon)):
            ds.createVariable(name, "f4", (name,))[:] = values
        t = ds.createVariable("t", "i2", ("time", "lat", "lon"), zlib=True, shuffle=True, fill_value=-32768, chunksizes=(1, len(lat), len(lon)))
        t.units, t.add_offset = "K", 273.15
        t.scale_factor = 0.02 if day == 4 else 0.01
        for step in range(4):
            hour = day * 24 + step * 6
            noon = np.cos(np.radians(lon - 180 + 15 * hour))
            wave = np.sin(np.radians(3 * lon + 2 * hour)) * np.cos(np.radians(lat))[:, None] ** 2
            mean = 27 - 52 * np.sin(np.radians(lat + 8)) ** 2
            t[step] = 273.15 + mean[:, None] + 6 * np.cos(np.radians(lat))[:, None] * noon + 5 * wave
