"""A simulator that does what params["mode"] says, for better or worse."""
import json
import os
import signal
import struct
import subprocess
import sys
import time
import traceback

answered = 0


def say(**frame):
    print(json.dumps(frame))


def result(task, **values):
    say(id=task["id"], result=values)


def ok(task):
    result(task, value=1)


def hello(task):
    say(hello={"name": "modes", "version": "1"})
    ok(task)


def noise(task):
    print("Loading the model ...")
    print("{not json")
    say(looks="like json")
    say(id="another", result={"value": 2})
    say(**task)
    say(id=task["id"], progress=0.5)
    ok(task)


def unterminated(task):
    os.write(1, b'C prints "this" {without} a newline')
    ok(task)


def no_last_newline(task):
    sys.stdout.write(json.dumps({"id": task["id"], "result": {"value": 1}}))
    sys.stdout.flush()
    os._exit(0)


def once(task):
    ok(task)
    sys.exit(0)


def error(task):
    print("about to fail")
    try:
        raise ValueError("bad layout")
    except ValueError as e:
        say(id=task["id"], error={"type": "ValueError", "message": str(e), "traceback": traceback.format_exc()})


def error_text(task):
    say(id=task["id"], error="bad layout")


def no_result(task):
    say(id=task["id"], results={"value": 1})


def no_json(task):
    print('{"id": "%s", "result": {"value": }}' % task["id"])


def no_object(task):
    say(id=task["id"], result=1)


def fail(task):
    raise ValueError("bad layout")


def leave(task):
    sys.exit(0)


def segfault(task):
    os.kill(os.getpid(), signal.SIGSEGV)


def killed(task):
    os.kill(os.getpid(), signal.SIGKILL)


def oom(task):
    """Grows in a cgroup with little memory until the kernel kills it."""
    with open(task["params"]["cgroup"], "w") as f:
        f.write(str(os.getpid()))
    b"x" * (1 << 30)


def close_stdout(task):
    os.close(1)
    time.sleep(3600)


def grandchild(task):
    """Starts a process that has the fifo open for writing until it is killed."""
    fifo = open(task["params"]["fifo"], "w")
    child = subprocess.Popen(["sleep", "3600"], pass_fds=[fifo.fileno()])
    fifo.write("%d\n" % child.pid)
    fifo.close()


def hang(task):
    grandchild(task)
    time.sleep(3600)


def orphan(task):
    grandchild(task)
    sys.exit(3)


def daemon(task):
    """Leaves a process outside of the group that keeps the outputs open."""
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    print("daemon", child.pid, file=sys.stderr)
    os._exit(3)


def polite(task):
    """Says goodbye in the fifo at the end of the input."""
    ok(task)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(task["params"]["fifo"], "w") as fifo:
        fifo.write("ready\n")
        fifo.flush()
        sys.stdin.read()
        fifo.write("bye\n")
    sys.exit(0)


def stubborn(task):
    """Ignores the end of its input."""
    ok(task)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(task["params"]["fifo"], "w") as fifo:
        fifo.write("ready\n")
        fifo.flush()
        time.sleep(3600)


def answer(task):
    result(task, **task["params"]["result"])


def big(task):
    result(task, value=[0.123456789012345] * task["params"]["n"])


def huge(task):
    block = b" " * (1 << 20)
    for _ in range(65):
        os.write(1, block)
    ok(task)


def length(task):
    result(task, value=len(task["params"]["text"]))


def pid(task):
    result(task, value=os.getpid())


def oom_score(task):
    result(task, value=int(open("/proc/self/oom_score_adj").read()))


def request(task):
    result(task, value=json.dumps(task, sort_keys=True))


def environ(task):
    result(task, value=os.environ.get(task["params"]["name"], "unset"))


def late(task):
    """Answers only after it was given up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
    ok(task)


def twice(task):
    ok(task)
    result(task, value=2)


def wrong_id(task):
    result({"id": task["id"] + "0"}, value=2)
    sys.exit(0)


def no_id(task):
    say(result={"value": 2})
    sys.exit(0)


def special(task):
    print('{"id": "%s", "result": {"value": %s}}' % (task["id"], task["params"]["token"]))


def long_numbers(task):
    print('{"id": "%s", "result": {"value": [%s]}}' % (task["id"], ",".join(["%.88f" % 0.5] * task["params"]["n"])))


def close_stdin(task):
    ok(task)
    os.close(0)
    sys.stdout.flush()
    time.sleep(3600)


def native(task):
    """Prints as C does: into a buffer of its own, without a newline."""
    import ctypes
    libc = ctypes.CDLL(None)
    libc.printf(b"from C, no newline")
    libc.fflush(None)
    ok(task)


def memory(task):
    held = b"x" * (task["params"]["mib"] << 20)
    time.sleep(3600)


def memory_of_child(task):
    subprocess.run([sys.executable, "-c", "x = b'x' * (%d << 20); import time; time.sleep(3600)" % task["params"]["mib"]])


def descriptors(task):
    result(task, value=" ".join(sorted(os.listdir("/proc/self/fd"))))


def array_then(task):
    """Leaves an array, and then fails."""
    leave_array()
    globals()[task["params"]["end"]](task)


def array(task):
    leave_array()
    result(task, value={"$npy": "v.npy"})


def leave_array():
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n"
    with open(os.path.join(os.environ["WINDROW_SCRATCH"], "v.npy"), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<6d", *range(6)))


def count(task):
    result(task, value=answered)


def many_errors(task):
    for i in range(30):
        print("line", i, file=sys.stderr)
    print("x" * 5000, file=sys.stderr)
    sys.exit(1)


if len(sys.argv) > 1 and sys.argv[1] == "slow":  # to start
    time.sleep(float(sys.argv[2]))
if len(sys.argv) > 1 and sys.argv[1] == "greet":
    say(hello={"name": "modes", "version": "1"})
if len(sys.argv) > 1 and sys.argv[1] == "chatty":
    print("banner " * 50000)
for line in sys.stdin:
    task = json.loads(line)
    globals()[task["params"]["mode"]](task)
    answered += 1
