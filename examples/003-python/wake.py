"""Power of a row of turbines in each other's wakes, with numpy."""
import json, sys, traceback
import numpy as np

D, CT, K = 120.0, 0.8, 0.05                # rotor diameter in m, thrust, wake expansion

def simulate(p, rng):
    x = np.sort(rng.uniform(0, 5000, p["turbines"]))
    distance = x[:, None] - x[None, :]     # Jensen: a wake widens linearly
    deficit = np.where(distance > 0, (1 - np.sqrt(1 - CT)) / (1 + 2 * K * np.maximum(distance, 0) / D) ** 2, 0)
    speed = p["speed"] * (1 - np.sqrt((deficit ** 2).sum(axis=1))).clip(0)
    return {"power": (speed ** 3).mean() * 0.5e-6 * 1.225 * 0.45 * np.pi * (D / 2) ** 2,
            "histogram": np.histogram(speed, bins=16, range=(0, 16))[0]}

answers, sys.stdout = sys.stdout, sys.stderr    # what the model prints is the task's log
for line in sys.stdin:
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:
        reply["result"] = simulate(task["params"], np.random.default_rng(task["seed"]))
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}
    print(json.dumps(reply, default=lambda array: array.tolist()), file=answers, flush=True)
