"""A simulator that notes each task it begins in the file `attempts`, and takes as long as the file `pace` says by then.

Tasks in the file `poison` crash it, err, hang, or have an answer out of bounds.
"""

import json
import os
import signal
import sys
import time

attempts = os.open("attempts", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
poison = {}
if os.path.exists("poison"):
    with open("poison") as f:
        poison = json.load(f)
for line in sys.stdin:
    task = json.loads(line)
    n = task["params"]["n"]
    os.write(attempts, b"%d\n" % n)
    with open("pace") as f:
        time.sleep(float(f.read()))
    reply = {"result": {"y": float(task["seed"] % 1000003)}}
    match poison.get(str(n)):
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "error":
            reply = {"error": {"type": "ValueError", "message": "no layout"}}
        case "timeout":
            time.sleep(3600)
        case "invalid_output":
            reply = {"result": {"y": -1.0}}
    print(json.dumps({"id": task["id"], **reply}), flush=True)
