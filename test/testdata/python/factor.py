"""A simulator whose answer is in a file that the run does not know of."""

import json
import sys
import time

for line in sys.stdin:
    time.sleep(0.01)
    with open("factor") as f:
        print(json.dumps({"id": json.loads(line)["id"], "result": {"y": float(f.read())}}), flush=True)
