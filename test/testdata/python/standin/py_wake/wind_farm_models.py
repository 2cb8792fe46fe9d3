import numpy as np


class PropagateDownwind:
    def __init__(self, site, turbines, deficit, superpositionModel):
        self.k = deficit.k

    def __call__(self, x, y, wd, ws):
        assert len(x) == len(y) and len(wd) == 16 and ws == [9.8]
        return Flow(len(x), self.k)


class Flow:
    def __init__(self, turbines, k):
        self.turbines, self.k = turbines, k

    def aep(self, normalize_probabilities, with_wake_loss=True):
        return np.full(self.turbines, 29.0 * (1 - self.k if with_wake_loss else 1))
