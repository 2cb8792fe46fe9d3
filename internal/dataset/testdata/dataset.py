"""Reads a dataset of 120 tasks with h5py: `complete`, or with the failures of
tasks 0, 7 and 119 `dropped` or `kept`; stored as `contiguous`, `chunked` or
`gzip`, of level 1."""
import hashlib
import os
import sys

import h5py
import numpy as np

path, kind, storage = sys.argv[1:]
failed = [] if kind == "complete" else [0, 7, 119]
tasks = [i for i in range(120) if kind != "dropped" or i not in failed]
n = len(tasks)


def scales(d):
    return [d.dims[i][0].name for i in range(d.ndim)]


def check_seed_rules(f):
    """What a merge of worker files has always asked of a file."""
    assert os.path.getsize(path) > 0
    for name in ("farm_id", "farm_type", "seed", "layout", "aep"):
        assert name in f and len(f[name]) == n, name


def check_root(f):
    assert f.attrs["Conventions"] == "CF-1.10"
    assert f.attrs["title"] == "test" and f.attrs["source"] == "computed by a test"
    assert f.attrs["windrow_version"] == "v0.0.0-test"
    assert f.attrs["run_digest"] == "ab" * 32
    assert f.attrs["spec"] == '{"version":1,"name":"test"}'
    assert f.attrs["task_count"] == 120 and f.attrs["failed_count"] == len(failed)
    assert f.attrs["windrow_format"] == 1


def check_columns(f):
    assert f["task"].dtype == np.int64 and list(f["task"]) == tasks
    assert f["seed"].dtype == np.int32 and f["seed"][-1] == 1000 + tasks[-1] // 60
    assert list(f["farm_id"]) == [i % 10 for i in tasks]
    assert f["layout"].shape == (n, 5, 2) and f["layout"].dtype == np.float64
    assert f["feasible"].dtype == np.int8 and f["feasible"].attrs["flag_meanings"] == "false true"
    assert f["model"].dtype == "S7"
    assert dict(f["aep"].attrs)["units"] == "GWh"
    assert f["layout"].attrs["description"] == "NaN after n_turbines"
    for row, task in enumerate(tasks):
        if task in failed:
            check_failed_row(f, row)
            continue
        assert f["aep"][row] == 10 + task / 7
        assert f["layout"][row, 0, 0] == task and np.isnan(f["layout"][row, 4, 1])
        assert f["model"][row] == b"jensen" and f["feasible"][row] == (task % 2 == 0)


def check_storage(f):
    for name in f:
        if not isinstance(f[name], h5py.Dataset):
            continue
        d = f[name]
        if storage == "contiguous" or name in ("turbine", "xy"):
            assert d.chunks is None and d.compression is None and d.maxshape == d.shape, name
            continue
        assert d.chunks == (n,) + d.shape[1:] and d.maxshape == (None,) + d.shape[1:], name
        if storage == "gzip":
            assert (d.compression, d.compression_opts, d.shuffle, d.fletcher32) == ("gzip", 1, True, True), name
        else:
            assert (d.compression, d.shuffle, d.fletcher32) == (None, False, False), name


def check_failed_row(f, row):
    assert np.isnan(f["aep"][row]) and np.isnan(f["layout"][row]).all()
    assert f["n_turbines"][row] == f["n_turbines"].attrs["_FillValue"][0] == -(2**31)
    assert f["feasible"][row] == f["feasible"].attrs["_FillValue"][0] == -128
    assert f["model"][row] == b"" and f["status"][row] > 0


def check_scales(f):
    assert scales(f["aep"]) == ["/row"]
    assert scales(f["layout"]) == ["/row", "/turbine", "/xy"]
    assert h5py.h5ds.is_scale(f["row"].id) and list(f["row"]) == list(range(n))
    assert list(f["turbine"]) == [0, 1, 2, 3, 4] and list(f["xy"]) == [0, 1]


def check_status(f):
    assert ("status" in f) == (kind == "kept")
    if kind == "kept":
        want = np.zeros(120)
        want[[0, 7, 119]] = [1, 3, 5]
        assert f["status"].dtype == np.int8 and (f["status"][:] == want).all()
        assert f["status"].attrs["flag_meanings"] == "ok error crash timeout invalid_output lost"
        assert list(f["status"].attrs["flag_values"]) == [0, 1, 2, 3, 4, 5]
    assert ("_FillValue" in f["aep"].attrs) == (kind == "kept")
    assert "_FillValue" not in f["seed"].attrs


def check_failures(f):
    assert ("failed" in f) == bool(failed)
    if not failed:
        return
    g = f["failed"]
    assert list(g["index"]) == failed
    assert list(g["farm_id"]) == [0, 7, 9] and list(g["seed"]) == [1000, 1000, 1001]
    assert list(g["class"]) == [b"error", b"timeout", b"lost"]
    assert list(g["class_code"]) == [0, 2, 4]
    assert g["class_code"].attrs["flag_meanings"].split()[2] == "timeout"
    assert list(g["message"]) == [b"bad site in <path>", b"no answer", b""]
    assert scales(g["class"]) == ["/failed/failure"]


def check_manifest(f):
    manifest = dict(zip(f["manifest/name"], f["manifest/sha256"]))
    assert b"." in manifest and b"aep" in manifest
    for name, digest in manifest.items():
        if name != b".":
            content = np.ascontiguousarray(f[name.decode()][:]).tobytes()
            assert hashlib.sha256(content).hexdigest().encode() == digest, name


with h5py.File(path, "r") as f:
    for check in (check_seed_rules, check_root, check_columns, check_storage, check_scales, check_status, check_failures, check_manifest):
        check(f)
