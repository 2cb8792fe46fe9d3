#!/usr/bin/env bash
# Computes campaigns of 10,000,000 tasks that do nothing, one after the other, with a nats-server, a producer, a merger and two
# workers. Every five seconds one of them, but the producer, is killed and started again. Each dataset is verified.
#
#   bash test/bench/soak.sh [time, 1h if not given] [tasks of a campaign, 10000000 if not given]
#
# Prints a table, and leaves in out/soak the resident memory of each process by the second (soak.csv) and a picture of it
# (soak.svg). Needs what `bash test.sh` installs, and 8 GB of disk in TMPDIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/setup.sh

length=${1:-1h} tasks=${2:-10000000}
require_go
ensure build_packages
step "Building bin/windrow" build_windrow
work=$(mktemp -d)
trap '(($?)) || rm -rf "$work"' EXIT # of what failed, the logs are left
step "Building nats-server" go build -o "$work/bin/" github.com/nats-io/nats-server/v2
step "Building test/bench/soak" go build -o "$work/bin/soak" ./test/bench/soak
cp bin/windrow "$work/bin/"

cat >"$work/soak.yaml" <<END
version: 1
name: soak
tasks: {matrix: {a: 1..1000, b: 1..$((tasks / 1000))}}
simulator: {noop: {}}
output: {file: soak.h5}
END
mkdir -p out/soak
PATH=$work/bin:$PATH "$work/bin/soak" "$work/soak.yaml" "$work" "$length"
cp "$work/soak.csv" "$work/soak.svg" out/soak/
