"""What is left of it: the protocol of windrow around the model."""
import json, sys, traceback
from farm import simulate_farm

answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:
        layout, aep = simulate_farm(**task["params"])
        reply["result"] = {"layout": layout.tolist(), "aep": aep}
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}
    print(json.dumps(reply), file=answers, flush=True)
