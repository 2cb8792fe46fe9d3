"""AEP of the IEA 37 farms with PyWake 2.6 behind windrow's protocol."""
import json, sys, traceback

answers, sys.stdout = sys.stdout, sys.stderr    # what PyWake prints is the task's log
import numpy as np
from py_wake.deficit_models.noj import NOJDeficit
from py_wake.examples.data.iea37 import IEA37Site, IEA37_WindTurbines
from py_wake.superposition_models import SquaredSum
from py_wake.wind_farm_models import PropagateDownwind

turbines, directions = IEA37_WindTurbines(), np.arange(0, 360, 22.5)

def simulate(p):
    site = IEA37Site(p["turbines"])             # 9, 16, 36 or 64, with their positions
    farm = PropagateDownwind(site, turbines, NOJDeficit(k=p["k"]), superpositionModel=SquaredSum())
    x, y = site.initial_position.T
    flow = farm(x, y, wd=directions, ws=[9.8])
    aep = float(flow.aep(normalize_probabilities=True).sum())
    return {"aep": aep, "wake_loss": 1 - aep / float(flow.aep(normalize_probabilities=True, with_wake_loss=False).sum())}

for line in sys.stdin:
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:
        reply["result"] = simulate(task["params"])
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}
    print(json.dumps(reply), file=answers, flush=True)
