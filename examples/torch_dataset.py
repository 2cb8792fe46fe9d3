"""A dataset of wind farms for PyTorch: positions of the turbines in, annual energy out.

    from torch_dataset import Farms
    loader = torch.utils.data.DataLoader(Farms("tenders.h5"), batch_size=64, shuffle=True, num_workers=2)
"""
import h5py
import numpy as np
import torch


class Farms(torch.utils.data.Dataset):
    """Items are (layout [turbine, xy] in km from the farm's middle, mask [turbine], aep in GWh)."""

    def __init__(self, path):
        self.path, self.file = path, None
        with h5py.File(path) as f:
            self.rows = np.flatnonzero(np.isfinite(f["aep"][:]))     # tasks that failed have no energy

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        if self.file is None:                                        # one file handle for each worker process
            self.file = h5py.File(self.path)
        row = self.rows[i]
        layout = torch.from_numpy(self.file["layout"][row] / 1e3)
        mask = torch.isfinite(layout[:, 0])
        layout = torch.nan_to_num(layout - layout[mask].mean(0)).float()
        return layout, mask, torch.tensor(self.file["aep"][row], dtype=torch.float32)
