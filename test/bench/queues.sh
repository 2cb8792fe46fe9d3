#!/usr/bin/env bash
# Tasks that do nothing, from start to the last one recorded: a million with windrow, and 100,000 with windrow, with river on
# PostgreSQL and with asynq on Redis, in turn; and what windrow moves when rows are large. Prints a table of medians:
#
#   bash test/bench/queues.sh [rounds]
#
# Needs what `bash test.sh` installs, and Debian's `postgresql` and `redis-server`. Both run here on the loopback interface,
# from directories of their own. test/bench/peers is what inserts and works at the tasks of river and asynq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

rounds=${1:-3} tasks=100000 many=1000000 large=1000
require_go
ensure build_packages test_packages
postgres=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
if [[ -z $postgres ]] || ! command -v redis-server >/dev/null; then
  die "queues.sh: PostgreSQL or Redis is missing: apt-get install --no-install-recommends postgresql redis-server"
fi
step "Building bin/windrow" build_windrow
work=$(mktemp -d) data=$(mktemp -d)
step "Building test/bench/peers" go build -C test/bench/peers -o "$work/peers" .
windrow=$PWD/bin/windrow
cd "$work"

# PostgreSQL does not run as root.
as_postgres() { if ((EUID)); then "$@"; else (cd / && runuser -u postgres -- "$@"); fi; }

clean() {
  local status=$?
  trap - EXIT
  if [[ -s $data/pg/postmaster.pid ]]; then as_postgres "$postgres/pg_ctl" -D "$data/pg" -m immediate stop >/dev/null || true; fi
  if [[ -n ${redis:-} ]]; then kill "$redis" 2>/dev/null || true; fi
  rm -rf "$work" "$data"
  exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

pg_port=$(free_port)
((EUID)) || chown postgres "$data"
as_postgres "$postgres/initdb" -D "$data/pg" -A trust -U postgres >/dev/null
as_postgres "$postgres/pg_ctl" -D "$data/pg" -w -l "$data/pg/log" \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=''" start >/dev/null
pg=$(head -n 1 "$data/pg/postmaster.pid")

redis_port=$(free_port)
mkdir redis
redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work/redis" --appendonly yes --appendfsync everysec --save '' >/dev/null &
redis=$!

# spec NAME MATRIX SIMULATOR [COLUMNS]
spec() {
  cat >"$1.yaml" <<END
version: 1
name: $1
tasks: {matrix: $2}
simulator: $3
${4:+columns: $4}
output: {file: $1.h5}
END
}
spec noop "{a: 1..100, b: 1..$((tasks / 100))}" "{noop: {}}"
spec many "{a: 1..1000, b: 1..$((many / 1000))}" "{noop: {}}"
spec large "{a: 1..$large}" "{command: [/usr/bin/python3, large.py]}" "[{name: field, type: f64, shape: {point: 131072}}]"
cat >large.py <<'END'
import json, os, sys
import numpy
field = numpy.arange(131072, dtype="<f8")
for line in sys.stdin:
    task = json.loads(line)
    numpy.save(os.path.join(os.environ["WINDROW_SCRATCH"], "field.npy"), field)
    print(json.dumps({"id": task["id"], "result": {"field": {"$npy": "field.npy"}}}), flush=True)
END

# measure NAME SERVER COMMAND...: appends to NAME the wall seconds, the CPU seconds with those of the server (0: none), and the peak
# memory in MiB of what holds the queue, of the merger, and of a worker.
measure() {
  local file=$1 server=$2
  shift 2
  /usr/bin/python3 - "$file" "$server" "$@" <<'END'
import os, resource, subprocess, sys, threading, time

name, server, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
peak = {"run": 0, "merger": 0, "worker": 0}

def read(pid, what):
    with open(f"/proc/{pid}/{what}") as f:
        return f.read()

def family(pid):
    """The process and its children."""
    pids = [pid]
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(read(p, "stat").rsplit(")", 1)[1].split()[1]) == pid:
                pids.append(int(p))
        except OSError:
            pass
    return pids

def cpu(pid):
    """CPU seconds of a server, with those of its children, dead or alive."""
    total = 0
    for p in family(pid):
        try:
            fields = read(p, "stat").rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15] if p == pid else fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")

def memory(pid):
    """MiB of a server and its children; what they share counts once."""
    total = 0
    for p in family(pid):
        try:
            total += int(read(p, "smaps_rollup").split("\nPss:")[1].split()[0])
        except OSError:
            pass
    return total // 1024

def watch(done):
    while not done.wait(0.1):
        if server:
            peak["run"] = max(peak["run"], memory(server))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd") != os.getcwd():
                    continue
                role = read(pid, "cmdline").split("\0")[1]
                role = "worker" if role in ("river", "asynq") else role
                if role in peak:
                    peak[role] = max(peak[role], int(read(pid, "status").split("VmHWM:")[1].split()[0]) // 1024)
            except (OSError, IndexError):
                pass

done = threading.Event()
watcher = threading.Thread(target=watch, args=(done,), daemon=True)
watcher.start()
before = cpu(server) if server else 0
begin = time.monotonic()
subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
took = time.monotonic() - begin
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
used = usage.ru_utime + usage.ru_stime + (cpu(server) - before if server else 0)
done.set()
watcher.join()
with open(name, "a") as f:
    print(f"{took:.3f} {used:.2f} {peak['run']} {peak['merger']} {peak['worker']}", file=f)
END
}

# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for ((round = 0; round < rounds; round++)); do
  measure many.log 0 "$windrow" run many.yaml --restart
  measure noop.log 0 "$windrow" run noop.yaml --restart
  measure river.log "$pg" ./peers river "postgres://postgres@127.0.0.1:$pg_port/postgres" "$tasks"
  redis-cli -p "$redis_port" flushall >/dev/null
  measure asynq.log "$redis" ./peers asynq "127.0.0.1:$redis_port" "$tasks"
  measure large.log 0 "$windrow" run large.yaml --restart
done

# row WHAT FILE TASKS STORED
row() {
  awk -v what="$1" -v tasks="$3" -v stored="$4" -v s="$(median "$2" 1)" -v cpu="$(median "$2" 2)" \
    -v queue="$(median "$2" 3)" -v merger="$(median "$2" 4)" -v worker="$(median "$2" 5)" 'BEGIN {
      printf "| %s | %d | %s | %.1f s | %.0f | %.1f s | %d MiB | %s | %d MiB |\n", what, tasks, stored, s, tasks / s, cpu, queue,
        (merger > 0 ? merger " MiB" : ""), worker
    }'
}
echo '| what | tasks | what is stored of a task | wall time | tasks/s | CPU time | broker or database | merger | a worker |'
echo '|---|---|---|---|---|---|---|---|---|'
row 'windrow' many.log "$many" 'the task, its row in a verified file, who computed it; synced'
row 'windrow' noop.log "$tasks" 'the same'
row 'river, PostgreSQL' river.log "$tasks" 'a row: task and state; synced'
row 'asynq, Redis' asynq.log "$tasks" 'task and state; synced each second'
awk -v rows="$large" -v s="$(median large.log 1)" -v merger="$(median large.log 4)" -v worker="$(median large.log 5)" \
  'BEGIN {printf "\nwindrow, %d rows of 1 MiB from a Python program: %.1f s, %.0f MB/s; merger %d MiB, worker %d MiB\n", rows, s, rows * 1.048576 / s, merger, worker}'
