"""
What ecCodes finds in GRIB 2 files, as `expected/<file>.json`: for each field, in the order of the file, the kind of level, the level,
and the SHA-256 of its values as 32-bit floats, little-endian.

    python3 grib2.py <directory of the files>

Needs libeccodes-tools and python3-numpy.
"""
import hashlib, json, os, subprocess, sys
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
for name in ["dwd-cosmo-simple.grib2", "eta-multi-field.grib2"]:
    path = os.path.join(sys.argv[1], name)
    keys = "discipline,parameterCategory,parameterNumber,typeOfLevel,level,endStep"
    listed = subprocess.run(["grib_get", "-p", keys, path], check=True, capture_output=True, text=True).stdout.split("\n")
    printed = subprocess.run(["grib_get_data", "-F", "%.17g", path], check=True, capture_output=True, text=True).stdout
    fields = []
    for line, block in zip([l for l in listed if l], printed.split("Latitude Longitude Value\n")[1:]):
        data = np.array([l.split()[2] for l in block.splitlines() if l], dtype="f8").astype("<f4")
        parts = line.split()
        fields.append({"parameter": "/".join(parts[:3]), "typeOfLevel": parts[3], "level": float(parts[4]), "step": float(parts[5]),
                       "points": len(data), "sha256": hashlib.sha256(data.tobytes()).hexdigest()})
    with open(os.path.join(here, "expected", name + ".json"), "w") as f:
        json.dump(fields, f, indent=0)
        f.write("\n")
