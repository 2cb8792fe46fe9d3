"""A program for mode exec that leaves result.h5 as its argument says."""
import os
import sys

import h5py
import numpy as np

mode = sys.argv[1]
grid = np.arange(6.0).reshape(2, 3)
if mode == "link":
    os.symlink("elsewhere.h5", "result.h5")
    sys.exit()
if mode == "both":
    with open("result.json", "w") as f:
        f.write("{}")
with h5py.File("result.h5", "w") as f:
    if mode == "wrong_shape":
        f["value"] = grid.T
    elif mode == "huge":
        f.create_dataset("value", (10**9, 10**6), "f8", chunks=(1, 10**6))
    elif mode == "infinite":
        f["value"] = grid / (grid != 3)
    elif mode == "text":
        f["value"] = "six numbers"
    elif mode == "compound":
        f["value"] = np.zeros(6, [("x", "f8"), ("y", "f8")])
    elif mode == "unsigned":
        f["value"] = np.array([[0, 1, 2], [3, 4, 2**64 - 1]], "u8")
    elif mode == "extra":
        f["value"] = grid
        f["valeu"] = grid
    elif mode == "group":
        f["value/x"] = grid
    elif mode == "float32":
        f.create_dataset("value", data=grid, dtype=">f4", chunks=(1, 3), compression="gzip")
    elif mode == "scales":
        f["value"] = grid
        f["x"] = np.arange(3)
        f["x"].make_scale("x")
        f["value"].dims[1].attach_scale(f["x"])
    elif mode == "texts":
        f["value"] = "jensen"
    elif mode == "fixed":
        f["value"] = np.bytes_("jensen")
    elif mode == "one":
        f["value"] = [7]
    elif mode != "missing":
        f["value"] = grid
if mode == "truncated":
    with open("result.h5", "r+b") as f:
        f.truncate(os.path.getsize("result.h5") - 40)
elif mode == "junk":
    with open("result.h5", "wb") as f:
        f.write(b"not HDF5" * 100)
