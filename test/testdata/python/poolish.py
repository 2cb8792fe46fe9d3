"""What a pool of workers with h5py does with its files, done with shards: is each valid, one file of all, and which tasks are
missing. Arguments: dataset, shards..."""

import os
import sys

import h5py
import numpy as np

REQUIRED = ["farm_id", "farm_type", "seed", "layout", "aep"]
dataset, shards = sys.argv[1], sys.argv[2:]


def rows_of(path):
    """The number of rows of a valid file, else an OSError, KeyError or ValueError."""
    if os.path.getsize(path) == 0:
        raise ValueError("empty")
    with h5py.File(path, "r") as f:
        lengths = {len(f[name]) for name in REQUIRED}  # a KeyError names what is missing
        if len(lengths) != 1:
            raise ValueError("unequal lengths")
        return lengths.pop()


total = sum(rows_of(path) for path in shards)
with h5py.File("merged.h5", "w") as out:
    at = 0
    for path in shards:
        with h5py.File(path, "r") as f:
            n = len(f["farm_id"])
            for name in f:
                if at == 0:
                    out.create_dataset(name, (total, *f[name].shape[1:]), f[name].dtype, maxshape=(None, *f[name].shape[1:]))
                out[name][at : at + n] = f[name][:]
            at += n
done = set()
with h5py.File("merged.h5", "r") as f, h5py.File(dataset, "r") as sealed:
    done = set(zip(f["farm_id"][:].tolist(), f["farm_type"][:].tolist(), f["seed"][:].tolist()))
    order = np.argsort(f["task"][:])
    for name in f:
        assert np.array_equal(f[name][:][order], sealed[name][:], equal_nan=f[name].dtype.kind == "f"), name
missing = [t for t in ((a, b, c) for a in range(2) for b in range(2) for c in range(1, 4)) if t not in done]
assert not missing and len(done) == total == 12, (missing, total)
