"""Loads a dataset of windrow's with h5py and numpy, and says what is in it.

    python3 examples/load.py tenders.h5
"""
import sys

import h5py
import numpy as np


def load(path):
    """Returns the columns, by name, and the attributes of the file; rows of failed tasks are left out."""
    with h5py.File(path) as f:
        rows = slice(None)
        if "status" in f:                            # failures.rows: keep
            rows = f["status"][:] == 0
        columns = {name: d[:][rows] for name, d in f.items()
                   if isinstance(d, h5py.Dataset) and d.attrs.get("CLASS", b"") != b"DIMENSION_SCALE"}
        failed = f["failed/index"][:].tolist() if "failed" in f else []
        return columns, dict(f.attrs), failed


if __name__ == "__main__":
    columns, about, failed = load(sys.argv[1])
    print(f"{about['title']}: {len(columns['task'])} of {about['task_count']} tasks, {len(failed)} failed")
    print(f"source: {about['source']}")
    for name, values in columns.items():
        kind = values.dtype.kind
        span = f"{np.nanmin(values):.6g} to {np.nanmax(values):.6g}" if kind in "fi" and values.size else values.dtype
        print(f"  {name:16} {values.dtype!s:8} {values.shape} {span}")
