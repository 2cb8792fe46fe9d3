import json, random, sys, traceback

def simulate(params, rng):                 # your model: parameters in, columns out
    return {"value": rng.random()}

answers, sys.stdout = sys.stdout, sys.stderr    # what the model prints is the task's log
for line in sys.stdin:                     # one task a line, until windrow is done
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:                                   # a task that fails costs only itself
        reply["result"] = simulate(task["params"], random.Random(task["seed"]))
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}
    print(json.dumps(reply, default=lambda array: array.tolist()), file=answers, flush=True)
