"""A pool of workers as many have it, each with a file of its own; some are killed, as by the kernel. Prints the tasks."""
import os
import signal
import sys

import h5py
import numpy

TYPES = ["V80", "V90"]
TASKS = [(farm, kind, seed) for farm in range(3) for kind in TYPES for seed in range(10)]


def positions(farm, seed):
    return [[seed, turbine / 8] for turbine in range(3 + farm)]


def rows(tasks):
    text = h5py.string_dtype()
    layout = numpy.full((len(tasks), 5, 2), numpy.nan)
    for row, (farm, _, seed) in zip(layout, tasks):
        row[:3 + farm] = positions(farm, seed)
    return {
        "farm_id": numpy.array([t[0] for t in tasks], "i4"), "farm_type": numpy.array([t[1] for t in tasks], text),
        "seed": numpy.array([t[2] for t in tasks]), "layout": layout, "aep": numpy.array([t[0] + t[2] / 4 for t in tasks]),
    }


def worker(name, tasks, killed=None, flushed=False):
    """Appends rows to datasets in two batches. Killed, it leaves what is written by then."""
    if os.fork() == 0:
        f = h5py.File(name, "w")
        half = len(tasks) // 2
        for batch in (tasks[:half], tasks[half:]):
            for column, values in rows(batch).items():
                if column not in f:
                    f.create_dataset(column, data=values, maxshape=(None, *values.shape[1:]), chunks=(4, *values.shape[1:]))
                else:
                    f[column].resize(len(f[column]) + len(values), axis=0)
                    f[column][-len(values):] = values
                if killed == column and batch == tasks[half:]:
                    os.kill(os.getpid(), signal.SIGKILL)
            if flushed:
                f.flush()
        f.close()
        os._exit(0)
    os.wait()


worker("worker_0.h5", TASKS[:12])
worker("worker_1.h5", TASKS[12:24])
worker("worker_2.h5", TASKS[24:36], killed="seed", flushed=True)
worker("worker_3.h5", TASKS[36:48], killed="aep")

# A file that was being copied when the disk was full, and one with a bad sector.
worker("worker_4.h5", TASKS[46:54])
with open("worker_4.h5", "r+b") as f:
    f.truncate(3000)
worker("worker_5.h5", TASKS[48:60])
with h5py.File("worker_5.h5", "r+") as f:
    f["aep"][1] = numpy.nan
with h5py.File("worker_5.h5") as f:
    layout = f["layout"].id.get_chunk_info(1)
with h5py.File("compressed.h5", "w") as f:
    for column, values in rows(TASKS[48:60]).items():
        f.create_dataset(column, data=values, chunks=(4, *values.shape[1:]), compression=None if column == "farm_type" else "gzip")
with h5py.File("compressed.h5") as f:
    place = f["layout"].id.get_chunk_info(1)
with open("compressed.h5", "r+b") as f:
    f.seek(place.byte_offset)
    f.write(bytes(8))

# One group for each task.
with h5py.File("groups.h5", "w") as f:
    for farm, kind, seed in TASKS[36:40]:
        group = f.create_group(f"farm{farm}_t{TYPES.index(kind)}_s{seed}")
        group["layout"] = numpy.array(positions(farm, seed), "f4").T
        group["aep"] = farm + seed / 4
        group.attrs["farm_type"] = kind

with open("tasks.csv", "w") as f:
    print("farm_id,farm_type,seed", *(",".join(map(str, t)) for t in TASKS), sep="\n", file=f)
