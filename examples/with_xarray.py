"""Asks a dataset of wind farms with xarray: which type of turbine makes most of its power, and what wakes cost.

    python3 examples/with_xarray.py tenders.h5
"""
import sys

import xarray as xr

farms = xr.open_dataset(sys.argv[1], engine="h5netcdf")
needed = {"farm_type", "capacity_factor", "wake_loss", "aep", "layout"}
if not needed <= set(farms.variables):
    sys.exit(f"{sys.argv[1]} has no {', '.join(sorted(needed - set(farms.variables)))}: it is no dataset of a wind farm campaign")
print(dict(farms.sizes))

by_type = farms[["capacity_factor", "wake_loss"]].groupby(farms.farm_type).mean()
for farm_type, row in by_type.groupby("farm_type"):
    print(f"type {farm_type}: capacity factor {float(row.capacity_factor.item()):.4f}, wake loss {100 * float(row.wake_loss.item()):.2f} %")

best = farms.isel(row=int(farms.aep.argmax()))
turbines = best.layout.dropna("turbine")
print(f"most energy: task {int(best.task)}, {float(best.aep):.1f} {farms.aep.attrs['units']} from {turbines.sizes['turbine']} turbines")
