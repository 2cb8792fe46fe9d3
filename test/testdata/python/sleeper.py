"""Sleeps 33 ms on average, some tasks fifty times as long as others."""

import json
import math
import random
import sys
import time

for line in sys.stdin:
    task = json.loads(line)
    time.sleep(0.033 * math.exp(random.Random(task["params"]["n"]).gauss(0, 1) - 0.5))
    print(json.dumps({"id": task["id"], "result": {"y": 1.0}}), flush=True)
