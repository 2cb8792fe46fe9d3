"""Checks that windrow merge keeps attributes that are arrays of numbers."""
import sys

import h5py

with h5py.File(sys.argv[1]) as f:
    flags = f["aep"].attrs["flags"]
    assert flags.dtype == "i2" and list(flags) == [1, 2, 3], flags
