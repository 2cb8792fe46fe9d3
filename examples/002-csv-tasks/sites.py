import json, sys

def simulate(p):
    def speed(height):                     # power law, from a measurement at 100 m
        return p["speed"] * (height / 100) ** p["shear"]
    return {"hub_speed": speed(p["hub_height"]), "profile": [speed(h) for h in range(20, 200, 40)]}

for line in sys.stdin:
    task = json.loads(line)
    reply = {"id": task["id"]}
    try:
        reply["result"] = simulate(task["params"])
    except Exception as e:
        reply["error"] = {"type": type(e).__name__, "message": str(e)}
    print(json.dumps(reply))
