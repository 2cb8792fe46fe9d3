"""A simulator whose answer is in a file that the run does not know of, as is how long it takes."""

import json
import sys
import time

for line in sys.stdin:
    with open("factor") as f:
        factor, seconds = map(float, f.read().split())
    time.sleep(seconds)
    print(json.dumps({"id": json.loads(line)["id"], "result": {"y": factor}}), flush=True)
