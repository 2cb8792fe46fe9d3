#!/usr/bin/env bash
# What windrow adds to a task of a user's program that does nothing, on one worker, beside a Python multiprocessing pool
# (mode stdio) and beside GNU parallel and a bare loop of fork and exec (mode exec). Prints a table of medians:
#
#   bash test/bench/overhead.sh [rounds]
#
# Needs what `bash test.sh` installs, and Debian's `parallel`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

rounds=${1:-3} tasks=20000 processes=10000
require_go
ensure build_packages test_packages
command -v parallel >/dev/null || {
  echo "overhead.sh: parallel is missing: apt-get install parallel" >&2
  exit 1
}
step "Building bin/windrow" build_windrow
windrow=$PWD/bin/windrow
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# spec NAME TASKS SIMULATOR
spec() {
  cat >"$1.yaml" <<END
version: 1
name: $1
tasks: {matrix: {k: 1..$2}}
simulator: $3
columns: [{name: value, type: f64}]
output: {file: $1.h5}
END
}

cat >noop.py <<'END'
import json, sys
for line in sys.stdin:
    task = json.loads(line)
    print(json.dumps({"id": task["id"], "result": {"value": 1.0}}))
END
cat >noop.c <<'END'
#include <stdio.h>
int main(void) {
  FILE *f = fopen("result.json", "w");
  return !f || fputs("{\"value\": 1}", f) < 0 || fclose(f) != 0;
}
END
gcc -O2 -o noop noop.c
cat >pool.py <<'END'
import multiprocessing, sys
def noop(task):
    return {"value": 1.0}
if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        assert sum(1 for _ in pool.imap_unordered(noop, ({"k": k} for k in range(int(sys.argv[1]))))) == int(sys.argv[1])
END
cat >bare.py <<'END'
import os, sys
for _ in range(int(sys.argv[1])):
    assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("./noop", ["./noop"], os.environ), 0)[1]) == 0
END
spec stdio "$tasks" "{command: [/usr/bin/python3, noop.py]}"
spec exec "$processes" "{command: [./noop], mode: exec}"
spec none "$tasks" "{noop: {}}"
sed -i '/^columns/d' none.yaml

# measure NAME COMMAND...: appends the wall seconds, and the peak memory of a worker in MiB, to NAME.
measure() {
  local file=$1
  shift
  /usr/bin/python3 - "$file" "$@" <<'END'
import os, subprocess, sys, threading, time
peak = 0
def watch(done):
    global peak
    while not done.wait(0.25):  # the peak of a worker stays in its status
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                ours = os.readlink(f"/proc/{pid}/cwd") == os.getcwd()
                if ours and b"\0worker\0" in open(f"/proc/{pid}/cmdline", "rb").read():
                    status = open(f"/proc/{pid}/status").read()
                    peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) // 1024)
            except (OSError, IndexError):
                pass
done = threading.Event()
watcher = threading.Thread(target=watch, args=(done,))
watcher.start()
begin = time.monotonic()
subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
took = time.monotonic() - begin
done.set()
watcher.join()
with open(sys.argv[1], "a") as f:
    print(f"{took:.3f} {peak}", file=f)
END
}

# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for ((round = 0; round < rounds; round++)); do
  measure stdio "$windrow" run stdio.yaml --restart --workers 1
  measure none "$windrow" run none.yaml --restart --workers 1
  measure pool /usr/bin/python3 pool.py "$tasks"
  measure exec "$windrow" run exec.yaml --restart --workers 1
  measure parallel sh -c "seq $processes | parallel -j1 './noop {#}'"
  measure bare /usr/bin/python3 bare.py "$processes"
done

# row WHAT FILE TASKS
row() {
  local s
  s=$(median "$2" 1)
  printf '| %s | %s | %.2f s | %.0f | %.2f ms | %s |\n' "$1" "$3" "$s" "$(awk "BEGIN {print $3 / $s}")" \
    "$(awk "BEGIN {print 1000 * $s / $3}")" "$(awk "BEGIN {m = $(median "$2" 2); print m ? m \" MiB\" : \"\"}")"
}
echo '| what | tasks | wall time | tasks/s | per task | worker |'
echo '|---|---|---|---|---|---|'
row 'windrow, built-in noop' none "$tasks"
row 'windrow, stdio' stdio "$tasks"
row 'multiprocessing pool' pool "$tasks"
row 'windrow, exec' exec "$processes"
row 'GNU parallel' parallel "$processes"
row 'fork and exec alone' bare "$processes"
