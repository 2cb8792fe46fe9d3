#!/usr/bin/env bash
# Builds windrow and runs the example campaign, from a fresh clone on Debian or Ubuntu with only git and Go:
#
#   bash quickstart.sh [flags of windrow run]
#
# With --chaos it computes the campaign while its processes are killed and its files damaged, and compares the dataset with
# that of a run that was left in peace, which is made first where there is none.
#
# The first time it installs a C compiler and libhdf5-dev where they are missing, as root or through sudo. Run again, it
# resumes a campaign that was interrupted, or verifies the finished one. The exit code is windrow's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/setup.sh

require_go
ensure build_packages
step "Building bin/windrow (a minute or two the first time)" build_windrow
run=(examples/001-tenders/tenders.yaml "$@")
if [[ " $* " == *" --chaos"* && ! -e tenders.h5 && " $* " != *" --compare"* ]]; then run+=(--compare); fi
say "Running bin/windrow run ${run[*]}"
exec bin/windrow run "${run[@]}"
