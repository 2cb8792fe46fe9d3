"""Reads a dataset of 120 tasks, kind x seed, with h5py and netCDF4, and appends
to a copy of it with h5py where its storage allows that."""

import shutil
import sys

import h5py
import netCDF4
import numpy as np

path, storage = sys.argv[1:]
seeds = list(range(1, 61)) * 2

with h5py.File(path, "r") as f:
    value = f["value"][:]
    assert list(f["task"]) == list(f["row"]) == list(range(120))
    assert list(f["seed"]) == seeds and np.isfinite(value).all()
    assert list(f["kind"]) == [b"onshore"] * 60 + [b"offshore"] * 60

# Debian's netCDF4 crashes on texts of fixed length, so it reads the numbers.
with netCDF4.Dataset(path) as f:
    assert f.dimensions["row"].size == 120
    assert f.dimensions["row"].isunlimited() == (storage != "contiguous")
    assert f["value"].dimensions == ("row",)
    assert list(f["seed"][:]) == seeds and (f["value"][:] == value).all()
    assert list(f["kind_code"][:]) == [0] * 60 + [1] * 60

if storage == "contiguous":
    sys.exit()
longer = path + ".longer"
shutil.copy(path, longer)
with h5py.File(longer, "r+") as f:
    f["value"].resize(1000, axis=0)
    f["value"][120:] = 7
with h5py.File(longer, "r") as f:
    assert (f["value"][:120] == value).all() and (f["value"][120:] == 7).all()
