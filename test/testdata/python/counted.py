"""A simulator that notes each task it begins in the file `attempts`, and takes as long as the file `pace` says by then."""

import json
import os
import sys
import time

attempts = os.open("attempts", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for line in sys.stdin:
    task = json.loads(line)
    os.write(attempts, b"%d\n" % task["params"]["n"])
    with open("pace") as f:
        time.sleep(float(f.read()))
    print(json.dumps({"id": task["id"], "result": {"y": float(task["seed"] % 1000003)}}), flush=True)
