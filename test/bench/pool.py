"""What windrow is compared with: a pool of processes, an HDF5 file for each,
and a merge at the end. It has no promises: a crash costs the campaign.

Arguments: farms types seeds seconds-per-task processes output
"""

import itertools
import multiprocessing
import os
import sys
import time

import h5py
import numpy as np

farms, types, seeds, seconds, processes, output = sys.argv[1:]
COLUMNS = ("task", "farm_id", "farm_type", "seed", "value")


def start(folder):
    global file, rows
    file = h5py.File(os.path.join(folder, f"worker_{os.getpid()}.h5"), "w")
    rows = {c: file.create_dataset(c, (0,), "f8" if c == "value" else "i8", maxshape=(None,)) for c in COLUMNS}


def compute(task):
    index, (farm, kind, seed) = task
    time.sleep(float(seconds))
    row = (index, farm, kind, seed, (farm * 31 + kind * 7 + seed) % 97 / 97)
    for name, value in zip(COLUMNS, row):
        rows[name].resize(rows[name].shape[0] + 1, axis=0)
        rows[name][-1] = value
    file.flush()


def merge(folder):
    parts = []
    for name in sorted(os.listdir(folder)):
        with h5py.File(os.path.join(folder, name)) as f:
            parts.append({c: f[c][:] for c in COLUMNS})
    order = np.argsort(np.concatenate([p["task"] for p in parts]))
    with h5py.File(output, "w") as f:
        for c in COLUMNS:
            f[c] = np.concatenate([p[c] for p in parts])[order]


if __name__ == "__main__":
    tasks = enumerate(itertools.product(range(int(farms)), range(int(types)), range(1, int(seeds) + 1)))
    folder = output + ".workers"
    os.makedirs(folder)
    with multiprocessing.Pool(int(processes), start, (folder,)) as pool:
        for _ in pool.imap_unordered(compute, tasks, chunksize=16):
            pass
        pool.close()
        pool.join()
    merge(folder)
