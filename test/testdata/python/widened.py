"""Checks numbers of different sizes that windrow merge brought together."""
import sys

import h5py

with h5py.File(sys.argv[1]) as f:
    assert f["seed"].dtype == "i8" and list(f["seed"]) == [13, 12, 11, 10, 21, 20, -1, 5], list(f["seed"])
    assert f["aep"].dtype == "f8" and list(f["aep"]) == [6.5, 6, 5.5, 5, 10.5, 10, 40.5, 40], list(f["aep"])
    assert f["farm_id"].dtype == "i2" and f["aep"].attrs["units"] == "GWh"
