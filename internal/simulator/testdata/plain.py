"""A simulator as a user writes it: plain print, standard library only."""
import json
import sys


def simulate(params):
    return {"aep": 8.76 * params["farm_id"]}


for line in sys.stdin:
    task = json.loads(line)
    try:
        answer = {"id": task["id"], "result": simulate(task["params"])}
    except Exception as e:
        answer = {"id": task["id"], "error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer))
