"""Writes files of workers whose farms differ in size, and files that do not fit to them."""
import h5py
import numpy


def worker(name, first, rows, turbines, aep="f8", **more):
    with h5py.File(name, "w") as f:
        seeds = numpy.arange(first, first + rows)[::-1]
        f["farm_id"] = numpy.full(rows, 3, ">i2")
        f["farm_type"] = numpy.array([f"V{80 + turbines}"] * rows, dtype=h5py.string_dtype())
        f["seed"] = seeds.astype("u4")
        f["layout"] = numpy.arange(rows * turbines * 2, dtype="f8").reshape(rows, turbines, 2) + 1000 * seeds[:, None, None]
        f["aep"] = (seeds * 0.5).astype(aep)
        f["feasible"] = seeds % 2 == 0
        f["aep"].attrs["units"] = "GWh"
        f.attrs["campaign"] = "northsea"
        for key, value in more.items():
            f[key] = value


worker("a.h5", 10, 4, 66)
worker("b.h5", 0, 3, 100)
worker("c.h5", 12, 4, 70)  # two seeds of a.h5 again
worker("single.h5", 20, 2, 66, aep="f4")
worker("extra.h5", 30, 2, 66, wake=numpy.ones(2))
worker("pairs.h5", 40, 2, 66, pairs=numpy.zeros(2, numpy.dtype([("a", "f8"), ("b", "i4")])), note="of 2024")
worker("note.h5", 50, 2, 66, note="of 2025")
worker("worded.h5", 60, 2, 66, aep="S4")
worker("other.h5", 10, 4, 66)  # all seeds of a.h5, with other layouts
worker("mwh.h5", 70, 2, 66)
worker("short.h5", 80, 2, 66)
with h5py.File("note.h5", "a") as f:
    f["settings/model"] = "gauss"
    f["aep"].attrs["flags"] = numpy.array([1, 2, 3], "i2")
    f["aep"].attrs["names"] = ["a", "b"]
with h5py.File("other.h5", "a") as f:
    f["layout"][...] += 1
with h5py.File("mwh.h5", "a") as f:
    f["aep"].attrs["units"] = "MWh"
with h5py.File("short.h5", "a") as f:
    del f["seed"]
    f["seed"] = numpy.array([-1, 5], "i1")
