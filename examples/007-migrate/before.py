"""A pool of processes, an HDF5 file for each of them, and a merge at the end."""
import glob, itertools, multiprocessing, os
import h5py, numpy as np
from farm import simulate_farm

TASKS = list(itertools.product(range(3), range(3), range(1, 5)))
MAX_ALLOWED_FAILURES = 0


def worker(tasks):
    path = f"worker_{os.getpid()}.h5"
    with h5py.File(path, "a") as f:        # a crash here leaves a file that does not open
        for farm_id, farm_type, seed in tasks:
            layout, aep = simulate_farm(farm_id, farm_type, seed)
            group = f.create_group(f"{farm_id}_{farm_type}_{seed}")
            group["layout"], group["aep"] = layout, aep
    return path


def merge(output):
    layouts, aeps, failures = {}, {}, 0
    for path in glob.glob("worker_*.h5"):
        try:
            with h5py.File(path) as f:
                for name, group in f.items():
                    key = tuple(int(part) for part in name.split("_"))
                    layouts[key], aeps[key] = group["layout"][:], group["aep"][()]
        except OSError as e:               # file signature not found: all its tasks are gone
            print(path, e)
            failures += 1
    if failures > MAX_ALLOWED_FAILURES:
        raise SystemExit(f"{failures} corrupt files")
    missing = [key for key in TASKS if key not in aeps]
    if missing:
        raise SystemExit(f"missing: {missing}")
    with h5py.File(output, "w") as f:
        for i, name in enumerate(["farm_id", "farm_type", "seed"]):
            f[name] = np.array([key[i] for key in TASKS])
        f["layout"] = np.array([layouts[key] for key in TASKS])
        f["aep"] = np.array([aeps[key] for key in TASKS])
    for path in glob.glob("worker_*.h5"):
        os.remove(path)


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        pool.map(worker, [TASKS[i::2] for i in range(2)], chunksize=1)
    merge("before.h5")
