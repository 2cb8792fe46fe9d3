"""Stands in for FLORIS where it is not installed: the calls of examples/004-floris, and energy without physics."""
import copy
import csv


class WindRose:
    @staticmethod
    def read_csv_long(path, ws_col, wd_col, freq_col, ti_col_or_value):
        with open(path) as f:
            total = sum(float(row[freq_col]) for row in csv.DictReader(f) if float(row[ws_col]) > 0 and float(row[wd_col]) >= 0)
        assert abs(total - 1) < 1e-6 and ti_col_or_value == 0.06
        return WindRose()


class FlorisModel:
    @staticmethod
    def get_defaults():
        return copy.deepcopy({"wake": {"model_strings": {"velocity_model": "gauss"}}, "flow_field": {}})

    def __init__(self, config):
        self.velocity = config["wake"]["model_strings"]["velocity_model"]
        print("a greeting that is no answer")

    def set(self, layout_x, layout_y, wind_data):
        assert isinstance(wind_data, WindRose) and layout_x.shape == layout_y.shape
        self.turbines, self.width = len(layout_x), layout_x.max()

    def run(self):
        self.loss = {"jensen": 100, "gauss": 50}[self.velocity] / self.width

    def run_no_wake(self):
        self.loss = 0

    def get_farm_AEP(self):
        return 24e9 * self.turbines * (1 - self.loss)
