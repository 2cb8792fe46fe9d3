#!/usr/bin/env bash
# Merges 32 shards with 983,040 rows, 1.62 GB, with windrow's merger and with h5py, in turn, and prints a table of medians:
#
#   bash test/bench/merge.sh [rounds]
#
# It needs 17 GB in $TMPDIR, memory for as much page cache, and what `bash test.sh` installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

rounds=${1:-5}
require_go
ensure build_packages test_packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step "Building the benchmark" go build -o "$work/merge" ./test/bench/merge
step "Building it with crash points" go build -tags faults -o "$work/merge-to" ./test/bench/merge
h5merge=$PWD/test/bench/h5merge.py
cd "$work"
step "Writing shards with blocks of rows" ./merge make blocks blocks
step "Writing shards with rows at random" ./merge make random random

# copy FILE: what windrow's columns of seconds would be for cp.
copy() {
  /usr/bin/python3 - "$1" <<'END'
import subprocess, sys, time
begin = time.monotonic()
subprocess.run(["cp", sys.argv[1], "copy"], check=True)
copied = time.monotonic() - begin
subprocess.run(["sync", "copy"], check=True)
print(f"{copied:.3f} {time.monotonic() - begin:.3f} - - 2")
END
}

# packed: how long it takes until a compressed dataset is in the page cache, which is where this run is killed.
packed() {
  /usr/bin/python3 - "$@" <<'END'
import os, subprocess, sys, time
begin = time.monotonic()
end = subprocess.run(["./merge-to", "run", *sys.argv[1:]], env=dict(os.environ, WINDROW_FAULT="merger.chunks-written=kill"))
assert end.returncode == -9, f"not killed where the chunks are written: {end.returncode}"
print(f"{time.monotonic() - begin:.3f} - - - -")
END
  mv "$2.tmp" "$2"
  rm "$2.partial" "$2.rows"
}

repack() {
  /usr/bin/python3 - "$1" <<'END'
import resource, subprocess, sys, time
begin = time.monotonic()
subprocess.run(["h5repack", "-f", "SHUF", "-f", "GZIP=4", sys.argv[1], "repacked.h5"], check=True)
print(f"{time.monotonic() - begin:.3f} - - - {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}")
END
}

# measure NAME INPUT OUTPUT COMMAND...: appends a line of seconds and MiB to NAME, and keeps the size of the output. It begins with
# nothing to be written to the disk: else a contender waits for what the one before has left. And with memory that the host of a virtual
# machine has given, as other memory costs more than a merge: its input was just read, and as much as it needs was just written and freed.
measure() {
  local name=$1 input=$2 output=$3
  shift 3
  cat "$input"* >/dev/null
  rm -f "$output"
  head -c 3G /dev/zero >warm
  rm warm
  sync
  "$@" >>"$name.times"
  stat -c %s "$output" >"$name.size"
}

for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  measure contiguous blocks/ contiguous.h5 ./merge run blocks contiguous.h5 contiguous
  measure cp contiguous.h5 copy copy contiguous.h5
  measure random random/ random.h5 ./merge run random random.h5 contiguous
  measure grown blocks/ h5.h5 /usr/bin/python3 "$h5merge" grown h5.h5 blocks/*.h5
  measure h5py blocks/ h5.h5 /usr/bin/python3 "$h5merge" contiguous h5.h5 blocks/*.h5
  measure gzip blocks/ gzip.h5 ./merge run blocks gzip.h5 gzip
  measure packed blocks/ packed.h5 packed blocks packed.h5 gzip
  measure h5gzip blocks/ h5.h5 /usr/bin/python3 "$h5merge" gzip h5.h5 blocks/*.h5
  measure repack contiguous.h5 repacked.h5 repack contiguous.h5
done

# median FILE COLUMN, or nothing where a contender has no such figure
median() { awk -v c="$2" '$c != "-" {print $c}' "$1.times" | sort -n | awk '{v[NR] = $1} END {if (NR) print v[int((NR + 1) / 2)]}'; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

# line TITLE NAME
line() {
  local cached synced whole
  cached=$(median "$2" 1) synced=$(median "$2" 2) whole=$(median "$2" 3)
  printf '| %s | %.2f s | %s | %s | %s | %s MiB | %s MB |\n' "$1" "$cached" "$(ratio "$cached" "$(median cp 1)")" \
    "${synced:+$(printf '%.2f s' "$synced")}" "${whole:+$(printf '%.2f s' "$whole")}" "$(median "$2" 5)" "$(($(cat "$2.size") / 1000000))"
}

echo "| what | in the page cache | x cp | and synced | and verified | peak memory | file |"
echo "|---|---|---|---|---|---|---|"
line "\`cp\` of the dataset" cp
line "windrow, contiguous" contiguous
line "windrow, contiguous, rows at random" random
line "h5py, datasets that grow" grown
line "h5py, contiguous" h5py
# Synced is what is left of the whole without the verification.
paste -d ' ' packed.times gzip.times | awk '{printf "%s %.3f %s %s %s\n", $1, $8 - $9, $8, $9, $10}' >windrow.gzip.times
cp gzip.size windrow.gzip.size
line "windrow, gzip" windrow.gzip
line "h5py, gzip" h5gzip
line "\`h5repack\` of the dataset, gzip" repack
