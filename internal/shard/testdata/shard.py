"""Reads a shard of three rows with h5py, and with the checks that a pool of
workers writing HDF5 has always needed."""
import os
import sys

import h5py
import numpy as np

path = sys.argv[1]
assert os.path.getsize(path) > 0
with h5py.File(path, "r") as f:
    lengths = {name: len(f[name]) for name in ("farm_id", "farm_type", "seed", "layout", "aep")}
    assert set(lengths.values()) == {3}, lengths
    assert len(f.attrs["run_digest"]) == 64
    assert f["task"].dtype == np.int64 and list(f["task"]) == [0, 1, 2]
    assert f["farm_id"].dtype == np.int32 and list(f["farm_id"]) == [0, 1, 2]
    assert f["layout"].shape == (3, 5, 2) and f["layout"].dtype == np.float64
    assert f["layout"][2, 0, 0] == 2 and np.isnan(f["layout"][2, 4, 1])
    assert f["layout"].chunks is None and f["layout"].attrs["units"] == "m"
    assert f["ratio"].dtype == np.float32 and f["ratio"][0] == 0.25
    assert list(f["feasible"]) == [1, 0, 1]
    assert f["feasible"].attrs["flag_meanings"] == "false true"
    assert list(f["quality"].attrs["flag_values"]) == [0, 1]
    assert f["quality"].attrs["flag_values"].dtype == f["quality"].dtype
    assert f["model"].dtype == "S7" and f["model"][1] == b"jensen"
