"""Writes what a pool of workers leaves behind after a crash: worker_<n>.h5, one sound and the others damaged."""
import struct

import h5py
import numpy

ROWS = 10


def worker(n, aep=numpy.ones(ROWS), **layout):
    name = f"worker_{n}.h5"
    with h5py.File(name, "w") as f:
        f["farm_id"] = numpy.arange(ROWS, dtype="i4")
        f.create_dataset("farm_type", data=["V80"] * ROWS, dtype=h5py.string_dtype())
        f["seed"] = numpy.arange(ROWS)
        positions = numpy.zeros((ROWS, 5, 2))
        positions[:, 3:] = numpy.nan  # a farm of three turbines
        f.create_dataset("layout", data=positions, **layout)
        if aep is not None:
            f["aep"] = aep
    return name


def edit(name, change):
    with open(name, "rb") as f:
        data = bytearray(f.read())
    change(data)
    with open(name, "wb") as f:
        f.write(data)


def replace(old, new):
    def change(data):
        at = data.index(old)
        data[at:at + len(new)] = new
    return change


worker(0)
worker(1, aep=numpy.ones(ROWS - 1))
worker(2, aep=None)
worker(3, aep=numpy.where(numpy.arange(ROWS) == 7, numpy.nan, 1.0))


def truncate(data):
    del data[2048:]


edit(worker(4), truncate)
open("worker_5.h5", "wb").close()
with open("worker_6.h5", "w") as f:
    f.write("Killed\n")

compressed = worker(7, chunks=(4, 5, 2), compression="gzip")
with h5py.File(compressed) as f:
    place = f["layout"].id.get_chunk_info(1)
edit(compressed, lambda data: data.__setitem__(slice(place.byte_offset, place.byte_offset + 8), bytes(8)))

# A chunk of two bytes with a checksum of four: libhdf5 reads before its buffer.
checksummed = worker(8, chunks=(4, 5, 2), fletcher32=True)
with h5py.File(checksummed) as f:
    size = f["layout"].id.get_chunk_info(0).size
edit(checksummed, replace(struct.pack("<II", size, 0) + bytes(4 * 8), struct.pack("<I", 2)))
