"""What the merger is compared with: worker files into one with h5py, row block
by row block in the order of the files, without a look at what they hold.

Arguments: grown|contiguous|gzip output worker-file...

grown is how such scripts usually begin: datasets that can grow, in chunks of
h5py's choice. contiguous and gzip (level 4, shuffle, 256 rows in a chunk) know
the number of rows.
"""

import os
import resource
import sys
import time

import h5py

mode, output, files = sys.argv[1], sys.argv[2], sys.argv[3:]
begun = time.monotonic()
lengths = []
for name in files:
    with h5py.File(name) as f:
        lengths.append(len(f["farm_id"]))
with h5py.File(output, "w") as out:
    at = 0
    for name, n in zip(files, lengths):
        with h5py.File(name) as f:
            for column in f:
                if at == 0:
                    shape = f[column].shape[1:]
                    how = {
                        "grown": {"maxshape": (None, *shape)},
                        "contiguous": {},
                        "gzip": {"chunks": (256, *shape), "compression": "gzip", "compression_opts": 4, "shuffle": True},
                    }[mode]
                    out.create_dataset(column, (sum(lengths), *shape), f[column].dtype, **how)
                out[column][at : at + n] = f[column][:]
        at += n
merged = time.monotonic() - begun
with open(output, "rb+") as f:
    os.fsync(f.fileno())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{merged:.3f} {time.monotonic() - begun:.3f} - - {peak:.0f}")
