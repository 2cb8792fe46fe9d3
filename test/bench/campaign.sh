#!/usr/bin/env bash
# Compares `windrow run` with a process pool and h5py on the same campaigns, in turn, and prints a table of wall seconds
# (median of the rounds) and of the largest process:
#
#   bash test/bench/campaign.sh [rounds]
#
# Needs what `bash test.sh` installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

rounds=${1:-3} processes=2
require_go
ensure build_packages test_packages
step "Building bin/windrow" build_windrow
windrow=$PWD/bin/windrow pool=$PWD/test/bench/pool.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# measure FILE COMMAND...: appends wall seconds and the peak memory of the largest process in MiB to FILE.
measure() {
  local file=$1
  shift
  /usr/bin/python3 - "$file" "$@" <<'END'
import resource, subprocess, sys, time
begin = time.monotonic()
subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
with open(sys.argv[1], "a") as f:
    print(f"{time.monotonic() - begin:.2f} {peak:.0f}", file=f)
END
}

# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# campaign NAME FARMS TYPES SEEDS MILLISECONDS
campaign() {
  local name=$1 farms=$2 types=$3 seeds=$4 ms=$5 round
  local simulator="{sleep: {duration: ${ms}ms}}"
  ((ms)) || simulator="{noop: {}}"
  cat >"$name.yaml" <<END
version: 1
name: $name
tasks: {matrix: {farm_id: 0..$((farms - 1)), farm_type: 0..$((types - 1)), seed: 1..$seeds}}
simulator: $simulator
output: {file: $name.h5}
END
  for ((round = 0; round < rounds; round++)); do
    measure "$name.windrow" "$windrow" run "$name.yaml" --restart --workers "$processes"
    rm -rf "$name.pool.h5" "$name.pool.h5.workers"
    measure "$name.peer" /usr/bin/python3 "$pool" "$farms" "$types" "$seeds" "$(awk "BEGIN {print $ms / 1000}")" "$processes" "$name.pool.h5"
  done
  printf '| %d tasks of %d ms | %s s | %s s | %s | %s MiB | %s MiB |\n' $((farms * types * seeds)) "$ms" \
    "$(median "$name.windrow" 1)" "$(median "$name.peer" 1)" \
    "$(awk "BEGIN {printf \"%.2f\", $(median "$name.windrow" 1) / $(median "$name.peer" 1)}")" \
    "$(median "$name.windrow" 2)" "$(median "$name.peer" 2)"
}

echo "| campaign, $processes processes | windrow | pool + h5py | ratio | windrow, largest process | pool, largest process |"
echo "|---|---|---|---|---|---|"
campaign ten 10 6 50 10
campaign noop 10 10 100 0
campaign many 20 10 100 0
