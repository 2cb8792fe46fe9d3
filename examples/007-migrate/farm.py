"""The model, as it was before and is after: it knows nothing of pools or of windrow."""
import numpy as np


def simulate_farm(farm_id, farm_type, seed):
    rng = np.random.default_rng([farm_id, farm_type, seed])
    turbines = 10 + 5 * farm_type
    layout = np.full((25, 2), np.nan)
    layout[:turbines] = rng.uniform(0, 5000, (turbines, 2))
    spacing = np.sort(layout[:turbines, 0]).ptp() / turbines
    return layout, 38.0 * turbines * (1 - np.exp(-spacing / 400))
