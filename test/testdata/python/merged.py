"""Checks what windrow merge made of the files of ragged.py."""
import sys

import h5py
import numpy

order = {"files": [13, 12, 11, 10, 2, 1, 0, 15, 14], "key": [10, 11, 12, 13, 14, 15, 0, 1, 2]}[sys.argv[2]]
sizes = {s: 100 if s < 3 else 66 if s < 14 else 70 for s in order}
with h5py.File(sys.argv[1]) as f:
    assert f["seed"].dtype == "u4" and list(f["seed"]) == order, list(f["seed"])
    assert f["farm_id"].dtype == "i2" and set(f["farm_id"]) == {3}
    assert list(f["aep"]) == [s / 2 for s in order] and f["aep"].attrs["units"] == "GWh"
    assert f["feasible"].dtype == bool and list(f["feasible"]) == [s % 2 == 0 for s in order]
    assert f["layout"].shape == (9, 100, 2)
    for row, seed in zip(f["layout"], order):
        n = sizes[seed]
        start = {100: 2 - seed, 66: 13 - seed, 70: 15 - seed}[n]
        assert (row[:n].ravel() == numpy.arange(2 * n) + 2 * n * start + 1000 * seed).all(), seed
        assert numpy.isnan(row[n:]).all()
    types = [t.decode() for t in f["farm_type"]]
    assert types == [f"V{80 + sizes[s]}" for s in order], types
    assert (h5py.check_string_dtype(f["farm_type"].dtype).length is None) == (len(sys.argv) > 3)
    assert f.attrs["campaign"] == "northsea"
