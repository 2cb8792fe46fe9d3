#!/usr/bin/env bash
# Feeds what comes from outside with what nobody would write: specs, task lists, tables, simulators' answers, events, shards,
# requests. One target after the other, each for a while:
#
#   bash test/fuzz.sh [time for each, 30s if not given]
#
# Then it adds the 30 shortest inputs that reached something new to testdata/fuzz of their package, where every go test tries them
# again. A failing input is written there by go test itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-30s} kept=30 failed=()

while read -r package target; do
  printf '%s %s\n' "$package" "$target" >&2
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "./$package" >/tmp/fuzz.$$ 2>&1 || { failed+=("$target"); tail -n 20 /tmp/fuzz.$$ >&2; }
  rm -f /tmp/fuzz.$$
  found=$(go env GOCACHE)/fuzz/windrow/$package/$target corpus=$package/testdata/fuzz/$target
  [[ -d $found ]] || continue
  mkdir -p "$corpus"
  # sed reads to the end, unlike head, which would end the script where sort still writes.
  find "$found" -type f -size -4k -printf '%s %p\n' | sort -n | sed -n "1,${kept}p" | cut -d ' ' -f 2- | xargs -r cp -t "$corpus"
done < <(grep -rn --include='*_test.go' '^func Fuzz' . | sed -E 's|^\./([^:]*)/[^/:]*:[0-9]+:func (Fuzz[A-Za-z]*)\(.*|\1 \2|')

if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
