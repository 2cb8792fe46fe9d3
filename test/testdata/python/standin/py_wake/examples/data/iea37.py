import numpy as np


class IEA37Site:
    def __init__(self, turbines):
        assert turbines in (16, 36, 64)
        self.initial_position = np.zeros((turbines, 2))


class IEA37_WindTurbines:
    pass
