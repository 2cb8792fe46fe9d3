"""Makes the files of others that mutants are made of, and says where in a file what lies.

Arguments: directory file...

Writes into the directory a file of 48 farms for each layout and each format of HDF5, early and V110. Prints JSON with, for
each of them and of the files: the extents of the data; and of each chunk its address, its size, and the rank of its dataset.
"""

import json
import os
import sys

import h5py
import numpy as np

ROWS, CHUNK = 48, 16
LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "shuffle": True},
    "fletcher": {"chunks": True, "fletcher32": True},
    "gzip-fletcher": {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True},
}


def columns():
    random = np.random.default_rng(7)
    turbines = random.integers(5, 13, ROWS)
    layout = random.uniform(0, 5000, (ROWS, 12, 2))
    for row, n in enumerate(turbines):
        layout[row, n:] = np.nan
    return {
        "farm_id": np.arange(ROWS, dtype="i4"),
        "farm_type": np.array([b"grid", b"staggered", b"random"] * (ROWS // 3), dtype="S16"),
        "seed": random.integers(0, 2**31, ROWS),
        "layout": layout,
        "aep": random.uniform(100, 1000, ROWS),
    }


def write(path, layout, how):
    low, high = ("earliest", "v108") if layout == "early" else ("v110", "v110")
    with h5py.File(path, "w", libver=(low, high)) as f:
        for name, values in columns().items():
            options = dict(how)
            if options.pop("chunks", False):
                options["chunks"] = (CHUNK, *values.shape[1:])
            f.create_dataset(name, data=values, **options)


def places(path):
    data, chunks = [], []

    def note(_, d):
        if not isinstance(d, h5py.Dataset) or d.shape == () or 0 in d.shape:
            return
        if d.chunks is None:
            data.append([d.id.get_offset(), d.id.get_storage_size()])
            return
        for i in range(d.id.get_num_chunks()):
            c = d.id.get_chunk_info(i)
            data.append([c.byte_offset, c.size])
            chunks.append({"Address": c.byte_offset, "Size": c.size, "Rank": d.ndim})

    with h5py.File(path) as f:
        f.visititems(note)
    return {"Data": data, "Chunks": chunks}


directory, *files = sys.argv[1:]
for form in ("early", "v110"):
    for layout, how in LAYOUTS.items():
        files.append(os.path.join(directory, f"{layout}-{form}.h5"))
        write(files[-1], form, how)
print(json.dumps({path: places(path) for path in files}))
