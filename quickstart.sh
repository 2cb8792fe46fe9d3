#!/usr/bin/env bash
# Builds windrow and runs the example campaign, from a fresh clone on Debian or Ubuntu with only git and Go:
#
#   bash quickstart.sh [flags of windrow run]
#
# The first time it installs a C compiler and libhdf5-dev where they are missing, as root or through sudo. Run again, it
# resumes a campaign that was interrupted, or verifies the finished one. The exit code is windrow's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/setup.sh

require_go
ensure build_packages
step "Building bin/windrow (a minute or two the first time)" build_windrow
say "Running bin/windrow run examples/001-tenders/tenders.yaml${*:+ $*}"
exec bin/windrow run examples/001-tenders/tenders.yaml "$@"
