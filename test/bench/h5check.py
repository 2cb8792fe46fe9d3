"""Files of other programs for check.sh, and what windrow's check of them is compared with.

make DIR KIND FILES ROWS    files of farms: contiguous, chunked or gzip (level 4, shuffle), 256 rows in a chunk
read FILE...                reads all of them with h5py, and looks for numbers that are not finite
"""

import os
import sys

import h5py
import numpy as np

KINDS = {"contiguous": {}, "chunked": {"chunks": True}, "gzip": {"chunks": True, "compression": "gzip", "shuffle": True}}


def columns(random, rows):
    turbines = random.integers(20, 101, rows)
    layout = random.uniform(0, 5000, (rows, 100, 2))
    layout[np.arange(100)[None, :] >= turbines[:, None]] = np.nan
    return {
        "farm_id": np.arange(rows),
        "farm_type": np.array([b"grid"] * rows, "S16"),
        "seed": random.integers(0, 2**31, rows),
        "layout": layout,
        "aep": random.uniform(0, 1000, rows),
    }


def make(directory, kind, files, rows):
    os.mkdir(directory)
    random = np.random.default_rng(7)
    for i in range(int(files)):
        with h5py.File(os.path.join(directory, f"worker_{i:04}.h5"), "w") as f:
            for name, values in columns(random, int(rows)).items():
                how = dict(KINDS[kind])
                if how.pop("chunks", False):
                    how["chunks"] = (min(256, int(rows)), *values.shape[1:])
                f.create_dataset(name, data=values, **how)


def read(*files):
    for name in files:
        with h5py.File(name) as f:
            lengths = {len(f[column][:]) for column in f}
            assert len(lengths) == 1 and np.isfinite(f["aep"][:]).all(), name


{"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
