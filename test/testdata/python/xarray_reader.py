"""Reads a dataset with xarray, as people in this field do. Argument: dataset"""

import sys

import numpy as np
import xarray

path = sys.argv[1]
with xarray.open_dataset(path, engine="h5netcdf") as ds:
    assert dict(ds.sizes) == {"row": 12, "turbine": 100, "xy": 2, "direction": 36}, ds.sizes
    assert ds["layout"].dims == ("row", "turbine", "xy") and ds["layout"].attrs["units"] == "m"
    assert ds["aep"].dims == ("row",) and ds["direction_aep"].dims == ("row", "direction")
    assert ds["row"].values.tolist() == list(range(12)) == ds["task"].values.tolist()
    one = ds[["aep", "n_turbines"]].where((ds.farm_id == 1) & (ds.farm_type == 0), drop=True)
    assert one.sizes["row"] == 3 and np.isfinite(one["aep"]).all()
    assert ds.attrs["Conventions"] == "CF-1.10"
    frame = ds[["farm_id", "farm_type", "seed", "aep"]].to_dataframe()
    assert len(frame) == 12 and (frame["aep"] > 0).all()
    assert np.allclose(ds["direction_aep"].sum("direction"), ds["aep"])
