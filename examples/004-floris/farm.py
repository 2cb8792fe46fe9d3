"""AEP of a square farm with FLORIS 4 behind windrow's protocol."""
import json, sys, traceback

answers, sys.stdout = sys.stdout, sys.stderr    # what FLORIS prints is the task's log
import numpy as np
from floris import FlorisModel, WindRose

rose = WindRose.read_csv_long(sys.argv[1], ws_col="ws", wd_col="wd", freq_col="freq_val", ti_col_or_value=0.06)

def model(velocity):
    config = FlorisModel.get_defaults()
    config["wake"]["model_strings"].update(velocity_model=velocity, deflection_model="jimenez" if velocity == "jensen" else "gauss")
    for extra in ("enable_secondary_steering", "enable_yaw_added_recovery", "enable_transverse_velocities"):
        config["wake"][extra] = False           # they cost time, and nothing is yawed
    config["flow_field"].update(wind_directions=[270.0], wind_speeds=[8.0], turbulence_intensities=[0.06], reference_wind_height=90.0)
    return FlorisModel(config)

models = {velocity: model(velocity) for velocity in ("jensen", "gauss")}

def simulate(p):
    m, step = models[p["wake"]], 125.88 * p["spacing"]      # rotor diameters of the NREL 5 MW turbine
    x, y = np.meshgrid(step * np.arange(p["side"]), step * np.arange(p["side"]))
    m.set(layout_x=x.ravel(), layout_y=y.ravel(), wind_data=rose)
    m.run()
    aep = m.get_farm_AEP() / 1e9
    m.run_no_wake()
    return {"aep": aep, "wake_loss": 1 - aep / (m.get_farm_AEP() / 1e9)}

for line in sys.stdin:
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:
        reply["result"] = simulate(task["params"])
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}
    print(json.dumps(reply), file=answers, flush=True)
