"""A program for mode exec that does what its first argument says."""
import json
import os
import signal
import struct
import subprocess
import sys
import time

with open("params.json") as f:
    task = json.load(f)
mode = sys.argv[1]
result = {"value": 1}


def npy(name, descr, shape, data, fortran=False):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(name, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)
    return {"$npy": name}


if mode == "arguments":
    result = {"value": "|".join(sys.argv[2:])}
elif mode == "where":
    assert os.getcwd() == os.environ["WINDROW_SCRATCH"]
    result = {"value": " ".join(sorted(os.listdir("."))) + " " + sys.stdin.read()}
elif mode == "doubles":
    result = {"value": npy("v.npy", "<f8", (2, 3), struct.pack("<6d", *range(6)))}
elif mode == "fortran":
    result = {"value": npy("v.npy", "<i2", (2, 3), struct.pack("<6h", 0, 3, 1, 4, 2, 5), True)}
elif mode == "big_endian":
    result = {"value": npy("v.npy", ">f4", (6,), struct.pack(">6f", *range(6)))}
elif mode == "wrong_shape":
    result = {"value": npy("v.npy", "<f8", (3, 2), struct.pack("<6d", *range(6)))}
elif mode == "short":
    result = {"value": npy("v.npy", "<f8", (2, 3), struct.pack("<5d", *range(5)))}
elif mode == "objects":
    result = {"value": npy("v.npy", "|O", (6,), b"pickle")}
elif mode == "infinite":
    result = {"value": npy("v.npy", "<f8", (6,), struct.pack("<6d", 0, 1, 2, float("inf"), 4, 5))}
elif mode == "link":
    npy("w.npy", "<f8", (6,), struct.pack("<6d", *range(6)))
    os.symlink("w.npy", "v.npy")
    result = {"value": {"$npy": "v.npy"}}
elif mode == "outside":
    result = {"value": {"$npy": "../v.npy"}}
elif mode == "fifo":
    os.mkfifo("v.npy")
    result = {"value": {"$npy": "v.npy"}}
elif mode == "absent":
    result = {"value": {"$npy": "v.npy"}}
elif mode == "silent":
    sys.exit(0)
elif mode == "fail":
    print("about to fail")
    sys.exit("no convergence")
elif mode == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
elif mode == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
elif mode == "background":
    subprocess.Popen(["sleep", "3600"])
elif mode == "list":
    result = [1]
with open("result.json", "w") as f:
    json.dump(result, f)
