#!/usr/bin/env bash
# Types what docs/DOCKER.md says, with a Docker engine: docker compose up, workers that come and go, services killed with SIGKILL
# in mid-run, a failing task and its replay. The dataset must have the sha256 that `windrow run` gives it here.
#
#   bash test/compose/run.sh [test...]      without a name, all of them
#
# It works on a copy of the checkout, in a compose project of its own, and removes both.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }

if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then
  say "compose tests: not run, there is no Docker engine with compose here"
  exit 0
fi
[[ -x bin/windrow ]] || { say "compose tests: build bin/windrow first, as quickstart.sh does"; exit 1; }

export COMPOSE_PROJECT_NAME=windrow-test-$$ WINDROW_IMAGE=windrow-test-$$
export COMPOSE_PROGRESS=quiet SPEC=campaign/spec.yaml WORKERS=2
windrow=$PWD/bin/windrow work=$(mktemp -d) current=setup reason='a command failed'
cluster=docker-compose.yml:docker-compose.cluster.yml
log=$work/log

clean() {
  local status=$?
  trap - EXIT
  if ((status)); then
    say "compose tests: the last lines of the log of $current:"
    tail -n 60 "$log" >&2
    say "compose tests: $current FAILED: $reason" # last, where a summary looks for it
  fi
  COMPOSE_FILE=$cluster compose --profile tools down --volumes --timeout 5 >/dev/null 2>&1 || true
  docker image rm --force "$WINDROW_IMAGE" >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM

# No command takes long here: one that hangs fails its test.
compose() { (cd "$work/repo" && timeout --kill-after=30 180 docker compose "$@"); }

# quietly COMMAND...: what it prints is shown only if the test fails.
quietly() { "$@" >>"$log" 2>&1; }

fail() {
  reason=$*
  say "compose tests: $current: $reason"
  exit 1
}

# expect CODE COMMAND...: the command must end with this exit code.
expect() {
  local want=$1 got=0
  shift
  quietly "$@" || got=$?
  ((got == want)) || fail "exit code $got, not $want, of: $*"
}

# begin TEST: an empty broker, no shards, no dataset.
begin() {
  current=$1
  say "compose tests: $current"
  : >"$log"
  COMPOSE_FILE=$cluster quietly compose --profile tools down --volumes --timeout 20
  rm -f "$work"/repo/out/*
}

# await_rows: waits until the run is well under way. The question is asked in one container, or the run would be over first.
await_rows() {
  local rows
  # shellcheck disable=SC2016 # it is for the container's shell
  rows=$(compose run --rm -T --no-deps --entrypoint sh cli -c '
    for _ in $(seq 600); do
      rows=$(windrow status --json | sed -n "s/.*\"recorded\":\([0-9]*\).*/\1/p")
      if [ "${rows:-0}" -gt 0 ]; then echo "$rows"; exit; fi
      sleep 0.2
    done' 2>>"$log" </dev/null)
  ((${rows:-0} > 0)) || fail "no row after two minutes"
  ((rows < tasks)) || fail "all $rows rows were there before anything was disturbed"
}

# check: the dataset in ./out is the one that windrow run makes.
check() {
  local sum
  sum=$(sha256sum <"$work/repo/out/out.h5") || fail "there is no dataset"
  [[ $sum == "$calm" ]] || fail "sha256 $sum, not $calm"
}

finish() { expect 0 compose up --exit-code-from producer; }

test_up() {
  finish
  check
  expect 0 compose run --rm cli status
  grep -q sealed "$log" || fail "cli status does not say that the run is sealed"
  [[ $(stat -c %u "$work/repo/out/out.h5") == 1000 ]] || fail "the dataset does not belong to user 1000"
}

test_five_workers() {
  expect 0 compose up --scale worker=5 --exit-code-from producer
  check
}

test_scaling_in_mid_run() {
  quietly compose up --detach
  await_rows
  quietly compose up --detach --no-recreate --scale worker=4
  quietly compose up --detach --no-recreate --scale worker=1
  WORKERS=1 finish
  check
}

# killed SERVICE: SIGKILL in mid-run, then the same `up` again.
killed() {
  quietly compose up --detach
  await_rows
  quietly compose kill --signal SIGKILL "$1"
  finish
  check
}
test_worker_killed() { killed worker; }
test_merger_killed() { killed merger; }
test_producer_killed() { killed producer; }
test_broker_killed() { killed nats; }

# No container has the key of another role, nor what it needs to pass for the server.
test_keys_apart() {
  local service
  finish
  for service in producer worker merger cli; do
    # shellcheck disable=SC2016 # it is for the container's shell
    expect 0 compose run --rm --no-deps --entrypoint sh "$service" -euc 'cat /key/*.nk /key/server.pem >/dev/null; test "$(ls /key | wc -l)" = 2'
  done
  expect 6 compose run --rm --entrypoint windrow worker status # who is connected as another role does not hear the answer
  grep -q 'does not permit us' "$log" || fail "the key of a worker is not kept to its role"
}

# Three servers, of which the one that leads is killed in mid-run; the run ends without it.
test_leader_killed() {
  local COMPOSE_FILE=$cluster leader code
  export COMPOSE_FILE
  quietly compose up --detach
  await_rows
  leader=$(compose exec -T nats wget -q -O - 'http://127.0.0.1:8222/jsz?streams=true' </dev/null |
    grep -o '"leader": *"[^"]*"' | tail -n 1 | cut -d '"' -f 4)
  [[ $leader == nats* ]] || fail "no leader: $leader"
  quietly compose kill --signal SIGKILL "$leader"
  # compose's own wait knows nothing of a producer that has ended already.
  code=$(timeout --kill-after=30 180 docker wait "$(compose ps --all --quiet producer)") || fail "the producer does not end"
  ((code == 0)) || fail "exit code $code of the producer"
  check
}

# A command that fails one task while a file is there.
test_replay() {
  local SPEC=campaign/failing.yaml
  export SPEC
  touch "$work/repo/campaign/outage"
  expect 4 compose up --exit-code-from producer
  [[ ! -e $work/repo/out/failing.h5 ]] || fail "there is a dataset though a task failed"
  expect 0 compose run --rm cli failed
  grep -q 'the power is out' "$log" || fail "cli failed does not show the message"
  rm "$work/repo/campaign/outage"
  expect 0 compose run --rm cli replay --failed
  expect 0 compose up --exit-code-from producer
  "$windrow" verify "$work/repo/out/failing.h5" >>"$log" 2>&1 || fail "the dataset is not sound"
  [[ $(sha256sum <"$work/repo/out/failing.h5") == "$(calm_of failing)" ]] || fail "not the dataset of windrow run"
}

# The error of a folder that the containers may not write to names the line in .env that helps.
test_foreign_out() {
  chown 4321 "$work/repo/out"
  quietly compose up --detach
  for _ in $(seq 120); do
    compose logs merger >>"$log" 2>&1
    if grep -q 'WINDROW_UID=4321' "$log"; then break; fi
    sleep 0.5
  done
  chown 1000 "$work/repo/out"
  grep -q 'WINDROW_UID=4321' "$log" || fail "the merger does not say which user may write"
}

# calm_of NAME: the sha256 of the spec's dataset by windrow run.
calm_of() {
  mkdir -p "$work/calm"
  (cd "$work/calm" && "$windrow" run "$work/repo/campaign/$1.yaml" --workers 4 >>"$log" 2>&1) || fail "windrow run fails"
  local output=$1
  [[ $1 != spec ]] || output=out
  sha256sum <"$work/calm/$output.h5"
}

mkdir -p "$work/repo"
git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --ignore-failed-read -c 2>/dev/null | tar -C "$work/repo" -x
mkdir -p "$work/repo/campaign"
chmod -R go+rX "$work" # mktemp's folder is for its owner alone, and the containers run as somebody else
chown 1000:1000 "$work/repo/out"

tasks=1200
cat >"$work/repo/campaign/spec.yaml" <<'SPEC'
version: 1
name: storm
seed: 7
tasks: {matrix: {farm: 1..40, layout: 1..30}}
simulator: {sleep: {duration: 25ms}}
queue: {ack_wait: 2s, shard_seconds: 0.5}
output: {file: out.h5}
SPEC
cat >"$work/repo/campaign/failing.yaml" <<'SPEC'
version: 1
name: failing
seed: 7
tasks: {matrix: {n: 1..20}}
simulator: {command: [sh, sim.sh], timeout: 1m}
columns: [{name: square, type: f64}]
output: {file: failing.h5}
queue: {ack_wait: 2s, shard_seconds: 0.5}
SPEC
cat >"$work/repo/campaign/sim.sh" <<'SIM'
# Answers n², and for n = 7 an error while there is an outage.
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":"\([^"]*\)".*/\1/')
  n=$(printf '%s' "$line" | sed 's/.*"n":\([0-9]*\).*/\1/')
  if [ "$n" = 7 ] && [ -e outage ]; then
    echo "{\"id\":\"$id\",\"error\":{\"type\":\"Outage\",\"message\":\"the power is out\"}}"
  else
    echo "{\"id\":\"$id\",\"result\":{\"square\":$((n * n))}}"
  fi
done
SIM
calm=$(calm_of spec)

say "compose tests: building the image"
(cd "$work/repo" && quietly timeout 1200 docker compose build)
tests=("$@")
((${#tests[@]})) || tests=(up keys_apart five_workers scaling_in_mid_run worker_killed merger_killed producer_killed broker_killed leader_killed replay foreign_out)
for name in "${tests[@]}"; do
  begin "$name"
  "test_$name"
done
say "compose tests: all passed"
