#!/usr/bin/env bash
# Checks valid files of other programs with windrow and with h5py, in turn, and prints a table of medians:
#
#   bash test/bench/check.sh [rounds]
#
# It needs 3 GB in $TMPDIR, memory for as much page cache, and what `bash test.sh` installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

rounds=${1:-5}
require_go
ensure build_packages test_packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step "Building windrow" go build -o "$work/windrow" .
h5check=$PWD/test/bench/h5check.py
cd "$work"
for kind in contiguous chunked gzip; do step "Writing files, $kind" /usr/bin/python3 "$h5check" make "$kind" "$kind" 4 120000; done
step "Writing small files" /usr/bin/python3 "$h5check" make small contiguous 1000 10

# measure NAME COMMAND...: appends a line of seconds, seconds of CPU and MiB to NAME.
measure() {
  local name=$1
  shift
  /usr/bin/python3 - "$@" <<'END' >>"$name.times"
import resource, subprocess, sys, time
begin = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
took, used = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{took:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.0f}")
END
}

kinds="contiguous chunked gzip small"
for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  for kind in $kinds; do
    measure "$kind" ./windrow check "$kind"/*.h5
    measure "h5py-$kind" /usr/bin/python3 "$h5check" read "$kind"/*.h5
  done
done

median() { sort -n -k "$2,$2" "$1.times" | awk -v c="$2" '{v[NR] = $c} END {print v[int((NR + 1) / 2)]}'; }

# line TITLE NAME BYTES: what the values of the files have
line() {
  local cpu
  cpu=$(median "$2" 2)
  printf '| %s | %.2f s | %.2f s | %s | %s MiB |\n' "$1" "$(median "$2" 1)" "$cpu" \
    "$(awk -v b="$3" -v s="$cpu" 'BEGIN {printf "%.0f MB/s", b / s / 1e6}')" "$(median "$2" 3)"
}

row=$((3 * 8 + 16 + 1600))
large=$((4 * 120000 * row)) small=$((1000 * 10 * row))
echo "| what | wall time | CPU time | values per second of CPU | largest process |"
echo "|---|---|---|---|---|"
for kind in contiguous chunked gzip; do
  line "windrow, 4 files of 197 MB, $kind" "$kind" "$large"
  line "h5py, the same" "h5py-$kind" "$large"
done
line "windrow, 1,000 files of 16 kB" small "$small"
line "h5py, the same" h5py-small "$small"
