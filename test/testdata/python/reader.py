"""Reads a dataset and its shards as somebody who does not know windrow would:
with h5py. Arguments: the dataset, then shards."""

import sys

import h5py
import numpy as np

dataset, shards = sys.argv[1], sys.argv[2:]

WANTED = {
    "task": ("<i8", 1), "farm_id": ("<i4", 1), "farm_type": ("<i4", 1), "seed": ("<i4", 1),
    "layout": ("<f8", 3), "aep": ("<f8", 1), "aep_nowake": ("<f8", 1), "wake_loss": ("<f8", 1),
    "capacity_factor": ("<f8", 1), "n_turbines": ("<i4", 1), "turbine_aep": ("<f8", 2),
}


def check_worker_file(path):
    """The checks that the first pipeline made before it merged a file."""
    with h5py.File(path, "r") as f:
        lengths = {name: len(f[name]) for name in ("farm_id", "farm_type", "seed", "layout", "aep")}
    assert len(set(lengths.values())) == 1, lengths
    return lengths["aep"]


with h5py.File(dataset, "r") as f:
    rows = f["task"].shape[0]
    for name, (dtype, rank) in WANTED.items():
        d = f[name]
        assert d.dtype == np.dtype(dtype), (name, d.dtype)
        assert d.ndim == rank and d.shape[0] == rows, (name, d.shape)
        assert d.attrs["long_name"], name
    assert list(f["task"][:]) == list(range(rows))
    assert list(zip(f["farm_id"][:], f["farm_type"][:], f["seed"][:])) == [
        (i, t, s) for i in range(2) for t in range(2) for s in range(1, 4)
    ]
    n = f["n_turbines"][:]
    layout = f["layout"][:]
    turbine_aep = f["turbine_aep"][:]
    for i in range(rows):
        assert np.isfinite(layout[i, : n[i]]).all() and np.isnan(layout[i, n[i] :]).all(), i
        assert np.isclose(turbine_aep[i, : n[i]].sum(), f["aep"][i], rtol=1e-12), i
    assert (f["aep"][:] < f["aep_nowake"][:]).all() and (f["aep"][:] > 0).all()
    assert np.allclose(1 - f["aep"][:] / f["aep_nowake"][:], f["wake_loss"][:])
    assert f["aep"].attrs["units"] == "GWh" and f["layout"].attrs["units"] == "m"
    assert f.attrs["task_count"] == rows and f.attrs["Conventions"] and f.attrs["source"]
    assert f["layout"].dims[0].keys() == ["row"] and f["layout"].dims[1].keys() == ["turbine"]
    assert "failed" not in f and "manifest" in f

assert check_worker_file(dataset) == rows
print("dataset", rows)
print("shards", sum(check_worker_file(s) for s in shards))
