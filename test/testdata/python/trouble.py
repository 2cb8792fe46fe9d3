"""A simulator that errs, dies or hangs on some seeds, and works on the rest."""

import json
import os
import signal
import sys
import time

for line in sys.stdin:
    request = json.loads(line)
    seed = request["params"]["seed"]
    if os.path.exists("mended"):
        seed = 0
    if seed == 3:
        reply = {"error": {"type": "ValueError", "message": f"no layout after {request['attempt']} attempts"}}
    elif seed == 5:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif seed == 7:
        time.sleep(3600)
    elif seed == 9:
        reply = {"result": {"aep": -1.0}}
    else:
        reply = {"result": {"aep": request["params"]["farm_id"] + request["params"]["seed"] / 100}}
    print(json.dumps({"id": request["id"], **reply}), flush=True)
